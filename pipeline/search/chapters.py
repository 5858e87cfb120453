"""Passages, their vectors and visual changes in, chapters out; a chapter in, the sentences that stand for it out.

Pure, numpy only. Knows neither files nor embeddings; what chapters are called is decided in titles.py.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log, log1p, sqrt
from typing import TYPE_CHECKING

from pipeline.search.titles import entitle
from pipeline.search.vectors import key_of
from pipeline.types import DOUBTFUL, SHOWN, SPOKEN, Chapter, Media, Passage
from pipeline.words import content_words, root

if TYPE_CHECKING:
    import numpy as np

# How many: 3 in three minutes, 5 in ten, 12 in an hour, 21 in three hours.
A_ROOT_MINUTE, MOST = 1.6, 24
SHORTEST = 20.0  # s
SHORTEST_PART = 0.3  # of the length that chapters have on average
BLOCK = 20.0  # s, what is compared: single sentences say too little; 10 and 30 s measured nearly the same
BLOCKS = 120  # in a video that is too short for blocks of 20 s ...
MOST_BLOCKS = 1200  # ... and in one of many hours, where the square of this is held in memory
MEANING = 0.7  # weight of the vectors, the rest is that of the words; 0.3-1 measured nearly the same
EVENNESS = 0.03  # how much unequal lengths cost, in parts of the variance that chapters explain
# These three are chosen by eye: no set of videos with known chapters had pictures.
BIG, NEAR = 0.08, 4.0  # a change of at least this strength draws a start that is this near, in s
VISUAL = 0.02  # what a start at a complete change of the picture is worth, in the same parts
SAME = 0.85  # cosine from which two sentences say the same


def cut(
    media: Media, vectors: Mapping[str, "np.ndarray"], changes: Sequence[tuple[float, float]] = ()
) -> tuple[Chapter, ...]:
    """Chapters from 0 to the length of the media, in order and without gaps; () for a media without length.

    `vectors` are those of the passages by key_of; where there are none, words alone decide, and where there are no
    words, the `changes` of the picture: (time s, strength 0-1). Starts are at the start of a sentence, or at a big
    change near it.

    Of all ways to cut, the one is taken whose chapters explain most of the variance of what is said in them: kernel
    change-point detection by dynamic programming (Arlot, Celisse and Harchaoui 2019, JMLR 20; linear segmentation as
    an optimum: Utiyama and Isahara 2001, ACL). The kernel sums sentence embeddings and tf-idf words. Against depth
    scores on embeddings (Solbiati et al. 2021, arXiv 2106.12978) with as many chapters, Pk measured 0.28 to 0.30 on
    joined course videos, 0.20 to 0.25 on joined tutorials, and 0.53 to 0.52 on meetings, where both are poor.
    """
    if media.length <= 0:
        return ()
    passages = _passages(media)
    starts = _starts(media, passages, [(t, s) for t, s in changes if s >= BIG and 0 < t < media.length])
    blocks = _blocks(passages, starts, media.length)
    inner = _best(blocks, _features(blocks, vectors), [starts[a] for a, _, _ in blocks], media.length)
    edges = [0.0, *(blocks[i][0] for i in inner), media.length]
    parts = [[p for p in passages if _is_in(p, start, end)] for start, end in pairwise(edges)]
    titles = entitle(parts, list(pairwise(edges)))
    return tuple(Chapter(*span, title) for span, title in zip(pairwise(edges), titles, strict=True))


def outline(media: Media, vectors: Mapping[str, "np.ndarray"], chapter: Chapter, most: int = 2) -> tuple[Passage, ...]:
    """The sentences that stand best for a chapter, at most `most`, in the order of time.

    They are the nearest to the centre of the chapter, by vectors and words, no two of them alike; whole sentences of
    some length come first. Where nothing is said, texts on the screen. () where there are no words.
    """
    import numpy as np

    inside = [p for p in _passages(media) if _is_in(p, chapter.start, chapter.end)]
    inside = [p for p in inside if p.kind in SPOKEN] or inside
    if not inside:
        return ()
    features = _features([(p.start, p.end, [p]) for p in inside], vectors, centred=False)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    near = features @ features.mean(axis=0)
    fit = [_completeness(p) for p in inside]
    chosen: list[int] = []
    for i in sorted(range(len(inside)), key=lambda i: -near[i] * fit[i]):
        if (near[i] <= 0 and chosen) or len(chosen) == most:
            break
        if all(features[i] @ features[j] < SAME for j in chosen):
            chosen.append(i)
    return tuple(inside[i] for i in sorted(chosen))


def _passages(media: Media) -> list[Passage]:
    """What is sure of its words, in order: what was heard in doubt names no chapter and stands for none."""
    sure = (p for p in media.passages if p.text.strip() and p.kind != DOUBTFUL)
    return sorted(sure, key=lambda p: (p.start, p.end))


def _is_in(passage: Passage, start: float, end: float) -> bool:
    """Whether most of a sentence is said in this stretch; a picture belongs wherever it stands for a while."""
    if passage.kind in SPOKEN:
        return start <= (passage.start + passage.end) / 2 < end
    shown = min(passage.end, end) - max(passage.start, start)
    return shown >= min(3.0, passage.end - passage.start, (end - start) / 2)


def _starts(media: Media, passages: list[Passage], changes: list[tuple[float, float]]) -> dict[float, float]:
    """Where a chapter may start -> how strongly the picture changes there: sentences, and changes between them."""
    spoken = [p for p in passages if p.kind in SPOKEN]
    strengths = {0.0: 0.0}
    for passage in spoken:
        near = [(strength, time) for time, strength in changes if abs(time - passage.start) <= NEAR]
        strength, time = max(near, default=(0.0, passage.start))
        if 0 < time < media.length:
            strengths[time] = strength
    ends = [0.0, *(p.end for p in spoken), media.length]
    begins = [0.0, *(p.start for p in spoken), media.length]
    quiet = [(a, b) for a, b in zip(ends, begins[1:], strict=False) if b - a > 2 * NEAR]
    screens = [(p.start, BIG) for p in passages if p.kind in SHOWN]
    for time, strength in [*screens, *changes]:
        if any(a < time < b for a, b in quiet) and strength > strengths.get(time, 0.0):
            strengths[time] = strength
    return dict(sorted(strengths.items()))


Block = tuple[float, float, list[Passage]]  # start s, end s, what is said and shown


def _blocks(passages: list[Passage], starts: dict[float, float], length: float) -> list[Block]:
    """Stretches of about the same length from one start to another; a big change ends one early."""
    finest = length / MOST_BLOCKS
    least = max(min(BLOCK, length / BLOCKS), finest)
    edges = [0.0]
    for start, strength in starts.items():
        if start - edges[-1] >= (max(least / 4, finest) if strength >= BIG else least):
            edges.append(start)
    return [(a, b, [p for p in passages if _is_in(p, a, b)]) for a, b in pairwise([*edges, length])]


def _features(blocks: list[Block], vectors: Mapping[str, "np.ndarray"], centred: bool = True) -> "np.ndarray":
    """One row a block, whose inner products are the kernel: meaning and words, each scaled to mean square 1."""
    import numpy as np

    known = [[v for p in ps if (v := vectors.get(key_of(p))) is not None] for _, _, ps in blocks]
    meaning = np.zeros((len(blocks), len(next((v for vs in known for v in vs), [0.0]))))
    for row, vs in zip(meaning, known, strict=True):
        if vs:
            row[:] = np.sum(vs, axis=0)
            row /= max(float(np.linalg.norm(row)), 1e-9)
    counts = [Counter(root(w) for p in ps for w in content_words(p.text)) for _, _, ps in blocks]
    found_in = Counter(word for count in counts for word in count)
    least = 2 if centred else 1  # what one block alone says holds no two together
    column = {word: n for n, word in enumerate(w for w, times in found_in.items() if times >= least)}
    words = np.zeros((len(blocks), max(1, len(column))), dtype="float32")
    for row, count in zip(words, counts, strict=True):
        for word, times in count.items():
            if word in column:
                row[column[word]] = (1 + log(times)) * log1p(len(blocks) / found_in[word])
        row /= max(float(np.linalg.norm(row)), 1e-9)
    parts = []
    for part, weight in ((meaning, MEANING), (words, 1 - MEANING)):
        if centred:
            part = part - part.mean(axis=0)
        scale = sqrt(float((part**2).sum(axis=1).mean()))
        parts.append(part * (sqrt(weight) / scale if scale > 1e-6 else 0.0))
    return np.hstack(parts)


def _best(blocks: list[Block], features: "np.ndarray", changes: list[float], length: float) -> list[int]:
    """The blocks with which a chapter starts, but for the first."""
    import numpy as np

    wanted = min(MOST, round(A_ROOT_MINUTE * sqrt(length / 60)), len(blocks)) if length >= 60 else 1
    seconds = np.array([end - start for start, end, _ in blocks])
    # sums[i, j]: the inner product of the sums of the first i and the first j blocks, weighted with their seconds
    sums = np.zeros((len(blocks) + 1,) * 2)
    weighted = features * seconds[:, None]
    sums[1:, 1:] = (weighted @ weighted.T).cumsum(axis=0).cumsum(axis=1)
    squares = np.diag(sums)[:, None] + np.diag(sums)[None, :] - 2 * sums
    until = np.concatenate([[0.0], np.cumsum(seconds)])
    lasts = until[None, :] - until[:, None]
    explained = squares / np.where(lasts > 0, lasts, 1.0) / length
    reward = np.array([*(VISUAL * strength for strength in changes), 0.0])
    for count in range(wanted, 1, -1):
        shortest = max(SHORTEST, SHORTEST_PART * length / count)
        worth = explained - EVENNESS * (lasts / length * count - 1) ** 2 / count + reward[:, None]
        worth = np.where(lasts >= shortest, worth, -np.inf)
        best, before = worth[0], []
        for _ in range(count - 1):
            candidates = best[:, None] + worth
            before.append(candidates.argmax(axis=0))
            best = candidates.max(axis=0)
        if np.isfinite(best[-1]):
            at, chosen = len(blocks), []
            for pointers in reversed(before):
                at = int(pointers[at])
                chosen.append(at)
            return chosen[::-1]
    return []


def _completeness(passage: Passage) -> float:
    words = len(passage.text.split())
    ended = passage.text.rstrip("\"'”’»)] ").endswith((".", "!", "?", "…", "。", "！", "？"))
    return (1.0 if 8 <= words <= 45 else 0.7 if words >= 5 else 0.4) * (1.0 if ended else 0.85)
