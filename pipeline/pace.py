"""Progress of a worker -> the same with its speed and the time its step will still take.

In: each Progress as it comes. Out: the same, and what each finished step cost, for the next estimate. The one place
where this is computed. Knows not what the steps do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp

from pipeline import estimate
from pipeline.settings import Settings
from pipeline.types import Progress

MEMORY = 60.0  # s; what happened longer ago counts less and less
INSTANT = 0.5  # s; what a step has done so soon was done before
SURE = 3.0  # s of work after which a step says how fast it is


@dataclass
class _Step:
    """How one step goes."""

    began: float  # s
    first: tuple[float, float]  # (s, fraction), where its work began: what was done before is no work of its
    last: tuple[float, float]  # (s, fraction)
    work: float = 0.0  # s, fading
    done: float = 0.0  # fraction, fading


class Pace:
    """The pace of one reading, whose steps may go on beside each other."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._steps: dict[str, _Step] = {}

    def of(self, progress: Progress) -> Progress:
        """The progress that came just now, with its speed and the time left."""
        now = self._clock(), progress.fraction
        step = self._steps.get(progress.step)
        if step is None or progress.fraction < step.last[1]:  # it begins, or begins again
            step = self._steps[progress.step] = _Step(now[0], now, now)
        elif now[0] - step.began < INSTANT:
            step.first = step.last = now
        passed, grown = now[0] - step.last[0], max(0.0, now[1] - step.last[1])
        fading = exp(-passed / MEMORY)
        step.work, step.done = step.work * fading + passed, step.done * fading + grown
        was_done, step.last = step.last[1] >= 1, now
        if progress.fraction >= 1:
            if grown and not was_done:
                work, part = now[0] - step.first[0], now[1] - step.first[1]
                estimate.learn(self._settings, replace(progress, fraction=part), work)
            return replace(progress, left=0.0)
        if now[0] - step.first[0] < SURE or not step.done:
            return progress
        rate = step.done / step.work  # of the step in a second
        return replace(progress, speed=rate * progress.length, left=(1 - progress.fraction) / rate)
