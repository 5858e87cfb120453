"""Evidence -> the same evidence with pictures looked at closer, for a model that sees them.

The index has a picture every few seconds; here the best moments are looked at in a short burst, from the video itself.
Knows neither how moments are found nor how they are sent.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.chat import intent
from pipeline.errors import ReadingStopped, SourceError, StorageError
from pipeline.media import closer
from pipeline.search import fitting
from pipeline.settings import Settings
from pipeline.types import Evidence, Media, Moment

LOOKED_AT = ("local", "now", "after", "before", "first")  # kinds whose best moments are looked at closer
STRETCH = 20.0  # s, of a moment, around what fits best in it
SECONDS = 3.0  # s, that all of it may take
PICTURES = (2, 1)  # of the best moment, and of the next, beside the top frame
CROWDED = "Several questions came within half a minute, so this one was not looked at closer."
STEPS = (3,)  # of the best moment alone, where the question asks what happens


def look_closer(
    evidence: Evidence,
    get: Callable[[str], Media],
    folder: Callable[[str], Path],
    settings: Settings,
    seconds: float = SECONDS,
) -> Evidence:
    """The evidence with the frames to send: the top frame, then those of the burst that fit the question best.

    seconds: that it may take; 0 takes only what was looked at before.
    What was not looked at, and why, is in its notes: a video that is gone or changed costs nothing else.
    Raises ModelError where a named CLIP model cannot be had.
    """
    if evidence.kind not in LOOKED_AT or not evidence.top_frame:
        return evidence
    motion = intent.moves(evidence.question)
    notes = list(evidence.notes)
    moments: list[Moment] = []
    left = seconds
    numbers = iter(STEPS if motion else PICTURES)
    for moment in evidence.moments:
        most = next(numbers, None) if moment.frames else None
        if most is None:  # a transcript's, or one too many
            moments.append(replace(moment, frames=()))
            continue
        first = evidence.top_frame[1] if not any(one.frames for one in moments) else None
        chosen = [frame for frame in moment.frames if frame != first][:most]
        try:
            looked, cut = closer.look(
                get(moment.media), [_stretch(moment)], folder(moment.media), left, limits=settings.limits
            )
            left = seconds / 3  # of the next: most of the time is the best moment's
            if cut and not seconds:
                notes.append(CROWDED)
            else:
                chosen, how = fitting.best(
                    evidence.question, looked[0], folder(moment.media), settings, most, first, motion
                )
                notes += [*cut, *([how] if how == fitting.BY_LOOKS else [])]
        except (SourceError, StorageError, ReadingStopped) as error:
            notes.append(str(error))
        moments.append(replace(moment, frames=(*filter(None, [first]), *chosen)))
    return replace(evidence, moments=tuple(moments), notes=tuple(dict.fromkeys(notes)))


def _stretch(moment: Moment) -> tuple[float, float]:
    """At most STRETCH seconds of the moment, around its best frame."""
    if moment.end - moment.start <= STRETCH:
        return moment.start, moment.end
    frame = moment.frames[0]
    middle = min(max((frame.start + min(frame.end, frame.start + STRETCH)) / 2, moment.start), moment.end)
    start = min(max(middle - STRETCH / 2, moment.start), moment.end - STRETCH)
    return start, start + STRETCH
