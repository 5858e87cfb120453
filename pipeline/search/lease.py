"""Who may open the Milvus Lite file: one process at a time, and the others are told which.

Milvus Lite has a lock of its own, but a process that finds it taken deletes it on giving up
(milvus_lite/server.py, Server.stop), and the next one opens the file a second time. So this lock
comes first. Knows nothing of Milvus but that file's name.
"""

import os
import shlex
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from pipeline.errors import LibraryBusy, LibraryError, StorageError

PATIENCE = 2.0  # s; a command that is just ending is worth waiting for
PAUSE = 0.05  # s between two looks

_held: dict[Path, tuple[IO[str], int]] = {}  # lock files of this process, and how many leases stand on each
_lock = threading.Lock()


class Lease:
    """The right of this process to open one Milvus Lite file, until end(). Several in one process share it.

    Raises LibraryBusy when another process holds the file, LibraryError on Windows, StorageError when
    the lock cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        with _lock:
            file, count = _held.get(self._path, (None, 0))
            _held[self._path] = (file or _take(self._path), count + 1)
        self._ended = False

    def last(self) -> bool:
        """Whether no other lease of this process stands on the file."""
        with _lock:
            return not self._ended and _held[self._path][1] == 1

    def end(self) -> None:
        """Give the file up. May be called twice."""
        with _lock:
            if self._ended:
                return
            self._ended = True
            file, count = _held.pop(self._path)
            if count > 1:
                _held[self._path] = (file, count - 1)
            else:
                file.close()  # the lock goes with it; the file stays, since removing it would let two in


def _take(path: Path) -> IO[str]:
    try:
        import fcntl
    except ImportError as error:
        raise LibraryError(
            "Milvus Lite does not run on Windows. Use WSL, or set MILVUS_URI to a Milvus server."
        ) from error
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(
            f"The data folder {path.parent} cannot be written: {error.strerror}. "
            "Make room, check its permissions, or set DATA_DIR to another folder."
        ) from error
    file = os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _milvus_lock_is_free(path):
                break
            holder = "another program"
            fcntl.flock(file, fcntl.LOCK_UN)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
        except OSError as error:
            file.close()
            raise StorageError(
                f"The disk of {path.parent} cannot lock files: {error.strerror}. "
                "Set DATA_DIR to a folder on a local disk, or MILVUS_URI to a Milvus server."
            ) from error
        if time.monotonic() > deadline:
            file.close()
            raise LibraryBusy(
                f"The search index is open in {holder}. Ask there, or close that and try again; "
                "reading videos works meanwhile."
            )
        time.sleep(PAUSE)
    with suppress(OSError):  # a full disk: it is held all the same, by nobody that has a name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_this_command()} (process {os.getpid()})".encode("utf-8", "replace"), 0)
    return file


def _milvus_lock_is_free(path: Path) -> bool:
    """Whether no program without our lock, or dying Milvus Lite, holds Milvus Lite's own.

    Only called while this process has the file not open: closing a file drops a process's POSIX locks on it.
    """
    import fcntl

    try:
        with path.with_name(f".{path.name}.lock").open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _this_command() -> str:
    """The command as a person typed it, such as `streamlit run app.py`."""
    _, *rest = sys.orig_argv
    words = ["python", *rest] if not rest or rest[0].startswith("-") else [Path(rest[0]).name, *rest[1:]]
    return f"`{' '.join(shlex.join(words).split())[:100]}`"
