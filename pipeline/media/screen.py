"""Pictures -> the text that stands on them, read by rapidocr, whose models are in its package: no network.

In: the kept frames of a media. Out: the text on each; passages of kind "screen" that stand as long as their frames.
Knows no videos. The only file that imports rapidocr.
"""

import contextlib
import functools
import importlib.util
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError, StorageError
from pipeline.media.layout import Line, arrange
from pipeline.types import Frame, Passage

if TYPE_CHECKING:
    import numpy as np

SURE = 0.8  # of 1: what is read in real text scores above 0.85, what is read into logos 0.5 to 0.75
SAME = 0.9  # of 1: two readings of one slide share more of their words
THREADS = 4  # more bring little for pictures of this size
# Pixels of the long side that the detector sees. Words found of known text (slides, terminals, tables, captions) and
# CPU seconds a frame with the recogniser's 1.0: 640 95.2 % 1.0, 736 98.6 % 1.2, 800 99.2 % 1.2, 960 99.3 % 1.4,
# 1024 99.3 % 1.5. Small ones are not enlarged: at 320 to 640 pixels it found no more, and took up to twice as long.
SIDE = 960
ANEW = 16  # frames: one in so many is read whole, the others only where they changed
SQUARE = 8  # pixels: what changed is told in squares of this side, smaller than a letter
CHANGED = 6.0  # of 255, in the mean of a square: coding a still picture anew stays below, a changed letter above
NEAR = 4  # pixels: the detector sets the box of a line that stands still no further off
MARGIN, STEP = 32, 32  # pixels around what changed that the detector sees too; it takes multiples of the second

Box = tuple[int, int, int, int]  # left, top, right, bottom, pixels

_BULLET = re.compile(r"^[•·▪●◦■□►‣∙][\s•·▪●◦■□►‣∙]*")
_CLOCK = re.compile(r"\d+(?::\d\d)+")
_one_load = threading.Lock()


@dataclass(frozen=True)
class _Read:
    """A place where the detector saw text, and what was read there."""

    box: Box
    line: Line | None  # None: nothing that is sure


def read_screen(folder: Path, frames: Sequence[Frame], done: int = 0) -> Iterator[str]:
    """The text on each frame after the first `done`, "" where there is none; the same from wherever it is gone on.

    Raises ModelError when rapidocr cannot be loaded, StorageError when a picture cannot.
    """
    if done >= len(frames):
        return
    engine = _load()
    first = done - done % ANEW
    for number, frame in enumerate(frames[first:], start=first):
        if number % ANEW == 0:
            sight = _Sight()
        text = sight.read(engine, _open(folder / frame.image))
        if number >= done:
            yield text


def to_passages(frames: Sequence[Frame], texts: Sequence[str]) -> list[Passage]:
    """A passage for each frame that has a text; frames in a row with the same text share one.

    `texts`: of the first frames, or of all.
    """
    passages: list[Passage] = []
    before = None  # the passage of the frame before
    for frame, text in zip(frames, texts, strict=False):
        passage = Passage(frame.start, frame.end, text, "screen") if text else None
        if passage and before and _is_same(before.text, text):
            longer = max(before.text, text, key=len)
            passage = Passage(before.start, frame.end, longer, "screen")
            passages.pop()
        if passage:
            passages.append(passage)
        before = passage
    return passages


def read_picture(jpeg: bytes) -> str:
    """The text on one picture, "" where there is none. The models stay loaded. Raises ModelError."""
    with _one_load:
        engine = _kept()
    return _Sight().read(engine, _open(jpeg))


def available() -> tuple[bool, str]:
    """(whether rapidocr and its models are installed, what is there or what to do). Loads nothing."""
    package = importlib.util.find_spec("rapidocr")
    if not package or not package.origin:
        return False, "Install the text reader: pip install rapidocr onnxruntime"
    models = Path(package.origin).parent / "models"
    if any(not list(models.glob(f"*_{part}_*.onnx")) for part in ("det", "rec")):
        return False, f"The models are missing in {models}: pip install --force-reinstall rapidocr"
    return True, "rapidocr"


