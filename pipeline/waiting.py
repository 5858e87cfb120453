"""The readings that were asked for and have not ended, kept over the end of the app.

    <data folder>/.queue-<n>/readings.json    one app's, which holds that folder as long as it runs

In: what is wanted now. Out: what apps that ended left. Knows not how a source is read.
"""

import json
import re
import secrets
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.disk import delete, hold, storage_errors, write_whole
from pipeline.errors import BeingRead, StorageError

FILE = "readings.json"

_QUEUE = re.compile(r"\.queue-[0-9a-f]+")


@dataclass(frozen=True)
class Wanted:
    """One source that is to be read."""

    path: str
    again: bool  # whether it is read anew
    begun: int  # how often it was begun and had not ended when the app did


class Waiting:
    """What one app is to read. Nothing is written before there is something to keep."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / f".queue-{secrets.token_hex(6)}"
        self._holding = ExitStack()
        self._is_held = False

    def keep(self, wanted: Sequence[Wanted]) -> None:
        """Keep this, in the place of what was kept before. Raises StorageError."""
        if not self._is_held:
            if not wanted:
                return
            self._holding.enter_context(hold(self._folder, make=True))
            self._is_held = True
        write_whole(self._folder / FILE, json.dumps([asdict(one) for one in wanted], indent=1))

    def take_over(self) -> list[Wanted]:
        """What apps that ended were to read, which is this one's to read now. Raises StorageError."""
        found: dict[str, Wanted] = {}
        with storage_errors(self._data_dir):
            folders = sorted(path for path in self._data_dir.iterdir() if _QUEUE.fullmatch(path.name))
        with ExitStack() as holding:
            left = []
            for folder in folders:
                try:
                    holding.enter_context(hold(folder, patience=0))
                except BeingRead:  # by the app that reads it, or by one that takes it over
                    continue
                except StorageError as error:
                    if isinstance(error.__cause__, FileNotFoundError):  # another took it over just now
                        continue
                    raise
                left.append(folder)
                found |= {one.path: one for one in _read(folder / FILE)}
            self.keep(list(found.values()))  # first: killed between the two, each is there twice and taken for one
            for folder in left:
                delete(folder)
        return list(found.values())

    def close(self) -> None:
        """Let go of it: what is still kept is the next app's."""
        self._holding.close()
        self._is_held = False


def _read(file: Path) -> list[Wanted]:
    with suppress(OSError, ValueError, TypeError, RecursionError):
        wanted = [Wanted(**one) for one in json.loads(file.read_bytes())]
        if all(isinstance(one.path, str) and isinstance(one.begun, int) for one in wanted):
            return wanted
    return []
