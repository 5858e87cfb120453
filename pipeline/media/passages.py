"""Timed words -> passages of one sentence each, the smallest thing that is found and quoted.

In: segments in any order, as subtitles or Whisper give them: phrases that begin and end anywhere. Out: Passages
in the order of the source, every word in exactly one of them. Punctuation shows where sentences end; where there is
none, as in live captions, a passage is a handful of segments.
Knows neither files nor where the words come from. Pure.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from pipeline.types import Passage

Segment = tuple[float, float, str]  # start s, end s, text; line breaks in the text are kept as the source had them

SILENCE = 3.0  # s without words that end a passage, whatever the punctuation says
LONGEST = 20.0  # s; a longer sentence is cut between its segments, or inside one between its words
AIM = 12.0  # s, the most of a passage whose end no punctuation shows
MOST = 300  # characters in a passage
FEW = 100  # characters that stay together however long they stand: "[music]" is not cut into letters
SHORT = (2.0, 20)  # s and characters: below both, a sentence such as "Yes." joins its neighbour
AT_ONCE = 0.5  # s; a neighbour follows within this
TOUCHING = 0.1  # s; captions closer than this follow on one another

# "..." is no end: the thought goes on. Where words are not spaced, nothing need follow.
_STOP = r"(?:(?<![.…!?])(?:\.|[.…]*[!?।؟۔][.!?]*)[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』）”]*)"
_BREAK = re.compile(rf"(?P<stop>{_STOP})|\s(?=>>)|\n(?=[-–] ?[^\W\d_])")  # the latter two: another speaks
_ENDED = re.compile(rf"{_STOP}$")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“])"
    r"(?:(?!I\.)[^\W\d_]|(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}"  # J. Smith, e.g., U.S., Ph.D.
    r"|(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|approx|fig|vol|inc|ltd|bzw|ca))\.$"
)
_SPEAKER = re.compile(r">>|[-–] ?[^\W\d_]")
_ASIDE = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|[♪♫#].*[♪♫#]", re.DOTALL)  # "[laughter]", "♪ a song ♪"
_CLAUSE = ",;:.!?…、，；："  # what a clause ends with
_BETWEEN_WORDS = re.compile(r"\s+|(?<=[、，；：])")


def cut(segments: Iterable[Segment], kind: str) -> list[Passage]:
    """A passage for each sentence. Times are those of its segments; inside a segment, in proportion to the letters.

    A silence ends a passage. Very short sentences join the neighbour that follows at once; what is too long to
    point anywhere is cut, where a segment or a clause ends if it can be.
    """
    pieces = sorted((piece for segment in tidy(segments) for piece in _pieces(*segment)), key=lambda p: p[:2])
    parts = [part for sentence in _sentences(pieces) for part in _fitting(sentence)]
    parts = _joined(parts, lambda before, after: _is_short(before))  # "OK, so." opens what follows
    parts = _joined(parts, lambda before, after: _is_short(after))  # or else closes what was said
    return [Passage(start, end, " ".join(text.split()), kind) for start, end, text in parts]


def by_sentence(words: Sequence[str], seconds: float) -> Iterator[slice]:
    """Which words belong together: a sentence, or as much of a long one as fits. They are said in so many seconds.

    Each word holds the space before it, if there is one.
    """
    text = "".join(words)
    begins = [*accumulate(map(len, words), initial=0)][:-1]
    first = 0
    for stop in _stops(text, seconds) if text.strip() else ():
        after = bisect_left(begins, stop)
        if after > first:
            yield slice(first, after)
            first = after


def tidy(segments: Iterable[Segment]) -> list[Segment]:
    """The same words in the order of time, without empty segments and without lines that a caption repeats.

    Live captions roll: each shows the line before it again. A caption that follows at once on another loses the
    lines that the other ends with; the other stands longer instead when nothing new is left.
    """
    kept: list[Segment] = []
    shown: list[str] = []  # the lines of the caption before, as they were on the screen
    for start, end, text in sorted(segments, key=lambda s: s[:2]):
        lines = [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
        if not lines:
            continue
        end = max(start, end)
        repeated = 0
        if kept and start - kept[-1][1] <= TOUCHING:
            repeated = next((n for n in range(len(lines), 0, -1) if shown[-n:] == lines[:n]), 0)
        shown = lines
        if repeated == len(lines):
            kept[-1] = (kept[-1][0], max(kept[-1][1], end), kept[-1][2])
        else:
            kept.append((start, end, "\n".join(lines[repeated:])))
    return kept


def _pieces(start: float, end: float, text: str) -> Iterator[Segment]:
    """A segment cut behind the sentences in it; a sentence that alone is too long, also between its words."""
    per_letter = (end - start) / len(text)
    for first, last in pairwise([0, *_stops(text, end - start)]):
        if words := text[first:last].strip():
            begin = min(round(start + first * per_letter, 3), end) if first else start
            yield begin, max(round(start + last * per_letter, 3), begin) if last < len(text) else end, words


def _stops(text: str, seconds: float) -> list[int]:
    """Where each part of a text ends that is said in so many seconds: a sentence, or as much of it as fits."""
    stops: list[int] = []
    for first, last in pairwise([0, *_breaks(text), len(text)]):
        letters, takes = last - first, (last - first) * seconds / len(text)
        if letters > MOST or takes > LONGEST:
            # Parts may be half as long again where words end, and still fit.
            parts = max(math.ceil(letters * 1.5 / MOST), min(math.ceil(takes / AIM), math.ceil(letters / FEW)))
            stops += _between_words(text, first, last, parts)
        stops.append(last)
    return stops


def _breaks(text: str) -> Iterator[int]:
    """Where a sentence ends in a text and another begins."""
    for found in _BREAK.finditer(text, 0, len(text.rstrip())):
        at = found.end()
        after = text[at : at + 2].lstrip()
        if found["stop"] and (not after or after[0].islower() or not _is_ended(text[max(0, at - 20) : at])):
            continue
        yield at


def _is_ended(text: str) -> bool:
    """Whether a sentence ends here: not with "e.g.", "Dr." or "U.S."."""
    return bool(_ENDED.search(text)) and not _ABBREVIATION.search(text)


def _between_words(text: str, first: int, last: int, parts: int) -> list[int]:
    """Where to cut text[first:last] into about equal parts, at the ends of clauses if there are any near."""
    stops, width = [], (last - first) / parts
    for number in range(1, parts):
        middle = first + number * width
        near = _BETWEEN_WORDS.finditer(text, math.ceil(middle - width / 4), int(middle + width / 4))
        ends = [(abs(m.end() - middle) - width / 4 * (text[m.start() - 1] in _CLAUSE), m.end()) for m in near]
        stops.append(min(ends)[1] if ends else round(middle))
    return stops


def _sentences(pieces: list[Segment]) -> Iterator[list[Segment]]:
    """The pieces of each sentence: up to a full stop, a silence, another speaker or what is no speech."""
    sentence: list[Segment] = []
    until, is_over = 0.0, False
    for piece in pieces:
        start, end, text = piece
        is_alone = end - start > LONGEST or bool(_ASIDE.fullmatch(text))
        if sentence and (is_over or is_alone or start - until > SILENCE or _SPEAKER.match(text)):
            yield sentence
            sentence = []
        until = max(until, end) if sentence else end
        is_over = is_alone or _is_ended(text)
        sentence.append(piece)
    if sentence:
        yield sentence


def _fitting(sentence: list[Segment]) -> Iterator[Segment]:
    """The sentence in one, or in parts that fit, cut between its pieces: rather at a comma or a pause."""
    start, end, text = sentence[0][0], max(s[1] for s in sentence), " ".join(s[2] for s in sentence)
    by_time, by_letters = (end - start) / AIM, len(text) / MOST
    most = LONGEST / AIM if _is_ended(text[-20:]) else 1.0
    if len(sentence) == 1 or (by_time <= most and by_letters <= 1):
        yield start, end, text
        return
    parts = max(2, math.ceil(max(by_time, by_letters) * 1.15))  # a little under, since segments are of one piece
    goal = parts // 2 / parts * max(by_time, by_letters)
    costs, letters = [], 0
    for number, (before, after) in enumerate(pairwise(sentence), 1):
        letters += len(before[2]) + 1
        at = ((before[1] + after[0]) / 2 - start) / AIM if by_time >= by_letters else letters / MOST
        ease = 0.2 * (before[2][-1] in _CLAUSE) + 0.2 * min(1.0, max(0.0, after[0] - before[1]))
        costs.append((abs(at - goal) - ease, abs(2 * number - len(sentence)), number))
    middle = min(costs)[2]
    yield from _fitting(sentence[:middle])
    yield from _fitting(sentence[middle:])


def _joined(parts: list[Segment], is_due: Callable[[Segment, Segment], bool]) -> list[Segment]:
    """The same parts, neighbours made one where it is due, they follow at once, and both fit."""
    kept: list[Segment] = []
    for part in parts:
        if kept and part[0] - kept[-1][1] <= AT_ONCE and is_due(kept[-1], part):
            one = kept[-1][0], max(kept[-1][1], part[1]), f"{kept[-1][2]} {part[2]}"
            if one[1] - one[0] <= LONGEST and len(one[2]) <= MOST:
                kept[-1] = one
                continue
        kept.append(part)
    return kept


def _is_short(part: Segment) -> bool:
    return part[1] - part[0] < SHORT[0] and len(part[2]) < SHORT[1]
