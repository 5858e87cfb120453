"""Ranked lists of hits in, moments in time out. Pure: knows no index, no file and no model.

Every stretch that a list may mean is a candidate: each window of what is said, each screen of text, caption and
picture from where it appears. Its score is the weighted sum of what its hits earn in each list, every list scaled
between its best hit and its floor: a convex combination of normalised scores, which orders better than ranks do
(Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.search.around import LONGEST, in_order, pictures_of
from pipeline.search.windows import stretches
from pipeline.types import DOUBTFUL, SPOKEN, Frame, Hit, Media, Moment, Passage

STRONG = 0.7  # between the floor and the best of its list: a hit that is a reason of its own
SENTENCES = ("sentence words", "sentence meaning")  # a window earns the mean of its two best
WORDS = ("words", "sentence words")  # BM25: its floor is 0, no word in common
LAID_OUT = 128  # media whose windows stay known
_Scored = tuple[float, Passage | Frame]  # 0-1, between the floor and the best of a list; what was found
LOOKS_LIKE = "looks like the question"
REASONS = {
    "the words match": WORDS,
    "close in meaning": ("meaning", "sentence meaning"),
    LOOKS_LIKE: ("picture",),
}


@dataclass(frozen=True)
class Fusion:
    """How ranked lists become one order."""

    weights: Mapping[str, float]  # by list; one without a weight is not asked for
    screen: bool = True  # whether texts on screen and captions count
    late: float = 0.0  # what the best moments earn for the meaning of their words: see late.py


FUSION = Fusion(
    {"words": 0.5, "sentence words": 0.5, "meaning": 0.3, "sentence meaning": 1.0, "picture": 0.4}, late=0.8
)


def fuse(
    lists: Mapping[str, Sequence[Hit]], media: Mapping[str, Media], limit: int = 5, fusion: Fusion = FUSION
) -> list[Moment]:
    """The `limit` best moments, best first: different places, each at most 45 s long.

    `lists` are by name (Hit.found_by) and each best first; `media` has, by id, all that they name. It is asked for
    those alone that may hold one of the best.
    """
    earned: dict[str, dict[str, list[_Scored]]] = {}  # by media id, by list
    for name, weight in fusion.weights.items():
        hits = [hit for hit in lists.get(name, ()) if fusion.screen or not _apart(hit.item)]
        if not hits or not weight:
            continue
        low = 0.0 if name in WORDS or hits[0].score == hits[-1].score else hits[-1].score
        spread = max(hits[0].score - low, 1e-9)
        for hit in hits:
            of_media = earned.setdefault(hit.media, {})
            of_media.setdefault(name, []).append(((hit.score - low) / spread, hit.item))
    most = {
        media_id: sum(fusion.weights[name] * hits[0][0] for name, hits in of_media.items())
        for media_id, of_media in earned.items()
    }
    best: list[_Candidate] = []
    for media_id in sorted(most, key=lambda one: (-most[one], one)):
        if len(best) == limit and best[-1].score > most[media_id] + 1e-9:
            break  # no moment of this media, or of those that follow, can be better
        found = _Track(media[media_id]).candidates(earned[media_id], fusion.weights)
        best = sorted([*best, *_apart_from_one_another(found, limit)], key=_order)[:limit]
    return [candidate.moment() for candidate in best]


def _order(candidate: "_Candidate") -> tuple[float, str, float]:
    return (-candidate.score, candidate.track.media.id, candidate.start)


def _apart_from_one_another(found: "list[_Candidate]", limit: int) -> "list[_Candidate]":
    """The best of one media, each at another place."""
    kept: list[_Candidate] = []
    for candidate in sorted(found, key=_order):
        if len(kept) == limit:
            break
        if not any(same_place(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def same_place(one: "_Window | _Candidate | Passage | Moment", other: "_Candidate | Passage | Moment") -> bool:
    """Whether two stretches of one source share more than half of the shorter one."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > 0.5 * min(one.end - one.start, other.end - other.start)


