"""A time in a media -> the moment there, right after it, or right before it. Pure."""

from collections.abc import Iterable, Sequence

from pipeline.types import SPOKEN, Frame, Media, Moment, Passage

LONGEST = 45.0  # s, of one moment
PICTURES = 3  # frames of one moment, at most


def at(media: Media, seconds: float, before: float, after: float, why: str = "at the player") -> Moment | None:
    """What is said and shown around a time (s): from `before` s earlier to `after` s later. None where nothing is."""
    start, end = max(seconds - before, 0.0), min(seconds + after, media.length)
    passages = [one for one in media.passages if one.start < end and one.end > start]
    now = [frame for frame in media.frames if frame.start <= seconds < frame.end]
    if not passages and not now:
        return None
    standing = pictures_of(now, media.frames, start, end)
    return Moment(media.id, start, end, 0.0, in_order(passages), standing, (why,))


def following(media: Media, after: float, seconds: float) -> Moment | None:
    """What comes right after a time (s): the next words and up to `seconds` of what follows them.

    None when nothing is said or shown after it.
    """
    later = [one for one in media.passages if (one.start + one.end) / 2 >= after and one.end > after]
    said = [one for one in later if one.kind in SPOKEN] or later
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
    said = [one for one in earlier if one.kind in SPOKEN] or earlier
    if said:
        end = min(max(one.end for one in said), before)
        chosen = [one for one in earlier if one.end > end - seconds]
        start = max(min(one.start for one in chosen), end - seconds)
        return _beside(media, start, end, chosen, seconds, "right before that")
    if any(frame.start < before for frame in media.frames) and before > 0:
        return _beside(media, max(before - seconds, 0.0), before, (), seconds, "right before that")
    return None


def in_order(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    return tuple(sorted(passages, key=lambda one: (one.start, one.end, one.text)))


def pictures_of(first: Iterable[Frame], frames: Sequence[Frame], start: float, end: float) -> tuple[Frame, ...]:
    """Those given, then those that stand longest between start and end; the nearest one if none does."""
    standing = [frame for frame in frames if min(frame.end, end) > max(frame.start, start)]
    standing.sort(key=lambda frame: max(frame.start, start) - min(frame.end, end))  # longest first, earlier on a tie
    if not standing and frames:
        standing = [min(frames, key=lambda frame: max(frame.start - end, start - frame.end))]
    return tuple(dict.fromkeys([*first, *standing]))[:PICTURES]


def _beside(media: Media, start: float, end: float, passages: Iterable[Passage], seconds: float, why: str) -> Moment:
    end = min(end, start + max(seconds, LONGEST))
    return Moment(media.id, start, end, 0.0, in_order(passages), pictures_of((), media.frames, start, end), (why,))
