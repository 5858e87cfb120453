"""Times in an answer: find them, check them against the evidence, write them. Pure."""

import math
import re

from pipeline.types import Citation, Evidence, Frame, Moment, Passage

TOLERANCE = 1.5  # s; labels drop the fraction of a second, and models round

_TIME = r"(?<![\d:.])(?:(\d{1,2}):(?=\d{1,2}:))?(\d{1,3}):([0-5]\d)(?:\.\d+)?(?![\d:])(?!\s*[ap]\.?m\b)"
_RANGE = re.compile(rf"{_TIME}(?:\s*(?:-|–|—|−|to|until)\s*{_TIME})?", re.IGNORECASE)
_BRACKETS = re.compile(r"[\[【]([^\[\]【】\n]{3,120})[\]】]")
# Round brackets hold much else, so only times and the words around times count there.
_PARENTHESES = re.compile(
    rf"\(((?:\s|[,;&~–—-]|at|around|about|from|to|until|between|and|see|time|timestamp|{_TIME})+)\)", re.IGNORECASE
)


def cue(item: Frame | Passage | Moment) -> float:
    """The time (s) to cite an item by, and to put a player at.

    What is shown is cited by the first whole second in which it stands, since in the second it appears in the
    picture before it may still be seen. Words are cited by their start, so that none is cut off.
    """
    if isinstance(item, Moment):
        first = [one for one in (*item.passages, *item.frames) if one.start == item.start]
        return cue(first[0]) if first else item.start
    if isinstance(item, Passage) and item.kind != "screen":
        return item.start
    whole = float(math.ceil(item.start))
    return whole if whole < item.end else item.start


def find(text: str) -> list[tuple[int, int, float]]:
    """(start offset, end offset, seconds) of each time cited in brackets, in the order of the text.

    The offsets cover the time as written, without its brackets. [1:02], [01:02:03], lists [0:10, 0:25] and
    (1:02) count; a range such as [1:02-1:30] is one citation of its start. Bare times are not citations:
    they may be clock times that the video speaks of.
    """
    found = []
    for group in sorted([*_BRACKETS.finditer(text), *_PARENTHESES.finditer(text)], key=re.Match.start):
        if found and group.start() < found[-1][1]:
            continue
        for time in _RANGE.finditer(text, group.start(1), group.end(1)):
            hours, minutes, seconds = (int(part or 0) for part in time.groups()[:3])
            if not (time[1] and minutes > 59):
                found.append((time.start(), time.end(), float(hours * 3600 + minutes * 60 + seconds)))
    return found


def check(text: str, evidence: Evidence) -> tuple[Citation, ...]:
    """The times that an answer cites, each once, and whether each lies in the evidence that was sent."""
    stretches = [
        (item.start - TOLERANCE, item.end + TOLERANCE)
        for moment in evidence.moments
        for item in (*moment.passages, *moment.frames)
    ]
    times = dict.fromkeys(seconds for _, _, seconds in find(text))
    return tuple(Citation(time, any(start <= time <= end for start, end in stretches)) for time in times)
