"""How many cores this process may use. Two steps that go on beside each other take half of them each: on two cores,
text on the screen and speech, one thread each, took 15 s where one after the other on both took 20, and 26 s of work
where that took 37.
"""

import os


def cores() -> int:
    """How many there are for this process, or as many as OMP_NUM_THREADS gives it, as other libraries read it."""
    if (told := os.environ.get("OMP_NUM_THREADS", "")).isdigit():
        return max(1, int(told))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def half() -> int:
    """How many threads each of two steps takes that go on beside each other."""
    return max(1, cores() // 2)
