"""A path that a user gave -> whether there is a file that may be opened, and if not, why, in their words.

Knows no codecs: nothing is decoded here.
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from pipeline.errors import SourceError


def check(path: Path) -> None:
    """Raise SourceError for what is no readable regular file: opening a FIFO or a device may hang."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if re.search(r"\b[a-z]{3,5}:/", str(path)):  # a Path keeps one of the two slashes
            raise SourceError(f"{path} is no file. Download the video, then give the path of its file.") from None
        raise SourceError(f"There is no file {path}. Check the path.") from None
    except PermissionError:
        raise SourceError(f"No permission to reach {path}. Change the permissions of its folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{str(path)[:300]!r} is no path that can be opened ({reason}). Check the path.") from error
    if stat.S_ISDIR(facts.st_mode):
        raise SourceError(f"{path} is a folder. Give the path of one video file in it.")
    if not stat.S_ISREG(facts.st_mode) or os.path.realpath(path).startswith(("/proc/", "/sys/", "/dev/")):
        raise SourceError(f"{path} is not a regular file. Save the video to a file and give that path.")
    if facts.st_size == 0:
        raise SourceError(f"{path} is empty. Check that its download or copy was finished.")
    if not os.access(path, os.R_OK):
        raise SourceError(f"No permission to read {path}. Change its permissions, for example with chmod.")


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
