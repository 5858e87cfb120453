"""Progress of a worker -> the same with its speed and the time its step will still take.

In: each Progress as it comes. Out: the same, and what each finished step cost, for the next estimate. The one place
where this is computed. Knows not what the steps do.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from math import exp

from pipeline import estimate
from pipeline.settings import Settings
from pipeline.types import Progress

MEMORY = 60.0  # s; what happened longer ago counts less and less
INSTANT = 0.5  # s; what a step has done so soon was done before
SURE = 3.0  # s of work after which a step says how fast it is


class Pace:
    """The pace of one reading."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._step, self._began = "", 0.0  # (its name, s)
        self._first = self._last = (0.0, 0.0)  # (s, fraction), of the step
        self._work = self._done = 0.0  # s and fraction, both fading

    def of(self, progress: Progress) -> Progress:
        """The progress that came just now, with its speed and the time left."""
        now = self._clock(), progress.fraction
        if progress.step != self._step:
            self._step, self._began, self._first, self._last = progress.step, now[0], now, now
            self._work = self._done = 0.0
        elif now[0] - self._began < INSTANT:
            self._first = self._last = now
        passed, grown = now[0] - self._last[0], max(0.0, now[1] - self._last[1])
        fading = exp(-passed / MEMORY)
        self._work, self._done = self._work * fading + passed, self._done * fading + grown
        was_done, self._last = self._last[1] >= 1, now
        if progress.fraction >= 1:
            if grown and not was_done:
                work, part = now[0] - self._first[0], now[1] - self._first[1]
                estimate.learn(self._settings, replace(progress, fraction=part), work)
            return replace(progress, left=0.0)
        if now[0] - self._first[0] < SURE or not self._done:
            return progress
        rate = self._done / self._work  # of the step in a second
        return replace(progress, speed=rate * progress.length, left=(1 - progress.fraction) / rate)
