"""What is said of a part of a source: that it was looked at, how far, and why not; and so what was not found in it.

The one place for these words, on the page, in quotes, prompts, exports and JSON. A part is absent (the source has
none), off (it could not be looked at: why, and the next step), being read (until when so far), read in part, or
doubtful (something was found, and none of it is sure). Of what was not looked at nobody says that it is not there.
In and out: Coverage, Media and Listed values. Knows not how a part is read. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pipeline.times import stamp
from pipeline.types import Coverage, Evidence, Gap, Listed, Media

One = TypeVar("One", Media, Listed)

DONE = {"speech": "Heard", "screen": "Text on the screen read to"}  # what a person reads before the time
NEXT = "Read it again to go on."
OFF = {  # how the note of a part begins that could not be looked at; why follows
    "speech": "Speech was not heard.",
    "screen": "Text on the screen was not read.",
    "pictures": "Frames are found by their time and the text on them.",
}
LOOKED_AT = {  # the parts that answers are looked for in, as a person calls them
    "speech": "what is said",
    "screen": "the text on the screen",
    "captions": "descriptions of the pictures",
    "pictures": "the pictures",
}
NOT_LOOKED_AT = {  # part and state -> what a person reads of it
    ("speech", "off"): "speech was not heard",
    ("speech", "partly"): "speech was heard only in part",
    ("speech", "reading"): "speech is still being heard",
    ("speech", "doubtful"): "whether anything is said is in doubt",
    ("screen", "off"): "the text on the screen was not read",
    ("screen", "partly"): "the text on the screen was read only in part",
    ("screen", "reading"): "the text on the screen is still being read",
    ("frames", "off"): "the pictures could not be read",
    ("frames", "partly"): "the pictures were read only in part",
    ("pictures", "off"): "the pictures were not searched",
    ("text", "off"): "the words cannot be searched yet",
}
VISUAL = re.compile(  # a question about what can be seen
    r"\b(see|seen|shows?|shown|visible|looks? like|pictures?|images?|photos?|colou?rs?|wear(s|ing)?|wore|dressed)\b",
    re.IGNORECASE,
)
NAMED = 3  # titles of a library that are named


def off(part: str, why: str) -> Coverage:
    """A part that could not be looked at. `why`: and the next step."""
    return Coverage("off", note=f"{OFF[part]} {why}")


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


def looked_at(media: Sequence[Media | Listed]) -> tuple[str, ...]:
    """What of them was looked at, as a person calls it."""
    return tuple(
        name
        for part, name in LOOKED_AT.items()
        if any(_is_looked_at(one.coverage[part]) for one in media if part in one.coverage)
    )


def _is_looked_at(coverage: Coverage) -> bool:
    return coverage.state in ("read", "partly", "reading", "doubtful") or (
        coverage.state == "absent" and bool(coverage.by)
    )


def gaps(media: Sequence[Media | Listed]) -> tuple[Gap, ...]:
    """The parts of them that may hold an answer and were not looked at, or not to their end."""
    found: dict[tuple[str, str], list[Media | Listed]] = {}
    for one in media:
        for part in ("speech", "screen", "frames", "pictures", "text"):
            state = one.coverage[part].state if part in one.coverage else "absent"
            if (part, state) in NOT_LOOKED_AT and not (part == "pictures" and _is_described(one)):
                found.setdefault((part, state), []).append(one)
    return tuple(
        Gap(part, state, NOT_LOOKED_AT[part, state] + _of(those, media), _why(part, those[0].coverage[part]))
        for (part, state), those in found.items()
    )


def _is_described(media: Media | Listed) -> bool:
    return "captions" in media.coverage and media.coverage["captions"].state == "read"


def _of(those: Sequence[Media | Listed], every: Sequence[Media | Listed]) -> str:
    """Which of them, where there are several."""
    if len(every) == 1:
        return ""
    if len(those) == len(every):
        return f" in any of {len(every)}"
    others = f" and {len(those) - NAMED} more" if len(those) > NAMED else ""
    return f" in {len(those)} of {len(every)}: {', '.join(one.title for one in those[:NAMED])}{others}"


def _why(part: str, coverage: Coverage) -> str:
    """Why it was not looked at, and the next step; "" while it is being read: how far it is told anyway, by told()."""
    return "" if coverage.state == "reading" else coverage.note.removeprefix(OFF.get(part, "")).strip()


def notes(every: Sequence[Gap], question: str) -> tuple[str, ...]:
    """What a person should know who reads an answer: that nothing was heard, or not what was asked about was seen."""
    parts = ("speech", "frames", "pictures") if VISUAL.search(question) else ("speech", "frames")
    return tuple(
        f"{one.what[0].upper()}{one.what[1:]}. {one.why}".strip()
        for one in every
        if one.part in parts and one.state in ("off", "doubtful")
    )


def limits(evidence: Evidence) -> str:
    """What was looked at for it and what was not, in a sentence; "" where nothing was left out."""
    if not evidence.not_looked_at:
        return ""
    left_out = _left_out(evidence.not_looked_at)
    if not evidence.looked_at:
        return f"I could look at nothing: {left_out}."
    return f"I looked at {_listed(evidence.looked_at)} only: {left_out}."


def _left_out(every: Sequence[Gap]) -> str:
    return "; ".join(one.what + (f" ({one.why.rstrip('.')})" if one.why else "") for one in every)


def not_found(evidence: Evidence, place: str = "video") -> str:
    """What is said where nothing that was found is near enough to the question."""
    if left_out := limits(evidence):
        return f"I did not find this. {left_out}"
    return f"This does not seem to be in the {place}."


def nothing_found(evidence: Evidence) -> str:
    """What is said where nothing at all was found."""
    if evidence.kind == "picture":
        return f"Nothing that looks like this picture was found. {limits(evidence)}".strip()
    return f"Nothing was found for this question. {limits(evidence) or 'Try it in other words.'}"


def no_words(media: Media) -> str:
    """What is said of a media in which there are no words to search."""
    silent = [one for one in gaps([media]) if one.part in ("speech", "screen", "text")]
    if not silent:
        return "No words were heard or read in it, and its pictures cannot be searched here."
    return f"No words of it can be searched: {_left_out(silent)}."


def nothing_said(media: Media) -> str:
    """What a transcript without words says."""
    coverage = media.coverage.get("speech")
    return (coverage.note if coverage else "") or "No speech was heard."


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
