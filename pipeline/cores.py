"""How many cores there are for a step. Two that go on beside each other take half of them each: on two cores, text on
the screen and speech on one thread each took 20 s of work where one after the other on both took 28, in as much time;
on two threads each they took 33, and longer.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_beside = 0  # steps that go on beside the others


def cores() -> int:
    """How many threads a step takes now: of this process's cores its share.

    OMP_NUM_THREADS gives the process fewer, as it does for most libraries.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit():
        every = int(told)
    else:
        every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, every // (1 + _beside))


@contextmanager
def shared() -> Iterator[None]:
    """While the block runs, another step goes on beside it."""
    global _beside
    with _lock:
        _beside += 1
    try:
        yield
    finally:
        with _lock:
            _beside -= 1
