"""Subtitle files (.srt, .vtt), beside a video or alone -> timed words; timed words -> WebVTT.

In: a path. Out: segments, a language and notes on what could not be read. Knows neither videos nor passages.
The parser is ours because files from the wild are damaged: pysubs2 glues WebVTT's notes to the words before them
and takes a last line "1984" for a caption's number, webvtt-py refuses a file for one bad line.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.media.language import KINDS, TAG, language_of
from pipeline.media.passages import Segment
from pipeline.media.source import USUAL, require_allowed
from pipeline.settings import Limits

LARGEST = 5_000_000  # bytes; a day of subtitles takes about 2 MB
MOST = 50_000  # captions; a day has half as many
LONGEST = 5_000  # letters of one caption
TELLING = 200_000  # bytes that tell an encoding
BROKEN = "\ufffd"  # stands for bytes that are no letter
LATEST = 100 * 3600.0  # s; a later time is a fault

_TIME = r"(-?)(?:(\d{1,9}):)?(\d{1,3}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-{{1,3}}>\s*{_TIME}(?:\s.*)?$")
_NUMBER = re.compile(r"\s*\d{1,9}\s*")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|<\d[\d:.]{0,20}>|\{\\[^{}\n]{0,200}\}")  # <i> <c.red> <0:01.5> {\an8}
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SUFFIXES = (".vtt", ".srt")


@dataclass(frozen=True)
class Subtitles:
    """What a subtitle file holds."""

    segments: tuple[Segment, ...]  # in the order of the file; line breaks kept
    language: str  # ISO 639-1 from the file's name or its header, "" when they say none
    notes: tuple[str, ...]  # what could not be read, one plain sentence each


def find_beside(video: Path) -> list[Path]:
    """The subtitle files of a video, best first: talk.vtt, talk.srt, talk.en.vtt, talk.de.srt; forced ones last.

    Raises SourceError when the folder cannot be listed.
    """
    try:
        found = [path for path in video.parent.iterdir() if _tags(path, video) is not None and path.is_file()]
    except OSError as error:
        raise SourceError(f"The folder of {video.name} cannot be searched for subtitles: {error.strerror}.") from error

    def rank(path: Path) -> tuple:
        tags = _tags(path, video)
        return (
            "forced" in tags,
            bool(tags) and language_of(tags) != "en",
            len(tags),
            _SUFFIXES.index(_suffix(path)),
            path.name,
        )

    return sorted(found, key=rank)


def is_subtitles(path: Path) -> bool:
    """Whether a file is named as subtitles are: talk.srt, TALK.VTT."""
    return _suffix(path) in _SUFFIXES


def stem(path: Path) -> str:
    """The name without what follows the title: "talk" for talk.en.sdh.srt."""
    name, *tags = path.stem.split(".")
    while tags and tags[-1].lower() in KINDS:
        tags.pop()
    if tags and language_of(tags[-1:]):
        tags.pop()
    return ".".join([name, *tags])


def read(path: Path, limits: Limits = USUAL) -> Subtitles:
    """Read a .srt or .vtt file, as far as it can be read; the notes say what could not.

    Raises SourceError when it is missing, no regular file, too large or not allowed to be read.
    """
    try:
        if not path.is_file():
            raise SourceError(f"{path} is no file. Give a .srt or .vtt file.")
        require_allowed(path, limits)
        if path.stat().st_size > LARGEST:
            raise SourceError(
                f"{path.name} is larger than {LARGEST // 1_000_000} MB, which no subtitles are. Check what it is."
            )
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    text, notes = _decode(data, path.name)
    is_vtt = _suffix(path) == ".vtt" or text.lstrip().startswith("WEBVTT")
    cues, lost = _cues(re.split(r"\r\n|\r|\n", text), is_vtt)
    sound = [(start, end, words) for start, end, words in cues if 0 <= start <= end < LATEST]
    segments = tuple((start, end, words[:LONGEST]) for start, end, words in sound[:MOST] if words)
    if len(cues) > MOST:
        notes.append(f"{path.name} holds more than {MOST:,} captions; only the first were read.")
    if cut := sum(len(words) > LONGEST for _, _, words in sound):
        notes.append(f"{path.name}: {cut} caption{'s' * (cut > 1)} of more than {LONGEST:,} letters cut short.")
    lost += len(cues) - len(sound)
    if lost:
        notes.append(f"{path.name}: {lost} caption{'s' * (lost > 1)} without a possible time left out.")
    said = re.search(r"^Language: *([A-Za-z-]+)", text[:500], re.MULTILINE) if is_vtt else None
    language = language_of(path.stem.split(".")[1:]) or language_of([said[1]] if said else [])
    return Subtitles(segments, language, tuple(notes))


def vtt(segments: Iterable[Segment]) -> str:
    """The text of a WebVTT file. Source of the format: https://www.w3.org/TR/webvtt1/"""
    blocks = ["WEBVTT\n"]
    for start, end, text in segments:
        words = html.escape("\n".join(line for line in text.splitlines() if line.strip()), quote=False)
        blocks.append(f"{_clock(start)} --> {_clock(max(end, start + 0.001))}\n{words}\n")
    return "\n".join(blocks)