class _Sight:
    """What was seen and read of a screen so far: only what changed since is read again."""

    def __init__(self) -> None:
        self._seen: np.ndarray | None = None  # each part as it was when it was read
        self._lines: list[_Read] = []

    def read(self, engine: Any, picture: "np.ndarray") -> str:
        """The text on the picture."""
        changed = self._changed(picture)
        if changed.any():
            area = _area(changed, [line.box for line in self._lines])
            before = [line for line in self._lines if _overlap(line.box, area)]
            with _model_errors():
                read = _read_lines(engine, picture, area, before, changed)
            self._lines = [line for line in self._lines if line not in before] + read
            self._look_at(picture, changed)
        return arrange([line.line for line in self._lines if line.line])

    def _changed(self, picture: "np.ndarray") -> "np.ndarray":
        """Which squares of the picture are not as they were when they were read."""
        import numpy as np

        rows, columns = (-(-side // SQUARE) for side in picture.shape[:2])
        if self._seen is None or self._seen.shape != picture.shape:
            self._seen, self._lines = None, []
            return np.ones((rows, columns), bool)
        off = np.abs(picture.astype(np.int16) - self._seen).max(axis=2)
        off = np.pad(off, ((0, rows * SQUARE - off.shape[0]), (0, columns * SQUARE - off.shape[1])))
        return off.reshape(rows, SQUARE, columns, SQUARE).mean(axis=(1, 3)) > CHANGED

    def _look_at(self, picture: "np.ndarray", changed: "np.ndarray") -> None:
        import numpy as np

        if self._seen is None:
            self._seen = picture
            return
        where = np.repeat(np.repeat(changed, SQUARE, 0), SQUARE, 1)[: picture.shape[0], : picture.shape[1]]
        self._seen = np.where(where[..., None], picture, self._seen)


def _read_lines(
    engine: Any, picture: "np.ndarray", area: Box, before: "list[_Read]", changed: "np.ndarray"
) -> "list[_Read]":
    """The lines that reach into an area. One that stood there before, and did not change, is not read again."""
    left, top, right, bottom = _with_margin(area, picture.shape)
    part = picture[top:bottom, left:right]
    corners = engine(part, use_rec=False).boxes
    found, new = [], []
    for four in () if corners is None else corners:
        (x0, y0), (x1, y1) = four.min(axis=0), four.max(axis=0)
        box = (int(x0) + left, int(y0) + top, int(x1) + left, int(y1) + top)
        if not _overlap(box, area):
            continue
        same = [one for one in before if _same_place(one.box, box) and not changed[_squares(one.box)].any()]
        if same:
            found.append(same[0])
        else:
            new.append((box, four))
    if new:
        read = engine.recognize_txt(engine.crop_text_regions(part, [four for _, four in new]))
        found += [_Read(box, _line(box, *one)) for (box, _), *one in zip(new, read.txts, read.scores, strict=True)]
    return found


def _line(box: Box, text: str, score: float) -> Line | None:
    text, bullets = _BULLET.subn("", text.strip())
    if score < SURE or len(text) < 2:  # a single letter is mostly a part of a drawing
        return None
    return Line(*map(float, box), text, bullets > 0)


def _area(changed: "np.ndarray", lines: list[Box]) -> Box:
    """The part of the picture whose text is to be read: what changed, and the lines it touches or may lengthen."""
    rows, columns = changed.any(axis=1).nonzero()[0], changed.any(axis=0).nonzero()[0]
    area = tuple(int(side) * SQUARE for side in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    while True:
        left, top, right, bottom = area
        touched = [box for box in lines if _overlap(box, (left - MARGIN, top, right + MARGIN, bottom))]
        lefts, tops, rights, bottoms = zip(area, *touched, strict=True)
        grown = (min(lefts), min(tops), max(rights), max(bottoms))
        if grown == area:
            return area
        area = grown


def _with_margin(box: Box, shape: tuple[int, ...]) -> Box:
    """With what stands around it, in steps that the detector needs no resizing for."""
    (left, top, right, bottom), (height, width) = box, shape[:2]
    left, top = max(0, left - MARGIN) // STEP * STEP, max(0, top - MARGIN) // STEP * STEP
    return left, top, min(width, -(-(right + MARGIN) // STEP) * STEP), min(height, -(-(bottom + MARGIN) // STEP) * STEP)


def _squares(box: Box) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top // SQUARE, -(-bottom // SQUARE)), slice(left // SQUARE, -(-right // SQUARE))


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _same_place(one: Box, other: Box) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= NEAR


def load() -> None:
    """Import the text reader and cv2. Raises ModelError.

    Before another thread imports anything: while cv2 loads, its own folder stands first in everybody's sys.path, and
    two threads that import packages which need each other may get one that is not whole.
    """
    there, what = available()
    if not there:
        raise ModelError(f"Text on the screen cannot be read. {what}")
    # onnxruntime sends usage data to its maker unless told not to before it is imported (its Privacy.md).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with _model_errors():
        from rapidocr import RapidOCR  # noqa: F401


def _load() -> Any:
    load()
    with _model_errors():
        from rapidocr import RapidOCR

        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # asks of each line whether it is upside down
                "Det.limit_type": "max",
                "Det.limit_side_len": SIDE,
                "Rec.rec_batch_num": 1,  # a batch is padded to its longest line: 6 take half as long again
                "Rec.rec_img_shape": [3, 48, 48],  # and each line to this width, 320 where nothing is said
                "EngineConfig.onnxruntime.intra_op_num_threads": min(THREADS, cores()),
            }
        )


@functools.cache
def _kept() -> Any:
    return _load()


def _open(image: Path | bytes) -> "np.ndarray":
    """The picture as OpenCV has it: rows of blue, green and red."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(image) if isinstance(image, bytes) else image) as picture:
            picture = picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        which = "that was given" if isinstance(image, bytes) else image
        raise StorageError(f"The picture {which} cannot be read. Read the video again.") from error
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _is_same(one: str, other: str) -> bool:
    """Whether two texts are readings of the same screen: a running clock may differ, other numbers not."""
    one, other = (_CLOCK.sub("", text) or text for text in (one, other))
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return False
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio() >= SAME


@contextlib.contextmanager
def _model_errors() -> Iterator[None]:
    """rapidocr's and onnxruntime's errors share no base; all that runs inside is theirs."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]  # they hold whole tracebacks
        raise ModelError(
            f"Text on the screen cannot be read ({reason}). Reinstall it: pip install --force-reinstall rapidocr"
        ) from error
