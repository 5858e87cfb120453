"""Late interaction: how well a moment holds each word of a question, as it is meant there.

In: a question and moments. Out: the same moments, in an order that counts this too. Each content word of the question
is compared with each of the moment's sentences, and its best match counts (MaxSim of ColBERT: Khattab and Zaharia,
SIGIR 2020). The vectors of words are those that the text embedding makes its sentences of; nothing was trained for
this. Knows neither the index nor how the moments were found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.search.embeddings import text_embedding
from pipeline.search.vectors import key_of, load_words, words_path
from pipeline.settings import Settings
from pipeline.types import Moment

if TYPE_CHECKING:
    import numpy as np

KEPT = 64  # media whose vectors of words stay in memory, about 2 MB for an hour of talk


def comparer(settings: Settings) -> Callable[[str, Sequence[Moment], float], list[Moment]] | None:
    """What orders moments, best first, where the text embedding has vectors of words; else None.

    Given a weight, a moment's score rises by up to that: all of it for the moment that holds the question's words
    best, nothing for the one that does so least or has no words. While one of the media has no vectors of words yet,
    all stays as it is.
    """
    embedding = text_embedding(settings)
    return partial(_compared, settings.data_dir, embedding) if hasattr(embedding, "word_vectors") else None


def _compared(data_dir: Path, embedding: Any, question: str, moments: Sequence[Moment], weight: float) -> list[Moment]:
    media = {moment.media: _words(data_dir / moment.media, embedding.name) for moment in moments if moment.passages}
    (asked,) = embedding.word_vectors([question])
    if not len(asked) or not all(media.values()):
        return list(moments)
    fits = [_fit(asked, moment, media.get(moment.media, {})) for moment in moments]
    known = [fit for fit in fits if fit is not None]
    low = min(known, default=0.0)
    spread = max(max(known, default=0.0) - low, 1e-9)
    earned = [0.0 if fit is None else weight * (fit - low) / spread for fit in fits]
    scored = [replace(one, score=one.score + more) for one, more in zip(moments, earned, strict=True)]
    return sorted(scored, key=lambda moment: -moment.score)


def _fit(asked: "np.ndarray", moment: Moment, words: Mapping[str, "np.ndarray"]) -> float | None:
    """The mean cosine of the question's words, each with what is nearest to it in the moment; None without any."""
    import numpy as np

    held = [words[key] for key in map(key_of, moment.passages) if key in words and len(words[key])]
    if not held:
        return None
    vectors = np.concatenate(held).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return float((asked @ vectors.T).max(axis=1).mean())


def _words(folder: Path, name: str) -> Mapping[str, "np.ndarray"]:
    path = words_path(folder, name)
    return _loaded(folder, name, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=KEPT)
def _loaded(folder: Path, name: str, stamp: int) -> Mapping[str, "np.ndarray"]:
    return load_words(folder, name)  # `stamp` tells one version of the file from another
