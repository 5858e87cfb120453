"""The media folders, which are the library: save, load, list and remove one whole or not at all.

    <data folder>/<id>/                     one media; it counts from the moment media.json is there
        media.json                          all that was read
        transcript.vtt, transcript.txt      what is said, for players and people
        begun.json                          from what it is read, and how; until it has been read to its end
        frames/, vectors/, *.jsonl          written by others
    <data folder>/.reading-<id>/            the same, being read anew
    <data folder>/.old-<id>-<pid>-<n>       being replaced by that process
    <data folder>/.trash-<id>-<pid>-<n>     being removed by it

Who reads into a folder holds it (disk.hold). What was begun and is held by nobody waits to be gone on with.
In: Media values and the data folder. Out: the same values, whenever and by whichever process they are asked for.
Knows not how a source is read, nor what a vector is. Since process ids are compared, a data folder is written by
the processes of one machine.
"""

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pipeline.errors import MediaNotFound, SourceError, StorageError
from pipeline.media import passages, record, subtitles, unfinished, uploads
from pipeline.media.disk import is_alive, is_held, storage_errors, sync, write_whole
from pipeline.times import stamp
from pipeline.types import SPOKEN, Media

RECORD, BEGUN = record.FILE, "begun.json"
FORGOTTEN = 7 * 24 * 3600  # s after which what was begun is no longer waited for

_LEFT_OVER = re.compile(r"\.(?P<what>reading|old|trash)-(?P<id>[0-9a-f]{32})(?:-(?P<pid>\d+))?(?:-\d+)?")


def staging(data_dir: Path, media_id: str) -> Path:
    """Where a source is read anew, while what was read before is still in use; it is in no list."""
    return data_dir / f".reading-{media_id}"


