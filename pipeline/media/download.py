"""Fetch a file of known content, whole or not at all.

In: an address and the SHA-256 of what is there. Out: the file. Knows not what it is for.
"""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from pathlib import Path

from pipeline.errors import ModelError

TIMEOUT = 10.0  # s to reach the server, and between two pieces


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is there with this content. Raises OSError when it cannot be read."""
    if not path.is_file():
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == sha256


def fetch(url: str, sha256: str, path: Path) -> None:
    """Put what is at url at path. What breaks off leaves nothing behind.

    Raises ModelError, whose text the caller completes with what to do instead.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
                part = Path(folder) / path.name
                with open(part, "wb") as file:
                    while block := answer.read(1 << 20):
                        file.write(block)
                if not is_whole(part, sha256):
                    raise ModelError(f"{path.name} arrived damaged or cut short.")
                os.replace(part, path)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(f"{path.name} could not be fetched ({getattr(error, 'reason', error)}).") from error
