"""What text and pictures cost in prompt tokens, without the model's tokenizer. Pure."""

import math
import re

PATCH = 16  # px a side; Pixtral spends one token on each patch, and one on each row of them
LONG_SIDE = 1024  # px; the model shrinks what is larger


def image_tokens(width: int, height: int) -> int:
    """Prompt tokens of one picture, in pixels: mistral_common's ImageEncoder, exact for Pixtral."""
    ratio = max(width, height) / LONG_SIDE
    if ratio > 1:
        width, height = max(round(width / ratio), 1), max(round(height / ratio), 1)
    return (math.ceil(width / PATCH) + 1) * math.ceil(height / PATCH)


def text_tokens(text: str) -> int:
    """An estimate on the high side, by script: Pixtral's tokenizer needs about 0.8 of it for English."""
    cost = sum(math.ceil(len(word) / (2 if word.isupper() else 5)) for word in re.findall("[A-Za-z]+", text))
    cost += len(re.findall(r" (?=[^A-Za-z])", text))
    for character in re.sub("[A-Za-z ]", "", text):
        point = ord(character)
        if point < 0x80 or 0x2010 <= point < 0x2040 or 0x2E80 <= point < 0xE000 or 0xF900 <= point < 0x10000:
            cost += 1  # digits, signs, Chinese, Japanese, Korean
        elif point < 0x1200 or 0x1E00 <= point < 0x2000:
            cost += 0.6  # accents, and the other common alphabets
        else:
            cost += 3  # symbols, emoji, rare scripts: nearly a token a byte
    return math.ceil(cost)
