"""What a person typed or pasted as a path -> the path of a file or folder on this machine.

In: text as terminals, file managers, browsers and word processors give it. Out: an absolute path. Whether it may be
opened is checked in source.py. Opens nothing, and follows no address.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from pipeline.errors import SourceError

LAYERS = 8  # of quotes that are taken off
SHOWN = 1000  # characters of what was pasted that an error repeats
QUOTES = "\"'`“”„‟‘’‚‛«»‹›<>"

# Spaces of any kind, and the invisible marks that copying from a page or a Windows dialog leaves around a path.
_SPACE = r"[\s\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+"
_AROUND = re.compile(rf"\A{_SPACE}|{_SPACE}\Z")
_FILE_URL = re.compile(r"file:(?:/(?!/)|//(?:localhost|127\.0\.0\.1)?/)(.*)", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)(.+)", re.DOTALL)
_DRIVE = re.compile(r"/?([A-Za-z]):[\\/](.*)", re.DOTALL)  # C:\Users\me, and in a file URL /C:/Users/me
_WSL = re.compile(r"[\\/]{2}wsl(?:\$|\.localhost)[\\/][^\\/]+([\\/].*)", re.IGNORECASE | re.DOTALL)


def to_path(given: str | Path, folders: Iterable[Path] = ()) -> Path:
    """The absolute path of the file or folder that is meant. One that is there need not be one that may be opened.

    given: text is read in every way that it may be meant, and the first reading that is there wins, the text itself
    before all others; a Path is taken as it is, but for ~. folders: where a relative path is looked for, after the
    current folder.
    Raises SourceError, saying what to give instead, for an empty text, an address, a path of Windows, and a relative
    path that is nowhere. Any other path is returned though it is not there.
    """
    text = os.fspath(given)
    *_, bare = layers = _layers(text)
    unquoted = bare.strip(QUOTES)
    if not unquoted:
        raise SourceError("There is no path. Give the path of a video, such as /home/me/talk.mp4.")
    readings = [text]
    if not isinstance(given, Path):
        layers.append(unquoted)  # where one of two quotes is missing
        readings = [*layers, *(form for one in layers for form in _forms(one))]
    paths = dict.fromkeys(path for one in readings for path in (Path(one), _in_home(one)))
    nearby = (Path(folder, one) for folder in folders for one in paths if not one.is_absolute())
    for path in (*paths, *nearby):
        if os.path.exists(path):
            return path.absolute()
    if bare[0] in QUOTES:
        bare = unquoted
    _refuse_address(bare)
    if isinstance(given, Path):
        return _in_home(text).absolute()
    meant = _in_home(_of_url(bare) or bare)
    if not meant.is_absolute():
        raise SourceError(
            f"There is no file {_short(bare)} in {Path.cwd()}, nor beside a video of the library. "
            "Give its whole path, such as /home/me/talk.mp4."
        )
    return meant


def _layers(text: str) -> list[str]:
    """The text, and what is left of it each time spaces, or quotes at both ends, are taken off."""
    layers = [text]
    for _ in range(LAYERS):
        layers.append(_AROUND.sub("", layers[-1]))
        if len(layers[-1]) < 2 or layers[-1][0] not in QUOTES or layers[-1][-1] not in QUOTES:
            break
        layers.append(layers[-1][1:-1])
    return layers


def _of_url(text: str) -> str:
    """The path in a file URL of this machine; "" where it is none."""
    url = _FILE_URL.fullmatch(text)
    return "/" + unquote(url[1], errors="surrogateescape") if url else ""


def _forms(text: str) -> Iterator[str]:
    """What else a text may stand for: escaped, percent-encoded, shown by the page, a file URL, a path of Windows."""
    yield re.sub(r"\\(.)", r"\1", text.replace("'\\''", "'"))
    yield unquote(text, errors="surrogateescape")
    yield text.replace("\u2060", "")  # which the page puts into the names that it shows, lest they become links
    if url := _FILE_URL.fullmatch(text):
        yield f"/{url[1]}"  # not encoded
        yield _of_url(text)
    yield from filter(None, (_in_wsl(text), _in_wsl(_of_url(text) or unquote(text))))


def _in_wsl(text: str) -> str:
    """Where WSL has a file that Windows names so; "" where it names none so."""
    if drive := _DRIVE.fullmatch(text):
        return f"/mnt/{drive[1].lower()}/" + drive[2].replace("\\", "/")
    if inside := _WSL.fullmatch(text):
        return inside[1].replace("\\", "/")
    return ""


def _refuse_address(text: str) -> None:
    """Raise SourceError for what can be no path on this machine, with what to give instead."""
    if there := _in_wsl(_of_url(text) or text):
        raise SourceError(
            f"{_short(text)} is a Windows path, and the file that it would be in WSL, {_short(there)}, is not there. "
            "In WSL check the path: C:\\Users\\me is /mnt/c/Users/me. Elsewhere copy the file to this machine and give "
            "its path here."
        )
    if text.startswith("\\\\"):
        raise SourceError(
            f"{_short(text)} is a folder that Windows shares on a network. Copy the file to this machine, or mount the "
            "folder, and give the path that the file has here."
        )
    if _of_url(text) or not (address := _ADDRESS.fullmatch(text)):
        return
    scheme = address[1].lower()
    whole = text if address[2] else f"{address[1]}://{address[3]}"  # a Path keeps one of the two slashes
    if scheme in ("http", "https"):
        raise SourceError(
            f"{_short(whole)} is a web address, and only files on this machine are read. Download the video, in a "
            "browser or with a program such as yt-dlp, then give the path of the file."
        )
    raise SourceError(
        f"{_short(whole)} is an address ({scheme}), and only files on this machine are read. Save the video on this "
        "machine, or mount the folder that it is in, then give the path of the file."
    )


def _in_home(text: str) -> Path:
    with suppress(RuntimeError):  # "~talk.mp4" is a file, and nobody's home
        return Path(text).expanduser()
    return Path(text)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
