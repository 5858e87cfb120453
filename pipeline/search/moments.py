"""Ranked hits of every kind in, moments in time out. Pure: knows no index, no file and no model.

Lists are fused by rank, never by score (reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009),
since scores of different lists do not compare.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.types import Frame, Hit, Media, Moment, Passage

RANK_OFFSET = 60  # k of the paper: how little the first ranks stand out
WEIGHTS = {"words": 1.0, "meaning": 1.0, "picture": 0.5}  # words carry most of the answer
LONGEST = 45.0  # s, of one moment
NEAR = 5.0  # s, speech that is this close belongs together
PICTURES = 3  # frames of one moment, at most
REASONS = {"words": "the words match", "meaning": "close in meaning", "picture": "looks like the question"}
SAID = ("speech", "subtitle")


def fuse(lists: Sequence[Sequence[Hit]], frames_of: Mapping[str, Sequence[Frame]], limit: int = 5) -> list[Moment]:
    """The `limit` best moments, best first.

    `lists` are each best first; `frames_of` gives the frames of each media, in the order of the source, so
    that every moment of a media with frames has one. A moment is at most 45 s long. Its score is the sum,
    over the lists, of what its best hit in that list earns.
    """
    groups: list[_Group] = []
    for item in _by_rank(lists):
        home = next((group for group in groups if group.takes(item)), None)
        if home:
            home.add(item)
        else:
            groups.append(_Group(item))
    # Stable: among equals, the one whose best item stood higher.
    groups.sort(key=lambda group: group.score, reverse=True)
    return [group.moment(frames_of.get(group.media, ())) for group in groups[:limit]]


def following(media: Media, after: float, seconds: float) -> Moment | None:
    """What comes right after a time (s): the next words and up to `seconds` of what follows them.

    None when nothing is said or shown after it.
    """
    later = [one for one in media.passages if (one.start + one.end) / 2 >= after and one.end > after]
    said = [one for one in later if one.kind in SAID] or later
    if said:
        start = min(one.start for one in said)
        chosen = [one for one in later if start <= one.start < start + seconds]
        return _beside(media, max(start, after), max(one.end for one in chosen), chosen, seconds, "right after that")
    if any(frame.end > after for frame in media.frames) and after < media.length:
        return _beside(media, after, min(after + seconds, media.length), (), seconds, "right after that")
    return None


def preceding(media: Media, before: float, seconds: float) -> Moment | None:
    """What comes right before a time (s): the last words and up to `seconds` of what leads to them.

    None when nothing is said or shown before it.
    """
    earlier = [one for one in media.passages if (one.start + one.end) / 2 < before]
    said = [one for one in earlier if one.kind in SAID] or earlier
    if said:
        end = min(max(one.end for one in said), before)
        chosen = [one for one in earlier if one.end > end - seconds]
        start = max(min(one.start for one in chosen), end - seconds)
        return _beside(media, start, end, chosen, seconds, "right before that")
    if any(frame.start < before for frame in media.frames) and before > 0:
        return _beside(media, max(before - seconds, 0.0), before, (), seconds, "right before that")
    return None


@dataclass
class _Item:
    """One frame or passage, and its best rank (from 0) in each list that has it."""

    media: str
    item: Frame | Passage
    ranks: dict[str, int]

    @property
    def score(self) -> float:
        return _earned(self.ranks)

    @property
    def said(self) -> bool:
        return isinstance(self.item, Passage) and self.item.kind in SAID

    @property
    def end(self) -> float:
        """A slide that stands for minutes is a moment where it appears; it must not swallow all that is said."""
        return min(self.item.end, self.item.start + LONGEST)


class _Group:
    """Items of one media that make one moment. The first and best says where it is."""

    def __init__(self, first: _Item) -> None:
        self.media, self.start, self.end = first.media, first.item.start, first.end
        self.items = [first]
        self.ranks = dict(first.ranks)

    @property
    def score(self) -> float:
        return _earned(self.ranks)

    def takes(self, one: _Item) -> bool:
        if one.media != self.media:
            return False
        if one.said and self.items[0].said:  # speech next to speech makes a longer moment
            near = one.item.start <= self.end + NEAR and one.end >= self.start - NEAR
            return near and max(self.end, one.end) - min(self.start, one.item.start) <= LONGEST
        # What stands on the screen supports all that is said meanwhile, and the other way round.
        return one.item.start < self.end and one.item.end > self.start

    def add(self, one: _Item) -> None:
        if one.said and self.items[0].said:
            self.start, self.end = min(self.start, one.item.start), max(self.end, one.end)
        self.items.append(one)
        for found_by, rank in one.ranks.items():
            self.ranks[found_by] = min(rank, self.ranks.get(found_by, rank))

    def moment(self, frames: Sequence[Frame]) -> Moment:
        passages = sorted(
            {one.item for one in self.items if isinstance(one.item, Passage)}, key=lambda p: (p.start, p.end, p.text)
        )
        seen = [one.item for one in self.items if isinstance(one.item, Frame)]
        best = next((one.item for one in self.items if isinstance(one.item, Passage)), None)
        span = (best.start, min(best.end, best.start + LONGEST)) if best else (self.start, self.end)
        why = [reason for found_by, reason in REASONS.items() if found_by in self.ranks]
        if any(p.kind == "screen" for p in passages):
            why.append("on screen")
        return Moment(
            self.media,
            self.start,
            self.end,
            self.score,
            tuple(passages),
            _pictures(seen, frames, *span),
            tuple(why),
        )


def _by_rank(lists: Sequence[Sequence[Hit]]) -> list[_Item]:
    """Every item of the lists once, the best fused score first."""
    items: dict[tuple[str, Frame | Passage], _Item] = {}
    for hits in lists:
        for rank, hit in enumerate(hits):
            one = items.setdefault((hit.media, hit.item), _Item(hit.media, hit.item, {}))
            one.ranks[hit.found_by] = min(rank, one.ranks.get(hit.found_by, rank))
    return sorted(items.values(), key=lambda one: one.score, reverse=True)


def _earned(ranks: Mapping[str, int]) -> float:
    return sum(WEIGHTS[found_by] / (RANK_OFFSET + rank + 1) for found_by, rank in ranks.items())


def _pictures(first: Iterable[Frame], frames: Sequence[Frame], start: float, end: float) -> tuple[Frame, ...]:
    """Those given, then those that stand longest between start and end; the nearest one if none does."""
    standing = [frame for frame in frames if min(frame.end, end) > max(frame.start, start)]
    standing.sort(key=lambda frame: max(frame.start, start) - min(frame.end, end))  # longest first, earlier on a tie
    if not standing and frames:
        standing = [min(frames, key=lambda frame: max(frame.start - end, start - frame.end))]
    return tuple(dict.fromkeys([*first, *standing]))[:PICTURES]


def _beside(media: Media, start: float, end: float, passages: Iterable[Passage], seconds: float, why: str) -> Moment:
    end = min(end, start + max(seconds, LONGEST))
    ordered = tuple(sorted(passages, key=lambda p: (p.start, p.end)))
    return Moment(media.id, start, end, 0.0, ordered, _pictures((), media.frames, start, end), (why,))
