"""What one way of working is given."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import Settings


@dataclass(frozen=True)
class Work:
    """Where it finds what it works on, and where it may write."""

    settings: Settings  # data_dir is a library of the bench's own
    folder: Path  # empty, and its own
    video: Path  # the file, or a stretch of it
    media: Path  # the media folder that was prepared: its pictures, passages and vectors
    pictures: tuple[Path, ...] = ()  # JPEGs
    texts: int = 0  # how many at most, of what is searched of the media
    sound: Path = Path()  # .npy, float32, mono, 16 kHz
    prompts: Path = Path()  # .json, messages for the model, of each question
