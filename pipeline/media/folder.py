"""The media folders, which are the library: save, load, list and remove one whole or not at all.

    <data folder>/<id>/                     one media; it counts from the moment media.json is there
        media.json                          all that was read
        transcript.vtt, transcript.txt      what is said, for players and people
        begun.json                          from what it is read, and how; until it has been read to its end
        frames/, vectors/, *.jsonl          written by others
    <data folder>/.reading-<id>/            the same, being read anew
    <data folder>/.old-<id>-<n>             being replaced
    <data folder>/.trash-<id>-<n>           being removed: gone from every list; what else there is of it goes first

Who reads into a folder holds it (disk.hold). What was begun and is held by nobody waits to be gone on with.
In: Media values and the data folder. Out: the same values, whenever and by whichever process they are asked for.
Knows not how a source is read, nor what a vector is.
"""

import errno
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pipeline import disk, part_status
from pipeline.disk import copy_whole, delete, hold, is_held, storage_errors, sync, write_whole
from pipeline.errors import BeingRead, MediaNotFound, SourceError, StorageError
from pipeline.media import passages, record, subtitles, uploads
from pipeline.times import stamp
from pipeline.types import SPOKEN, Media

RECORD, BEGUN = record.FILE, "begun.json"
LOADED = 128  # media that stay in memory, about half a MB for an hour
FORGOTTEN = 7 * 24 * 3600  # s after which what was begun is no longer waited for

log = logging.getLogger(__name__)

_LEFT_OVER = re.compile(r"\.(?P<what>reading|old|trash)-(?P<id>[0-9a-f]{32})(?:-[0-9a-f]+)*")


def staging(data_dir: Path, media_id: str) -> Path:
    """Where a source is read anew, while what was read before is still in use; it is in no list."""
    return data_dir / f".reading-{media_id}"


def begin(folder: Path, source: Path, how: str) -> None:
    """Make a folder, which is held, ready for a reading: as it is where one broke off that was begun alike, else empty.

    `how`: what the pictures depend on. Raises StorageError.
    """
    with storage_errors(folder):
        if (_begun(folder) or {}).get("how") != how:
            end(folder)  # first: killed from here on, nothing is gone on with that has holes
            for path in list(folder.iterdir()):
                delete(path) if path.is_dir() else path.unlink(missing_ok=True)
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
    disk.tell(folder.parent)


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
    with record_errors(file), storage_errors(file):
        facts = file.stat()
        media, written_in = _parse(file, (facts.st_mtime_ns, facts.st_size, facts.st_ino))
    if part_status.is_under_way(media) and not is_held(folder):
        media = part_status.at_rest(media)  # who read it is gone
    return _with_sentences(media, folder) if written_in == 1 else media


@contextmanager
def record_errors(file: Path) -> Iterator[None]:
    """Say of a media.json that it is not there (MediaNotFound), or that it cannot be used and what to do."""
    try:
        yield
    except StorageError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            raise _not_found(file.parent.name) from error
        raise
    except ValueError as error:
        raise StorageError(
            f"{file} cannot be used: {error}. Read the video again, "
            f"or take it away with: python -m pipeline remove {file.parent.name}"
        ) from error


@lru_cache(maxsize=LOADED)
def _parse(file: Path, _version: tuple[int, int, int]) -> tuple[Media, int]:
    """What record.parse says; read once for each version of the file, as long as it is among the last ones used."""
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


def require(data_dir: Path) -> None:
    """StorageError where the library is gone, which was there when the app began: an empty one would be a lie."""
    if not data_dir.is_dir():
        raise StorageError(
            f"The data folder {data_dir} is gone. Put it back, or connect its disk: nothing else needs to be done."
        )


def media_folders(data_dir: Path) -> list[Path]:
    """The folders of all media that can be asked about, newest first, damaged or not. Raises StorageError."""
    found = []
    require(data_dir)
    with storage_errors(data_dir):
        for folder in data_dir.iterdir():
            if record.ID.fullmatch(folder.name):
                try:
                    found.append(((folder / RECORD).stat().st_mtime_ns, folder))
                except (FileNotFoundError, NotADirectoryError):
                    continue  # not a media, or removed just now by another process
                except OSError:  # to load it says why; it hides no other
                    found.append((0, folder))
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
                if old:
                    _take_along(old, staging)  # what was said meanwhile
                os.rename(staging, target)
                installed = True
            except (OSError, StorageError) as error:
                # Not empty: another process installed the same media just now, and the last one stays.
                if getattr(error, "errno", None) not in (errno.ENOTEMPTY, errno.EEXIST):
                    if old:
                        os.rename(old, target)
                    raise
            if old:
                with suppress(StorageError):  # what cannot be deleted is tried again by sweep
                    delete(old)
        sync(data_dir)
    return target


