"""The text on the pictures of one source, read bit by bit, alone or beside the hearing.

In: the kept pictures of a media folder. Out: the text on each, kept in the folder as soon as it was read, so that it is
never read twice. Knows neither how text is read (screen.py) nor what becomes of it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.cores import shared
from pipeline.disk import append_line, read_lines
from pipeline.media import screen
from pipeline.types import Frame, Progress

SEEN = "screen.jsonl"  # a line for each picture that was read


class Seeing:
    """Goes through the pictures in order, on from the first that was not read yet."""

    def __init__(self, folder: Path, frames: Sequence[Frame], report: Callable[[Progress], None]) -> None:
        self._folder, self._frames, self._report = folder, frames, report
        self._failure: Exception | None = None
        self.texts: list[str] = []  # of the first pictures
        known = {line["image"]: line["text"] for line in read_lines(folder / SEEN) if "image" in line}
        for frame in frames:
            if frame.image not in known:
                break
            self.texts.append(known[frame.image])

    @property
    def is_done(self) -> bool:
        return len(self.texts) == len(self._frames)

    @property
    def until(self) -> float:
        """s, up to which the pictures were read."""
        return self._frames[len(self.texts) - 1].end if self.texts else 0.0

    def read_on(self) -> Iterator[None]:
        """Read the rest, picture by picture. Raises ModelError, StorageError."""
        done = len(self.texts)
        self._report(Progress("screen", done / len(self._frames)))
        for frame, text in zip(self._frames[done:], screen.read_screen(self._folder, self._frames, done), strict=True):
            append_line(self._folder / SEEN, {"image": frame.image, "text": text})
            self.texts.append(text)
            self._report(Progress("screen", len(self.texts) / len(self._frames)))
            yield
        self._report(Progress("screen", 1.0))

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Read on in a thread of its own while the block runs. What fails there is raised by check().

        Raises ModelError where the text reader is not there.
        """
        if not self.is_done:
            screen.load()
        enough = threading.Event()

        def run() -> None:
            try:
                with shared():
                    for _ in self.read_on():
                        if enough.is_set():
                            return
            except Exception as error:
                self._failure = error

        thread = threading.Thread(target=run, daemon=True, name="reading the screen")
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()  # at most for one picture

    def check(self) -> None:
        """Raise what kept it from reading beside: ModelError, StorageError, or a bug."""
        if self._failure:
            raise self._failure
