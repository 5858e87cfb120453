"""Ranked lists of hits in, moments in time out. Pure: knows no index, no file and no model.

Every stretch that a list may mean is a candidate: each window of what is said, each screen of text, caption and
picture from where it appears. Its score is the weighted sum of what its hits earn in each list, every list scaled
between its best hit and its floor: a convex combination of normalised scores, which orders better than ranks do
(Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.search.around import LONGEST, in_order, pictures_of
from pipeline.search.windows import windows
from pipeline.types import SPOKEN, Frame, Hit, Media, Moment, Passage

STRONG = 0.7  # between the floor and the best of its list: a hit that is a reason of its own
SENTENCES = ("sentence words", "sentence meaning")  # a window earns the mean of its two best
WORDS = ("words", "sentence words")  # BM25: its floor is 0, no word in common
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

    `lists` are by name (Hit.found_by) and each best first; `media` has, by id, all that they name.
    """
    tracks: dict[str, _Track] = {}
    for name, weight in fusion.weights.items():
        hits = [hit for hit in lists.get(name, ()) if fusion.screen or not _apart(hit.item)]
        if not hits or not weight:
            continue
        low = 0.0 if name in WORDS or hits[0].score == hits[-1].score else hits[-1].score
        spread = max(hits[0].score - low, 1e-9)
        for hit in hits:
            if hit.media not in tracks:
                tracks[hit.media] = _Track(media[hit.media])
            for candidate in tracks[hit.media].meant_by(hit.item):
                candidate.hits.setdefault(name, []).append(((hit.score - low) / spread, hit.item))
    found = [candidate for track in tracks.values() for candidate in track.candidates if candidate.hits]
    for candidate in found:
        candidate.score = sum(fusion.weights[name] * candidate.earned(name) for name in candidate.hits)
    found.sort(key=lambda one: (-one.score, one.media.id, one.start))
    kept: list[_Candidate] = []
    for candidate in found:
        if len(kept) == limit:
            break
        if not any(candidate.media is other.media and same_place(candidate, other) for other in kept):
            kept.append(candidate)
    return [candidate.moment() for candidate in kept]


def same_place(one: "_Candidate | Passage | Moment", other: "_Candidate | Passage | Moment") -> bool:
    """Whether two stretches of one source share more than half of the shorter one."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > 0.5 * min(one.end - one.start, other.end - other.start)


@dataclass
class _Candidate:
    """A stretch of one media, and what was found in it."""

    media: Media
    start: float
    end: float  # at most about LONGEST later
    alone: bool  # whether it is one sentence, one screen of text, or one picture
    hits: dict[str, list[tuple[float, Passage | Frame]]] = field(default_factory=dict)  # by list, best first: 0-1
    score: float = 0.0

    def earned(self, name: str) -> float:
        """What its hits in a list are worth, 0-1."""
        scores = [score for score, _ in self.hits[name][:2]]
        return sum(scores) / 2 if name in SENTENCES and not self.alone else scores[0]

    def moment(self) -> Moment:
        found = sorted(((score, item) for hits in self.hits.values() for score, item in hits), key=lambda one: -one[0])
        start, end = self._trimmed()
        inside = [
            one for one in self.media.passages if one.kind in SPOKEN and start <= (one.start + one.end) / 2 <= end
        ]
        apart = [item for _, item in found if isinstance(item, Passage) and _apart(item)]
        seen = [item for _, item in self.hits.get("picture", ()) if isinstance(item, Frame)]
        described = {one.image for one in apart if one.image}
        seen += [frame for frame in self.media.frames if frame.image in described]
        # The sentence, or the screen, that fits best says which picture stands for the moment.
        best = next((one for _, one in found if one.end - one.start < LONGEST / 2), self)
        span = (max(best.start, start), min(best.end, end))
        best_list = max(self.hits, key=self.earned)
        why = [reason for reason, lists in REASONS.items() if best_list in lists or self._strong(lists)]
        if any(one.kind == "screen" for one in apart):
            why.append("on screen")
        if any(one.kind == "caption" for one in apart):
            why.append("the picture shows it")
        passages = in_order({*inside, *apart})
        frames = pictures_of(seen, self.media.frames, *span)
        return Moment(self.media.id, start, end, self.score, passages, frames, tuple(why))

    def _strong(self, lists: Sequence[str]) -> bool:
        return any(score >= STRONG for name in lists for score, _ in self.hits.get(name, ())[:1])

    def _trimmed(self) -> tuple[float, float]:
        """The LONGEST seconds of it in which most was found."""
        if self.end - self.start <= LONGEST:
            return self.start, self.end
        said = [one for one in self.media.passages if one.kind in SPOKEN and self.start <= one.start < self.end]
        hits = [hit for name in SENTENCES for hit in self.hits.get(name, ())]
        starts = [one.start for one in said if one.start + LONGEST <= self.end] + [self.end - LONGEST]

        def holds(start: float) -> float:
            return sum(score for score, one in hits if start <= one.start and one.end <= start + LONGEST)

        start = max(starts, key=holds)  # the earliest of equals
        return start, start + LONGEST


class _Track:
    """The candidates of one media."""

    def __init__(self, media: Media) -> None:
        self._media = media
        alone = {(one.start, one.end) for one in media.passages}
        self._windows = [
            _Candidate(media, one.start, one.end, (one.start, one.end) in alone) for one in windows(media.passages)
        ]
        self._starts = [one.start for one in self._windows]
        self._longest = max((one.end - one.start for one in self._windows), default=0.0)
        self._silent: list[_Candidate] = []  # where nothing is said

    @property
    def candidates(self) -> list[_Candidate]:
        return [*self._windows, *self._silent]

    def meant_by(self, item: Passage | Frame) -> list[_Candidate]:
        """The candidates that a hit supports: the windows that it lies in, or those said while it is shown."""
        # What stands for minutes is a moment where it appears: it must not lift all that is said meanwhile.
        end = min(item.end, item.start + LONGEST) if _apart(item) else item.end
        first = bisect_left(self._starts, item.start - self._longest)
        near = self._windows[first : bisect_right(self._starts, end)]
        if not _apart(item):
            return [one for one in near if one.start <= item.start and item.end <= one.end]
        shown = _Candidate(self._media, item.start, end, True)
        supported = [one for one in (*near, *self._silent) if same_place(one, shown)]
        if not supported:
            self._silent.append(shown)
        return supported or [shown]


def _apart(item: Passage | Frame) -> bool:
    """Whether an item is no part of what is said."""
    return isinstance(item, Frame) or item.kind not in SPOKEN
