"""Sound -> the stretches of it that are worth hearing.

In: mono float32 sound. Out: where it is loud, and stretches of samples. Knows not what is said. Pure.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz
HOP = RATE // 10  # samples whose loudness is taken together
LONGEST = 120 * RATE  # samples in a stretch
SILENCE = 50  # hops (5 s) without sound that are left out; a shorter pause costs less than one more stretch
MARGIN = 5  # hops around what is loud, where words begin and end softly


def loud_hops(sound: "np.ndarray") -> "np.ndarray":
    """Whether each tenth of a second holds sound. Shape (ceil(samples / HOP),), bool."""
    import numpy as np

    if not len(sound):
        return np.zeros(0, bool)
    whole = len(sound) // HOP * HOP
    blocks = [b for b in (sound[:whole].reshape(-1, HOP), sound[None, whole:]) if b.size]
    level = np.nan_to_num(np.concatenate([np.sqrt(np.einsum("ij,ij->i", b, b) / b.shape[1]) for b in blocks]))  # RMS
    # -60 dB of full scale is silence; in a faint recording what lies 30 dB below the voice; below -80 dB all is.
    return level > np.clip(np.quantile(level, 0.95) / 30, 1e-4, 1e-3)


def stretches(sound: "np.ndarray", loud: "np.ndarray") -> Iterator[tuple[int, int]]:
    """(first, last + 1) sample of each stretch: long silences left out, long stretches cut where it is quiet."""
    import numpy as np

    hops = np.flatnonzero(loud)
    if not len(hops):
        return
    breaks = np.flatnonzero(np.diff(hops) > SILENCE)
    for first, last in zip(hops[[0, *(breaks + 1)]], hops[[*breaks, -1]], strict=True):
        begin, end = max(0, int(first) - MARGIN) * HOP, min((int(last) + 1 + MARGIN) * HOP, len(sound))
        while end - begin > LONGEST:
            half = np.abs(sound[begin + LONGEST // 2 : begin + LONGEST]).reshape(-1, HOP).mean(axis=1)
            quiet = int(np.convolve(half, np.ones(MARGIN), "valid").argmin()) + MARGIN // 2
            stop = begin + LONGEST // 2 + quiet * HOP + HOP // 2
            yield begin, stop
            begin = stop
        yield begin, end
