"""A path that a user gave -> whether it is a file that may be opened, and if not, why, in their words.

Knows no codecs: nothing is decoded here.
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.settings import Limits

USUAL = Limits()  # the usual limits, anywhere on the disk: for files that the library made itself


def check(path: Path, limits: Limits = USUAL) -> None:
    """Raise SourceError for what is no readable regular file within the limits: opening a FIFO or a device may hang."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if re.search(r"\b[a-z]{3,5}:/", str(path)):  # a Path keeps one of the two slashes
            raise SourceError(f"{path} is no file. Download the video, then give the path of its file.") from None
        require_inside(path, limits)  # what is not there is told of these folders only
        raise SourceError(f"There is no file {path}. Check the path.") from None
    except PermissionError:
        raise SourceError(f"No permission to reach {path}. Change the permissions of its folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{str(path)[:300]!r} is no path that can be opened ({reason}). Check the path.") from error
    require_inside(path, limits)
    if stat.S_ISDIR(facts.st_mode):
        raise SourceError(f"{path} is a folder. Give the path of one video file in it.")
    if not stat.S_ISREG(facts.st_mode) or os.path.realpath(path).startswith(("/proc/", "/sys/", "/dev/")):
        raise SourceError(f"{path} is not a regular file. Save the video to a file and give that path.")
    if facts.st_size == 0:
        raise SourceError(f"{path} is empty. Check that its download or copy was finished.")
    if facts.st_size > limits.size:
        raise SourceError(
            f"{path} has {facts.st_size / 1e9:.1f} GB, and MAX_FILE_GB allows {limits.size / 1e9:g}. "
            "Cut the file, or raise MAX_FILE_GB."
        )
    if not os.access(path, os.R_OK):
        raise SourceError(f"No permission to read {path}. Change its permissions, for example with chmod.")


def require_inside(path: Path, limits: Limits) -> None:
    """Raise SourceError for what does not lie in the folders that may be read, wherever its links lead."""
    if is_inside(path, limits):
        return
    real = Path(os.path.realpath(path))
    link = "" if real == path.absolute() else f" It is a link to {real}."
    roots = ", ".join(map(str, limits.roots))
    raise SourceError(
        f"{path} is outside the folders that may be read ({roots}).{link} Move it there, or set MEDIA_ROOTS to "
        f"{os.pathsep.join(map(str, (*limits.roots, real.parent)))} and start the app again."
    )


def is_inside(path: Path, limits: Limits) -> bool:
    """Whether a path leads into the folders that may be read."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(root)) for root in limits.roots)


def why_not(path: Path, error: Exception) -> str:
    """What is wrong with a file that FFmpeg would not open or read on, and what to do."""
    head = b""
    with suppress(OSError), open(path, "rb") as file:
        head = file.read(512)
    if head.lstrip().startswith((b"#EXTM3U", b"ffconcat")) or b"<MPD" in head:
        return f"{path} is a playlist, not a video. Give the path of the video file itself."
    if path.suffix.lower() in (".srt", ".vtt"):
        return f"{path} is a transcript: there is neither picture nor sound in it to play."
    if head[4:8] == b"ftyp":
        return f"{path} is an MP4 without the index of its content: it was cut off or damaged. Try another copy."
    if getattr(error, "errno", None) and not isinstance(error, ValueError | PermissionError):
        return f"{path} cannot be read ({getattr(error, 'strerror', error)}). Try another copy."
    return f"{path} is not a video or sound file that can be read, or it is damaged. Try to play it, or convert it."
