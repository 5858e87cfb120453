"""Read one source in a process of its own, so that a crash in a decoder costs an error line and nothing else.

In: a path and the settings. Out: a media folder with its vectors, and Progress on the way.
The child takes one JSON job on standard input and answers in JSON lines.
It never opens the vector store, so any number of workers can run beside the process that holds it.
"""

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from pipeline import errors
from pipeline.errors import MediaNotFound, ModelError, PipelineError, ReadingStopped, StorageError
from pipeline.media import folder as folders
from pipeline.media.disk import storage_errors
from pipeline.media.reading import read_media
from pipeline.media.video import identify
from pipeline.search import embeddings, vectors
from pipeline.settings import Settings
from pipeline.types import Coverage, Media, Progress

Report = Callable[[Progress], None]

log = logging.getLogger(__name__)


class Worker:
    """The parent's side: start a child, pass its progress on, and end it when asked."""

    def __init__(self, path: Path, settings: Settings, again: bool = False) -> None:
        self._name = path.name
        job = {"path": str(path), "again": again, "settings": dataclasses.asdict(settings)}
        job["settings"]["data_dir"] = str(settings.data_dir)
        package = str(Path(__file__).resolve().parents[1])
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from pipeline.worker import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Whoever imports the library from elsewhere still starts the same code.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))},
            # A group of its own: stopping it stops whatever it started, and Ctrl-C reaches the parent alone.
            start_new_session=True,
        )
        self._job = json.dumps(job)

    def run(self, report: Report) -> str:
        """Wait for the child, passing each Progress to report. Returns the id of the media.

        Raises the PipelineError that the child met; ReadingStopped when the child died.
        """
        try:
            # The settings go through a pipe: they hold keys, and a command line can be read by every user.
            with self._process.stdin as stdin:
                stdin.write(self._job)
            for line in self._process.stdout:
                said = json.loads(line)
                if "media" in said:
                    return said["media"]
                if "error" in said:
                    raise getattr(errors, said["error"])(said["message"])
                report(Progress(**said["progress"]))
        except BrokenPipeError:
            pass  # it died before it read its job: said below
        finally:
            self.stop()
        raise ReadingStopped(
            f"Reading {self._name} stopped unexpectedly ({_cause(self._process.wait())}). Nothing stored was changed. "
            "The log in the terminal says more. Try again; if that does not help, convert the file."
        )

    def stop(self) -> None:
        """End the child and everything it started. Does nothing when it has ended."""
        try:
            self._process.wait(timeout=1)  # it has said all it had to say, or is to be stopped
        except subprocess.TimeoutExpired:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait()


def _cause(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def read(path: Path, settings: Settings, again: bool, report: Report) -> Media:
    """Read a source into its folder and embed it: what is there already is neither read nor embedded twice.

    Raises SourceError, StorageError, ModelError, EmbeddingError. A failure in embedding leaves the folder
    read; the next call embeds only what is missing.
    """
    media_id = identify(path)
    folder = settings.data_dir / media_id
    media = None if again else _read_before(folder)
    if media is None:
        staging = folders.stage(settings.data_dir, media_id)
        try:
            media = read_media(path, media_id, staging, settings, report)
            _keep_vectors(folder, staging)
            folders.save(media, staging)
            folders.install(staging, settings.data_dir, media_id)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    elif media.source != str(path):  # the same content elsewhere: playing goes on from there
        media = replace(media, source=str(path))
        folders.save(media, folder)
    return embed(media, folder, settings, report)


def _keep_vectors(folder: Path, staging: Path) -> None:
    """Vectors are named by what was embedded: those of what stayed the same still fit. Raises StorageError."""
    with storage_errors(staging):
        if (folder / "vectors").is_dir():
            (staging / "vectors").mkdir()
            for file in (folder / "vectors").glob("*.npz"):
                shutil.copyfile(file, staging / "vectors" / file.name)


def _read_before(folder: Path) -> Media | None:
    try:
        return folders.load(folder)
    except MediaNotFound:
        return None
    except StorageError as error:
        if not isinstance(error.__cause__, ValueError):  # not damaged, but out of reach
            raise
        log.warning("%s It is read anew.", error)
        return None


def embed(media: Media, folder: Path, settings: Settings, report: Report) -> Media:
    """Embed what the folder lacks in the current embeddings, and record in its coverage what was used.

    Raises EmbeddingError, StorageError; ModelError where a named model cannot be had.
    """
    coverage = dict(media.coverage)
    try:
        for part, embed_part in (("text", _embed_text), ("pictures", _embed_frames)):
            coverage[part] = Coverage("off", note="Not searchable yet: read the video again, or run a reindex.")
            report(Progress(part, 0.0))
            coverage[part] = embed_part(media, folder, settings, report)
    finally:  # also when a service fails: what was read stays, and says how far it can be searched
        if coverage != media.coverage:
            # As it is now: another process may have read it anew, or removed it, which must hold.
            media = replace(folders.load(folder), coverage=coverage)
            folders.save(media, folder)
    return media


def _embed_text(media: Media, folder: Path, settings: Settings, report: Report) -> Coverage:
    if not media.passages:
        return Coverage("absent", note="There are no words to search.")
    model = embeddings.text_embedding(settings)
    vectors.embed_text(folder, media, model, lambda done: report(Progress("text", done)))
    return Coverage("read", by=model.name)


def _embed_frames(media: Media, folder: Path, settings: Settings, report: Report) -> Coverage:
    if not media.frames:
        return Coverage("absent", note="There are no pictures to search.")
    model = embeddings.image_embedding(settings)
    try:
        vectors.embed_frames(folder, media, model, lambda done: report(Progress("pictures", done)))
    except ModelError as error:
        if settings.clip_model:  # named in the settings: used, or an error
            raise
        return Coverage("off", note=f"Frames are found by their time and the text on them. {error}")
    return Coverage("read", by=model.name)


def main(job_file: TextIO, answers: TextIO) -> int:
    """The child: do the one job, answer in JSON lines."""

    def say(value: dict) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    job = json.load(job_file)
    try:
        settings = Settings(**job["settings"])
        media = read(Path(job["path"]), settings, job["again"], lambda p: say({"progress": dataclasses.asdict(p)}))
    except PipelineError as error:
        say({"error": type(error).__name__, "message": str(error)})
        return 1
    say({"media": media.id})
    return 0


def serve() -> None:
    """Be the child of a Worker: standard input and output are the channel."""
    logging.basicConfig(level=logging.WARNING)
    # Libraries print to standard output; the answers must stay alone on theirs.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin, channel))
