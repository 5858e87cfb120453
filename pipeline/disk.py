"""Writing to disk so that a crash leaves the old or the new, and saying what went wrong in plain words.

In: paths. Out: files that are whole, lines that are kept, folders that one process at a time writes into,
StorageErrors. Knows not what is written. Every file of a library is written through here.
"""

import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BeingRead, StorageError

PATIENCE, PAUSE = 1.0, 0.02  # s; who only looks whether a folder is held holds it for an instant, too

_UNFINISHED = ".unfinished-"  # how the name begins of a file that is being written


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn every OSError inside into a StorageError about path that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = f"The disk is full: {path} cannot be written. Free some space and try again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"No permission to use {path}. Change its permissions, or set DATA_DIR to another folder."
        else:
            message = f"{path} cannot be used: {error.strerror or error}. Check the disk, or set DATA_DIR elsewhere."
        raise StorageError(message) from error


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """An empty file beside the path, for anybody to write; gone when the block ends, unless it was put somewhere.

    Its suffix is that of the path, since encoders go by it. What a process that died left of one is deleted by sweep.
    Raises StorageError.
    """
    with storage_errors(path):
        unfinished, handle = _begin(path)
        try:
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)
            os.close(handle)


def put(unfinished: Path, path: Path) -> None:
    """Move a file to its place in one step, on the disk when this returns. Raises StorageError."""
    with storage_errors(path):
        sync(unfinished)
        os.replace(unfinished, path)
        sync(path.parent)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside the path, for anybody to write; put there when the block ends well. Raises StorageError."""
    with scratch(path) as unfinished:
        yield unfinished
        put(unfinished, path)


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file in one step, on the disk when this returns. Raises StorageError."""
    with whole(path) as unfinished:
        shutil.copyfile(source, unfinished)


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace the content of a file in one step, on the disk when this returns. Raises StorageError."""
    if isinstance(
        content, str
    ):  # a file name that is no valid Unicode reaches titles; players and people read the rest
        content = content.encode("utf-8", "replace")
    with whole(path) as unfinished:
        unfinished.write_bytes(content)


def _begin(path: Path) -> tuple[Path, int]:
    """(a new file beside the path, its handle, which holds it)."""
    import fcntl

    while True:
        unfinished = path.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}-{path.name[-100:]}")
        handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if unfinished.exists():  # else it was swept before it was held
                return unfinished, handle
        except BaseException:
            unfinished.unlink(missing_ok=True)
            os.close(handle)
            raise
        os.close(handle)


def sweep(folder: Path) -> None:
    """Delete the files in a folder that processes which are gone were writing. Raises StorageError."""
    with storage_errors(folder):
        for name in os.listdir(folder):
            if name.startswith(_UNFINISHED) and not is_held(folder / name):
                (folder / name).unlink(missing_ok=True)


def delete(folder: Path) -> None:
    """Delete a folder and all in it, whoever else deletes it too. Raises StorageError."""
    with storage_errors(folder):
        shutil.rmtree(folder, onerror=_unless_gone)


def _unless_gone(_call: object, _path: str, failure: tuple) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk: without the latter a power cut may undo a rename."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tell(data_dir: Path) -> None:
    """Something changed inside a folder of this one: who lists it looks again. Raises StorageError."""
    with storage_errors(data_dir):
        os.utime(data_dir)


def append_line(path: Path, value: dict) -> None:
    """Add one JSON value to a file of lines, on the disk when this returns. Raises StorageError."""
    is_new = not path.exists()
    with storage_errors(path), open(path, "a", encoding="ascii") as file:
        file.write(f"\n{json.dumps(value)}")  # begun with a new line: half a line that a crash left is closed by it
        file.flush()
        os.fsync(file.fileno())
        if is_new:
            sync(path.parent)


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
def hold(folder: Path, make: bool = False, patience: float | None = None) -> Iterator[None]:
    """Be the only process that writes into a folder over some time; a process that dies lets go of it.

    Holds the folder itself, so it may be renamed meanwhile. `make`: if it is not there. `patience`: s, how long another
    that holds it is waited for; None is PATIENCE. Raises BeingRead where another holds it, StorageError.
    """
    with storage_errors(folder):
        deadline = time.monotonic() + (PATIENCE if patience is None else patience)
        handle = None
        while handle is None:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            with suppress(*[FileNotFoundError] if make else []):  # swept before it was held: made once more
                handle = _held(folder, deadline)
    try:
        yield
    finally:
        os.close(handle)


def _held(folder: Path, deadline: float) -> int:
    """A handle of a folder that nobody else holds."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BeingRead(
                        "This source is being read by another process. Wait until it has been read, or stop that one."
                    ) from error
            time.sleep(PAUSE)
        if not os.path.samestat(os.fstat(handle), os.stat(folder)):
            raise FileNotFoundError(errno.ENOENT, "it was replaced just now")
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_held(path: Path) -> bool:
    """Whether a process holds a folder, or writes a file."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False  # it is not there: nobody can
    except OSError:
        return True  # it cannot be told, and what is written must not be swept
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a disk that cannot lock: holding it fails, and says so
    finally:
        os.close(handle)
    return False
