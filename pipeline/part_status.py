"""What is said of a part of a source: whether it was looked at, how far, why not, and the next step.

The parts are those of Media.coverage, and the states those of Coverage. In: Coverage, Media and Listed values. Out: the
same values, what was looked at and what was not, and the sentences about it: every other file takes them from here.
Knows not how a part is read or searched. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TypeVar

from pipeline.times import stamp
from pipeline.types import Coverage, Evidence, Gap, Listed, Media

One = TypeVar("One", Media, Listed)

NAMES = {  # of the parts, as the page shows them
    "frames": "Pictures",
    "subtitles": "Subtitles inside the file",
    "speech": "Speech",
    "screen": "Text on the screen",
    "captions": "Descriptions of the pictures",
    "text": "Search by words",
    "pictures": "Search by picture",
    "chapters": "Chapters",
}
WRITTEN = (".srt", ".vtt")  # how the name ends of what speech was read from instead of heard
SUBTITLES_INSIDE = "subtitles inside the file"  # what else it was read from
_VERBS = {  # by part: what it is, in the present and in the past, and what is done with it
    "frames": ("pictures and the text on them", "are", "were", "read"),
    "speech": ("speech", "is", "was", "heard"),
    "subtitles": ("subtitles", "are", "were", "read"),
    "screen": ("text on the screen", "is", "was", "read"),
    "captions": ("pictures", "are", "were", "described"),
    "pictures": ("pictures", "are", "were", "looked at"),
    "text": ("words", "are", "were", "searched"),
    "index": ("words and pictures", "are", "were", "searched"),
}
ON = "Read it again to go on."
AGAIN = "Then read the video again."
REINDEX = "Run `python -m pipeline reindex`."
_THEN_REINDEX = f"Then r{REINDEX[1:]}"
IN_DOUBT = "Whether somebody speaks is in doubt"
LATER = "Ask again when it has been read."
_FORMER = "Frames are found by their time and the text on them. "  # began the note in records of earlier versions
_STEPS = (ON, AGAIN, _THEN_REINDEX, REINDEX)
EACH = "“What was read” of each video, or `python -m pipeline show ID`, says why and what to do."
BY_LOOKS = "They were compared by their looks alone, not by what they show."
TRANSCRIPT, SUBTITLES, SPEECH, SCREEN = "the transcript", "subtitles", "speech", "text on the screen"
PICTURES, BY_CLIP, DESCRIPTIONS = "pictures", "pictures (by CLIP)", "descriptions of pictures"
_WORDS = (TRANSCRIPT, SUBTITLES, SPEECH, SCREEN)  # the ways of looking at something that are words
_WAYS = (*_WORDS, PICTURES, BY_CLIP, DESCRIPTIONS)
_ORDER = ("index", "text", "speech", "subtitles", "screen", "frames", "pictures")  # of what was not looked at
_MISSING = ("off", "partly", "reading", "doubtful")
_VISUAL = re.compile(  # a question about what can be seen
    r"\b(see|seen|shows?|shown|visible|looks? like|pictures?|images?|photos?|colou?rs?|wear(s|ing)?|wore|dressed)\b",
    re.IGNORECASE,
)
_LISTS = ("first", "last", "every", "count", "picture")  # the kinds of question whose answer claims to be all there is
SOME = 3  # titles that are named


# -- while it is read


def off(part: str, why: str) -> Coverage:
    """A part that could not be looked at. `why`: and the next step."""
    return Coverage("off", note=f"{_head(part, 'off')}. {why}")


def under_way(part: str, until: float, length: float, by: str = "") -> Coverage:
    """A part that is being read, and was until this time (s)."""
    note = f"{_so_far(part, until, length, by)} so far." if until else f"{_head(part, 'off', by)} yet."
    return Coverage("reading", by, note, until)


def broken_off(part: str, until: float, length: float, by: str = "", why: str = ON) -> Coverage:
    """A part that was read until this time (s), and no further for now."""
    note = _so_far(part, until, length, by) if until else _head(part, "off", by)
    return Coverage("partly", by, f"{note}. {why}", until)


def lost(state: str, by: str, what: str, until: float) -> Coverage:
    """A part that a crash of its decoder cost from this time on (s). `what`: what is missing, and how it crashed."""
    return Coverage(state, by, f"{what} {ON}", until, lost=True)


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
    """How far a media was read, in one line: "Talk: speech was heard to 12:00 of 60:00."; "" when it was to its end."""
    notes = [media.coverage[part].note for part in parts(media)]
    return f"{media.title}: {notes[0][0].lower()}{' '.join(notes)[1:]}" if notes else ""


# -- one part


def not_done(part: str) -> str:
    """What is said of a part that is not set up: "speech is not heard"."""
    noun, verb, _, done = _VERBS[part]
    return f"{noun} {verb} not {done}"


def about(part: str, coverage: Coverage) -> str:
    """What a person reads of one part: what is missing, why, and the next step; "" where nothing is missing."""
    if coverage.state not in _MISSING or part not in _VERBS:
        return coverage.note
    what, why, then = _facts(part, coverage)
    return _sentences(what, why, then)


def in_short(media: Media | Listed) -> tuple[str, str]:
    """What can be asked of a media, and what is missing of it, in a few words: "speech not heard; screen text"."""
    short = {"speech": "subtitles" if _is_written(media) else "speech", "screen": "screen text", "frames": "pictures"}
    states = {part: media.coverage[part].state for part in short if part in media.coverage}
    there = [short[part] for part, state in states.items() if state in ("read", "partly", "reading")]
    missing = [f"{short[part]} not {_VERBS[part][3]}" for part, state in states.items() if state == "off"]
    missing += [f"{short[part]} in doubt" for part, state in states.items() if state == "doubtful"]
    return ", ".join(missing), ", ".join(there)


# -- what a question was asked of


def look(
    media: Sequence[Media | Listed],
    unsearched: Mapping[str, Coverage] | None = None,
    pictures: Mapping[str, Coverage] | None = None,
    by_looks: bool = False,
) -> tuple[tuple[str, ...], tuple[Gap, ...]]:
    """(what of these media is looked at for a question, what could hold the answer and is not).

    unsearched: by id, those of which nothing can be searched, and why. pictures: by id, whether their pictures can be
    searched now, where that differs from what was recorded when they were read. by_looks: whether their pictures are
    compared with one that came with the question, for which no model is needed.
    """
    at: set[str] = set()
    gaps: dict[tuple[str, str, str], list[tuple[Media | Listed, Coverage]]] = {}
    for one in media:
        if one.id in (unsearched or {}):
            missing = [("index", unsearched[one.id])]
        else:
            seen = (pictures or {}).get(one.id, one.coverage.get("pictures", Coverage("absent")))
            at.update(_looked_at(one, seen, by_looks))
            missing = _not_looked_at(one, seen, by_looks)
        for part, coverage in missing:
            key = (part, coverage.state, _head(part, coverage.state, coverage.by))
            gaps.setdefault(key, []).append((one, coverage))
    ordered = sorted(gaps, key=lambda key: _ORDER.index(key[0]))
    return tuple(sorted(at, key=_WAYS.index)), tuple(_gap(*key, gaps[key], len(media)) for key in ordered)


def say(gap: Gap) -> str:
    """What a person reads of what was not looked at: in how many videos, why, and the next step."""
    return _sentences(f"{gap.what}{_of_how_many(gap, named=True)}", gap.why, gap.next)


def not_found(evidence: Evidence) -> list[str]:
    """What is said where nothing near enough to the question was found: where it is not, then what may still hold it.

    Each sentence, with its reason and next step, is one of the list.
    """
    if not evidence.asked:
        return ["The library is empty, so there is nothing to look at. Add a video first."]
    gaps, where = evidence.not_looked_at, _where(evidence)
    if not evidence.looked_at and not gaps:  # kept by an earlier version, which did not record it
        return ["Nothing that was found is near to the question."]
    at = _and(evidence.looked_at)
    if evidence.kind == "now" and not evidence.moments:
        found = "Nothing was found where the player stands."
    elif evidence.kind == "picture" and not evidence.moments:
        found = f"Nothing that looks like this picture was found in {where}."
    elif not gaps:
        found = f"This does not seem to be in {where}."
    elif not at or (evidence.kind == "whole" and not evidence.near):  # nothing that has words
        found = f"No words of {where} can be searched."
    elif all(gap.part == "pictures" for gap in gaps) and {*evidence.looked_at} <= {*_WORDS}:
        found = f"This does not seem to be in the words of {where} ({at})."
    elif evidence.asked == 1 and any(gap.state == "off" and gap.part != "pictures" for gap in gaps):
        found = f"I looked at {at} only, and this does not seem to be there."
    else:
        found = f"This does not seem to be in what was looked at ({at})."
    return [found, *map(say, gaps)]


def nearest(evidence: Evidence) -> str:
    """What is shown below not_found."""
    return "Some pictures of all of it" if evidence.kind == "whole" else "The nearest that was found"


def limits(evidence: Evidence) -> tuple[str, ...]:
    """What is to be said beside what was found: the words that were not looked at, and where what can be seen or all
    places are asked for, or there are no words, the pictures too.
    """
    if not evidence.near:  # not_found says it
        return ()
    words = any(moment.passages for moment in evidence.moments)
    every = evidence.kind in _LISTS or not words or _VISUAL.search(evidence.question)
    return tuple(say(gap) for gap in evidence.not_looked_at if every or gap.part != "pictures")


def for_model(evidence: Evidence) -> str:
    """The same in one line for a chat model: without names and reasons, which are data; "" where all was looked at."""
    if not evidence.not_looked_at:
        return ""
    gaps = [f"{gap.what}{_of_how_many(gap, named=False)}." for gap in evidence.not_looked_at]
    return f"Looked at: {_and(evidence.looked_at) or 'nothing'}. Not looked at: {' '.join(gaps)}"


# -- inside


def _looked_at(media: Media | Listed, seen: Coverage, by_looks: bool) -> list[str]:
    coverage, names = media.coverage, []
    speech, screen = coverage.get("speech"), coverage.get("screen")
    if speech and speech.by:
        is_alone = PurePath(media.source).name == speech.by
        names.append(TRANSCRIPT if is_alone else SUBTITLES if _is_written(media) else SPEECH)
    if screen and screen.by:
        names.append(SCREEN)
    if media.frames and (by_looks or seen.state == "read"):
        names.append(PICTURES if by_looks else BY_CLIP)
    if media.frames and _state(media, "captions") in ("read", "partly"):
        names.append(DESCRIPTIONS)
    return names


def _not_looked_at(media: Media | Listed, seen: Coverage, by_looks: bool) -> list[tuple[str, Coverage]]:
    coverage, found = media.coverage, []
    blind = _state(media, "frames") == "off"  # then there is no text on them either
    for part in ("subtitles", "speech", "frames", "screen"):
        if _state(media, part) in _MISSING and not (part == "screen" and blind):
            one = coverage[part]
            found.append(("subtitles" if part == "speech" and _is_written(media) else part, one))
    if _state(media, "text") == "off":
        found.append(("text", coverage["text"]))
        if seen.note == coverage["text"].note:  # one reason, one sentence
            return found
    described = _state(media, "captions")
    if media.frames and seen.state != "read":
        if by_looks:
            why = " ".join(filter(None, [BY_LOOKS, _facts("pictures", replace(seen, state="off"))[1], _THEN_REINDEX]))
            found.append(("pictures", Coverage("partly", note=why)))
        elif described == "partly":
            found.append(("pictures", replace(coverage["captions"], by="")))
        elif described != "read":
            found.append(("pictures", Coverage("off", note=seen.note)))
    return found


def _gap(part: str, state: str, what: str, found: Sequence[tuple[Media | Listed, Coverage]], asked: int) -> Gap:
    facts = [_facts(part, coverage) for _, coverage in found]
    exact, why, then = facts[0]
    if asked == 1:
        return Gap(part, state, exact, why, then)
    if len({why for _, why, _ in facts}) > 1:
        why, then = EACH, ""
    names = [_flat(one.title) + _until(part, coverage, one.length) for one, coverage in found[:SOME]]
    return Gap(part, state, what, why, then, tuple(names), len(found), asked)


def _facts(part: str, coverage: Coverage) -> tuple[str, str, str]:
    """(what is missing, why and what to do about it, what to do then) of one part of one media."""
    what = _head(part, coverage.state, coverage.by)
    note, then = coverage.note.removeprefix(_FORMER).strip(), ""
    if coverage.until is not None and coverage.state != "off":
        what, _, note = note.partition(". ") if ". " in note else (note.removesuffix("."), "", "")
        then = LATER if coverage.state == "reading" else ON
    elif coverage.state == "off" and part == "pictures":
        then = "" if "reindex" in note else _THEN_REINDEX
    elif coverage.state == "off" and part not in ("text", "index"):  # why nothing is searched says what to do, too
        then = AGAIN
    if step := next((one for one in _STEPS if note.endswith(one)), ""):
        note, then = note.removesuffix(step).strip(), step
    for start in (f"{what}: ", f"{what}. ", f"{what}.", f"The {SUBTITLES_INSIDE} were not read. "):
        note = note.removeprefix(start)
    return what, note, then


def _head(part: str, state: str, by: str = "") -> str:
    """Such as "Speech was not heard"."""
    if part == "speech" and _is_subtitles(by):
        part = "subtitles"
    noun, _, were, done = _VERBS[part]
    noun = noun[0].upper() + noun[1:]
    if state == "off":
        return f"{noun} {were} not {done}"
    if state == "doubtful":
        return IN_DOUBT
    return f"{noun} {were} {done} only in part{' so far' if state == 'reading' else ''}"


def _so_far(part: str, until: float, length: float, by: str = "") -> str:
    noun, _, were, done = _VERBS[part]
    return f"{noun[0].upper()}{noun[1:]} {were} {done} to {stamp(until)} of {stamp(length)}"


def _until(part: str, coverage: Coverage, length: float) -> str:
    return f" (to {stamp(coverage.until)} of {stamp(length)})" if coverage.until else ""


def _of_how_many(gap: Gap, named: bool) -> str:
    if gap.asked == 1 or (gap.count == gap.asked and not any("(to " in one for one in gap.titles)):
        return ""
    more = f" and {gap.count - len(gap.titles)} more" if gap.count > len(gap.titles) else ""
    titles = f": {', '.join(gap.titles)}{more}" if named else " videos"
    return f" in {gap.count} of {gap.asked}{titles}"


def _where(evidence: Evidence) -> str:
    if evidence.asked > 1:
        return "these videos"
    return "the transcript" if evidence.looked_at == (TRANSCRIPT,) else "the video"


def _state(media: Media | Listed, part: str) -> str:
    return media.coverage[part].state if part in media.coverage else ""


def _is_written(media: Media | Listed) -> bool:
    return "speech" in media.coverage and _is_subtitles(media.coverage["speech"].by)


def _is_subtitles(by: str) -> bool:
    return by == SUBTITLES_INSIDE or PurePath(by).suffix.lower() in WRITTEN


def _sentences(what: str, why: str, then: str) -> str:
    if not why and then.startswith("Then "):
        then = then[5].upper() + then[6:]
    return " ".join(filter(None, [f"{what}.", why, then]))


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _flat(title: str) -> str:
    return " ".join(title.split())
