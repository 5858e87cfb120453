"""Sound, as it comes -> the stretches of it that are worth hearing.

In: mono float32 sound at 16 kHz, block by block. Out: stretches between silences, and long silences, one by one; two
minutes of sound are held at a time. What is loud is told by all that came so far and by those two minutes.
Knows not what is said. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz
HOP = RATE // 10  # samples whose loudness is taken together
LONGEST = 120 * RATE  # samples in a stretch
SILENCE = 50  # hops (5 s) without sound that are left out; a shorter pause costs less than one more stretch
MARGIN = 5  # hops around what is loud, where words begin and end softly
HELD = LONGEST + (SILENCE + 2 * MARGIN) * HOP  # samples: a stretch, and the silence that may follow it
VOICE = -50, -30, 2  # dB of full scale: the faintest voice, the usual one, and the step in which they are told apart
BELOW = 30  # dB below the voice, where silence begins: -80 dB in a faint recording, -60 dB in others
EVEN = 2.0  # times; sound whose loudest and faintest parts lie no further apart is no voice, but hiss

Tally = tuple[int, ...]  # hops by how loud they are, fainter ones first, in the steps of VOICE


@dataclass(frozen=True)
class Piece:
    """A stretch of sound, or a silence."""

    begin: int  # sample
    sound: "np.ndarray"  # float32
    loud: "np.ndarray"  # bool: whether each hop of it holds sound; none does in a silence
    tally: Tally  # of all sound up to its end

    @property
    def end(self) -> int:  # sample
        return self.begin + len(self.sound)


def stretches(blocks: "Iterable[np.ndarray]", begin: int = 0, tally: Tally = ()) -> Iterator[Piece]:
    """What is loud, between silences of 5 s, cut where it is quiet when it is long; the last reaches the sound's end.

    `begin` is the first sample of the blocks, `tally` what was said of the sound before it.
    """
    import numpy as np

    blocks = iter(blocks)
    held = np.zeros(0, np.float32)
    while True:
        held = _fill(held, blocks)
        window = held[:HELD]
        level = _levels(window)
        loud = level > _threshold(tally, level)
        hops = np.flatnonzero(loud)
        if not len(hops) and len(window) < HELD:
            yield Piece(begin, window, loud, _add(tally, level))
            return
        if not len(hops):
            keep = len(level) - MARGIN
        elif hops[0] > MARGIN:
            keep = int(hops[0]) - MARGIN
        else:
            pauses = np.flatnonzero(np.diff(hops) > SILENCE)
            keep = int(hops[pauses[0]] if len(pauses) else hops[-1]) + 1 + MARGIN
            if keep > LONGEST // HOP:
                half = level[LONGEST // HOP // 2 : LONGEST // HOP]
                keep = len(half) + int(np.convolve(half, np.ones(MARGIN), "valid").argmin()) + MARGIN // 2
        tally = _add(tally, level[:keep])
        now, held = held[: keep * HOP], held[keep * HOP :]
        if not len(hops) or hops[0] <= MARGIN:  # else it is the silence before a stretch
            yield Piece(begin, now, loud[:keep], tally)
        begin += len(now)


def _fill(held: "np.ndarray", blocks: "Iterator[np.ndarray]") -> "np.ndarray":
    """What is held, and as much more of the sound as is looked at at once."""
    import numpy as np

    parts, have = [held], len(held)
    while have < HELD and (block := next(blocks, None)) is not None:
        parts.append(block)
        have += len(block)
    return np.concatenate(parts)


def _levels(sound: "np.ndarray") -> "np.ndarray":
    """The RMS of each tenth of a second. Shape (ceil(samples / HOP),)."""
    import numpy as np

    whole = len(sound) // HOP * HOP
    blocks = [b for b in (sound[:whole].reshape(-1, HOP), sound[None, whole:]) if b.size]
    levels = [np.sqrt(np.einsum("ij,ij->i", b, b) / b.shape[1]) for b in blocks]
    return np.nan_to_num(np.concatenate([np.zeros(0, np.float32), *levels]))


def _add(tally: Tally, level: "np.ndarray") -> Tally:
    import numpy as np

    faintest, usual, step = VOICE
    many = (usual - faintest) // step + 1
    loudness = (20 * np.log10(np.maximum(level, 1e-9)) - faintest) // step
    counted = np.bincount(np.clip(loudness, 0, many - 1).astype(int), minlength=many)
    before = tally if len(tally) == many else (0,) * many
    return tuple(int(old + new) for old, new in zip(before, counted, strict=True))


def _threshold(tally: Tally, level: "np.ndarray") -> float:
    """The RMS above which sound is loud: far below the voice, which one hop in twenty exceeds."""
    import numpy as np

    faintest, usual, step = VOICE
    if not len(level) or np.quantile(level, 0.95) < EVEN * np.quantile(level, 0.05):
        voice = usual
    else:
        counted = np.cumsum(_add(tally, level))
        voice = faintest + step * int(np.searchsorted(counted, 0.95 * counted[-1]))
    return 10 ** ((voice - BELOW) / 20)
