"""A piece of work, done in a process of its own -> what it cost: CPU, time, memory. Knows not what is done.

A way of working is a generator: what it does before its first `yield` (imports, models) is not counted, what it does
until the second, which says how much was done, is; what comes after tidies up. The process starts from nothing, so that
neither memory nor imports of one measurement reach the next, and it ends with whoever started it.
"""

import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import child, errors
from pipeline.errors import PipelineError

MIB = 2**20  # bytes
SAID = 2000  # characters of a fault

Way = Callable[..., Iterator[float | None]]


class Fault(Exception):
    """The work met an error that is none of ours, or its process died."""


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    cpu: float  # s, of all cores, in user mode and in the system, with the processes that it started
    wall: float  # s
    memory: float  # MiB, the most that its process held, or one that it started
    done: float  # how much was done, in the work's own unit

    def of(self, whole: float) -> "Cost":
        """What `whole` of it would take, in proportion; as much memory."""
        share = whole / self.done
        return Cost(self.cpu * share, self.wall * share, self.memory, whole)


def measure(way: Way, *given: object, folder: Path) -> Cost:
    """Work that way in a process of its own, whose temporary files lie in the folder.

    Raises the PipelineError that it met, or Fault.
    """
    process = child.start("pipeline.bench.cost", way, env=child.environment() | {"TMPDIR": str(folder)})
    try:
        with suppress(BrokenPipeError):
            pickle.dump((way, given), process.stdin)
            process.stdin.flush()  # and stays open: its end tells the child that this process has died
        said = process.stdout.read()
    finally:
        child.end(process)
    if not said:
        raise Fault(f"its process died (exit code {process.returncode})")
    cost, error, words = pickle.loads(said)
    if error:
        raise getattr(errors, error, Fault)(words)
    return cost


def serve() -> None:
    """Be the child: do the one piece of work on standard input, say on standard output what it cost."""
    channel = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)  # libraries print
    os.dup2(nothing, 2)
    try:
        way, given = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        answer = _measured(way(*given)), "", ""
    except PipelineError as error:
        answer = None, type(error).__name__, str(error)
    except Exception:
        answer = None, "Fault", traceback.format_exc()[-SAID:]
    pickle.dump(answer, channel)
    channel.flush()
    os._exit(0)


def _measured(work: Iterator[float | None]) -> Cost:
    next(work)
    cpu, wall = _cpu(), time.perf_counter()
    done = next(work)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    memory = _memory()
    next(work, None)
    return Cost(cpu, wall, memory, done)


def _cpu() -> float:
    """s, of this process and of all that it started, ended or (on Linux) not."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in spent)
    for pid in _children(os.getpid()):
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid names the clock of a process
    return total


def _memory() -> float:
    """MiB, the most that this process or one that it started ever held."""
    if sys.platform != "linux":
        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        return max(resource.getrusage(who).ru_maxrss for who in both) * unit / MIB
    # Not ru_maxrss, which counts for this process what the one that started it held.
    held = [resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
    for pid in (os.getpid(), *_children(os.getpid())):
        with suppress(OSError):
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            held.append(int(status.get("VmHWM", "0 kB").split()[0]))
    return max(held) * 1024 / MIB


def _children(pid: int) -> Iterator[int]:
    """The processes that a process started and that have not ended, and theirs. None are seen but on Linux."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from _children(child)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)
