"""Sources that wait to be read, one after another; each shows how far it is, and ends when asked.

In: paths, and what reads one of them. Out: Readings, which a page polls from any thread. Knows not how a source is
read.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError, ReadingCancelled
from pipeline.types import Progress
from pipeline.worker import Worker

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Reading:
    """One source that is read in the background."""

    path: Path
    again: bool  # whether it is read anew
    worker: Worker  # reads it, once its turn has come
    queue: "Readings" = field(repr=False)
    progress: dict[str, Progress] = field(default_factory=dict)  # the last of each step, that of the present step last
    media_id: str = ""  # set as soon as it can be asked about, which may be long before it is done
    error: PipelineError | None = None  # set when failed
    cancelled: bool = False  # set when it was ended by cancel()
    done: bool = False  # ended, in whatever way

    @property
    def queued(self) -> int:
        """How many are read before it; 0 once its turn has come."""
        return self.queue.before(self)

    def cancel(self) -> None:
        """End it at once, or take it out of the queue. What was read is kept; read again, it goes on from there."""
        self.queue.cancel(self)

    def forget(self) -> None:
        """Take it off the list, once it has ended. Of an upload that nothing came of, nothing stays."""
        self.queue.forget(self)

    def show(self, progress: Progress) -> None:
        """Take note of how far it is."""
        others = {step: one for step, one in self.progress.items() if step != progress.step}
        self.progress = others | {progress.step: progress}


class Readings:
    """The queue."""

    def __init__(self, read: Callable[[Reading], None], drop: Callable[[Reading], None]) -> None:
        """`read` reads one source, raising PipelineError; `drop` is told of what came to nothing, once forgotten."""
        self.by_path: dict[str, Reading] = {}  # the last of each path
        self._read, self._drop = read, drop
        self._lock = threading.Lock()  # of the three below
        self._waiting: list[Reading] = []
        self._present: Reading | None = None
        self._thread: threading.Thread | None = None

    def add(self, path: Path, again: bool, worker: Worker) -> Reading:
        """Put a source at the end of the queue. The same path twice is one reading, until that is done."""
        with self._lock:
            there = self.by_path.get(str(path))
            if there and not there.done:
                return there
            reading = self.by_path[str(path)] = Reading(path, again, worker, self)
            reading.show(Progress("waiting", 0.0))
            self._waiting.append(reading)
            if not self._thread:
                self._thread = threading.Thread(target=self._run, daemon=True, name="reading sources")
                self._thread.start()
        return reading

    def before(self, reading: Reading) -> int:
        """How many sources are read before this one."""
        with self._lock:
            if reading not in self._waiting:
                return 0
            return self._waiting.index(reading) + (self._present is not None)

    def cancel(self, reading: Reading) -> None:
        """End a reading, or take it out of the queue."""
        with self._lock:
            is_waiting = reading in self._waiting
            if is_waiting:
                self._waiting.remove(reading)
        if is_waiting:
            reading.cancelled = reading.done = True
        else:
            reading.worker.cancel()  # its thread sees that it has ended

    def forget(self, reading: Reading) -> None:
        """Take it off the list. Raises StorageError."""
        if reading.done and self.leave_out(reading) and (reading.error or reading.cancelled):
            self._drop(reading)

    def leave_out(self, reading: Reading) -> bool:
        """Take it off the list; False where another of the same path stands there."""
        with self._lock:
            return self.by_path.get(str(reading.path)) is reading and bool(self.by_path.pop(str(reading.path)))

    def _run(self) -> None:
        while True:
            with self._lock:
                self._present = self._waiting.pop(0) if self._waiting else None
                if not self._present:
                    self._thread = None
                    return
            self._read_one(self._present)

    def _read_one(self, reading: Reading) -> None:
        try:
            reading.show(Progress("waiting", 1.0))
            self._read(reading)
            reading.done = True
        except ReadingCancelled:
            reading.cancelled = reading.done = True
        except PipelineError as error:
            reading.error, reading.done = error, True
        except Exception as bug:  # the others in the queue are read all the same
            log.exception("%s was not read.", reading.path.name)
            reading.error = PipelineError(f"{reading.path.name} was not read: a fault in this app. Its log says where.")
            reading.error.__cause__, reading.done = bug, True
