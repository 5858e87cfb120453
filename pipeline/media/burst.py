"""One stretch of a video -> its pictures that differ from one another and from those of the index.

In: a video that may be opened, the frames that stand in a stretch of it, their folder. Out: Frames, the new ones
written as JPEGs below `closer/`.
Knows neither why the stretch was chosen nor what is kept of it for later.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from pipeline.disk import write_whole
from pipeline.media.container import Decoder, Tape, best_video, open_media
from pipeline.media.look import CELLS, glance, looks_same
from pipeline.media.picture import LONG_SIDE, QUALITY, upright
from pipeline.media.sampling import EXACT, Sight
from pipeline.media.source import USUAL
from pipeline.settings import Limits
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np
    from av.video.stream import VideoStream
    from PIL import Image

FOLDER = "closer"
STEPS = ((8.0, 0.25), (20.0, 0.5), (math.inf, 1.0))  # (s a stretch lasts at most, s between two pictures of it)
PLAIN = 3.0  # of 255, the spread of brightness below which a picture is blank: a fade, a black screen
LOST = 100  # pictures that may be lost before the first good one


def decode(
    source: Path,
    standing: list[Frame],
    folder: Path,
    start: float,
    end: float,
    deadline: float,
    most: int,
    limits: Limits = USUAL,
) -> tuple[list[Frame], int, float]:
    """(what the stretch shows, in order; the number of new pictures; until when it was looked at, s).

    It ends early at `deadline`, on the clock of time.monotonic, and after `most` new pictures. Raises SourceError where
    the file cannot be decoded, StorageError where a picture cannot be written.
    """
    step = next(step for longest, step in STEPS if end - start <= longest)
    until, before = start, None
    with open_media(source, limits) as container:
        stream = best_video(container)
        seen = _Seen(standing, folder, start, end, stream)
        sights = _sights(Tape(container, stream), Decoder(stream, limits), start, step)
        while monotonic() < deadline and seen.made < most:
            sight = next(sights, None)
            if sight and not _is_good(sight):
                continue
            if sight and sight.time <= start + EXACT:
                before = sight  # the last of these is what is shown at the start
                continue
            if before:
                seen.take(before)
                before = None
            if sight is None or sight.time >= end - EXACT:
                until = end
                break
            seen.take(sight)
            until = sight.time
        return seen.frames(until), seen.made, until


def _is_good(sight: Sight) -> bool:
    return sight.sample and sight.frame is not None and not sight.frame.is_corrupt


def _sights(tape: Tape, decoder: Decoder, start: float, step: float) -> Iterator[Sight]:
    """What is shown every `step` s, from at or before `start` on.

    A seek ends too late in files without an index: then another is made from further back. Where packets have no
    times it would end nobody knows where, so such a file is read from its beginning.
    """
    if tape.container.start_time is None:
        return tape.sights(decoder, step)
    for back in (0.0, 10.0, 30.0, start):
        tape.seek(start - back)
        sights = tape.sights(decoder, step)
        first = next(filter(_is_good, islice(sights, LOST)), None)
        if first and first.time <= start + EXACT:
            break
    return chain([first], sights) if first else iter(())


class _Seen:
    """The different pictures of one stretch, so far."""

    def __init__(self, standing: list[Frame], folder: Path, start: float, end: float, stream: "VideoStream") -> None:
        self.folder, self.stream = folder, stream
        self.inside = [f for f in standing if start <= f.start < end]
        self.index = [(cells, f) for f in standing if (cells := _cells_of(folder / f.image)) is not None]
        self.glances: list[np.ndarray] = []
        self.found: list[Frame] = []
        self.open = False  # whether the last one found still stands
        self.made = 0

    def take(self, sight: Sight) -> None:
        """Look at the next picture, and keep it if nothing like it was seen."""
        now, time = glance(sight.frame), max(0.0, sight.time)
        if self.open and looks_same(self.glances[-1], now):
            return
        self._close(time)
        if now.std() < PLAIN or any(looks_same(one, now) for one in self.glances):
            return
        self.glances.append(now)
        image = upright(sight.frame, self.stream, LONG_SIDE)
        cells = _cells(image)
        like = next((frame for one, frame in self.index if looks_same(one, cells)), None)
        if like:
            self.found += [] if like in self.found else [like]
            return
        out = BytesIO()
        image.save(out, "JPEG", quality=QUALITY)
        frame = Frame(time, time, f"{FOLDER}/{time:010.3f}.jpg")
        write_whole(self.folder / frame.image, out.getvalue())
        self.found.append(frame)
        self.open = True
        self.made += 1

    def _close(self, time: float) -> None:
        if self.open:
            self.found[-1] = replace(self.found[-1], end=max(time, self.found[-1].start))
        self.open = False

    def frames(self, until: float) -> list[Frame]:
        """All of them in the order of time; the index's own between two samples as well."""
        self._close(until)
        return sorted({*self.found, *self.inside}, key=lambda frame: (frame.start, frame.image))


def _cells(image: "Image.Image") -> "np.ndarray":
    """A glance at a picture that stands upright."""
    import numpy as np
    from PIL import Image

    return np.asarray(image.convert("L").resize(CELLS, Image.Resampling.BOX), np.int16)


def _cells_of(file: Path) -> "np.ndarray | None":
    from PIL import Image

    try:
        with Image.open(file) as image:
            return _cells(image)
    except OSError:
        return None  # gone or damaged: nothing looks like it
