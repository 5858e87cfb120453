"""Times in an answer: find them, check them against the evidence, name the sentences without one. Pure."""

import math
import re
from collections.abc import Iterator
from itertools import pairwise

from pipeline.types import SHOWN, Citation, Evidence, Frame, Moment, Passage
from pipeline.words import content_words

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
    if isinstance(item, Passage) and item.kind not in SHOWN:
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
    """The times that an answer cites, each once, whether each lies in the evidence that was sent, and in which media.

    It does where words or a picture of the evidence stand, or a chapter that it names starts. Of several media that
    hold a time it is of the one where something begins nearest to it.
    """
    stretches = [
        (moment.media, cue(item), item.start - TOLERANCE, item.end + TOLERANCE)
        for moment in evidence.moments
        for item in (*moment.passages, *moment.frames)
    ]
    stretches += [
        (one.media, one.start, one.start - TOLERANCE, one.start + TOLERANCE) for one in evidence.moments if one.title
    ]
    of_all = {moment.media for moment in evidence.moments}
    found = []
    for time in dict.fromkeys(seconds for _, _, seconds in find(text)):
        holding = [(abs(begin - time), media) for media, begin, start, end in stretches if start <= time <= end]
        _, media = min(holding, key=lambda one: one[0], default=(0, next(iter(of_all)) if len(of_all) == 1 else ""))
        found.append(Citation(time, bool(holding), media))
    return tuple(found)


_CITED = "\0"  # stands for each character of a citation, brackets included
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_NO_SENTENCE = re.compile(r"\s*(?:#|\|?[\s:|-]+$|\*\*[^*]*\*\*\s*$|__[^_]*__\s*$)|.*[:：][\s*_]*$")  # headings, rules
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])(?:(?!I\.)[^\W\d_]|(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}|(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|approx|fig"
    r"|eq|sec|no|vol|inc|ltd|cf|al|etc))\.$"
)
_STOP = re.compile(
    rf"[.!?…]+[\"'”’»)\]*_]*(?:[\s{_CITED}]*{_CITED}[.\"'”’»)*_]*)?(?=\s|$)|[。！？]+[」』）”]*(?:[\s{_CITED}]*{_CITED})?"
)

_VIDEO = r"(?:videos?|evidence|clip|film|movie|talk|lecture|recording|footage|transcript|subtitles|passages|excerpts)"
_NOT = r"(?:not|no|nothing|none|nowhere|never|neither|cannot|without|unable|\w+n['’]t)"
_ABSENT = re.compile(
    rf"\b{_NOT}\b(?:\W+\w+){{0,6}}?\W+(?:find|found|mention\w*|specif\w+|stat(?:e|es|ed)|say|says|said|tell|tells"
    rf"|discuss\w*|address\w*|answer\w*|information)\b|\b{_VIDEO}\b(?:\W+\w+){{0,3}}?\W+{_NOT}\b"
    rf"|\b{_NOT}\b.*\b(?:in|from|by|of) (?:the|this|these) (?:\w+ )?{_VIDEO}\b",
    re.IGNORECASE,
)
# What an answer says of itself: manners, and that what it lists is what was found.
_ITSELF = re.compile(
    r"^\W*(?:hello|hi|hey|thanks|thank you|you(?:'| a)re welcome|sure|certainly|of course|great question"
    r"|(?:i'm |i am )?sorry|yes|no|right|exactly|correct)(?:\W+\w+){0,2}\W*$"
    r"|^\W*(?:i apologi[sz]e|i hope|i can help|let me know|feel free|if you(?: have|'d like| would like| need| want)"
    r"|please (?:ask|let|try|provide|rephrase)|here (?:is|are)|here's)\b"
    r"|\b(?:ones?|places?|moments?|times?|mentions?) (?:that )?(?:i |were |was )?(?:have )?found\b"
    r"|\b(?:these|those|they) are (?:all )?the (?:only )?(?:ones?|places|moments|times|mentions)\b"
    r"|\bthere (?:may|might|could) be (?:more|others?)\b",
    re.IGNORECASE,
)


def uncited(text: str, whole: bool = True) -> tuple[str, ...]:
    """The sentences of an answer that state something and carry no time, in order, as they are written.

    A list item or a table row counts as one sentence. A time right behind a full stop belongs to the sentence before
    it, unless the line begins with a time. Questions, manners, headings, code, and sentences that say that
    something is not in the video need no time; what is not English always needs one, unless it is a question.
    whole: False when the answer was cut off, so that its last sentence is none.
    """
    sentences = list(_sentences(text))
    marked = _mark(text)
    return tuple(
        text[start:end].strip()
        for start, end in (sentences if whole else sentences[:-1])
        if _CITED not in marked[start:end] and _states(text[start:end])
    )


def _states(sentence: str) -> bool:
    sentence = " ".join(sentence.split()).replace("’", "'")
    if _NO_SENTENCE.match(sentence) or re.search(r"[?？][\"'”’)*_]*$", sentence):
        return False
    if not content_words(sentence) and len(re.findall(r"\w+", sentence)) < 3:  # "Yes.", "It is."
        return False
    return not _ABSENT.search(sentence) and not _ITSELF.search(sentence)


def _mark(text: str) -> str:
    """The text, as long as it is, with its citations and its code made unreadable."""
    marked = list(text)
    for code in _CODE.finditer(text):
        marked[code.start() : code.end()] = [sign if sign == "\n" else " " for sign in code[0]]
    for group in (*_BRACKETS.finditer(text), *_PARENTHESES.finditer(text)):
        if find(group[0]):
            marked[group.start() : group.end()] = _CITED * len(group[0])
    return "".join(marked)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) offsets of each sentence, list item, table row and heading; code is left out."""
    marked = _mark(text)
    # A line ends a sentence, unless the next one goes on in lower case.
    for line in re.finditer(r"[^\n]+(?:\n[a-z][^\n]*)*", marked):
        if not line[0].strip():
            continue
        if item := _ITEM.match(line[0]):
            yield line.start() + item.end(), line.end()
        elif line[0].lstrip().startswith("|"):
            below = marked[line.end() : line.end() + 200].strip().partition("\n")[0]
            if "-" not in below or not _NO_SENTENCE.match(below):  # else it is the heading of its columns
                yield line.span()
        else:
            stops = [line.start() + stop for stop in _stops(line[0])]
            yield from pairwise([line.start(), *stops, line.end()] if stops else line.span())


def _stops(line: str) -> Iterator[int]:
    """Where a sentence ends in a line and another begins."""
    leading = line.lstrip("-*_> ").startswith(_CITED)  # then every time stands before what it is of
    for stop in _STOP.finditer(line):
        end = stop.end()
        after = line[end:].lstrip(f" {_CITED}")
        if leading and after:
            end = stop.start() + len(stop[0].partition(_CITED)[0].rstrip())
        if not after or after[0].islower() or _ABBREVIATION.search(line[max(0, stop.start() - 20) : stop.start() + 1]):
            continue
        yield end
