"""Timed words -> passages of about half a minute, the unit that is searched and quoted.

In: segments in any order, as subtitles or Whisper give them. Out: Passages in the order of the source.
Knows neither files nor where the words come from. Pure.
"""

import re
from collections.abc import Iterable, Iterator

from pipeline.types import Passage

Segment = tuple[float, float, str]  # start s, end s, text; line breaks in the text are kept as the source had them

SECONDS = 30.0  # s, about how long a passage is: longer ones are found more easily but point less exactly
OVERLAP = 8.0  # s at the end of a passage that may open the next one, so that no thought is cut in half
SILENCE = 6.0  # s without words that end a passage
LONGEST = 45.0  # s; a segment longer than this is split at its sentences
MOST = 1500  # characters in a passage: some 350 tokens, near the most that small text embeddings read
FEW = 200  # characters that stay together however long they stand: "[music]" is not cut into letters
TOUCHING = 0.1  # s; captions closer than this follow on one another

_CHUNK = re.compile(r"\S+?[。！？]+|\S+")  # a word; where words are not spaced, a sentence
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")


def cut(segments: Iterable[Segment], kind: str, seconds: float = SECONDS, overlap: float = OVERLAP) -> list[Passage]:
    """Passages of at most about `seconds`, cut at sentence or segment ends; start and end are those of their segments.

    A silence ends a passage. The last segments of a passage, up to `overlap` s of them, open the next one again.
    """
    passages = []
    pieces = [piece for segment in tidy(segments) for piece in _pieces(segment, seconds)]
    for run in _runs(sorted(pieces, key=lambda piece: piece[:2])):
        for group in _groups(run, seconds, overlap):
            text = " ".join(" ".join(words.split()) for _, _, words in group)
            passages.append(Passage(group[0][0], max(end for _, end, _ in group), text, kind))
    return passages


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


def _pieces(segment: Segment, seconds: float) -> Iterator[Segment]:
    """The segment, or its sentences when it is too long to point anywhere: their times follow from their letters."""
    start, end, text = segment
    if end - start <= LONGEST and len(text) <= MOST:
        yield segment
        return
    most = min(MOST, max(FEW, int(len(text) * seconds / max(end - start, seconds))))
    per_letter = (end - start) / len(text)
    begin = 0
    chunks = [(m.start(), m.end()) for m in _CHUNK.finditer(text)]
    for number, (first, last) in enumerate(chunks):
        is_last = number == len(chunks) - 1
        full = not is_last and chunks[number + 1][1] - begin > most
        if is_last or full or _SENTENCE_END.search(text, first, last):
            stop = len(text) if is_last else chunks[number + 1][0]
            yield start + begin * per_letter, start + stop * per_letter, text[begin:stop].strip()
            begin = stop


def _runs(segments: list[Segment]) -> Iterator[list[Segment]]:
    """Stretches of segments without a silence in them."""
    run: list[Segment] = []
    until = 0.0
    for segment in segments:
        if run and segment[0] - until > SILENCE:
            yield run
            run = []
        until = max(until, segment[1]) if run else segment[1]
        run.append(segment)
    if run:
        yield run


def _groups(run: list[Segment], seconds: float, overlap: float) -> Iterator[list[Segment]]:
    """The segments of each passage of one run."""
    first = new = 0  # where the passage begins, and the first segment in it that no passage has yet
    while True:
        stop = new + 1
        while stop < len(run) and _fits(run[first : stop + 1], seconds, MOST):
            stop += 1
        if stop == len(run):
            yield run[first:]
            return
        for end in range(stop, new, -1):  # rather a little short than in the middle of a sentence
            if run[end - 1][1] - run[first][0] < seconds / 2:
                break
            if _SENTENCE_END.search(run[end - 1][2]):
                stop = end
                break
        yield run[first:stop]
        least, first, new = first + 1, stop, stop
        while first > least and _fits(run[first - 1 : stop], overlap, MOST // 4):
            first -= 1
        while first < new and not _fits(run[first : new + 1], seconds, MOST):
            first += 1


def _fits(group: list[Segment], seconds: float, most: int) -> bool:
    return max(s[1] for s in group) - group[0][0] <= seconds and sum(len(s[2]) + 1 for s in group) <= most
