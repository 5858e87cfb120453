"""Stretches of a video that was read -> what they show, picture by picture: the index is sparse, this look is dense.

In: a Media, its folder, stretches in s. Out: Frames in the order of time, each different from the others of its
stretch; the new ones lie in `closer/`, which keeps what was looked at last, and never enter media.json.
Knows no question.
"""

import json
import math
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from time import monotonic

from pipeline.disk import storage_errors, sweep, write_whole
from pipeline.errors import SourceError
from pipeline.media import burst, guard
from pipeline.media.source import USUAL
from pipeline.media.video import identify, probe
from pipeline.settings import Limits
from pipeline.times import stamp
from pipeline.types import Frame, Media

LARGEST = 200_000_000  # bytes of one media's closer/
SAME_LENGTH = 0.05  # s

_OWN = re.compile(r"closer/\d{6}\.\d{3}\.jpg")


def look(
    media: Media,
    stretches: Sequence[tuple[float, float]],
    folder: Path,
    seconds: float = 3.0,
    most: int = 60,
    limits: Limits = USUAL,
) -> tuple[list[list[Frame]], list[str]]:
    """What each stretch (start s, end s) shows, widened to whole seconds, and notes on what was not looked at.

    Four pictures a second of a stretch of up to 8 s, two of up to 20 s, else one; look-alikes are dropped. A picture
    that looks like one of the index is that Frame of `media`; a new one stands until the stretch looks different.
    Decoding stops after `seconds` or `most` new pictures in all, so give the best stretches first. A stretch that was
    looked at to its end costs nothing again, nor does it need the file.

    Raises SourceError where the file is gone, has changed or has no picture, StorageError where `folder` cannot be
    written.
    """
    deadline = monotonic() + seconds
    stretches = [_widen(start, end, media.length) for start, end in stretches]
    looked = [_recall(media, folder, start, end) if start < end else [] for start, end in stretches]
    notes: list[str] = []
    if None in looked:
        _require_same(media, folder, limits)
        with storage_errors(folder):
            (folder / burst.FOLDER).mkdir(exist_ok=True)  # not its parents: a media that was removed stays removed
    for number, (start, end) in enumerate(stretches):
        if looked[number] is None:
            standing = [f for f in media.frames if (f.start < end and f.end > start) or start <= f.start < end]
            try:
                looked[number], made, until = guard.run(
                    burst.decode, Path(media.source), standing, folder, start, end, deadline, most, limits=limits
                )
            finally:
                sweep(folder / burst.FOLDER)  # what a child that was ended left
            most -= made
            if until >= end:
                record = json.dumps([(f.start, f.end, f.image) for f in looked[number]])
                write_whole(_record(folder, start, end), record)
            elif until > start:
                span = f"{stamp(start)} to {stamp(until)}"
                notes.append(f"Looked closer at {span} only: the rest, to {stamp(end)}, would take too long.")
            else:
                notes.append(f"Looked no closer at {stamp(start)} to {stamp(end)}: it would take too long.")
            with storage_errors(folder):
                _keep_newest(folder / burst.FOLDER)
    return looked, notes


# -- is it still the same file


def _require_same(media: Media, folder: Path, limits: Limits) -> None:
    source = Path(media.source)
    again = "Read it again from where it is now."
    try:
        facts = source.stat()
    except (OSError, ValueError):
        raise SourceError(f"Looked no closer: the file is no longer at {source}. {again}") from None
    try:
        changed = max(facts.st_mtime, facts.st_ctime)  # the second also tells that another file was moved there
        read_at = _read_at(media, folder)
        same, has_video = _same(source, changed, facts.st_size, media.id, media.length, read_at, limits)
    except SourceError as error:
        raise SourceError(f"Looked no closer. {error}") from error
    if not same:
        raise SourceError(f"Looked no closer: the file at {source} has changed since it was read. {again}")
    if not has_video:
        raise SourceError(f"Looked no closer: {source} has no pictures.")


def _read_at(media: Media, folder: Path) -> float:
    """When the pictures were taken from the source, as a time stamp; 0.0 where nothing tells."""
    with suppress(OSError, IndexError):
        return (folder / media.frames[0].image).stat().st_mtime
    return 0.0


@lru_cache(maxsize=64)
def _same(
    source: Path, changed: float, size: int, media_id: str, length: float, read_at: float, limits: Limits
) -> tuple[bool, bool]:
    """(whether it is what was read, whether it has pictures). The content, which takes 2 s a GB, is compared only
    where the file was touched since; an older one of the same length is taken for the same."""
    facts = guard.run(probe, source, limits=limits)
    same = abs(facts.length - length) <= SAME_LENGTH and (changed <= read_at or identify(source, limits) == media_id)
    return same, facts.has_video


def _widen(start: float, end: float, length: float) -> tuple[float, float]:
    """To whole seconds, so that stretches which differ by less are looked at once; empty behind the end."""
    start = max(0.0, float(math.floor(start)))
    return start, min(max(start + 1, float(math.ceil(end))), length)


# -- what was looked at


def _record(folder: Path, start: float, end: float) -> Path:
    return folder / burst.FOLDER / f"{start:010.3f}-{end:010.3f}.json"


def _recall(media: Media, folder: Path, start: float, end: float) -> list[Frame] | None:
    """What was found in this stretch before; None where it was not looked at to its end, or is no longer whole."""
    record = _record(folder, start, end)
    indexed = set(media.frames)
    try:
        frames = [Frame(float(begin), float(until), image) for begin, until, image in json.loads(record.read_bytes())]
        for frame in frames:
            if frame not in indexed:
                if not _OWN.fullmatch(frame.image):
                    return None
                os.utime(folder / frame.image)
        os.utime(record)
    except (OSError, ValueError, TypeError):
        return None
    return frames


def _keep_newest(folder: Path) -> None:
    """Delete what was not used for longest, as far as there is too much."""
    files = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):  # deleted just now by another question
            facts = entry.stat()
            files.append((facts.st_mtime, facts.st_size, entry.path))
    held = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if held <= LARGEST:
            return
        Path(path).unlink(missing_ok=True)
        held -= size
