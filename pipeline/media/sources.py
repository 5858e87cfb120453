"""A path that a person gave -> the files to read: that one, or all videos and transcripts of a folder.

Knows files by their names alone; whether one can be read shows when it is.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.media.source import USUAL, check, require_allowed
from pipeline.media.subtitles import find_beside, is_subtitles
from pipeline.settings import Limits

VIDEOS = (
    ".3gp",
    ".avi",
    ".flv",
    ".m2ts",
    ".m4v",
    ".mkv",
    ".mov",
    ".mp4",
    ".mpeg",
    ".mpg",
    ".mts",
    ".ogv",
    ".ts",
    ".webm",
    ".wmv",
)
SOUNDS = (".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")
MOST = 500  # files of one folder
SEARCHED = 50_000  # entries that are looked at: nobody waits for a whole disk


def sources(path: Path, limits: Limits = USUAL) -> Sequence[Path]:
    """The file at `path`, or those of a folder and the folders in it, by name. Hidden ones are passed over.

    Subtitles that lie beside a video belong to it. A link that leads out of the folders that may be read is listed,
    and refused when it is looked at. Raises SourceError where there is nothing to read, or too much.
    """
    if not os.path.isdir(path):  # not path.is_dir(), which raises for a name that is too long
        check(path, limits)
        return [path]
    require_allowed(path, limits)
    found = list(_walk(path))
    videos = [one for one in found if not is_subtitles(one)]
    searched = videos if len(videos) <= MOST else []  # of more none is read, and each looks through its whole folder
    belong = {beside for one in searched for beside in find_beside(one)}
    kept = [one for one in found if one not in belong]
    if not kept:
        raise SourceError(f"{path} holds no videos. Give the path of a video, or of a folder that holds some.")
    if len(kept) > MOST:
        raise SourceError(f"{path} holds more than {MOST} videos. Give a folder further down.")
    return kept


def _walk(folder: Path) -> Iterator[Path]:
    looked = 0
    for here, folders, files in os.walk(folder):  # what may not be entered is passed over
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        looked += len(folders) + len(files)
        if looked > SEARCHED:
            raise SourceError(f"{folder} holds too many files to look through. Give a folder further down.")
        for name in sorted(files):
            path = Path(here, name)
            if (
                not name.startswith(".")
                and (path.suffix.lower() in VIDEOS + SOUNDS or is_subtitles(path))
                and os.path.isfile(path)
            ):
                yield path