def make(folder: Path) -> None:
    """Make a folder to read a source into, if it is not there; disk.hold it then. Raises StorageError."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def begin(folder: Path, source: Path, how: str) -> None:
    """Make a folder ready for a reading: as it is where one broke off that was begun in the same way, else empty.

    `how`: what the pictures depend on. Raises StorageError.
    """
    with storage_errors(folder):
        if (_begun(folder) or {}).get("how") != how:
            for path in list(folder.iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_whole(folder / BEGUN, json.dumps({"source": str(source), "how": how}))


def end(folder: Path) -> None:
    """The reading came to its end. Raises StorageError."""
    with storage_errors(folder):
        (folder / BEGUN).unlink(missing_ok=True)


def _begun(folder: Path) -> dict | None:
    """What begin wrote; None where there is nothing to go on with."""
    try:
        begun = json.loads((folder / BEGUN).read_bytes())
        return begun if isinstance(begun["source"], str) and isinstance(begun["how"], str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def save(media: Media, folder: Path) -> None:
    """Write media.json, last and in one step: a reader sees the media before it or after it, never half.

    The transcript is made from the passages where write_transcript has not written it. Raises StorageError.
    """
    if not (folder / "transcript.vtt").exists():
        write_transcript([(p.start, p.end, p.text) for p in media.passages if p.kind in SPOKEN], folder)
    write_whole(folder / RECORD, record.dump(media))


def write_transcript(segments: Iterable[passages.Segment], folder: Path) -> None:
    """Write transcript.vtt and transcript.txt. Raises StorageError."""
    said = passages.tidy(segments)
    lines = [f"[{stamp(start)}] {' '.join(text.split())}\n" for start, _, text in said]
    write_whole(folder / "transcript.txt", "".join(lines))
    write_whole(folder / "transcript.vtt", subtitles.vtt(said))


def load(folder: Path) -> Media:
    """The media in a folder, brought to the present format; what is on the disk stays as it is.

    Raises MediaNotFound when there is none, StorageError when it cannot be read.
    """
    file = folder / RECORD
    try:
        with storage_errors(file):
            facts = file.stat()
            media, written_in = _parse(file, (facts.st_mtime_ns, facts.st_size, facts.st_ino))
        if unfinished.is_under_way(media) and not is_held(folder):
            media = unfinished.at_rest(media)  # who read it is gone
        return _with_sentences(media, folder) if written_in == 1 else media
    except StorageError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            raise _not_found(folder.name) from error
        raise
    except ValueError as error:
        raise StorageError(
            f"{file} cannot be used: {error}. Read the video again, "
            f"or take it away with: python -m pipeline remove {folder.name}"
        ) from error


@lru_cache(maxsize=4096)
def _parse(file: Path, _version: tuple[int, int, int]) -> tuple[Media, int]:
    """What record.parse says; read once for each version of the file, since every question asks for all of them."""
    return record.parse(file.read_bytes())


def _with_sentences(media: Media, folder: Path) -> Media:
    """A media of format 1, its speech cut anew from its transcript; as it is where that is missing or not whole."""
    words = [p for p in media.passages if p.kind in SPOKEN]
    try:
        said = subtitles.read(folder / "transcript.vtt").segments
    except SourceError:
        return media
    until = max((end for _, end, _ in said), default=0.0) + 0.01  # s, its times are rounded
    if not words or until < max(p.end for p in words):
        return media
    others = [p for p in media.passages if p.kind not in SPOKEN]
    sentences = passages.cut(said, words[0].kind)
    return replace(media, passages=tuple(sorted([*sentences, *others], key=lambda p: (p.start, p.kind))))


def media_folders(data_dir: Path) -> list[Path]:
    """The folders of all media that can be asked about, newest first, damaged or not. Raises StorageError."""
    found = []
    with storage_errors(data_dir):
        for folder in data_dir.iterdir() if data_dir.exists() else ():
            if record.ID.fullmatch(folder.name):
                try:
                    found.append(((folder / RECORD).stat().st_mtime_ns, folder))
                except (FileNotFoundError, NotADirectoryError):
                    continue  # not a media, or removed just now by another process
    return [folder for _, folder in sorted(found, reverse=True)]


def locate(data_dir: Path, start: str) -> Path:
    """The folder of the media whose id is `start`, or begins with it. Raises MediaNotFound, StorageError."""
    if record.ID.fullmatch(start) and (data_dir / start / RECORD).exists():
        return data_dir / start  # the usual case needs no list
    found = [folder for folder in media_folders(data_dir) if start and folder.name.startswith(start)]
    if len(found) > 1:
        raise MediaNotFound(f"{len(found)} videos have an id that starts with {start!r}. Give more of it.")
    if not found:
        raise _not_found(start)
    return found[0]


def list_media(data_dir: Path) -> tuple[list[Media], list[str]]:
    """(every media that can be loaded, newest first; a line for each that cannot). Raises StorageError."""
    media, problems = [], []
    for folder in media_folders(data_dir):
        try:
            one = load(folder)
            if one.id != folder.name:
                raise StorageError(f"{folder / RECORD} belongs to another video, {one.id}. Delete {folder}.")
            media.append(one)
        except MediaNotFound:
            continue  # removed just now by another process
        except StorageError as error:
            problems.append(str(error))
    return media, problems


def install(staging: Path, data_dir: Path, media_id: str) -> Path:
    """Put a folder that was read in the place of the one with this id, if there is one. Raises StorageError.

    Killed between the two renames, it leaves the old folder for sweep to put back.
    """
    target = data_dir / media_id
    with storage_errors(target):
        installed = False
        while not installed:
            _take_along(target, staging)
            old = _move_away(target, "old")
            try:
                os.rename(staging, target)
                installed = True
            except OSError as error:
                # Not empty: another process installed the same media just now, and the last one stays.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    if old:
                        os.rename(old, target)
                    raise
            if old:
                shutil.rmtree(old, ignore_errors=True)  # what cannot be deleted is tried again by sweep
        sync(data_dir)
    return target


def _take_along(old: Path, new: Path) -> None:
    """What people said about a media is no part of what was read of it, and stays."""
    for kept in [*old.glob("chat*.json"), *old.glob("chat-pictures/*.jpg")]:
        target = new / kept.relative_to(old)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(kept, target)


def remove(data_dir: Path, media_id: str) -> None:
    """Remove a media, and its file if it was uploaded: at once from every list, then from the disk.

    Raises MediaNotFound, StorageError.
    """
    if not record.ID.fullmatch(media_id):
        raise _not_found(media_id)
    folder = data_dir / media_id
    with storage_errors(folder):
        trash = _move_away(folder, "trash")
        if not trash:
            raise _not_found(media_id)
        anew = _move_away(staging(data_dir, media_id), "trash")  # who reads it anew finds that it is gone
        sync(data_dir)
        for one in filter(None, (trash, anew)):
            shutil.rmtree(one)
    uploads.remove(data_dir, media_id)


def sweep(data_dir: Path) -> None:
    """Delete what processes that are gone left behind, put back what one was about to replace. Raises StorageError.

    What was begun is kept for a week, as long as its source is there.
    """
    with storage_errors(data_dir):
        for path in list(data_dir.iterdir()) if data_dir.exists() else ():
            left = _LEFT_OVER.fullmatch(path.name)
            is_new = record.ID.fullmatch(path.name) and path.is_dir() and not (path / RECORD).exists()
            if is_new or (left and not left["pid"]):
                if not is_held(path) and not _is_waiting(path):
                    shutil.rmtree(path, ignore_errors=True)
                continue
            if not left or is_alive(int(left["pid"])):
                continue
            home = data_dir / left["id"]
            if left["what"] == "old" and not home.exists():
                os.rename(path, home)
            else:
                shutil.rmtree(path, ignore_errors=True)
    uploads.sweep(data_dir)


def _is_waiting(folder: Path) -> bool:
    """Whether what was begun in a folder may be gone on with."""
    begun = _begun(folder)
    if begun is None or not os.path.exists(begun["source"]):
        return False
    return time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < FORGOTTEN


def _move_away(folder: Path, what: str) -> Path | None:
    """Rename a folder so that it is in no list. None when it is not there."""
    media_id = folder.name.removeprefix(".reading-")
    hidden = folder.with_name(f".{what}-{media_id}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        os.rename(folder, hidden)
    except FileNotFoundError:
        return None
    return hidden


def _not_found(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"No video has the id {media_id!r}. `python -m pipeline list` shows the ids.")
