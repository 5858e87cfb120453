"""What a library holds at a glance, told again without looking at every folder while nothing changes there.

In: the data folder. Out: Listed values. Whatever changes a media, in whichever process, touches the data folder
(disk.tell), and deleting a folder by hand does too: as long as its time stays, so does the list. What nobody tells, as
an edit by hand inside a folder, shows within LASTS. Of each media.json that is new only the head is read. Knows neither
the index nor the page.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline import part_status
from pipeline.disk import is_held, storage_errors
from pipeline.errors import MediaNotFound, StorageError
from pipeline.media import folder as folders
from pipeline.media import record
from pipeline.types import Listed

SETTLED = 2.0  # s after a change until a look at the folders is trusted: no file system tells times less finely
LASTS = 30.0  # s that it is trusted then
HEAD = 8192  # bytes of a record that are read at a time, until its head is whole


@dataclass(frozen=True)
class Listing:
    """What the library held when it was looked at; another value after each look."""

    media: Sequence[Listed]  # newest first
    problems: Sequence[str]  # a line for each folder that cannot be read

    @cached_property
    def by_id(self) -> Mapping[str, Listed]:
        return {one.id: one for one in self.media}


class Catalogue:
    """The list of one data folder. Share one between threads."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple, Listed]] = {}  # by media id: which version of the record, what it says
        self._listing = Listing((), ())
        self._read: Sequence[str] = ()  # ids that are being read now; whoever reads may die without a word
        self._seen = (0, 0.0)  # the data folder's time (ns), and the clock when it was looked through

    def look(self) -> Listing:
        """What the library holds now; the same value as long as nothing changes. Raises StorageError."""
        with self._lock:
            folders.require(self._data_dir)
            with storage_errors(self._data_dir):
                changed = self._data_dir.stat().st_mtime_ns
            told, at = self._seen
            fresh = changed == told and 0 <= time.monotonic() - at < LASTS
            if not fresh or not all(is_held(self._data_dir / one) for one in self._read):
                now, clock = time.time_ns(), time.monotonic()
                self._look_through()
                self._seen = (changed if now - changed > SETTLED * 1e9 else 0, clock)
            return self._listing

    def _look_through(self) -> None:
        found: list[tuple[int, Listed]] = []
        problems, known = [], {}
        with storage_errors(self._data_dir):
            names = [name for name in os.listdir(self._data_dir) if record.ID.fullmatch(name)]
        for name in names:
            file = os.path.join(self._data_dir, name, record.FILE)
            try:
                facts = os.stat(file)
            except (FileNotFoundError, NotADirectoryError):
                continue  # not a media, or removed just now by another process
            except OSError:
                version: tuple = ()  # to read it says why
            else:
                version = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            try:
                before = self._known.get(name)
                listed = before[1] if before and version and before[0] == version else _glance(Path(file))
                if listed.id != name:
                    raise StorageError(f"{file} belongs to another video, {listed.id}. Delete {Path(file).parent}.")
            except MediaNotFound:
                continue
            except StorageError as error:
                problems.append(str(error))
                continue
            known[name] = (version, listed)
            found.append((version[0] if version else 0, listed))
        self._known = known
        found.sort(key=lambda one: (one[0], one[1].id), reverse=True)
        under_way = {one.id for _, one in found if part_status.is_under_way(one) and is_held(self._data_dir / one.id)}
        self._read = sorted(under_way)
        listed = [one if one.id in under_way else part_status.at_rest(one) for _, one in found]
        self._listing = Listing(tuple(listed), tuple(problems))


def _glance(file: Path) -> Listed:
    """What the head of a record says, or all of one that has none. Raises MediaNotFound, StorageError."""
    with folders.record_errors(file), storage_errors(file), open(file, "rb") as opened:
        text = b""
        while more := opened.read(HEAD):
            text += more
            if listed := record.glance(text):
                return listed
        return record.listed(record.parse(text)[0])
