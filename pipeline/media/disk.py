"""Writing to disk so that a crash leaves the old or the new, and saying what went wrong in plain words.

In: paths. Out: files that are whole, StorageErrors. Knows not what is written.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StorageError


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


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # another user's
    return True
