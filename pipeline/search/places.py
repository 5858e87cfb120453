"""A subject and media in, every place where it is said or shown out. Pure.

Ranked search gives the best places, not all of them, so the words themselves are looked for.
"""

import re
from collections.abc import Callable, Iterable

from pipeline.search.around import in_order, pictures_of
from pipeline.types import Media, Moment, Passage
from pipeline.words import roots

TOGETHER = 15.0  # s; mentions closer than this are one place
LONGEST = 45.0  # s, of one place
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def where(about: str, media: Iterable[Media]) -> list[Moment]:
    """The places that hold all the words `about` is about, in any form, in the order of each source. [] for none."""
    if wanted := roots(about):
        return [place for one in media for place in _places(one, lambda text: wanted <= roots(text))]
    if plain := set(_WORD.findall(about.lower())):  # "how many times does she say okay?"
        return [place for one in media for place in _places(one, lambda text: plain <= {*_WORD.findall(text.lower())})]
    return []


def _places(media: Media, holds: Callable[[str], bool]) -> list[Moment]:
    groups: list[list[Passage]] = []
    for passage in sorted(media.passages, key=lambda one: (one.start, one.end)):
        if not holds(passage.text):
            continue
        start = groups[-1][0].start if groups else 0.0
        if groups and passage.start - groups[-1][-1].end <= TOGETHER and passage.end - start <= LONGEST:
            groups[-1].append(passage)
        else:
            groups.append([passage])
    found = []
    for group in groups:
        start, end = group[0].start, max(min(one.end, one.start + LONGEST) for one in group)
        described = {one.image for one in group if one.image}
        frames = pictures_of([f for f in media.frames if f.image in described], media.frames, start, end)
        found.append(Moment(media.id, start, end, 0.0, in_order(group), frames, ("the words are there",)))
    return found
