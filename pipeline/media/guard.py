"""The one door to every decoder: what is done with a file from outside is done in a process of its own, within limits.

In: a function of this room, the file, and what else it takes. Out: what the function returns or yields, or an error
that says what went wrong: a decoder that crashes, hangs or takes all memory costs that line, and nothing else.
The child gets a JSON job on standard input and answers in JSON lines: first that it has begun, which means that it has
imported what it needs and opens the file next. It has no keys, no network protocols and no files but those it opens,
and it ends with its parent. The functions do not know that they run there.
"""

import base64
import ctypes
import dataclasses
import faulthandler
import importlib
import json
import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import child, errors
from pipeline.errors import DecoderCrashed, PipelineError, ReadingStopped
from pipeline.media.source import check
from pipeline.settings import Limits
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np

PATIENCE = 30.0  # s without a sign of progress after which a child is ended
SLOWEST = 2000  # bytes a second that any file is decoded with, after the first PATIENCE
PER_SECOND = 10.0  # s that encoding a second of film may take
ANSWER = 200_000_000  # bytes; no answer is longer
RAW = b"="  # begins the line that says how many bytes of an array follow it
LARGEST = 2.0**31  # bytes of a file that is written
PULSE = 0.5  # s between two signs of progress
PR_SET_PDEATHSIG = 1  # Linux: the signal that a process gets when its parent ends
STARTS = 2  # times that a child is started which ends before it has begun
SAID = 4000  # bytes at the end of what a child said on standard error, which are logged if it crashes
KEPT = (  # of the environment; the rest may be secret
    *("PATH", "LD_LIBRARY_PATH", "IMAGEIO_FFMPEG_EXE", "FFMPEG_BINARY"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE"),  # where Python finds its libraries
)
ENDED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # sent by somebody else: not the file's fault

_IMAGE = re.compile(r"(frames|closer)/\d{6}\.\d{3}\.jpg")
_turns = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))  # so many may take their memory at a time

log = logging.getLogger(__name__)
T = TypeVar("T")


def run(
    work: Callable[..., T],
    source: Path | bytes,
    *args: object,
    limits: Limits,
    progress: Callable[[float], None] | None = None,
    length: float = 0.0,
) -> T:
    """work(source, *args, limits=limits) in a child process; with `progress` where that is given, told 0-1.

    `length`: s of film that will be encoded. Raises SourceError, also for what may not be opened; of these
    DecoderCrashed where the child crashed, hung or took too much; StorageError; what `progress` raises; ReadingStopped
    where the system or a person ended the child, or it could not be started.
    """
    with _turns, closing(_ask(work, source, args, limits, progress is not None, length)) as said:
        for kind, value in said:
            if kind == "done" and progress:
                progress(min(1.0, max(0.0, value)))
            elif kind == "answer":
                return value


def stream(work: Callable[..., Iterator], source: Path, *args: object, limits: Limits) -> Iterator[str | bytes]:
    """What work(source, *args, limits=limits) yields in a child process: words, and arrays as their bytes.

    The child waits while nobody asks, and that time is not held against it. It may wait for hours, and so takes no
    turn from others. It ends with this iterator: close it. Raises what `run` raises.
    """
    with closing(_ask(work, source, args, limits)) as said:
        yield from (value for kind, value in said if kind == "piece")


def _ask(
    work: Callable, source: Path | bytes, args: tuple, limits: Limits, told: bool = False, length: float = 0.0
) -> Iterator[tuple[str, Any]]:
    """Let a child do it, and yield what it says: ("done", 0-1), ("piece", str or bytes), last ("answer", its value)."""
    if isinstance(source, Path):
        check(source, limits)
    name = "The picture" if isinstance(source, bytes) else str(source)
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    seconds = PATIENCE + min(size / SLOWEST, limits.length) + PER_SECOND * length
    job = {
        "work": f"{work.__module__}.{work.__qualname__}",
        "args": _plain([source, *args]),
        "limits": _plain(limits),
        "told": told,
        "seconds": seconds,
        "parent": os.getpid(),
    }
    for _ in range(STARTS):
        try:
            yield from _answers(work, json.dumps(job).encode(), seconds, name, limits)
            return
        except _NotBegun as error:
            how, said = error.args
            log.error("%s is not the cause: the decoder ended before it opened it (%s). It said: %s", name, how, said)
    raise ReadingStopped(
        f"{name} was not decoded, and is not the cause: {STARTS} times the decoder ended before it opened it ({how}). "
        "The log says more. Try again; if that does not help, install the requirements anew."
    )


class _NotBegun(Exception):
    """A child ended before it had begun: nothing that it was given is the cause. Holds how, and what it said."""


