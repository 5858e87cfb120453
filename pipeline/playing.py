"""A media -> a file that browsers play, or that a person keeps: the original, or what is cut from it.

In: media, their folders, times. Out: paths; what was cut stays in the folder and is cut once. Knows no index.
"""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.disk import delete, hold, is_held, put, storage_errors, write_whole
from pipeline.errors import SourceError, StorageError
from pipeline.media import clips, guard, video
from pipeline.media.source import USUAL, check
from pipeline.settings import Limits
from pipeline.times import stamp
from pipeline.types import Media

CLIP = 60.0  # s, of a file that browsers cannot play, cut at a time; the same for every time within it
LEAD = 5.0  # s, before
LONGEST = 600.0  # s, of a clip to keep: its sound is held in memory
PLAYS = "plays.json"  # in the folder: whether browsers play the original, as it was then
WORKSHOP = ".cutting-"  # a folder beside the clips, in which one is made; then the id of the process
TAIL = 15.0  # s, after: a moment at its end can be seen to the end


@dataclass(frozen=True)
class Playable:
    """A file that browsers play."""

    path: Path
    length: float  # s
    offset: float = 0.0  # s, the time in the source at which it begins
    whole: bool = True  # whether it is all of the source
    why: str = ""  # why it is not the source itself, in words a person reads


class Player:
    """Cuts one file at a time. Safe to share between threads."""

    def __init__(self, limits: Limits = USUAL) -> None:
        self._limits = limits
        self._plays: dict[str, bool] = {}  # by media id: whether browsers play the original
        self._one_cutter = threading.Lock()

    def playable(self, media: Media, folder: Path, seconds: float) -> Playable:
        """What a browser can play of a media around a time. Raises SourceError, StorageError."""
        source = Path(media.source)
        check(source, self._limits)
        if self._is_played(media, folder, source):
            return Playable(source, media.length)
        start = max(0.0, CLIP * (seconds // CLIP) - LEAD)
        end = min(start + LEAD + CLIP + TAIL, media.length)
        clip = folder / "clips" / f"{start:08.0f}.mp4"
        with self._one_cutter:
            if not clip.exists():
                self._make(clips.cut, source, (start, end), clip)
        whole = start == 0 and end >= media.length
        return Playable(clip, end - start, start, whole, "Browsers cannot play this kind of file")

    def _is_played(self, media: Media, folder: Path, source: Path) -> bool:
        """Whether browsers play the original. What a look into it found is kept in the folder: it takes a process."""
        if media.id not in self._plays:
            with storage_errors(source):
                facts = source.stat()
            known, version = folder / PLAYS, [facts.st_size, facts.st_mtime_ns]
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if (kept := json.loads(known.read_bytes()))["version"] == version:
                    self._plays[media.id] = kept["plays"] is True
                    return self._plays[media.id]
            self._plays[media.id] = video.plays_in_browser(guard.run(video.probe, source, limits=self._limits))
            with contextlib.suppress(StorageError):  # then it is looked into again after the next start
                write_whole(known, json.dumps({"version": version, "plays": self._plays[media.id]}))
        return self._plays[media.id]

    def moment_file(self, media: Media, folder: Path, start: float, end: float, form: str) -> Path:
        """A moment as a file: `form` is "mp4", "gif", or "jpg" for the picture at its start.

        Raises SourceError, StorageError.
        """
        source = Path(media.source)
        if end - start > LONGEST:
            raise SourceError(f"A clip of {stamp(end - start)} is too long. Choose {stamp(LONGEST)} or less.")
        span = f"{start:.1f}" if form == "jpg" else f"{start:.1f}-{end:.1f}"
        target = folder / "clips" / f"moment-{span}.{form}"
        with self._one_cutter:
            if target.exists():
                return target
            if form == "jpg":
                return self._make(clips.still, source, (start,), target)
            return self._make(clips.animate if form == "gif" else clips.cut, source, (start, end), target)

    def _make(self, work: Callable[..., Path], source: Path, times: tuple[float, ...], target: Path) -> Path:
        """Let a clip be made in a folder of its own, and move it to the target when it is whole.

        What a process that was killed left of one goes.
        """
        workshop = target.parent / f"{WORKSHOP}{os.getpid()}"
        with storage_errors(target):
            target.parent.mkdir(exist_ok=True)  # not its parents: a media that was removed stays removed
            for left in target.parent.glob(f"{WORKSHOP}*"):
                if not is_held(left):
                    delete(left)
        try:
            with hold(workshop, make=True):
                made = workshop / target.name
                guard.run(work, source, *times, made, limits=self._limits, length=times[-1] - times[0])
                put(made, target)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
        return target
