"""Writing to disk so that a crash leaves the old or the new, and saying what went wrong in plain words.

In: paths. Out: files that are whole, lines that are kept, folders that one process at a time writes into,
StorageErrors. Knows not what is written.
"""

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BeingRead, StorageError

PATIENCE, PAUSE = 1.0, 0.02  # s; who only looks whether a folder is held holds it for an instant, too


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn every OSError inside into a StorageError about path that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"The disk is full: {path} cannot be written. Free some space and try again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"No permission to use {path}. Change its permissions, or set DATA_DIR to another folder."
        else:
            message = f"{path} cannot be used: {error.strerror or error}. Check the disk, or set DATA_DIR elsewhere."
        raise StorageError(message) from error


def write_whole(path: Path, text: str) -> None:
    """Replace the content of a file in one step, on the disk when this returns. Raises StorageError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with storage_errors(path):
        try:
            # A file name that is no valid Unicode reaches titles; players and people read the rest.
            with open(unfinished, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        sync(path.parent)


def sync(folder: Path) -> None:
    """Put the names in a folder on the disk: without this a power cut may undo a rename."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_line(path: Path, value: dict) -> None:
    """Add one JSON value to a file of lines, on the disk when this returns. Raises StorageError."""
    with storage_errors(path), open(path, "a", encoding="ascii") as file:
        file.write(f"\n{json.dumps(value)}")  # begun with a new line: half a line that a crash left is closed by it
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict]:
    """The JSON values in a file of lines, without what a crash left of one; [] where there is none.

    Raises StorageError.
    """
    with storage_errors(path):
        lines = path.read_text("utf-8", "replace").split("\n") if path.exists() else []
    found = []
    for line in filter(None, lines):
        with suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [one for one in found if isinstance(one, dict)]


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a folder over some time; a process that dies lets go of it.

    Holds the folder itself, so it may be renamed meanwhile. Raises BeingRead where another holds it, StorageError.
    """
    import fcntl

    with storage_errors(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with storage_errors(folder):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except StorageError as error:
                if not isinstance(error.__cause__, BlockingIOError):
                    raise
                if time.monotonic() > deadline:
                    raise BeingRead(
                        "This source is being read by another process. Wait until it has been read, or stop that one."
                    ) from error
            time.sleep(PAUSE)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder."""
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False  # it is not there: nobody can
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a disk that cannot lock: holding it fails, and says so
    finally:
        os.close(handle)
    return False


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # another user's
    return True
