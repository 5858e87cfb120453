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
from difflib import SequenceMatcher
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.cores import cores
from pipeline.errors import ModelError, StorageError
from pipeline.media.layout import Line, arrange
from pipeline.types import Frame, Passage

SURE = 0.8  # of 1: what is read in real text scores above 0.85, what is read into logos 0.5 to 0.75
SAME = 0.9  # of 1: two readings of one slide share more of their words
THREADS = 4  # more bring little for pictures of this size

_BULLET = re.compile(r"^[•·▪●◦■□►‣∙][\s•·▪●◦■□►‣∙]*")
_CLOCK = re.compile(r"\d+(?::\d\d)+")
_one_load = threading.Lock()


def read_screen(folder: Path, frames: Sequence[Frame]) -> Iterator[str]:
    """The text on each frame, "" where there is none.

    Raises ModelError when rapidocr cannot be loaded, StorageError when a picture cannot.
    """
    if frames:
        engine = _load()
    for frame in frames:
        yield _read(engine, folder / frame.image)


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
    return _read(engine, jpeg)


def available() -> tuple[bool, str]:
    """(whether rapidocr and its models are installed, what is there or what to do). Loads nothing."""
    package = importlib.util.find_spec("rapidocr")
    if not package or not package.origin:
        return False, "Install the text reader: pip install rapidocr onnxruntime"
    models = Path(package.origin).parent / "models"
    if any(not list(models.glob(f"*_{part}_*.onnx")) for part in ("det", "rec")):
        return False, f"The models are missing in {models}: pip install --force-reinstall rapidocr"
    return True, "rapidocr"


def _load() -> Any:
    there, what = available()
    if not there:
        raise ModelError(f"Text on the screen cannot be read. {what}")
    # onnxruntime sends usage data to its maker unless told not to before it is imported (its Privacy.md).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with _model_errors():
        from rapidocr import RapidOCR

        return RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,  # asks of each line whether it is upside down
                "EngineConfig.onnxruntime.intra_op_num_threads": min(THREADS, cores()),
            }
        )


@functools.cache
def _kept() -> Any:
    return _load()


def _read(engine: Any, image: Path | bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(image) if isinstance(image, bytes) else image) as picture:
            picture = picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        which = "that was given" if isinstance(image, bytes) else image
        raise StorageError(f"The picture {which} cannot be read. Read the video again.") from error
    with _model_errors():
        found = engine(picture)
    if not found.txts:
        return ""
    lines = []
    for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        text, bullets = _BULLET.subn("", text.strip())
        if score >= SURE and len(text) > 1:  # a single letter is mostly a part of a drawing
            (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
            lines.append(Line(float(left), float(top), float(right), float(bottom), text, bullets > 0))
    return arrange(lines)


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