@dataclass
class _Candidate:
    """A stretch of one media, and what was found in it."""

    track: "_Track"
    start: float
    end: float  # at most about LONGEST later
    alone: bool  # whether it is one sentence, one screen of text, or one picture
    hits: dict[str, list[_Scored]] = field(default_factory=dict)  # by list, best first
    score: float = 0.0

    def earned(self, name: str) -> float:
        """What its hits in a list are worth, 0-1."""
        scores = [score for score, _ in self.hits[name][:2]]
        return sum(scores) / 2 if name in SENTENCES and not self.alone else scores[0]

    def moment(self) -> Moment:
        found = sorted(((score, item) for hits in self.hits.values() for score, item in hits), key=lambda one: -one[0])
        start, end = self._trimmed()
        said = self.track.said.between(start, end)
        inside = [one for one in said if start <= (one.start + one.end) / 2 <= end]
        apart = [item for _, item in found if isinstance(item, Passage) and _apart(item)]
        seen = [item for _, item in self.hits.get("picture", ()) if isinstance(item, Frame)]
        described = {one.image for one in apart if one.image}
        if described:
            seen += [frame for frame in self.track.media.frames if frame.image in described]
        # The sentence, or the screen, that fits best says which picture stands for the moment.
        best = next((one for _, one in found if one.end - one.start < LONGEST / 2), self)
        span = (max(best.start, start), min(best.end, end))
        best_list = max(self.hits, key=self.earned)
        why = [reason for reason, lists in REASONS.items() if best_list in lists or self._strong(lists)]
        if any(one.kind == "screen" for one in apart):
            why.append("on screen")
        if any(one.kind == "caption" for one in apart):
            why.append("the picture shows it")
        if any(one.kind == DOUBTFUL for one in apart):
            why.append("heard in doubt")
        passages = in_order({*inside, *apart})
        frames = pictures_of(seen, self.track.shown.between(*span) or self.track.media.frames, *span)
        return Moment(self.track.media.id, start, end, self.score, passages, frames, tuple(why))

    def _strong(self, lists: Sequence[str]) -> bool:
        return any(score >= STRONG for name in lists for score, _ in self.hits.get(name, ())[:1])

    def _trimmed(self) -> tuple[float, float]:
        """The LONGEST seconds of it in which most was found."""
        if self.end - self.start <= LONGEST:
            return self.start, self.end
        said = [one for one in self.track.said.between(self.start, self.end) if self.start <= one.start < self.end]
        hits = [hit for name in SENTENCES for hit in self.hits.get(name, ())]
        starts = [one.start for one in said if one.start + LONGEST <= self.end] + [self.end - LONGEST]

        def holds(start: float) -> float:
            return sum(score for score, one in hits if start <= one.start and one.end <= start + LONGEST)

        start = max(starts, key=holds)  # the earliest of equals
        return start, start + LONGEST


class _InOrder:
    """What is said, or shown, in the order of the source: what of it is near a time is found without looking at all."""

    def __init__(self, items: Sequence[Passage | Frame]) -> None:
        self._items = sorted(items, key=lambda one: one.start)
        self._starts = [one.start for one in self._items]
        self._longest = max((one.end - one.start for one in self._items), default=0.0)

    def between(self, start: float, end: float) -> Sequence[Any]:
        """At least all that touches this stretch."""
        first = bisect_left(self._starts, start - self._longest)
        return self._items[first : bisect_right(self._starts, end)]


class _Window(NamedTuple):
    start: float  # s
    end: float  # s
    alone: bool  # whether it is one sentence


class _Layout:
    """Where a media has its windows, and what is said and shown when. The same for every question."""

    def __init__(self, media: Media) -> None:
        said = [one for one in media.passages if one.kind in SPOKEN]
        self.said, self.shown = _InOrder(said), _InOrder(media.frames)
        alone = {(one.start, one.end) for one in media.passages}
        self.windows = []
        for first, after in stretches(said):
            start, end = said[first].start, max([one.end for one in said[first:after]])
            self.windows.append(_Window(start, end, (start, end) in alone))
        self.starts = [one.start for one in self.windows]
        self.longest = max((one.end - one.start for one in self.windows), default=0.0)


class _Same:
    """A media as a key: this very value, whose content takes longer to compare than to lay out anew."""

    def __init__(self, media: Media) -> None:
        self.media = media

    def __hash__(self) -> int:
        return id(self.media)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.media is other.media


@lru_cache(maxsize=LAID_OUT)
def _layout(same: _Same) -> _Layout:
    return _Layout(same.media)


class _Track:
    """The candidates of one media."""

    def __init__(self, media: Media) -> None:
        self.media = media
        self._layout = _layout(_Same(media))
        self.said, self.shown = self._layout.said, self._layout.shown
        self._spoken: dict[int, _Candidate] = {}  # by the place of the window
        self._silent: list[_Candidate] = []  # where nothing is said

    def candidates(self, hits: Mapping[str, Sequence[_Scored]], weights: Mapping[str, float]) -> list[_Candidate]:
        """Those that something was found for, with what they earn. `hits`: by list, in the order of `weights`."""
        for name, found in hits.items():
            for score, item in found:
                for candidate in self.meant_by(item):
                    candidate.hits.setdefault(name, []).append((score, item))
        held = [*(self._spoken[place] for place in sorted(self._spoken)), *self._silent]
        for candidate in held:
            candidate.score = sum(weights[name] * candidate.earned(name) for name in candidate.hits)
        return held

    def meant_by(self, item: Passage | Frame) -> list[_Candidate]:
        """The candidates that a hit supports: the windows that it lies in, or those said while it is shown."""
        # What stands for minutes is a moment where it appears: it must not lift all that is said meanwhile.
        windows, starts = self._layout.windows, self._layout.starts
        end = min(item.end, item.start + LONGEST) if _apart(item) else item.end
        near = range(bisect_left(starts, item.start - self._layout.longest), bisect_right(starts, end))
        if not _apart(item):
            return [self._at(n) for n in near if windows[n].start <= item.start and item.end <= windows[n].end]
        shown = _Candidate(self, item.start, end, True)
        supported = [self._at(n) for n in near if same_place(windows[n], shown)]
        supported += [one for one in self._silent if same_place(one, shown)]
        if not supported:
            self._silent.append(shown)
        return supported or [shown]

    def _at(self, place: int) -> _Candidate:
        if place not in self._spoken:
            self._spoken[place] = _Candidate(self, *self._layout.windows[place])
        return self._spoken[place]


def _apart(item: Passage | Frame) -> bool:
    """Whether an item is no part of what is surely said."""
    return isinstance(item, Frame) or item.kind not in SPOKEN
