"""A part of a source that is not read to its end yet: what is said of it, by whom it is read, and by nobody any more.

In and out: Coverage, Media and Listed values. Knows not how a part is read. Pure.
"""

from dataclasses import replace
from typing import TypeVar

from pipeline.times import stamp
from pipeline.types import Coverage, Listed, Media

One = TypeVar("One", Media, Listed)

DONE = {"speech": "Heard", "screen": "Text on the screen read to"}  # what a person reads before the time
NEXT = "Read it again to go on."


def under_way(part: str, until: float, length: float, by: str = "") -> Coverage:
    """A part that is being read, and was until this time (s)."""
    return Coverage("reading", by, f"{_so_far(part, until, length)} so far.", until)


def broken_off(part: str, until: float, length: float, by: str = "", why: str = NEXT) -> Coverage:
    """A part that was read until this time (s), and no further for now."""
    return Coverage("partly", by, f"{_so_far(part, until, length)}. {why}", until)


def lost(state: str, by: str, what: str, until: float) -> Coverage:
    """A part that a crash of its decoder cost from this time on (s). `what`: what is missing, and how it crashed."""
    return Coverage(state, by, f"{what} {NEXT}", until, lost=True)


def why_lost(media: Media) -> str:
    """What crashes of decoders cost of a media and what to do, in one line; "" where they cost nothing."""
    return " ".join(one.note for one in media.coverage.values() if one.lost)


def at_rest(media: One) -> One:
    """The same media once nobody reads on."""
    return replace(
        media,
        coverage={
            part: broken_off(part, one.until, media.length, one.by)
            if one.state == "reading" and one.until is not None
            else one
            for part, one in media.coverage.items()
        },
    )


def parts(media: Media | Listed) -> list[str]:
    """The parts whose rest is still to come."""
    return [part for part, one in media.coverage.items() if one.until is not None]


def is_under_way(media: Media | Listed) -> bool:
    """Whether somebody reads it now."""
    return any(one.state == "reading" for one in media.coverage.values())


def told(media: Media | Listed) -> str:
    """How far a media was read, in one line: "Talk: heard 12:00 of 60:00 so far."; "" when it was to its end."""
    notes = [media.coverage[part].note for part in parts(media)]
    return f"{media.title}: {notes[0][0].lower()}{' '.join(notes)[1:]}" if notes else ""


def _so_far(part: str, until: float, length: float) -> str:
    return f"{DONE[part]} {stamp(until)} of {stamp(length)}"
