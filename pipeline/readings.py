"""Sources that wait to be read, one after another; each shows how far it is, and ends when asked.

In: paths, and what reads one of them. Out: Readings, which a page polls from any thread. What has not ended when the
app does is gone on with by the next one, once; what ended two of them waits for a person. Knows not how a source is
read.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError, ReadingCancelled, StorageError
from pipeline.types import Progress
from pipeline.waiting import Waiting, Wanted
from pipeline.worker import Worker

BESIDE = {"screen", "speech"}  # go on beside each other
TRIES = 2  # runs of the app that a reading may end before it waits for a person
GOES_ON = "Reading {} broke off when the app ended. It goes on."
TWICE = (
    "Reading {} broke off again when the app ended, and may be what ends it. "
    "What was read is kept: go on whenever you like."
)
BROKE_OFF = "{} was not read to its end. What was read is kept: go on whenever you like."

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Reading:
    """One source that is read in the background."""

    path: Path
    again: bool  # whether it is read anew
    worker: Worker  # reads it, once its turn has come
    queue: "Readings" = field(repr=False)
    progress: dict[str, Progress] = field(default_factory=dict)  # the last of each step, that of the present step last
    note: str = ""  # what became of it in a run of the app before, in words a person reads
    begun: int = 0  # how many runs of the app have begun it, this one included
    media_id: str = ""  # set as soon as it can be asked about, which may be long before it is done
    error: PipelineError | None = None  # set when failed
    cancelled: bool = False  # set when it was ended by cancel()
    done: bool = False  # ended, in whatever way

    @property
    def queued(self) -> int:
        """How many are read before it; 0 once its turn has come."""
        return self.queue.before(self)

    @property
    def present(self) -> list[Progress]:
        """What it does now: its present step, and another that goes on beside it."""
        *others, last = self.progress.values()
        beside = [one for one in others if {one.step, last.step} == BESIDE and one.left]
        return sorted([*beside, last], key=lambda one: one.step)  # the rows of a page stay where they are

    def cancel(self) -> None:
        """End it at once, or take it out of the queue. What was read is kept; read again, it goes on from there."""
        self.note = ""
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

    def __init__(
        self, read: Callable[[Reading], None], drop: Callable[[Reading], None], waiting: Waiting | None = None
    ) -> None:
        """`read` reads one source, raising PipelineError; `drop` is told of what came to nothing, once forgotten.

        `waiting` keeps the queue over the end of the app; without, it ends with it.
        """
        self.by_path: dict[str, Reading] = {}  # the last of each path
        self._read, self._drop, self._kept = read, drop, waiting
        self._lock = threading.Lock()  # of the three below
        self._waiting: list[Reading] = []
        self._present: Reading | None = None
        self._thread: threading.Thread | None = None

    def take_up(self, worker_of: Callable[[Path, bool], Worker]) -> None:
        """Go on with what an app that ended has left to be read. Raises StorageError."""
        for one in self._kept.take_over() if self._kept else ():
            path = Path(one.path)
            reading = Reading(path, one.again, worker_of(path, one.again), self, begun=one.begun)
            if one.begun >= TRIES:
                self.show_broken_off(reading, TWICE)
                continue
            reading.note = GOES_ON.format(path.name) if one.begun else ""
            reading.show(Progress("waiting", 0.0))
            with self._lock:
                self.by_path[one.path] = reading
                self._waiting.append(reading)
        with self._lock:
            self._keep()  # only now: killed before, the next one takes all of it up
            self._start()

    def add(self, path: Path, again: bool, worker: Worker) -> Reading:
        """Put a source at the end of the queue. The same path twice is one reading, until that is done.

        Raises StorageError.
        """
        with self._lock:
            there = self.by_path.get(str(path))
            if there and not there.done:
                return there
            reading = Reading(path, again, worker, self)
            reading.show(Progress("waiting", 0.0))
            self._waiting.append(reading)
            try:
                self._keep()
            except StorageError:
                self._waiting.remove(reading)
                raise
            self.by_path[str(path)] = reading
            self._start()
        return reading

    def show_broken_off(self, reading: Reading, note: str) -> None:
        """Show a reading that waits for a person to go on with it."""
        reading.note = note.format(reading.path.name)
        reading.show(Progress("waiting", 0.0))
        reading.cancelled = reading.done = True
        with self._lock:
            self.by_path.setdefault(str(reading.path), reading)

    def close(self) -> None:
        """Let go of what is kept of the queue: what has not ended is the next app's."""
        if self._kept:
            self._kept.close()

    def _start(self) -> None:
        """With the lock: let the thread run, where there is something to read."""
        if self._waiting and not self._thread:
            self._thread = threading.Thread(target=self._run, daemon=True, name="reading sources")
            self._thread.start()

    def _keep(self) -> None:
        """With the lock: keep what has not ended. Raises StorageError."""
        if self._kept:
            every = [self._present, *self._waiting] if self._present else self._waiting
            self._kept.keep([Wanted(str(one.path), one.again, one.begun) for one in every])

    def _keep_or_say(self) -> None:
        try:
            self._keep()
        except StorageError as error:  # it is read all the same
            log.warning("What waits to be read is not kept: %s", error)

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
                self._keep_or_say()
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
                if self._present:
                    self._present.begun += 1
                self._keep_or_say()
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
