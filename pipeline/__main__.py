"""The command line: python -m pipeline ingest | ask | search | list | show | remove | reindex | evaluate | doctor.

In: arguments. Out: words for a person, or JSON lines for a program (--json); progress on a terminal.
Exit codes: 0 done, 1 something failed (one line on standard error says what), 2 wrong usage, 130 Ctrl-C.
Knows no video and no model code.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from dotenv import load_dotenv

from pipeline import bench, build, estimate, evaluate, logs, part_status, questions, tables
from pipeline.chat.citations import cue
from pipeline.chat.lines import KINDS
from pipeline.chat.markup import UNSEEN, printable
from pipeline.doctor import check_all
from pipeline.errors import MediaNotFound, PipelineError
from pipeline.media import pasted
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, Evidence, Gap, Media, Moment, Progress
from pipeline.workflow import MOMENTS, Pipeline

MARKS = {"ok": "ok    ", "off": "off   ", "broken": "BROKEN"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    # transformers, whisper and Milvus speak on every start; a person reads our lines.
    logs.begin(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):  # a file name need not be valid Unicode
        stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    load_dotenv(Path(__file__).resolve().parents[1] / ".env")
    try:
        pipeline = build()
        try:
            return options.run(pipeline, options)
        finally:
            pipeline.close()
    except PipelineError as error:
        _say_error(error)
        return 1
    except KeyboardInterrupt:
        _say("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="Chat with your video.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str, as_json: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        if as_json:
            made.add_argument("--json", action="store_true", help="JSON lines for programs")
        return made

    ingest = command("ingest", _ingest, "read videos into the library")
    ingest.add_argument("paths", nargs="+", metavar="PATH")
    ingest.add_argument("--again", action="store_true", help="read anew what was read before")
    ask = command("ask", _ask, "ask one video a question")
    ask.add_argument("id", metavar="ID", help="the id of a video, or the start of it")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--limit", type=_count, default=MOMENTS, help="moments at most")
    search = command("search", _search, "find the moments that match, in one video or in all")
    search.add_argument("words", nargs="+", metavar="[ID] QUERY")
    search.add_argument("--limit", type=_count, default=MOMENTS, help="moments at most")
    command("list", _list, "the videos in the library")
    show = command("show", _show, "one video: what was read and what was not")
    show.add_argument("id", metavar="ID")
    remove = command("remove", _remove, "remove a video from the library; the original file stays", as_json=False)
    remove.add_argument("id", metavar="ID")
    command("reindex", _reindex, "make the index anew from the folders; nothing is read again", as_json=False)
    measure = command("evaluate", _evaluate, "measure what is found for questions whose answers are known")
    measure.formatter_class = argparse.RawDescriptionHelpFormatter
    measure.epilog = f"{questions.HELP}\n{evaluate.HELP}"
    measure.add_argument("files", nargs="+", type=Path, metavar="FILE")
    measure.add_argument("--limit", type=_positive, metavar="N", help="N questions, spread evenly over all of them")
    measure.add_argument("--settings", default="", metavar="NAME,NAME", help="these alone; see below")
    instead = measure.add_mutually_exclusive_group()
    instead.add_argument(
        "--curve", action="store_true", help="what each threshold would refuse, of the default setting"
    )
    instead.add_argument("--answers", action="store_true", help="let the model answer, and judge its answers")
    cost = command("bench", _bench, "measure what reading a video and asking about it costs, step by step")
    cost.formatter_class = argparse.RawDescriptionHelpFormatter
    cost.epilog = bench.HELP
    cost.add_argument("path", metavar="VIDEO")
    cost.add_argument("--steps", default="", metavar="NAME,NAME", help="these alone; see below")
    cost.add_argument(
        "--whole", action="store_true", help="no samples: all of the video by every way, which may take hours"
    )
    cost.add_argument("--repeat", type=_positive, default=1, metavar="N", help="the best of N times, in turn")
    command("doctor", _doctor, "check every part and say what to do next")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 100:
        raise argparse.ArgumentTypeError("give a number from 1 to 100")
    return number


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("give a number from 1 on")
    return number


def _ingest(pipeline: Pipeline, options: argparse.Namespace) -> int:
    failed = False
    for path in options.paths:
        with contextlib.suppress(PipelineError):  # reading it says the same
            _say_estimate(pipeline, path, options.again)
        with _ProgressLine() as line:
            try:
                media = pipeline.ingest(path, options.again, line.show)
                error = _one_line(part_status.why_lost(media))
            except KeyboardInterrupt:
                _say(f"stopped reading {path}. Run the same command to go on where it stopped.", file=sys.stderr)
                return 130
            except PipelineError as met:
                media, error = None, _one_line(met)
            pipeline.close()  # the page may answer while the next one is read
        failed = failed or bool(error)
        if options.json:
            _say_json(_ingested(path, media, error or None))
            continue
        if media:
            _say(_summary(media))
            _say_coverage(media)
        if error:
            _say_error(f"{path}: {error}")
    return int(failed)


def _say_estimate(pipeline: Pipeline, path: str, again: bool) -> None:
    expected = pipeline.estimate(path, again)
    if expected.steps:
        _note(f"{path}: {estimate.say(expected)}")


def _ask(pipeline: Pipeline, options: argparse.Namespace) -> int:
    reply = pipeline.ask(options.question, [options.id], limit=options.limit)
    fault = None
    try:
        for piece in reply:
            if not options.json:
                print(printable(piece), end="", flush=True)
    except PipelineError as error:
        fault = error
    if options.json:
        _say_json(
            _found(pipeline, reply.evidence)
            | {
                "answer": reply.text,
                "answered_by": reply.answered_by,
                "citations": [dataclasses.asdict(citation) for citation in reply.citations],
                "uncited": list(reply.uncited),
                "finish": reply.finish,
            }
        )
    else:
        print("\n")
        if not reply.evidence.near and reply.answered_by != "quotes":  # quotes say it themselves
            _say_lines(part_status.not_found(reply.evidence))
        _say(f"answered by {reply.answered_by}; found:")
        _say_moments(pipeline, reply.evidence.moments)
        _say_notes(reply.evidence)
        unsupported = [stamp(c.time) for c in reply.citations if not c.supported]
        if unsupported:
            _say(f"not in the evidence: {', '.join(unsupported)}")
        for sentence in reply.uncited:
            _say(f"without a time: {sentence}")
    if fault:
        raise fault
    return 0


def _search(pipeline: Pipeline, options: argparse.Namespace) -> int:
    first, *rest = options.words
    has_id = rest and _is_id(pipeline, first)
    evidence = pipeline.find(
        " ".join(rest if has_id else options.words), [first] if has_id else None, limit=options.limit
    )
    if options.json:
        _say_json(_found(pipeline, evidence))
    elif evidence.moments:
        if not evidence.near:
            _say_lines(part_status.not_found(evidence))
            _say(f"{part_status.nearest(evidence)}:")
        _say_moments(pipeline, evidence.moments)
        _say_notes(evidence)
    else:
        _say_lines(part_status.not_found(evidence))
    return 0


def _is_id(pipeline: Pipeline, word: str) -> bool:
    """Whether a word is meant as an id: it is one, or could be nothing else."""
    try:
        return bool(pipeline.folder(word))
    except MediaNotFound:
        return bool(re.fullmatch(r"[0-9a-f]{8,32}", word))


def _list(pipeline: Pipeline, options: argparse.Namespace) -> int:
    media, problems = pipeline.everything()
    for one in media:
        if options.json:
            _say_json(_ingested(one.source, one, None))
        else:
            _say(_summary(one))
    for problem in problems:
        _say(f"warning: {problem}", file=sys.stderr)
    for path, again, _ in pipeline.broken_off():
        command = f"python -m pipeline ingest{' --again' if again else ''} {shlex.quote(str(path))}"
        _note(f"reading {path.name} broke off; to go on where it stopped: {command}")
    if not media and not options.json:
        _say("No videos yet. `python -m pipeline ingest PATH` reads one.")
    return 0


def _show(pipeline: Pipeline, options: argparse.Namespace) -> int:
    media = pipeline.get(options.id)
    if options.json:
        _say_json(
            _ingested(media.source, media, None)
            | {
                "language": media.language,
                "folder": str(pipeline.folder(media.id)),
                "chapters": [dataclasses.asdict(chapter) for chapter in media.chapters],
            }
        )
        return 0
    _say(_summary(media))
    _say_coverage(media)
    _say(
        f"  source    {media.source}"
        + ("" if os.path.exists(media.source) else "  (no longer there: only playing needs it)")
    )
    _say(f"  folder    {pipeline.folder(media.id)}")
    for chapter in media.chapters:
        _say(f"  {stamp(chapter.start):>8}  {chapter.title}")
    return 0


def _remove(pipeline: Pipeline, options: argparse.Namespace) -> int:
    _say(f"removed {pipeline.remove(options.id)}")
    return 0


def _reindex(pipeline: Pipeline, options: argparse.Namespace) -> int:
    with _ProgressLine() as line:
        count, problems = pipeline.reindex(line.show)
    _say(f"indexed {count} videos")
    for problem in problems:
        _say_error(problem)
    return int(bool(problems))


def _evaluate(pipeline: Pipeline, options: argparse.Namespace) -> int:
    names = [name.strip() for name in options.settings.split(",") if name.strip()]
    evaluate.choose(names, ())  # a wrong name is said before anything is read
    with _ProgressLine() as line:
        every = questions.load(options.files, pipeline, line.show)
    asked = evaluate.with_expected(pipeline.settings, every) if options.answers else every
    chosen = questions.sample(asked, options.limit)
    if len(chosen) < len(asked):
        _note(f"a sample of {len(chosen):,} of {len(asked):,} questions, spread evenly")
    settings = evaluate.choose(names or (["default"] if options.curve else []), pipeline.everything()[0])
    for one in () if options.answers else settings:
        if one.equal:
            _note(f"here these equal {one.name}, for want of pictures or text on screen: {', '.join(one.equal)}")
    with _ProgressLine() as line:
        if options.answers:
            _note(evaluate.cost(pipeline, chosen))
            rows, table = evaluate.answers(pipeline, chosen, line.show, _note), tables.answers
        elif options.curve:
            rows, table = evaluate.refusals(pipeline, chosen, settings, line.show), tables.refusal
        else:
            rows, table = evaluate.measure(pipeline, chosen, settings, line.show), tables.retrieval
        found = []
        for row in rows:
            found.append(row)
            if options.json:  # at once: all of them may take long
                _say_json(dataclasses.asdict(row))
    for text in () if options.json else table(found):
        _say(text)
    return 0


def _bench(pipeline: Pipeline, options: argparse.Namespace) -> int:
    steps = bench.choose([name.strip() for name in options.steps.split(",") if name.strip()])
    path = pasted.to_path(options.path)
    found = []
    with _ProgressLine() as line:
        for row in bench.run(path, pipeline.settings, steps, options.whole, options.repeat, line.show):
            found.append(row)
            if options.json:  # at once: all of them may take long
                _say_json(dataclasses.asdict(row))
    for text in () if options.json else tables.costs(found):
        _say(text)
    return 0


def _doctor(pipeline: Pipeline, options: argparse.Namespace) -> int:
    checks = check_all(pipeline)
    for check in checks:
        if options.json:
            _say_json(dataclasses.asdict(check))
        else:
            _say(f"{MARKS[check.state]}  {check.part:<16} {check.found}")
            if check.next:
                _say(f"{'':<8}{'':<16} -> {check.next}")
    return int(any(check.state == "broken" for check in checks))


# -- what a person reads


def _say(line: str, file: TextIO | None = None) -> None:
    """One line. Titles, words and file names are of others: none of them speaks to the terminal."""
    print(re.sub(r"[\n\t]+", " ", printable(line)), file=file)


def _say_lines(lines: Sequence[str]) -> None:
    for line in lines:
        _say(line)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _note(text: str) -> None:
    _say(f"note: {_one_line(text)}", file=sys.stderr)


def _say_error(text: object) -> None:
    _say(f"error: {_one_line(text)}", file=sys.stderr)


def _summary(media: Media) -> str:
    return (
        f"{media.id}  {stamp(media.length):>8}  {media.title}  "
        f"({len(media.frames)} frames, {len(media.passages)} passages)"
    )


def _say_coverage(media: Media) -> None:
    for part, coverage in media.coverage.items():
        told = part_status.about(part, coverage)
        _say(f"  {part:<9} {coverage.state:<8} {' · '.join(filter(None, [coverage.by, told]))}")


def _say_moments(pipeline: Pipeline, moments: Sequence[Moment]) -> None:
    titles = {moment.media: pipeline.get(moment.media).title for moment in moments}
    for moment in moments:
        name = f"{moment.title} · {titles[moment.media]}" if moment.title else titles[moment.media]
        _say(f"  {stamp(cue(moment))}-{stamp(moment.end)}  {name}  ({'; '.join(moment.why)})")
        for passage in moment.passages:
            text = " ".join(passage.text.split())
            kind = KINDS[DOUBTFUL] if passage.kind == DOUBTFUL else passage.kind
            _say(f"      [{stamp(cue(passage))}] {kind}: {text[:160]}{'…' if len(text) > 160 else ''}")


def _say_notes(evidence: Evidence) -> None:
    for note in evidence.notes:
        _say(f"note: {note}")


class _ProgressLine:
    """One line on standard error that moves; nothing where that is no terminal."""

    def __enter__(self) -> "_ProgressLine":
        self._wide = 0
        self._said = ""  # of the cost of captions
        return self

    def show(self, progress: Progress) -> None:
        if progress.step == "index" and progress.note:  # the index is held elsewhere: worth a line of its own
            _say(f"note: {progress.note}", file=sys.stderr)
        elif progress.step == "captions" and progress.note != self._said:  # what it will cost, before it does
            self._said = progress.note
            _say(f"note: captions: {progress.note}", file=sys.stderr)
        elif sys.stderr.isatty():
            speed = f"{progress.speed:.3g} x real time, " if progress.speed else ""
            left = f"{speed}{stamp(progress.left)} left  " if progress.left else ""
            text = f"{progress.step:<9} {progress.fraction:4.0%}  {left}{progress.note}"[:100]
            print(f"\r{printable(text):<{self._wide}}", end="", file=sys.stderr, flush=True)
            self._wide = len(text)

    def __exit__(self, *_: object) -> None:
        if self._wide:
            print(f"\r{'':<{self._wide}}\r", end="", file=sys.stderr, flush=True)


# -- what a program reads


def _say_json(value: dict) -> None:
    text = json.dumps(value, ensure_ascii=False)
    print(UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text), flush=True)


def _ingested(path: str, media: Media | None, error: str | None) -> dict:
    return {
        "id": media.id if media else None,
        "title": media.title if media else Path(path).stem,
        "source": media.source if media else str(path),
        "length": float(media.length) if media else None,
        "frames": len(media.frames) if media else 0,
        "passages": len(media.passages) if media else 0,
        "coverage": {part: dataclasses.asdict(c) for part, c in media.coverage.items()} if media else {},
        **_looked_at(*(part_status.look([media]) if media else ((), ()))),
        "error": error,
    }


def _looked_at(looked_at: Sequence[str], gaps: Sequence[Gap]) -> dict:
    """What questions are asked of, and what could hold an answer as well, why it does not, and the next step."""
    return {"looked_at": list(looked_at), "not_looked_at": [dataclasses.asdict(gap) for gap in gaps]}


def _found(pipeline: Pipeline, evidence: Evidence) -> dict:
    return {
        "question": evidence.question,
        "kind": evidence.kind,
        "near": evidence.near,
        "nearness": evidence.nearness,
        "notes": list(evidence.notes),
        **_looked_at(evidence.looked_at, evidence.not_looked_at),
        "moments": [
            {
                "media": moment.media,
                "start": float(moment.start),
                "end": float(moment.end),
                "title": moment.title,
                "score": float(moment.score),
                "why": list(moment.why),
                "passages": [
                    {"start": float(p.start), "end": float(p.end), "kind": p.kind, "text": p.text}
                    for p in moment.passages
                ],
                "frames": [
                    {"start": float(f.start), "image": str(pipeline.picture(moment.media, f))} for f in moment.frames
                ],
            }
            for moment in evidence.moments
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
