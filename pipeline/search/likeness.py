"""A picture and kept frames -> how alike they look: no model, nothing fetched.

Two pictures are laid over one another, and the correlation of their brightness is taken; also where one shows only a
part of the other: a screenshot that was cut, or one with the edges of a window around it. That is done on small grids
for all frames, then exactly for the few that may be it. In: JPEGs. Out: grids, which are kept like vectors
(vectors.py), and likenesses from 0 to 1. Knows no subject: a slide in other colours is alike, the same person
elsewhere is not.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# Measured on the frames of seven real videos, each laid over all: one that was scaled, made brighter, saved anew, or
# cut by a tenth is 0.98 and more like itself, one with edges around it 0.99 in the median; those of other videos are
# at most 0.91. Slides of one talk are up to 0.985 like one another, at least 0.01 less than each is like itself.
SAME = 0.93
NEARLY = 0.008  # below the best that was found, what shows the same
GRID = (32, 18)  # cells, whatever the shape of the picture
FINE = (64, 36)  # cells, by which the exact look judges
READ = 256  # pixels of the longer side that the exact look reads
SCALES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the larger picture, that the smaller one takes along its fuller side
SKIPPED = 0.75  # below this scale every second cell is tried, since the exact look moves further than that
# By which the exact look moves, in parts of the larger picture, and the cells by which it sees where to: what is fine,
# such as letters, draws it only from nearby.
MOVES = ((0.04, (16, 9)), (0.02, GRID), (0.01, FINE), (0.005, FINE))
SMALLEST = 0.25  # of the larger picture: less of it is hardly the same picture
SHAPES = 1.03  # shapes nearer than this are one: players round
FLAT = 0.01  # of brightness 0-1, standard deviation: a picture of one colour is like none
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box of a picture that is as large as the other
ENOUGH = 0.995  # nothing is gained by moving further
AT_A_TIME = 2000  # frames, compared together: some 50 MB


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lay:
    """How a picture and a frame were laid over one another."""

    likeness: float  # 0-1
    inside: bool  # whether the picture is a part of the frame; else the frame is a part of the picture
    box: tuple[float, float, float, float]  # of the smaller one in the larger: left, top, width, height, in parts of 1


class Looks:
    """Pictures -> grids, in the form of an embedding, so that vectors.embed_frames keeps them."""

    name = "looks-32x18"
    dimension = GRID[0] * GRID[1]

    def get_image_embedding_batch(self, paths: Sequence[str]) -> list["np.ndarray"]:
        """One grid a picture: its brightness 0-1; all 0, which is like nothing, for one that cannot be read."""
        return [_grid_or_nothing(Path(path)) for path in paths]


def shape(picture: Path | bytes) -> float:
    """Width by height. Raises StorageError."""
    with _opened(picture) as image:
        return image.width / image.height


def overlay(picture: bytes, grids: "np.ndarray", shape_of_frames: float, scales: Sequence[float] = SCALES) -> list[Lay]:
    """The best way to lay the picture over each frame, roughly.

    grids: one a row, as Looks gives them, of frames of one shape (width by height). scales: those of SCALES to try.
    """
    import numpy as np

    columns, rows = GRID
    ratio = shape(picture) / shape_of_frames
    asked = _grid(picture).reshape(rows, columns)
    lays: list[Lay] = []
    for first in range(0, len(grids), AT_A_TIME):
        frames = np.asarray(grids[first : first + AT_A_TIME], np.float32).reshape(-1, rows, columns)
        best = np.zeros(len(frames), np.float32)
        where: list[tuple[bool, tuple[float, ...]]] = [(True, WHOLE)] * len(frames)
        for inside in (True, False):
            sums = _sums(frames if inside else asked[None])
            for height, width in _sizes(ratio if inside else 1 / ratio, scales):
                small = _unit(_resized(asked[None] if inside else frames, height, width))
                step = 1 if max(height / rows, width / columns) >= SKIPPED else 2
                for top in range(0, rows - height + 1, step):
                    for left in range(0, columns - width + 1, step):
                        there = np.s_[:, top : top + height, left : left + width]
                        if inside:
                            found = frames[there].reshape(len(frames), -1) @ small[0]
                        else:
                            found = small @ asked[None][there].reshape(-1)
                        found = found * _per_length(sums, top, left, height, width)
                        for n in np.flatnonzero(found > best):
                            where[n] = (inside, (left / columns, top / rows, width / columns, height / rows))
                        np.maximum(best, found, out=best)
        lays += [Lay(float(score), *place) for score, place in zip(best, where, strict=True)]
    return lays


def exactly(picture: bytes, frame: Path, lay: Lay) -> Lay:
    """The same, moved until nothing more is gained. Raises StorageError."""
    with _opened(picture) as one, _opened(frame) as other:
        asked, there = _grey(one), _grey(other)
    # A small part that is alike by chance may have hidden that nearly all of it is.
    starts = dict.fromkeys([(lay.inside, lay.box), (True, WHOLE), (False, WHOLE)])
    found = (_moved(asked, there, inside, box) for inside, box in starts)
    return max(found, key=lambda one: one.likeness)


def _moved(picture: "Image.Image", frame: "Image.Image", inside: bool, box: tuple[float, ...]) -> Lay:
    small, large = (picture, frame) if inside else (frame, picture)
    for step, cells in MOVES:
        asked = _unit(_cells(small, WHOLE, cells))

        def fit(box: tuple[float, ...], cells: tuple[int, int] = cells, asked: "np.ndarray" = asked) -> float:
            return float((_unit(_cells(large, box, cells)) * asked).sum())

        best, moved = fit(box), True
        while moved and best < ENOUGH:
            moved = False
            for candidate in _around(box, step):
                if (score := fit(candidate)) > best + 1e-4:
                    best, box, moved = score, candidate, True
    return Lay(max(0.0, best), inside, box)


def _around(box: tuple[float, ...], step: float) -> Iterator[tuple[float, ...]]:
    """Boxes a step to each side, and a step larger, smaller, wider and narrower, within the larger picture."""
    left, top, width, height = box
    growth = 1 + step / max(width, height)
    sizes = [(width * by, height * by) for by in (growth, 1 / growth)]
    sizes += [(width + by, height) for by in (step, -step)]  # of pictures that were stretched
    for x, y, wide, high in (
        (left - step, top, width, height),
        (left + step, top, width, height),
        (left, top - step, width, height),
        (left, top + step, width, height),
        *((left + (width - wide) / 2, top + (height - high) / 2, wide, high) for wide, high in sizes),
    ):
        if wide > SMALLEST and high > SMALLEST:
            wide, high = min(wide, 1.0), min(high, 1.0)
            yield min(max(x, 0.0), 1 - wide), min(max(y, 0.0), 1 - high), wide, high


def _sizes(ratio: float, scales: Sequence[float]) -> Iterator[tuple[int, int]]:
    """(height, width) in cells that a picture may take of another whose shape differs from its own by `ratio`."""
    columns, rows = GRID
    if 1 / SHAPES < ratio < SHAPES:
        ratio = 1.0
    for scale in scales:
        height, width = round(rows * scale * min(1.0, 1 / ratio)), round(columns * scale * min(1.0, ratio))
        if 3 * height >= rows and 3 * width >= columns:
            yield height, width


def _sums(grids: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
    """Of the brightness and of its square: of all cells above and to the left of each."""
    import numpy as np

    edged = np.pad(grids.astype(np.float64), ((0, 0), (1, 0), (1, 0)))
    return edged.cumsum(axis=1).cumsum(axis=2), (edged**2).cumsum(axis=1).cumsum(axis=2)


def _per_length(sums: tuple["np.ndarray", "np.ndarray"], top: int, left: int, height: int, width: int) -> "np.ndarray":
    """1 / the length that a part of each grid has without its mean; 0 where it is of one colour."""
    import numpy as np

    below, right, cells = top + height, left + width, height * width
    total, squares = (
        one[:, below, right] - one[:, top, right] - one[:, below, left] + one[:, top, left] for one in sums
    )
    lengths = np.sqrt(np.maximum(squares - total**2 / cells, 0))
    return np.where(lengths > FLAT * cells**0.5, 1 / np.maximum(lengths, 1e-9), 0.0).astype(np.float32)


def _unit(grids: "np.ndarray") -> "np.ndarray":
    """Each grid as a row, without its mean, of length 1; one of one colour is all 0."""
    import numpy as np

    flat = grids.reshape(len(grids), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", flat, flat))
    return flat * np.where(lengths > FLAT * flat.shape[1] ** 0.5, 1 / np.maximum(lengths, 1e-9), 0.0)[:, None]


def _resized(grids: "np.ndarray", height: int, width: int) -> "np.ndarray":
    """The last two axes made smaller, by areas."""
    return _shares(height, grids.shape[-2]) @ grids @ _shares(width, grids.shape[-1]).T


def _shares(few: int, many: int) -> "np.ndarray":
    """(few, many): how much of each of `many` cells in a row belongs to each of `few`."""
    import numpy as np

    edges, cells = np.linspace(0, many, few + 1), np.arange(many)
    shares = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.maximum(shares, 0) * few / many).astype(np.float32)


def _grid_or_nothing(picture: Path) -> "np.ndarray":
    import numpy as np

    try:
        return _grid(picture)
    except StorageError as error:
        log.warning("%s", error)
        return np.zeros(Looks.dimension, np.float32)


def _grid(picture: Path | bytes) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    with _opened(picture) as image:
        image.draft("L", (4 * GRID[0], 4 * GRID[1]))  # decodes no more than is needed
        small = image.convert("L").resize(GRID, Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1) / 255


def _grey(image: "Image.Image") -> "Image.Image":
    image.draft("L", (READ, READ))
    return image.convert("L")


def _cells(image: "Image.Image", box: tuple[float, ...], cells: tuple[int, int]) -> "np.ndarray":
    """The brightness of a part of the picture, as one grid of so many columns and rows."""
    import numpy as np
    from PIL import Image

    left, top, width, height = box
    pixels = (left * image.width, top * image.height, (left + width) * image.width, (top + height) * image.height)
    part = image.resize(cells, Image.Resampling.BOX, box=pixels)
    return np.asarray(part, np.float32)[None] / 255


@contextmanager
def _opened(picture: Path | bytes) -> "Iterator[Image.Image]":
    """Raises StorageError also for what shows only when it is decoded."""
    from PIL import Image

    try:
        with Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            yield image
    except OSError as error:
        which = "The picture" if isinstance(picture, bytes) else f"The picture {picture}"
        raise StorageError(f"{which} cannot be read. Read the video again.") from error
