"""Uploaded originals, kept below the data folder: uploads/<id>/<name>.

In: a name and bytes from outside. Out: a path that is safe to open, named by the content. Knows not whether it is a
video.
"""

import hashlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import BinaryIO

from pipeline.media import record
from pipeline.media.disk import is_alive, is_held, storage_errors

FORGOTTEN = 7 * 24 * 3600  # s after which an upload that never became a media is deleted

_UNFINISHED = re.compile(r"\.unfinished-(\d+)-\d+")


def store(data_dir: Path, name: str, content: BinaryIO) -> Path:
    """Keep an uploaded file and return its path. The same content again is kept once a name.

    Of the name only the last part is used, without what could lead elsewhere. Raises StorageError.
    """
    uploads = data_dir / "uploads"
    unfinished = uploads / f".unfinished-{os.getpid()}-{time.monotonic_ns()}"
    digest = hashlib.sha256()
    with storage_errors(uploads):
        uploads.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, "xb") as file:
                while block := content.read(1 << 20):
                    digest.update(block)
                    file.write(block)
            folder = uploads / digest.hexdigest()[:32]
            folder.mkdir(exist_ok=True)
            stored = folder / _safe(name)
            os.replace(unfinished, stored)
        finally:
            unfinished.unlink(missing_ok=True)
    return stored


def remove(data_dir: Path, media_id: str) -> None:
    """Delete the uploaded original of a media, if it was uploaded. Raises StorageError."""
    folder = data_dir / "uploads" / media_id
    with storage_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)


def discard(data_dir: Path, path: Path) -> None:
    """Delete an uploaded file that no media came of, and what was read of it. Any other file is left alone.

    Raises StorageError.
    """
    begun = data_dir / path.parent.name
    if path.parent.parent != data_dir / "uploads" or (begun / record.FILE).exists():
        return
    with storage_errors(path):
        path.unlink(missing_ok=True)
        if any(path.parent.iterdir()) if path.parent.exists() else is_held(begun):
            return  # the same content under another name, or read by another process
    remove(data_dir, path.parent.name)
    with storage_errors(begun):
        if begun.exists() and not is_held(begun):
            shutil.rmtree(begun)


def sweep(data_dir: Path) -> None:
    """Delete uploads that broke off, and those of yesterday that never became a media. Raises StorageError."""
    uploads = data_dir / "uploads"
    with storage_errors(uploads):
        for path in list(uploads.iterdir()) if uploads.exists() else ():
            if unfinished := _UNFINISHED.fullmatch(path.name):
                if not is_alive(int(unfinished[1])):
                    path.unlink(missing_ok=True)
            elif not (data_dir / path.name).exists() and time.time() - path.stat().st_mtime > FORGOTTEN:
                shutil.rmtree(path, ignore_errors=True)


def _safe(name: str) -> str:
    last = re.sub(r"[\x00-\x1f\x7f:*?\"<>|]", "", re.split(r"[/\\]", name)[-1]).strip(" .")
    stem, suffix = os.path.splitext(last)
    stem = stem.encode("utf-8", "replace")[:150].decode("utf-8", "ignore")  # a file name may have 255 bytes
    return f"{stem or 'video'}{suffix[:10]}"
