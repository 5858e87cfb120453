"""A moment -> excerpts of its words, each short enough to quote, with the time it begins at. Pure.

Sentences that follow one another make one excerpt; a screen of text, a caption and what was heard in doubt
are one each. Knows the evidence and the question, not the answer that is made of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.chat.citations import cue
from pipeline.types import DOUBTFUL, SHOWN, SPOKEN, Evidence, Moment, Passage
from pipeline.words import roots as roots_of

LENGTH = 320  # characters
ABOUT_AS_GOOD = 0.75  # of the words of the question, or of the score: what is sure then goes before what is in doubt
PAUSE = 3.0  # s; between sentences that are further apart stands a sign that they do not follow on one another


@dataclass(frozen=True)
class Excerpt:
    """Words as they were said or shown."""

    media: str  # media id
    kind: str  # of the passages
    start: float  # s, to cite it by
    end: float  # s
    text: str  # at most about as long as was asked for
    matches: int  # words that the question has too


def best(evidence: Evidence, length: int = LENGTH) -> list[Excerpt]:
    """One excerpt of each moment first, in the order of the moments; then the second ones, and so on.

    What is said and shown twice at the same time, as with subtitles, is there once. What was heard in doubt is not the
    first where something sure is about as good.
    """
    ranked = _sure_first([(one, best_of(one, evidence.question, length)) for one in evidence.moments])
    chosen: list[Excerpt] = []
    for depth in range(max(map(len, ranked), default=0)):
        for excerpts in ranked:
            if depth < len(excerpts) and not any(_same(excerpts[depth], other) for other in chosen):
                chosen.append(excerpts[depth])
    return chosen


def best_of(moment: Moment, question: str, length: int = LENGTH) -> list[Excerpt]:
    """All words of a moment, those that hold most words of the question first."""
    roots = roots_of(question)
    windows = (window for run in _runs(moment.passages) for window in _around_best(run, roots, length))
    excerpts = (_excerpt(moment.media, window, roots, length) for window in windows)
    return sorted(excerpts, key=lambda one: (-_worth(one), one.kind == DOUBTFUL))


def _worth(excerpt: Excerpt) -> float:
    return excerpt.matches * (ABOUT_AS_GOOD if excerpt.kind == DOUBTFUL else 1)


def _sure_first(ranked: Sequence[tuple[Moment, list[Excerpt]]]) -> list[list[Excerpt]]:
    """The excerpts of each moment, the first of them changed for a sure one where its best is in doubt."""
    held = [(moment, excerpts) for moment, excerpts in ranked if excerpts]
    if held and held[0][1][0].kind == DOUBTFUL:
        (top, (doubtful, *_)), *others = held
        for one in others:
            is_sure = one[1][0].kind != DOUBTFUL
            if is_sure and (one[1][0].matches >= _worth(doubtful) or one[0].score >= ABOUT_AS_GOOD * top.score):
                held.remove(one)
                held.insert(0, one)
                break
    return [excerpts for _, excerpts in held]


def in_order(moment: Moment, question: str, length: int = LENGTH) -> list[Excerpt]:
    """All words of a moment: what is said from its first sentence on, then what is shown."""
    roots = roots_of(question)
    windows = (window for run in _runs(moment.passages) for window in _chunks(run, length))
    return _once(_excerpt(moment.media, window, roots, length) for window in windows)


def leading_up(moment: Moment, question: str, length: int = LENGTH) -> list[Excerpt]:
    """The same, counted from the end: first as much as leads up to it."""
    roots = roots_of(question)
    windows = (window[::-1] for run in _runs(moment.passages) for window in _chunks(run[::-1], length))
    return _once(_excerpt(moment.media, window, roots, length) for window in windows)


def one_by_one(moment: Moment, question: str, length: int = LENGTH) -> list[Excerpt]:
    """The same with each sentence by itself, for a moment that holds only some of what is said in it."""
    roots = roots_of(question)
    runs = _runs(moment.passages)
    return [_excerpt(moment.media, [passage], roots, length) for run in runs for passage in run]


def _runs(passages: Sequence[Passage]) -> list[list[Passage]]:
    """The sentences of each kind of speech together, then each screen, caption and doubtful sentence alone."""
    spoken = sorted((p for p in passages if p.kind in SPOKEN), key=lambda p: (p.kind, p.start))
    runs = [list(run) for _, run in groupby(spoken, key=lambda p: p.kind)]
    return [*runs, *([p] for p in passages if p.kind not in SPOKEN)]


def _around_best(run: list[Passage], roots: set[str], length: int) -> list[list[Passage]]:
    """The run in windows: around its best sentence, then around the best of what is before and after."""
    if not run:
        return []
    matches = [roots_of(passage.text) & roots for passage in run]
    top = max(range(len(run)), key=lambda number: len(matches[number]))
    windows = []
    for first in range(top, -1, -1):  # what follows a sentence says more of it than what leads to it
        window = _chunks(run[first:], length)[0]
        if first + len(window) <= top:
            break
        found = set().union(*matches[first : first + len(window)])
        windows.append((len(found), first, window))
    _, first, window = max(windows, key=lambda one: one[:2])
    before, after = run[:first], run[first + len(window) :]
    return [window, *_around_best(before, roots, length), *_around_best(after, roots, length)]


def _chunks(run: list[Passage], length: int) -> list[list[Passage]]:
    """The run cut into parts of at most this length, at least one sentence each."""
    chunks: list[list[Passage]] = []
    letters = 0
    for passage in run:
        letters += 1 + len(passage.text)
        if not chunks or letters > length:
            chunks.append([])
            letters = len(passage.text)
        chunks[-1].append(passage)
    return chunks


def _excerpt(media: str, window: list[Passage], roots: set[str], length: int) -> Excerpt:
    text, end = "", None
    for passage in window:
        text += ("" if end is None else " " if passage.start - end <= PAUSE else " … ") + passage.text
        end = passage.end
    text = " ".join(re.sub(r"\[(?=\s*\d+:\d)", "(", text).split())  # a time that is shown there is none of ours
    text = text.replace("“", "‘").replace("”", "’")
    matches = len(roots_of(text) & roots)
    return Excerpt(media, window[0].kind, cue(window[0]), window[-1].end, _cut(text, roots, length), matches)


def _cut(text: str, roots: set[str], length: int) -> str:
    """What is too long by itself, cut between words near the first that the question has too."""
    if len(text) <= length:
        return text
    words = list(re.finditer(r"\S+", text))
    match = next((word.start() for word in words if roots_of(word[0]) & roots), 0)
    first = next((w.start() for w in words if w.start() >= match - length // 2), 0) if match else 0
    kept = [word for word in words if word.start() >= first and word.end() <= first + length]
    # A script without spaces has no words to cut between.
    last = kept[-1].end() if kept else first + length
    return ("… " if first else "") + text[first:last] + (" …" if last < len(text) else "")


def _once(excerpts: Iterable[Excerpt]) -> list[Excerpt]:
    chosen: list[Excerpt] = []
    for one in excerpts:
        if not any(_same(one, other) for other in chosen):
            chosen.append(one)
    return chosen


def _same(one: Excerpt, other: Excerpt) -> bool:
    """Whether two hold mostly the same words at the same time: overlaps, subtitles of what is said."""
    if one.media != other.media or _way(one) != _way(other):
        return False
    if one.start >= other.end or other.start >= one.end:
        return False
    words, others = roots_of(one.text), roots_of(other.text)
    return len(words & others) >= 0.6 * min(len(words), len(others))


def _way(excerpt: Excerpt) -> str:
    """How its words are in the video: what is said in doubt stands for nothing that is surely said."""
    return "said" if excerpt.kind in SPOKEN else "shown" if excerpt.kind in SHOWN else excerpt.kind
