"""Sentences in, what is searched out: windows of about 45 s, and the sentences themselves, alone and in pairs.

Long windows are found more easily, short ones point more exactly, and together they do both. Pure.
"""

from collections.abc import Sequence
from itertools import pairwise

from pipeline.types import SPOKEN, Passage

SECONDS = 47.0  # s, about how long a window is: it ends where the middle of the next sentence is later than this
OVERLAP = 15.0  # s at the end of a window that may open the next one, so that no thought is cut in half
TOGETHER = 5.0  # s; sentences further apart are no pair


def windows(passages: Sequence[Passage]) -> list[Passage]:
    """What was said, in overlapping windows, in the order of the source. The last one is as long as the others."""
    said = [one for one in passages if one.kind in SPOKEN]
    return [_joined(said[first:after]) for first, after in stretches(said)]


def stretches(said: Sequence[Passage]) -> list[tuple[int, int]]:
    """Of each window of what is said, the place of its first passage and that after its last."""
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(said):
        last = first  # of the window, itself included
        while last + 1 < len(said) and (said[last + 1].start + said[last + 1].end) / 2 - said[first].start <= SECONDS:
            last += 1
        if last + 1 == len(said):
            while first > 0 and said[last].end - said[first - 1].start <= SECONDS:
                first -= 1
            found.append((first, last + 1))
            break
        after = last + 1
        found.append((first, after))
        middle = (said[after].start + said[after].end) / 2
        while after - 1 > first and said[last].end - said[after - 1].start <= OVERLAP:
            if middle - said[after - 1].start > SECONDS:
                break  # a silence: it would hold nothing new
            after -= 1
        first = after
    return found


def pieces(passages: Sequence[Passage]) -> list[Passage]:
    """Each sentence that was said, and each two that follow one another."""
    said = [one for one in passages if one.kind in SPOKEN]
    pairs = [_joined([one, other]) for one, other in pairwise(said) if other.start - one.end <= TOGETHER]
    return [*said, *pairs]


def units(passages: Sequence[Passage]) -> list[tuple[Passage, str]]:
    """All that is searched of a media, each with its level: "window", "sentence", or "both".

    What is read off the screen, described, or heard in doubt is a unit of its own on both levels.
    """
    apart = [one for one in passages if one.kind not in SPOKEN]
    levels = (("window", windows(passages)), ("sentence", pieces(passages)), ("both", apart))
    return [(one, level) for level, found in levels for one in found if one.text.strip()]


def _joined(said: Sequence[Passage]) -> Passage:
    return Passage(said[0].start, max(one.end for one in said), " ".join(one.text for one in said), said[0].kind)