def _answers(work: Callable, job: bytes, seconds: float, name: str, limits: Limits) -> Iterator[tuple[str, Any]]:
    """What one child says: see _ask. Raises _NotBegun too."""
    kept = {one: value for one, value in child.environment().items() if one in KEPT}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    try:
        process = child.start(
            __name__,
            work,
            env=kept | {"LANG": "C.UTF-8"} | threads,
            cwd="/",  # MoviePy reads a .env that it finds where it is
            stderr=subprocess.PIPE,
        )
    except OSError as error:  # no memory, or too many processes
        raise _NotBegun(str(error), "nothing") from error
    begun, words = False, bytearray()
    try:
        try:
            for said in _heard(process, job, seconds, name, words):
                if isinstance(said, bytes):
                    yield "piece", said
                elif "piece" in said:
                    yield "piece", str(said["piece"])
                elif "done" in said:
                    yield "done", float(said["done"])
                elif "answer" in said:
                    yield "answer", _value(said["answer"])
                    return
                elif "begun" in said:
                    begun = True
                elif said.get("error") in ("SourceError", "StorageError"):
                    raise getattr(errors, said["error"])(str(said["message"]))
                elif "error" in said:
                    words += str(said["message"]).encode(errors="replace")
                    raise _too_much(name, limits) if said["error"] == "MemoryError" else _failed(name)
            code = process.wait(PATIENCE)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, subprocess.TimeoutExpired) as error:
            raise _crashed(name, "its answer cannot be read") from error
        if -code in ENDED:
            raise ReadingStopped(
                f"Decoding {name} was ended from outside ({signal.Signals(-code).name}), which systems do that run out "
                "of memory. What was stored is kept. Try again."
            )
        raise _too_long(name, seconds) if -code == signal.SIGXCPU else _crashed(name, _how(code))
    except DecoderCrashed as error:
        _drain(process, words)
        reason = words.decode(errors="replace").partition("\nExtension modules:")[0].strip()  # a long list
        if begun:
            log.error("%s It said: %s", error, reason or "nothing")
            raise
        code = process.poll()
        how = "it did not answer" if code is None else _how(code)
        if reason and (code is None or code >= 0):  # else it is where it was, not why
            how = reason.splitlines()[-1]
        raise _NotBegun(how, reason or "nothing") from error
    finally:
        child.end(process)


def _heard(
    process: subprocess.Popen, job: bytes, seconds: float, name: str, words: bytearray
) -> Iterator[dict | bytes]:
    """Give the child its job and yield what it says, as long as it gets on. What passes in between is not counted.

    The end of what it says on standard error is kept in `words`.
    """
    deadline, quiet = time.monotonic() + seconds, time.monotonic() + PATIENCE
    unread = bytearray()
    os.set_blocking(process.stdin.fileno(), False)
    os.set_blocking(process.stderr.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        ready.register(process.stderr, selectors.EVENT_READ)
        ready.register(process.stdin, selectors.EVENT_WRITE)
        while True:
            events = ready.select(max(0.0, min(deadline, quiet) - time.monotonic()))
            answered = any(key.fileobj is process.stdout for key, _ in events)
            if not answered and time.monotonic() >= deadline:
                raise _too_long(name, seconds)
            if not answered and time.monotonic() >= quiet:
                raise DecoderCrashed(
                    f"{name} was given up: decoding it did not get on for {PATIENCE:g} s. It is damaged, or its disk "
                    "does not answer. Try another copy."
                )
            for key, _ in events:
                if key.fileobj is process.stderr:
                    if not _drain(process, words):
                        ready.unregister(process.stderr)
                elif key.fileobj is process.stdin:
                    with suppress(BrokenPipeError):  # it died: its output ends, too
                        job = job[os.write(key.fd, job[:65536]) :]
                        if job:
                            continue
                    ready.unregister(process.stdin)
                    with suppress(BrokenPipeError):
                        process.stdin.close()
                else:
                    block = os.read(key.fd, 65536)
                    if not block or len(unread) > ANSWER:
                        return
                    quiet = time.monotonic() + PATIENCE
                    unread += block
                    if b"\n" not in block and not unread.startswith(RAW):
                        continue
                    for said in _whole(unread):
                        if (
                            isinstance(said, dict) and "begun" in said
                        ):  # to start may take long on a busy machine, and is not the file's time
                            deadline = time.monotonic() + seconds
                        left = time.monotonic()
                        yield said
                        away = time.monotonic() - left
                        deadline, quiet = deadline + away, quiet + away


def _whole(unread: bytearray) -> Iterator[dict | bytes]:
    """Take from the front what has come whole: a line of JSON; or the bytes of an array, whose number a line says."""
    while (end := unread.find(b"\n") + 1) > 0:
        if not unread.startswith(RAW):
            said = json.loads(unread[:end], parse_constant=_no_number)
            del unread[:end]
            yield said
            continue
        stop = end + int(unread[len(RAW) : end])
        if not end <= stop <= ANSWER:
            raise ValueError(f"no array of ours: {stop} bytes")
        if len(unread) < stop:
            return
        piece = bytes(unread[end:stop])
        del unread[:stop]
        yield piece


def _drain(process: subprocess.Popen, words: bytearray) -> bool:
    """Add to `words` what there is on standard error by now, and keep the end of it. False where no more can come."""
    try:
        block = os.read(process.stderr.fileno(), 65536)
    except BlockingIOError:
        return True
    words += block
    del words[:-SAID]
    return bool(block)


def _too_much(name: str, limits: Limits) -> DecoderCrashed:
    return DecoderCrashed(
        f"{name} takes more than {limits.memory / 2**30:g} GiB of memory to decode: it is damaged, or its pictures are "
        "very large. Try another copy, make them smaller, or raise DECODE_MEMORY_GB."
    )


def _too_long(name: str, seconds: float) -> DecoderCrashed:
    return DecoderCrashed(
        f"{name} was given up: decoding it took longer than {seconds:.0f} s, which no undamaged file of its size "
        "does. Try another copy, or convert it."
    )


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _failed(name: str) -> DecoderCrashed:
    return DecoderCrashed(f"{name} cannot be decoded: a fault in the file or in this app. Try another copy.")


def _crashed(name: str, how: str) -> DecoderCrashed:
    return DecoderCrashed(
        f"{name} cannot be decoded: the decoder crashed on it ({how}), which costs nothing else. "
        "Try another copy, or convert it."
    )


# -- values as JSON


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return {"Path": os.fspath(value)}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, tuple):
        return {"tuple": [_plain(one) for one in value]}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {type(value).__name__: fields}
    return value


