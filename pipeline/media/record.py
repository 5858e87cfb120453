"""Media <-> the text of media.json.

In: a Media, or text that may be anything. Out: the other. Format 1 is read too: it had no chapters and no captions,
and its passages of speech are half a minute long and overlap. Knows neither files nor folders.
"""

import json
import math
import re
from dataclasses import asdict, replace
from typing import Any

from pipeline.types import Chapter, Coverage, Frame, Listed, Media, Passage

FILE = "media.json"  # its name in a media folder
FORMAT = 2
_READABLE = (1, FORMAT)  # another number is refused, not guessed at
ID = re.compile(r"[0-9a-f]{32}")

_IMAGE = re.compile(r"frames/[A-Za-z0-9_-][A-Za-z0-9._-]*")  # never leads out of the media folder
_KIND = re.compile("speech|subtitle|screen|caption|doubtful")
_STATE = re.compile("read|reading|partly|absent|off|doubtful")
_REST = b'\n "chapters": ['  # of a record as dump writes it: no text in it can hold a line of its own
_ANY = re.compile(r"[\s\S]*")


def dump(media: Media) -> str:
    """The text of media.json: first what lists show of it, in a few lines, then all that was read."""
    facts = asdict(replace(media, coverage=dict(media.coverage)))
    cover = [asdict(one) for one in listed(media).frames]
    head = {key: facts.pop(key) for key in ("id", "title", "source", "unit", "length", "language", "coverage")}
    return json.dumps({"format": FORMAT} | head | {"cover": cover} | facts, indent=1, allow_nan=False)


def listed(media: Media) -> Listed:
    """What lists show of a media."""
    cover = media.frames[len(media.frames) // 3 :][:1]
    return Listed(
        media.id, media.title, media.source, media.unit, media.length, media.language, cover, dict(media.coverage)
    )


def glance(text: bytes) -> Listed | None:
    """What the first lines of a record say; None where they do not hold all that lists show."""
    head, found, _ = text.partition(_REST)
    if not found:
        return None
    try:
        record = json.loads(head.rstrip().removesuffix(b",") + b"}")
        if record["format"] != FORMAT:
            return None
        return Listed(frames=_frames(record["cover"]), coverage=_coverage(record["coverage"]), **_facts(record))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # all of it is read, and says what is wrong


def parse(text: str | bytes) -> tuple[Media, int]:
    """(the media that dump wrote, every value checked; the format it has). Raises ValueError for anything else."""
    try:
        record = json.loads(text)
        return _media(record), record["format"]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _media(record: dict) -> Media:
    if record["format"] not in _READABLE:
        raise ValueError(f"it has format {record['format']}, and this version reads format {FORMAT}")
    if record["format"] == 1:
        record |= {"chapters": [], "passages": [passage | {"image": ""} for passage in record["passages"]]}
    return Media(
        **_facts(record),
        frames=_frames(record["frames"]),
        passages=tuple(
            Passage(
                _number(p["start"]),
                _number(p["end"]),
                _text(p["text"]),
                _text(p["kind"], _KIND),
                _text(p["image"], _IMAGE) if p["image"] else "",
            )
            for p in record["passages"]
        ),
        chapters=tuple(Chapter(_number(c["start"]), _number(c["end"]), _text(c["title"])) for c in record["chapters"]),
        coverage=_coverage(record["coverage"]),
    )


def _facts(record: dict) -> dict[str, Any]:
    return {
        "id": _text(record["id"], ID),
        "title": _text(record["title"]),
        "source": _text(record["source"]),
        "unit": _text(record["unit"]),
        "length": _number(record["length"]),
        "language": _text(record["language"]),
    }


def _frames(frames: list[dict]) -> tuple[Frame, ...]:
    return tuple(Frame(_number(f["start"]), _number(f["end"]), _text(f["image"], _IMAGE)) for f in frames)


def _coverage(coverage: dict) -> dict[str, Coverage]:
    return {
        part: Coverage(
            _text(c["state"], _STATE), _text(c["by"]), _text(c["note"]), _time(c.get("until")), c.get("lost") is True
        )
        for part, c in coverage.items()
    }


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _time(value: object) -> float | None:
    return None if value is None else _number(value)


def _text(value: object, form: re.Pattern = _ANY) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(f"{value!r} cannot stand there")
    return value
