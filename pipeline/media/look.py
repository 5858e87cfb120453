"""Pictures in the order of time -> those worth keeping: what looks the same as before is not kept again.

In: sights, from sampling.py. Out: each kept picture with the time from which it stands; and how strongly kept pictures
change from one to the next. Knows no codecs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError
from pipeline.media.sampling import Sight
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame

# A picture is compared as 160 x 90 cells of mean brightness, 0-255: one is 12 x 12 pixels of a 1080p screen.
CELLS = (160, 90)
# Compression noise and a blinking cursor reach up to two cells by more than 16, a mouse pointer that moved up to
# five; a new bullet point ("Mail", 32 px, even grey on white) changes ten and more, a new line in a terminal
# (16 px, 19 characters) some twelve. Measured on slides, screen recordings and still cameras.
STEP, FEW = 16, 8
# Another scene: a third of the cells changed strongly. Film cuts measured 36-60 %, motion within a shot up to 33 %.
STRONG, CUT = 32, 1 / 3
# Another screen, where it stood still: the least of seven slide changes measured 9 %, a line of text 0.4 %.
SCREEN = 0.02


def glance(frame: "VideoFrame") -> "np.ndarray":
    """A small grey copy to compare, int16 of shape (90, 160). Averages areas, so that thin letters count."""
    small = frame.reformat(*CELLS, format="gray", interpolation="AREA", threads=1)  # threads cost more than they save
    return small.to_ndarray().astype("int16")


def looks_same(one: "np.ndarray", other: "np.ndarray") -> bool:
    """Whether two glances show the same, but for noise, a cursor, a mouse pointer."""
    return int((abs(one - other) > STEP).sum()) < FEW


def is_cut(one: "np.ndarray", other: "np.ndarray") -> bool:
    """Whether two glances are of two scenes, even in moving footage."""
    return bool((abs(one - other) > STRONG).mean() >= CUT)


@dataclass
class Stand:
    """A stretch in which every picture seen looks like its first."""

    start: float  # s
    last: float  # s, when it was last seen
    glance: "np.ndarray"
    frame: "VideoFrame | None"  # None once it was kept

    @property
    def seen_for(self) -> float:
        return self.last - self.start


def choose(sights: "Iterator[Sight]") -> "Iterator[tuple[float, VideoFrame]]":
    """(start s, picture) of what is kept.

    Every sampled picture that differs from what stood before is kept, dated back to where it was first seen. A scene
    that came and went between two samples is kept if it is a cut away from both, or a screen that stood still: at
    most one between two samples, the one seen longest, so that moving footage does not double its pictures.
    """
    kept: Stand | None = None
    stand: Stand | None = None
    passing: Stand | None = None
    for sight in sights:
        if sight.frame is not None:
            now = glance(sight.frame)
            if stand and looks_same(stand.glance, now):
                stand.last = sight.time
            else:
                if stand and sight.still and sight.time >= stand.start + 1:
                    stand.last = sight.time  # it was not looked at again, but it stood
                passing = _longer(passing, stand, kept)
                stand = Stand(sight.time, sight.time, now, sight.frame)
        if not sight.sample or stand is None:
            continue
        if stand.frame is not None:
            if passing and _apart(passing, stand.glance):
                yield passing.start, passing.frame
                kept = passing
            if kept and looks_same(kept.glance, stand.glance):
                kept.last, stand = stand.last, kept
            else:
                yield stand.start, stand.frame
                stand.frame, kept = None, stand
        passing = None
    if stand and stand.frame is not None:  # what the last sample did not reach
        passing = _longer(passing, stand, kept)
    if passing:
        yield passing.start, passing.frame


def _longer(passing: Stand | None, stand: Stand | None, kept: Stand | None) -> Stand | None:
    """The better of two scenes to keep besides what is sampled: the one seen longer."""
    if stand is None or stand.frame is None or (kept and not _apart(stand, kept.glance)):
        return passing
    return stand if passing is None or stand.seen_for > passing.seen_for else passing


def _apart(stand: Stand, other: "np.ndarray") -> bool:
    if is_cut(stand.glance, other):
        return True
    return stand.seen_for > 0 and bool((abs(stand.glance - other) > STEP).mean() >= SCREEN)


def changes(folder: Path, frames: Sequence[Frame]) -> list[tuple[float, float]]:
    """(start s, strength 0-1) of each frame but the first: the part of the picture that differs from the one before.

    Reads the JPEGs in the media folder, a few ms each. Eight slide changes measured 0.09-0.62, a screen
    recording 0.00-0.22, people who walk by 0.01-0.73. Raises StorageError for a picture that cannot be read.
    """
    glances = [_glance_at(folder / frame.image) for frame in frames]
    return [
        (frame.start, float((abs(now - before) > STEP).mean()))
        for frame, (before, now) in zip(frames[1:], pairwise(glances), strict=True)
    ]


def _glance_at(image: Path) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    try:
        with Image.open(image) as picture:
            picture.draft("L", (2 * CELLS[0], 2 * CELLS[1]))  # decodes no more than is needed
            return np.asarray(picture.convert("L").resize(CELLS, Image.Resampling.BOX), dtype="int16")
    except OSError as error:
        raise StorageError(f"The picture {image} cannot be read. Read the video again.") from error