def _take_along(old: Path, new: Path) -> None:
    """What people said about a media is no part of what was read of it, and stays."""
    for kept in [*old.glob("chat*.json"), *old.glob("chat-pictures*/[!.]*.jpg")]:
        copy = new / kept.relative_to(old)
        if copy.exists() and copy.stat().st_mtime_ns >= kept.stat().st_mtime_ns:
            continue
        copy.parent.mkdir(exist_ok=True)
        copy_whole(kept, copy)


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
        sync(data_dir)
        _empty(trash, media_id)


def _empty(trash: Path, media_id: str) -> None:
    """Delete what there still is of a media that was removed; its trash last, which tells that this is to be done."""
    data_dir = trash.parent
    if not (data_dir / media_id).exists():  # else it was read once more
        for left in [staging(data_dir, media_id), *data_dir.glob(f".old-{media_id}-*")]:
            if moved := _move_away(left, "trash"):  # at once: who reads it anew finds that it is gone
                delete(moved)
        uploads.remove(data_dir, media_id)
    delete(trash)


def sweep(data_dir: Path) -> None:
    """Delete what processes that are gone left behind, put back what one was about to replace. Raises StorageError.

    What was begun is kept for a week, as long as its source is there. Any number of processes may do so at a time.
    """
    with storage_errors(data_dir):
        for path in sorted(data_dir.iterdir(), key=lambda path: not path.name.startswith(".trash-")):
            left = _LEFT_OVER.fullmatch(path.name)
            home = data_dir / (left["id"] if left else path.name)
            if left and left["what"] == "trash":
                with suppress(StorageError):  # what cannot be deleted is tried again the next time
                    _empty(path, left["id"])
            elif left and left["what"] == "old":
                if home.exists():
                    with suppress(StorageError):
                        delete(path)
                elif not list(data_dir.glob(f".trash-{home.name}-*")):  # else it is being removed just now
                    try:
                        os.rename(path, home)
                    except FileNotFoundError:
                        continue  # whose it is has just deleted it
                    except OSError as error:  # a disk that is read-only; it hides no other
                        log.warning("%s was not put back to %s: %s", path, home, error)
            elif left or (record.ID.fullmatch(path.name) and path.is_dir()):
                _sweep_one(path, home)
    with suppress(StorageError):
        disk.sweep(data_dir)
        uploads.sweep(data_dir)


def _sweep_one(folder: Path, home: Path) -> None:
    """Delete a folder that nobody reads into, unless it is a media or can become one; else what is half in it."""
    with suppress(BeingRead, StorageError), hold(folder, patience=0), storage_errors(folder):
        is_media, is_begun = (home / RECORD).exists(), (folder / BEGUN).exists()
        may_become_one = is_begun and _is_waiting(folder)
        if not (is_media or may_become_one if folder == home else is_media and may_become_one):
            delete(folder)
            return
        for inside in os.scandir(folder):
            # Frames, which are many, are written by readings alone.
            if inside.is_dir() and (is_begun or inside.name != "frames"):
                disk.sweep(Path(inside.path))
        disk.sweep(folder)


def _is_waiting(folder: Path) -> bool:
    """Whether what was begun in a folder may be gone on with."""
    begun = _begun(folder)
    if begun is None or not os.path.exists(begun["source"]):
        return False
    return time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < FORGOTTEN


def broken_off(data_dir: Path) -> list[tuple[Path, bool, str]]:
    """Each reading that was begun and is gone on with by nobody: (source, whether it was read anew, id or "").

    The id where there is something to ask about. Without those that were put off. Raises StorageError.
    """
    found = []
    for folder, begun in _all_begun(data_dir):
        home = data_dir / folder.name.removeprefix(".reading-")
        if "put_off" not in begun and not is_held(folder) and os.path.exists(begun["source"]):
            media_id = home.name if (home / RECORD).exists() else ""
            found.append((Path(begun["source"]), folder != home, media_id))
    return found


def put_off(data_dir: Path, source: Path) -> None:
    """Someone took note that the reading of a source broke off: it is gone on with only when it is read again.

    Raises StorageError.
    """
    for folder, begun in _all_begun(data_dir):
        if begun["source"] == str(source) and not is_held(folder):
            write_whole(folder / BEGUN, json.dumps(begun | {"put_off": True}))


def _all_begun(data_dir: Path) -> list[tuple[Path, dict]]:
    with storage_errors(data_dir):
        every = [(folder, _LEFT_OVER.fullmatch(folder.name)) for folder in sorted(data_dir.iterdir())]
    folders = [
        folder for folder, left in every if record.ID.fullmatch(folder.name) or (left and left["what"] == "reading")
    ]
    return [(folder, begun) for folder in folders if (begun := _begun(folder))]


def _move_away(folder: Path, what: str) -> Path | None:
    """Rename a folder so that it is in no list. None when it is not there."""
    left = _LEFT_OVER.fullmatch(folder.name)
    hidden = folder.with_name(f".{what}-{left['id'] if left else folder.name}-{secrets.token_hex(6)}")
    try:
        os.rename(folder, hidden)
    except FileNotFoundError:
        return None
    return hidden


def _not_found(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"No video has the id {media_id!r}. `python -m pipeline list` shows the ids.")
