"""Questions files -> questions whose answers are known, about media of the library.

In: JSON Lines (see HELP) and a Pipeline. Out: questions. Knows not what is done with them. What a file names is read
only into a library that holds nothing else, so that measuring never changes anybody's library.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.chat import intent
from pipeline.errors import MediaNotFound, SourceError
from pipeline.media.video import identify
from pipeline.metrics import Stretch
from pipeline.settings import Limits
from pipeline.types import Progress
from pipeline.workflow import Pipeline

HELP = """\
FILE is JSON Lines, one question a line:

  {"media": "3f2a", "question": "Who paid?", "start": 71.5, "end": 80}
  {"transcript": "talk.en.srt", "question": "Which threshold was used?"}

  media        id of a video in the library, the start of it, or a path
  transcript   instead of media: the path of an .srt or .vtt; paths are
               relative to FILE
  start, end   s, where the answer is; without both, the question cannot be
               answered from this media
  answer       the expected answer, for --answers
  kind         any label, by which the figures are grouped; else what the
               question asks for

Files that the library lacks are read into it only while it holds nothing else,
so give a collection a library of its own:

  DATA_DIR=FOLDER python -m pipeline evaluate FILE
"""
FIELDS = {"media": str, "transcript": str, "question": str, "start": float, "end": float, "answer": str, "kind": str}
ID = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True)
class Question:
    """One question and where its answer is."""

    text: str
    media: str  # id of the media it is asked of
    at: tuple[float, float] | None  # s, start and end of the answer; None: it cannot be answered from that media
    expected: str  # the answer in words, "" when not known
    kind: str

    @property
    def answer(self) -> Stretch | None:
        """Where the answer is."""
        return (self.media, *self.at) if self.at else None


def load(files: Sequence[Path], pipeline: Pipeline, report: Callable[[Progress], None]) -> list[Question]:
    """The questions of these files, in their order, whose media are in the library, read into it where they were not.

    Raises SourceError for a line that is no question (with its number), for a file that cannot be read, and when
    media would have to be read into a library that holds others; what Pipeline.read and index raise.
    """
    lines = [(f"{file.name}, line {number}", file, line) for file in files for number, line in _lines(file)]
    if not lines:
        raise SourceError(f"There are no questions in {' and '.join(file.name for file in files)}.")
    parsed = [(where, file, _parse(where, line)) for where, file, line in lines]
    library = {one.id for one in pipeline.list()[0]}
    ids: dict[tuple[Path, str], str] = {}  # by folder and what the line says
    paths: dict[str, Path] = {}  # by media id: the file it can be read from
    for where, file, fields in parsed:
        key = (file.parent, fields.get("media") or fields["transcript"])
        if key not in ids:
            ids[key] = _known(pipeline, fields.get("media", "")) or _identified(
                where, file.parent / key[1], pipeline.settings.limits, paths
            )
    _read(pipeline, {media: path for media, path in paths.items() if media not in library}, set(ids.values()), report)
    lengths = {media: pipeline.get(media).length for media in set(ids.values())}
    questions = []
    for where, file, fields in parsed:
        media = ids[file.parent, fields.get("media") or fields["transcript"]]
        if fields.get("start", 0.0) >= lengths[media]:
            raise SourceError(
                f"{where}: the answer starts after the end of the media, which is {lengths[media]:g} s long."
            )
        at = (fields["start"], fields["end"]) if "start" in fields else None
        kind = fields.get("kind") or intent.read(fields["question"]).kind
        questions.append(Question(fields["question"], media, at, fields.get("answer", ""), kind))
    return questions


def sample(questions: Sequence[Question], limit: int | None) -> Sequence[Question]:
    """At most `limit` of them, spread evenly."""
    if limit is None or limit >= len(questions):
        return questions
    return [questions[number * len(questions) // limit] for number in range(limit)]


def _lines(file: Path) -> list[tuple[int, str]]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SourceError(f"{file} cannot be read: {why}. Give a file of questions in JSON Lines.") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _parse(where: str, line: str) -> dict:
    """The fields of one question, times as floats, without those that are null."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} is not JSON: {error}. Write one object in each line.") from error
    if not isinstance(record, dict):
        raise SourceError(f"{where} is no JSON object. Write one in each line, with: {', '.join(FIELDS)}.")
    fields = {}
    for name, value in record.items():
        if name not in FIELDS:
            raise SourceError(f"{where}: {name!r} is not known. Give some of: {', '.join(FIELDS)}.")
        if value is None:
            continue
        if FIELDS[name] is str and not (isinstance(value, str) and value.strip()):
            raise SourceError(f"{where}: {name} is {value!r}. Give a text in quotes, or leave it out.")
        if FIELDS[name] is float and not (type(value) in (int, float) and math.isfinite(value) and value >= 0):
            raise SourceError(f"{where}: {name} is {value!r}. Give seconds, such as 71.5, or leave both times out.")
        fields[name] = FIELDS[name](value)
    if "question" not in fields:
        raise SourceError(f"{where}: there is no question.")
    if ("media" in fields) == ("transcript" in fields):
        raise SourceError(f"{where}: give either media or transcript.")
    if ("start" in fields) != ("end" in fields):
        raise SourceError(f"{where}: give both start and end, or neither for a question without an answer.")
    if "start" in fields and fields["end"] <= fields["start"]:
        raise SourceError(f"{where}: end is not after start.")
    return fields


def _known(pipeline: Pipeline, start: str) -> str | None:
    """The whole id of the media of the library whose id begins so."""
    try:
        return pipeline.get(start).id if ID.fullmatch(start) else None
    except MediaNotFound:
        return None


def _identified(where: str, path: Path, limits: Limits, paths: dict[str, Path]) -> str:
    """The id that the file has or will have in the library; kept in `paths`."""
    try:
        media = identify(path, limits)
    except SourceError as error:
        raise SourceError(f"{where}: {error}") from error
    paths.setdefault(media, path)
    return media


def _read(pipeline: Pipeline, missing: dict[str, Path], named: set[str], report: Callable[[Progress], None]) -> None:
    if not missing:
        return
    if others := [one for one in pipeline.list()[0] if one.id not in named]:
        raise SourceError(
            f"{next(iter(missing.values())).name} is not in the library {pipeline.settings.data_dir}, which holds "
            f"other videos, such as {others[0].title}. Ingest it there, or give these files a library of their own: "
            "DATA_DIR=FOLDER python -m pipeline evaluate FILE"
        )
    for number, path in enumerate(missing.values()):
        report(Progress("reading", number / len(missing), path.name))
        pipeline.read(path)
