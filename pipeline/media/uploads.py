"""Uploaded originals, kept below the data folder: uploads/<id>/<name>.

In: a name and bytes from outside. Out: a path that is safe to open, named by the content. Knows not whether it is a
video.
"""

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipeline import disk
from pipeline.disk import delete, is_held, put, scratch, storage_errors, sync
from pipeline.errors import StorageError
from pipeline.media import record

FORGOTTEN = 7 * 24 * 3600  # s after which an upload that never became a media is deleted


def store(data_dir: Path, name: str, content: BinaryIO) -> Path:
    """Keep an uploaded file and return its path. The same content again is kept once a name.

    Of the name only the last part is used, without what could lead elsewhere. Raises StorageError.
    """
    uploads = data_dir / "uploads"
    digest = hashlib.sha256()
    with storage_errors(uploads):
        uploads.mkdir(parents=True, exist_ok=True)
        with scratch(uploads / "upload") as unfinished:
            with open(unfinished, "wb") as file:
                while block := content.read(1 << 20):
                    digest.update(block)
                    file.write(block)
            folder = uploads / digest.hexdigest()[:32]
            folder.mkdir(exist_ok=True)
            stored = folder / _safe(name)
            put(unfinished, stored)
            sync(uploads)
    return stored


def remove(data_dir: Path, media_id: str) -> None:
    """Delete the uploaded original of a media, if it was uploaded. Raises StorageError."""
    folder = data_dir / "uploads" / media_id
    with storage_errors(folder):
        if folder.exists():
            delete(folder)


def discard(data_dir: Path, path: Path) -> None:
    """Delete an uploaded file that no media came of, and what was read of it. Any other file is left alone.

    Raises StorageError.
    """
    begun = data_dir / path.parent.name
    # Whose name is an id: uploads/../chat.json is no upload.
    is_upload = path.parent.parent == data_dir / "uploads" and record.ID.fullmatch(path.parent.name)
    if not is_upload or (begun / record.FILE).exists():
        return
    with storage_errors(path):
        path.unlink(missing_ok=True)
        if any(path.parent.iterdir()) if path.parent.exists() else is_held(begun):
            return  # the same content under another name, or read by another process
    remove(data_dir, path.parent.name)
    with storage_errors(begun):
        if begun.exists() and not is_held(begun):
            delete(begun)


def sweep(data_dir: Path) -> None:
    """Delete uploads that broke off, and those of yesterday that never became a media. Raises StorageError."""
    uploads = data_dir / "uploads"
    with storage_errors(uploads):
        if not uploads.exists():
            return
        disk.sweep(uploads)
        for path in list(uploads.iterdir()):
            is_old = time.time() - path.stat().st_mtime > FORGOTTEN
            if record.ID.fullmatch(path.name) and is_old and not (data_dir / path.name).exists():
                with suppress(StorageError):
                    delete(path)


def _safe(name: str) -> str:
    last = re.sub(r"[\x00-\x1f\x7f:*?\"<>|]", "", re.split(r"[/\\]", name)[-1]).strip(" .")
    stem, suffix = os.path.splitext(last)
    stem = stem.encode("utf-8", "replace")[:150].decode("utf-8", "ignore")  # a file name may have 255 bytes
    return f"{stem or 'video'}{suffix[:10]}"