def srt(segments: Iterable[Segment]) -> str:
    """The text of a SubRip file."""
    blocks = []
    for number, (start, end, text) in enumerate(segments, 1):
        words = "\n".join(line for line in text.splitlines() if line.strip())
        span = f"{_clock(start)} --> {_clock(max(end, start + 0.001))}".replace(".", ",")
        blocks.append(f"{number}\n{span}\n{words}\n")
    return "\n".join(blocks)


def _cues(lines: list[str], is_vtt: bool) -> tuple[list[Segment], int]:
    """(captions, how many more have no readable time). Texts may be empty, times impossible."""
    cues: list[tuple[float, float, list[str]]] = []
    number = lost = 0  # number: what the current caption is called, or should be
    text: list[str] | None = None  # the lines of the current caption
    for block in _blocks(lines, is_vtt):
        timings = [(at, found) for at, line in enumerate(block) if (found := _TIMING.match(line))]
        if not timings:
            is_next = not is_vtt and block[0].strip() == str(number + 1)
            if any("-->" in line for line in block) or (is_next and len(block) > 1):
                number, lost, text = number + 1, lost + 1, None
            elif text is not None and not is_vtt and not is_next:
                text += block  # SubRip allows an empty line inside a caption; WebVTT has notes and styles there
            continue
        head = block[: timings[0][0]]
        number = int(head.pop()) if head and _NUMBER.fullmatch(head[-1]) else number + 1
        if text is not None and not is_vtt:
            text += head
        stops = [at for at, _ in timings[1:]] + [len(block)]
        for (at, timing), stop in zip(timings, stops, strict=True):
            text = block[at + 1 : stop]
            if stop < len(block):  # the empty line between two captions is missing
                number += 1
                if text and text[-1].strip() == str(number):
                    text.pop()
            fields = timing.groups()
            cues.append((_seconds(*fields[:5]), _seconds(*fields[5:]), text))
        if len(cues) > MOST:
            break
    return [(start, end, _words(text)) for start, end, text in cues], lost


def _blocks(lines: list[str], is_vtt: bool) -> Iterator[list[str]]:
    """Lines between empty ones. In WebVTT a line of spaces is not empty: captions of live speech begin with one."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line if is_vtt else line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _seconds(sign: str, hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    value = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")
    return round(-value if sign else value, 3)


def _words(lines: list[str]) -> str:
    text = _INVISIBLE.sub("", html.unescape(_TAG.sub("", "\n".join(lines)))).replace("\xa0", " ")
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


def _decode(data: bytes, name: str) -> tuple[str, list[str]]:
    """(text, notes). UTF-8 and UTF-16 by what they are; else the likeliest older encoding, which is said."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, encoding = data.decode("utf-16", "replace"), "UTF-16"
    elif b"\x00" in data[:200]:  # no letter of a subtitle is a zero byte, in any other encoding
        encoding = "utf-16-le" if data[1:200:2].count(0) >= data[:200:2].count(0) else "utf-16-be"
        text, encoding = data.decode(encoding, "replace"), "UTF-16"
    else:
        text, encoding = data.decode("utf-8-sig", "replace"), "UTF-8"
        if (broken := text.count(BROKEN)) and broken > sum(ord(c) > 127 for c in text) - broken:
            from charset_normalizer import from_bytes

            # Of the readings that make equal sense, the one that is most like a language.
            guess = min(from_bytes(data[:TELLING]), key=lambda m: (m.chaos, -m.coherence), default=None)
            if guess:
                return data.decode(guess.encoding, "replace"), [
                    f"{name} is not UTF-8; it was read as {guess.encoding}, so some letters may be wrong."
                ]
    if broken := text.count(BROKEN):
        return text, [f"{name} is damaged: {broken} letters could not be read as {encoding} and show as {BROKEN}."]
    return text, []


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _tags(path: Path, video: Path) -> list[str] | None:
    """What stands between the name of the video and .srt or .vtt, such as ["en", "sdh"]; None when not beside it."""
    if not is_subtitles(path):
        return None
    if path.stem == video.stem:
        return []
    if not path.stem.startswith(f"{video.stem}."):
        return None
    tags = path.stem[len(video.stem) + 1 :].lower().split(".")
    known = all(tag in KINDS or TAG.fullmatch(tag) for tag in tags)
    return tags if known and len(tags) <= 3 else None  # "talk.part2.srt" belongs to talk.part2.mp4


def _clock(seconds: float) -> str:
    """hh:mm:ss.mmm"""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
