"""Moments in the order of a cross-encoder: a model that reads the question and a text together (Nogueira and Cho,
"Passage Re-ranking with BERT", 2019).

In: a question and moments. Out: the same moments. Knows neither the index nor how the moments were found.
"""

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from pipeline.search.base import clean
from pipeline.search.weights import find_cross_encoder, load_cross_encoder
from pipeline.settings import Settings
from pipeline.types import Moment

PAIRS_A_BATCH = 16  # more gains nothing on a CPU

_lock = threading.Lock()
_cross_encoder = lru_cache(maxsize=1)(load_cross_encoder)


def reranker(settings: Settings) -> Callable[[str, Sequence[Moment]], list[Moment]] | None:
    """What orders moments for a question, best first, where the settings name a cross-encoder; else None.

    The model is loaded by the first question. Ordering raises ModelError where it cannot be had or loaded.
    """
    return partial(_ordered, settings.reranker) if settings.reranker else None


def available(weights: str) -> tuple[bool, str]:
    """(whether this cross-encoder is on this computer, what to say about it). Raises ModelError where it cannot run."""
    if find_cross_encoder(weights) is None:
        return False, (
            f"The weights of {weights} are not on this computer. They are fetched by the first question, "
            "or set RERANKER to a folder that holds them."
        )
    with _lock:
        _cross_encoder(weights)
    return True, weights


def _ordered(weights: str, question: str, moments: Sequence[Moment]) -> list[Moment]:
    """Moments without words cannot be read: they keep their places, and the others are ordered around them."""
    texts = [clean(" ".join(passage.text for passage in moment.passages)).strip() for moment in moments]
    places = [place for place, text in enumerate(texts) if text]
    scores = dict(zip(places, _scores(weights, question, [texts[place] for place in places]), strict=True))
    ordered = list(moments)
    for place, best in zip(places, sorted(places, key=lambda place: -scores[place]), strict=True):
        ordered[place] = moments[best]
    return ordered


def _scores(weights: str, question: str, texts: Sequence[str]) -> list[float]:
    """How well each text answers the question, higher is better; compares only within one question.

    What is over the model's length is cut from the longer of the two, which is the text.
    """
    import torch

    with _lock:  # two threads that ask first must not both load it
        model, tokenizer, tokens, device = _cross_encoder(weights)
    scores: list[float] = []
    for first in range(0, len(texts), PAIRS_A_BATCH):
        batch = texts[first : first + PAIRS_A_BATCH]
        with _lock:  # the tokenizer keeps its padding as state
            inputs = tokenizer(
                [clean(question)] * len(batch),
                list(batch),
                padding=True,
                truncation="longest_first",
                max_length=tokens,
                return_tensors="pt",
            )
        with torch.inference_mode():
            logits = model(**inputs.to(device)).logits
        # Of two labels the second says "relevant".
        scores += (logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]).tolist()
    return scores
