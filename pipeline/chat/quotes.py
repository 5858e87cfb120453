"""The answer without a model: the evidence itself, quoted with its times. Pure.

Knows the evidence and the question, nothing of endpoints.
"""

import re
from collections.abc import Generator, Mapping

from pipeline.chat.citations import cue
from pipeline.chat.reply import Reply
from pipeline.chat.words import content_words, root
from pipeline.times import stamp
from pipeline.types import Evidence, Passage

QUOTES = 3
QUOTE_LENGTH = 320  # characters
TIMES_OF_FRAMES = 3
VERBS = {"speech": "said", "subtitle": "in the subtitles", "screen": "on screen"}


def answer(evidence: Evidence, titles: Mapping[str, str]) -> Reply:
    """The best passages, best first; where there are none, the times of the best frames.

    titles: media id -> title, named where the evidence is of several videos.
    """
    return Reply(evidence, "quotes", _pieces(_write(evidence, titles)))


def _pieces(text: str) -> Generator[str, None, str]:
    yield text
    return "stop"


def _write(evidence: Evidence, titles: Mapping[str, str]) -> str:
    several = len({moment.media for moment in evidence.moments}) > 1

    def place(media: str) -> str:
        return f" in “{titles.get(media, media)}”" if several else ""

    quotes = _best(evidence)
    if quotes:
        lines = ["No chat model is set up, so these are quotes from the video, not a written answer:", ""]
        for media, passage in quotes:
            start, text = _shorten(passage, evidence.question)
            lines.append(f"- [{stamp(start)}]{place(media)} {VERBS.get(passage.kind, passage.kind)}: “{text}”")
        return "\n".join(lines)
    frames = dict.fromkeys((moment.media, cue(moment.frames[0])) for moment in evidence.moments if moment.frames)
    if frames:
        times = ", ".join(f"[{stamp(start)}]{place(media)}" for media, start in list(frames)[:TIMES_OF_FRAMES])
        return (
            "No chat model is set up, so this is what was found, not a written answer. "
            f"No words in the video fit the question; the pictures that fit best are at {times}."
        )
    return "Nothing in the video was found for this question. Try it in other words."


def _best(evidence: Evidence) -> list[tuple[str, Passage]]:
    """One passage of each moment first, best moment first; then the second ones, and so on."""
    roots = _roots(evidence.question)
    ranked = [
        (moment.media, sorted(moment.passages, key=lambda passage: -len(roots & _roots(passage.text))))
        for moment in evidence.moments
    ]
    chosen: list[tuple[str, Passage]] = []
    for depth in range(max((len(passages) for _, passages in ranked), default=0)):
        for media, passages in ranked:
            if depth < len(passages) and not any(
                media == other and _same(passages[depth], passage) for other, passage in chosen
            ):
                chosen.append((media, passages[depth]))
    return chosen[:QUOTES]


def _same(one: Passage, other: Passage) -> bool:
    """Whether two passages hold mostly the same words at the same time: overlaps, subtitles of what is said."""
    if one.start >= other.end or other.start >= one.end:
        return False
    words, others = _roots(one.text), _roots(other.text)
    return len(words & others) >= 0.6 * min(len(words), len(others))


def _roots(text: str) -> set[str]:
    return {root(word) for word in content_words(text)}


def _shorten(passage: Passage, question: str) -> tuple[float, str]:
    """(time, text): the sentences around the matching words, at most QUOTE_LENGTH characters.

    The time stays that of the passage for what is on screen; within speech it moves with the words that were
    dropped before the quote, assuming an even pace, so that it still lies within the passage.
    """
    text = " ".join(passage.text.split()).replace("“", "‘").replace("”", "’")
    if len(text) <= QUOTE_LENGTH:
        return cue(passage), text
    roots = _roots(question)
    sentences = [s for s in re.split(r"(?<=[.!?…])\s+|(?<=[。！？])", text) if s]
    best = (-1, 0, "")  # matches, first sentence, quote
    for first in range(len(sentences)):
        quote = sentences[first]
        for sentence in sentences[first + 1 :]:
            if len(quote) + 1 + len(sentence) > QUOTE_LENGTH:
                break
            quote += " " + sentence
        if (matches := len(roots & _roots(quote))) > best[0]:
            best = (matches, first, quote)
    _, first, quote = best
    quote, skipped = _cut(quote, roots)
    begin = text.index(sentences[first]) + skipped
    moved = 0.0 if passage.kind == "screen" else (passage.end - passage.start) * begin / len(text)
    return cue(passage) + moved, ("… " if begin else "") + quote + ("" if text.endswith(quote) else " …")


def _cut(sentence: str, roots: set[str]) -> tuple[str, int]:
    """(quote, characters skipped): a sentence that is too long by itself, cut between words near the match."""
    if len(sentence) <= QUOTE_LENGTH:
        return sentence, 0
    words = list(re.finditer(r"\S+", sentence))
    match = next((word.start() for word in words if _roots(word[0]) & roots), 0)
    from_ = next((w.start() for w in words if w.start() >= match - QUOTE_LENGTH // 2), 0) if match else 0
    kept = [word for word in words if word.start() >= from_ and word.end() <= from_ + QUOTE_LENGTH]
    if not kept:  # a script without spaces
        return sentence[:QUOTE_LENGTH], 0
    return sentence[from_ : kept[-1].end()], from_