def _value(plain: Any) -> Any:
    """The reverse. What a child says is not trusted: only values of these kinds come out."""
    if isinstance(plain, list):
        return [_value(one) for one in plain]
    if not isinstance(plain, dict):
        return plain
    from pipeline.media.video import Facts

    ((kind, held),) = plain.items()
    if kind == "Path":
        return Path(held)
    if kind == "bytes":
        return base64.b64decode(held, validate=True)
    if kind == "tuple":
        return tuple(_value(one) for one in held)
    value = {"Frame": Frame, "Facts": Facts, "Limits": Limits}[kind](
        **{name: _value(one) for name, one in held.items()}
    )
    if isinstance(value, Frame) and not _IMAGE.fullmatch(value.image):
        raise ValueError(f"no picture of ours: {value.image!r}")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


# -- the child


def serve() -> None:
    """Be the child: do the one job on standard input, answer on standard output."""
    try:
        job = json.load(sys.stdin.buffer)
    except ValueError:
        os._exit(1)  # whoever asked was killed before all was said
    faulthandler.enable()  # where it was when it crashes, for the log
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    limits = _value(job["limits"])
    _confine(limits, job["seconds"], job["parent"])
    felt = told = -PULSE

    def say(**said: object) -> None:
        channel.write(json.dumps(said).encode("ascii") + b"\n")
        channel.flush()

    def give(piece: "str | np.ndarray") -> None:
        if isinstance(piece, str):
            say(piece=piece)
        else:
            channel.write(RAW + b"%d\n" % piece.nbytes + piece.tobytes())
            channel.flush()

    def pulse() -> None:
        nonlocal felt
        if time.monotonic() - felt >= PULSE:
            felt = time.monotonic()
            say()

    def tell(done: float) -> None:
        nonlocal told
        if time.monotonic() - told >= PULSE or done == 1.0:
            told = time.monotonic()
            say(done=done)

    try:
        from pipeline.media import container

        container.on_packet = pulse
        container.load()
        module, _, name = job["work"].rpartition(".")
        work = getattr(importlib.import_module(module), name)
        given = {"limits": limits} | ({"progress": tell} if job["told"] else {})
        args = _value(job["args"])
        say(begun=True)
        done = work(*args, **given)
        if isinstance(done, Iterator):
            for piece in done:
                give(piece)
            done = None
        say(answer=_plain(done))
    except PipelineError as error:
        say(error=type(error).__name__, message=str(error))
    except MemoryError:
        say(error="MemoryError", message="it needs more memory than DECODE_MEMORY_GB allows")
    except Exception:
        say(error="fault", message=traceback.format_exc()[-4000:])
    os._exit(0)  # nothing that a damaged file left behind is run or freed


def _confine(limits: Limits, seconds: float, parent: int) -> None:
    """Give this process limits that it cannot raise, and let it end with its parent."""
    import resource

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it has ended just before
        _limit(resource.RLIMIT_AS, limits.memory)  # macOS counts what it shares among all, and refuses
    _limit(resource.RLIMIT_CPU, seconds * (os.cpu_count() or 1), 5)  # MoviePy's ffmpeg encodes on all of them
    _limit(resource.RLIMIT_FSIZE, LARGEST)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(what: int, most: float, grace: int = 0) -> None:
    """`grace`: how much later than the signal that says why comes the one that does not."""
    import resource

    _, hard = resource.getrlimit(what)
    hard = int(most) + grace if hard == resource.RLIM_INFINITY else min(int(most) + grace, hard)
    resource.setrlimit(what, (min(int(most), hard), hard))
