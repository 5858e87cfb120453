"""Read one source in a process of its own, so that a crash in a decoder costs an error line and nothing else.

In: a path and the settings. Out: a media folder with its vectors, and on the way Progress, with its speed, and word
that there is something to ask about. The child takes one JSON job on standard input and answers in JSON lines.
It never opens the vector store, so any number of workers can run beside the process that holds it.
"""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from pipeline import child, errors, logs
from pipeline.errors import PipelineError, ReadingCancelled, ReadingStopped
from pipeline.pace import Pace
from pipeline.settings import Settings
from pipeline.steps import read
from pipeline.types import Progress

Report = Callable[[Progress], None]
Ready = Callable[[str], None]


class Worker:
    """The parent's side: start a child, pass its progress on, and end it when asked."""

    def __init__(self, path: Path, settings: Settings, again: bool = False) -> None:
        self._name = path.name
        job = {"path": str(path), "again": again, "settings": dataclasses.asdict(settings)}
        job["settings"] |= {"app_password": ""}
        self._job = json.dumps(job, default=str)  # folders as text
        self._pace = Pace(settings)
        self._process: subprocess.Popen | None = None
        self._cancelled = False
        self._lock = threading.Lock()  # of the two above

    def run(self, report: Report, ready: Ready = lambda media_id: None) -> str:
        """Start the child and wait for it, passing each Progress to report. Returns the id of the media.

        `ready` is told the id each time there is more to ask about. Raises the PipelineError that the child met;
        ReadingCancelled after cancel(), ReadingStopped when the child died.
        """
        with self._lock:
            if self._cancelled:
                raise self._was_cancelled()
            self._process = self._started()
        try:
            # The settings go through a pipe: they hold keys, and a command line can be read by every user. It stays
            # open, since its end tells the child that this process has died.
            self._process.stdin.write(f"{self._job}\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                said = json.loads(line)
                if "media" in said:
                    return said["media"]
                if "error" in said:
                    raise getattr(errors, said["error"])(said["message"])
                if "ready" in said:
                    ready(said["ready"])
                else:
                    report(self._pace.of(Progress(**said["progress"])))
        except (BrokenPipeError, json.JSONDecodeError):
            pass  # it died before it read its job, or in the middle of a line: said below
        finally:
            self._stop()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._cancelled:
            raise self._was_cancelled()
        raise ReadingStopped(
            f"Reading {self._name} stopped unexpectedly ({_cause(self._process.wait())}). What was stored is kept. "
            "The log in the terminal says more. Try again; if that does not help, convert the file."
        )

    def cancel(self) -> None:
        """End the child and everything it started, at once, or never start it. Any thread may, at any time."""
        with self._lock:
            self._cancelled = True
            if self._process:
                self._kill()

    def while_wanted(self, report: Report) -> Report:
        """The same report, for a reading in this process: after cancel() it raises ReadingCancelled."""

        def told(progress: Progress) -> None:
            if self._cancelled:
                raise self._was_cancelled()
            report(progress)

        return told

    def _was_cancelled(self) -> ReadingCancelled:
        return ReadingCancelled(f"Reading {self._name} was cancelled. Read it again to go on where it stopped.")

    def _started(self) -> subprocess.Popen:
        return child.start("pipeline.worker", text=True)

    def _stop(self) -> None:
        """End the child and everything it started. Does nothing when it has ended."""
        try:
            self._process.wait(timeout=1)  # it has said all it had to say, or is to be stopped
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        if self._process.poll() is None:  # else its number may be another's by now
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait()


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def main(job_file: TextIO, answers: TextIO) -> int:
    """The child: do the one job, answer in JSON lines."""

    one_line = threading.Lock()  # steps that go on beside each other tell how far they are

    def say(value: dict) -> None:
        with one_line:
            answers.write(json.dumps(value) + "\n")
            answers.flush()

    job = json.loads(job_file.readline())
    threading.Thread(target=_die_with_parent, args=(job_file,), daemon=True, name="parent").start()
    try:
        settings = Settings(**job["settings"])
        logs.keep_out(settings.secrets)
        media = read(
            Path(job["path"]),
            settings,
            job["again"],
            report=lambda progress: say({"progress": dataclasses.asdict(progress)}),
            ready=lambda media_id: say({"ready": media_id}),
        )
    except PipelineError as error:
        say({"error": type(error).__name__, "message": str(error)})
        return 1
    say({"media": media.id})
    return 0


def _die_with_parent(job_file: TextIO) -> None:
    """Nobody waits for this any more, and who goes on with it finds the folder held as long as it lives."""
    while os.read(job_file.fileno(), 1):  # not read(): at exit, that would still hold the file
        pass
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)  # with whatever it started; the parent is in another group
    os._exit(1)


def serve() -> None:
    """Be the child of a Worker: standard input and output are the channel."""
    logs.begin(logging.WARNING)
    if os.name == "posix":
        os.nice(10)  # who asks meanwhile goes first
    # Libraries print to standard output; the answers must stay alone on theirs.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin, channel))
