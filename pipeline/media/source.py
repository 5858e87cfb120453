"""A path that a user gave -> whether it is a file that may be opened, and if not, why, in their words.

Knows no codecs: nothing is decoded here.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.settings import Limits

NOT_REGULAR = "{} is not a regular file. Save the video to a file and give that path."
USUAL = Limits()  # the usual limits, anywhere on the disk: for files that the library made itself


def check(path: Path, limits: Limits = USUAL) -> None:
    """Raise SourceError for what is no readable regular file within the limits: opening a FIFO or a device may hang."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(_missing(path)) from None
    except PermissionError:
        raise SourceError(f"No permission to reach {path}. Change the permissions of its folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{str(path)[:300]!r} is no path that can be opened ({reason}). Check the path.") from error
    require_allowed(path, limits)
    if stat.S_ISDIR(facts.st_mode):
        raise SourceError(f"{path} is a folder. Give the path of one video file in it.")
    if not stat.S_ISREG(facts.st_mode):
        raise SourceError(NOT_REGULAR.format(path))
    if facts.st_size == 0:
        raise SourceError(f"{path} is empty. Check that its download or copy was finished.")
    if facts.st_size > limits.size:
        raise SourceError(
            f"{path} has {facts.st_size / 1e9:.1f} GB, and MAX_FILE_GB allows {limits.size / 1e9:g}. "
            "Cut the file, or raise MAX_FILE_GB."
        )
    if not os.access(path, os.R_OK):
        raise SourceError(f"No permission to read {path}. Change its permissions, for example with chmod.")


def require_allowed(path: Path, limits: Limits) -> None:
    """Raise SourceError for an existing file or folder that may not be opened, wherever its links lead."""
    if reason := _refusal(path, limits):
        raise SourceError(reason)


def is_allowed(path: Path, limits: Limits) -> bool:
    """Whether an existing file or folder may be opened, wherever its links lead."""
    return not _refusal(path, limits)


def _refusal(path: Path, limits: Limits) -> str:
    """Why it may not be opened, and what to do; "" where it may."""
    real = Path(os.path.realpath(path))
    link = "" if real == path.absolute() else f" It is a link to {real}."
    if any(real.match(str(one)) or _is_same(real, one) for one in limits.closed):
        return (
            f"{path} belongs to this app: it holds passwords, keys, settings or chats, and is never read.{link} "
            "Give the path of a video."
        )
    if str(real).startswith(("/proc/", "/sys/", "/dev/")) and not str(real).startswith("/dev/shm/"):
        return NOT_REGULAR.format(path)  # though the system may call it one
    if any(real.is_relative_to(os.path.realpath(root)) for root in limits.roots):
        return ""
    roots = ", ".join(map(str, limits.roots))
    wanted = real if real.is_dir() else real.parent
    return (
        f"{path} is outside the folders that may be read ({roots}).{link} Move it into one of them, or set MEDIA_ROOTS "
        f"to {os.pathsep.join(map(str, (*limits.roots, wanted)))} and start the app again."
    )


def _is_same(path: Path, other: Path) -> bool:
    """Also by a hard link, or in other letters where the file system takes both for one."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _missing(path: Path) -> str:
    """That there is no such file, and from which folder on."""
    gone = next((one for one in reversed(path.parents) if not os.path.exists(one)), None)
    if gone:
        return f"There is no file {path}: its folder {gone} is not there. Check the path, and that its disk is mounted."
    return f"There is no file {path}. Check the path."


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
