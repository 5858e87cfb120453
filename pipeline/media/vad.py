"""Sound, as it comes -> windows of speech, as Whisper hears them; what is no speech is left out.

In: mono float32 sound at 16 kHz, block by block. Out: stretch by stretch, windows of 30 s at most, cut in pauses, and
how far the sound was looked through; some two minutes of sound are held at a time. What is speech the voice detector
Silero tells (https://github.com/snakers4/silero-vad, MIT), which comes inside faster-whisper. What a stretch holds
follows from the sound after the stretch before it alone, so that hearing can stop there and go on.
Knows not what is said.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # Hz
FRAME = 512  # samples that the detector judges at once: 32 ms
HELD = 150 * RATE  # samples that are looked at at once
WINDOW = 30 * RATE - FRAME  # samples, the most that Whisper hears at once
BATCH = 4  # windows of a stretch; more at once make each a little cheaper, and the first words later
# The detector gets used to what it hears: after 45 s of music it misses the first two sentences. So it begins anew
# every 10 s, goes through all sound twice, and is not asked in the first second, when it takes anything for speech.
HALF, WARM = 312, 32  # frames
SPEECH, SILENCE = 0.5, 0.35  # the probability from which on speech begins, and below which it ends
SHORTEST = 5  # frames (0.16 s) of speech; a click is shorter, "yes" is longer
PAUSE = 6  # frames (0.19 s) without speech, in which sound may be cut
MARGIN = 10  # frames (0.32 s) around speech, where words begin and end softly
JOINED = 63  # frames (2 s); a longer pause is left out of a window
APART = 125  # frames (4 s); a longer pause ends a window: another may speak, in another language
EARLY = 0.75  # of a window; from here on it may end, where its longest pause is
USUAL = 0.05  # RMS of a voice that the detector knows well; fainter sound is amplified for it
FAINT = 1e-5  # RMS (-100 dB) below which there is nothing to amplify

Span = tuple[int, int]  # first sample, and the one after the last
Part = tuple[int, int, int]  # a span, and how many samples of pause follow on it


@dataclass(frozen=True)
class Window:
    """Speech, without its long pauses."""

    sound: "np.ndarray"  # float32
    parts: tuple[Span, ...]  # the spans of the source that it is made of, samples
    speech: tuple[Span, ...]  # where in the source the detector hears speech, samples

    @property
    def seconds(self) -> float:
        """s of speech."""
        return sum(after - first for first, after in self.speech) / RATE

    def halves(self) -> "tuple[Window, Window] | None":
        """The two parts around the pause nearest to the middle; None where there is no pause."""
        pauses = [(one[1] + other[0]) // 2 for one, other in pairwise(self.speech)]
        middle = (self.parts[0][0] + self.parts[-1][1]) / 2
        cut = min(pauses, key=lambda one: abs(one - middle), default=None)
        if cut is None:
            return None
        return self._between(self.parts[0][0], cut), self._between(cut, self.parts[-1][1])

    def _between(self, first: int, after: int) -> "Window":
        """What lies between two samples of the source."""
        passed, start, stop = 0, None, 0
        parts = []
        for a, b in self.parts:
            inside = max(a, first), min(b, after)
            if inside[0] < inside[1]:
                start = passed + inside[0] - a if start is None else start
                stop = passed + inside[1] - a
                parts.append(inside)
            passed += b - a
        return Window(self.sound[start:stop], tuple(parts), _inside(self.speech, first, after))

    def source_times(self, start: float, end: float) -> tuple[float, float]:
        """A word's times in the window (s) as times in the source (s).

        Whisper lets the first word after a pause begin within the pause; it begins where speech does.
        """
        middle, passed = (start + end) / 2 * RATE, 0
        for begin, stop in self.parts:
            if middle < passed + stop - begin or (begin, stop) == self.parts[-1]:
                break
            passed += stop - begin
        first = min(max(begin, begin + start * RATE - passed), stop)
        last = min(max(begin, begin + end * RATE - passed), stop)
        inside = [(a, b) for a, b in self.speech if a < last and b > first]
        if inside:
            first, last = max(first, inside[0][0] - FRAME), min(last, inside[-1][1] + FRAME)
        return round(float(first) / RATE, 3), round(float(max(first, last)) / RATE, 3)


@dataclass(frozen=True)
class Piece:
    """The speech in a stretch of the source."""

    end: int  # sample, up to which all was looked through
    windows: tuple[Window, ...]  # none where nobody speaks


def stretches(blocks: "Iterable[np.ndarray]", begin: int = 0) -> Iterator[Piece]:
    """All speech in the blocks, in order; the last piece reaches the sound's end. `begin`: their first sample."""
    import numpy as np

    blocks = iter(blocks)
    held = np.zeros(0, np.float32)
    while True:
        held = _fill(held, blocks)
        is_end = len(held) < HELD
        speech = _speech(speech_probability(held))
        packed = _packed(_cuttable(speech, len(held)))
        until = len(held) - (0 if is_end else JOINED * FRAME)  # speech that has just begun is not known yet
        if packed and not is_end and packed[-1][-1][1] + APART * FRAME > len(held):
            until = packed.pop()[0][0]  # more of it may follow
        now = packed[:BATCH]
        keep = now[-1][-1][1] if now and not (is_end and len(packed) <= BATCH) else until
        windows = tuple(_window(held, parts, speech, begin) for parts in now)
        yield Piece(begin + keep, windows)
        held, begin = held[keep:], begin + keep
        if is_end and not len(held):
            return


def _fill(held: "np.ndarray", blocks: "Iterator[np.ndarray]") -> "np.ndarray":
    """What is held, and as much more of the sound as is looked at at once."""
    import numpy as np

    parts, have = [held], len(held)
    while have < HELD and (block := next(blocks, None)) is not None:
        parts.append(block)
        have += len(block)
    return np.concatenate(parts)


def speech_probability(sound: "np.ndarray") -> "np.ndarray":
    """How likely each FRAME of a sound is speech, 0-1. Shape (ceil(samples / FRAME),). It is amplified if need be."""
    import numpy as np
    from faster_whisper.vad import get_vad_model

    frames = -(-len(sound) // FRAME)
    padded = np.pad(sound - (sound.mean() if len(sound) else 0.0), (0, frames * FRAME - len(sound))).astype(np.float32)
    level = np.sqrt((padded.reshape(-1, FRAME) ** 2).mean(axis=1)) if frames else np.zeros(0)
    usual = float(np.quantile(level, 0.95)) if frames else 0.0
    if usual < FAINT:
        return np.zeros(frames, np.float32)
    loud = padded * max(1.0, USUAL / usual)
    likely = np.zeros(frames, np.float32)
    for first in range(0, max(1, frames - HALF), HALF):
        told = get_vad_model()(loud[first * FRAME : (first + 2 * HALF) * FRAME].copy()).reshape(-1)
        warm = WARM if first else 0
        likely[first + warm : first + len(told)] = np.maximum(likely[first + warm : first + len(told)], told[warm:])
    return likely


def _speech(probability: "np.ndarray") -> list[Span]:
    """Where somebody speaks, samples: from where it is likely until it is unlikely for a moment."""
    import numpy as np

    found: list[Span] = []
    likely, possible = probability >= SPEECH, probability >= SILENCE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], possible, [False]])))
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        if after - first < SHORTEST or not likely[first:after].any():
            continue
        if found and first * FRAME - found[-1][1] < PAUSE * FRAME:
            found[-1] = (found[-1][0], int(after) * FRAME)
        else:
            found.append((int(first) * FRAME, int(after) * FRAME))
    return found


def _cuttable(speech: list[Span], length: int) -> list[Part]:
    """The same with its margins, where no two overlap, none is longer than a window, and what follows each is known."""
    parts: list[Part] = []
    for number, (first, after) in enumerate(speech):
        following = speech[number + 1][0] if number + 1 < len(speech) else length
        pause = following - after if number + 1 < len(speech) else length
        first = max(first - MARGIN * FRAME, parts[-1][1] if parts else 0)
        after = min(after + MARGIN * FRAME, after + pause // 2 if number + 1 < len(speech) else length)
        while after - first > WINDOW:  # nobody pauses: a song, or many voices
            parts.append((first, first + WINDOW, 0))
            first += WINDOW
        parts.append((first, after, pause))
    return parts


def _packed(parts: list[Part]) -> list[list[Span]]:
    """The parts in windows, each as full as it can be without a cut where people go on speaking."""
    windows: list[list[Span]] = []
    spans = [(first, after) for first, after, _ in parts]
    begin = 0
    while begin < len(parts):
        end = begin + 1
        while end < len(parts) and parts[end - 1][2] <= APART * FRAME and _length(spans[begin : end + 1]) <= WINDOW:
            end += 1
        if end < len(parts) and parts[end - 1][2] <= APART * FRAME:
            # It goes on: end where the longest of the later pauses is.
            late = [n for n in range(begin + 1, end + 1) if n == end or _length(spans[begin:n]) >= EARLY * WINDOW]
            end = max(late, key=lambda n: (parts[n - 1][2], n))
        windows.append(spans[begin:end])
        begin = end
    return windows


def _joined(spans: list[Span]) -> list[Span]:
    """The same with the short pauses between them."""
    parts = [spans[0]]
    for first, after in spans[1:]:
        if first - parts[-1][1] <= JOINED * FRAME:
            parts[-1] = (parts[-1][0], after)
        else:
            parts.append((first, after))
    return parts


def _length(spans: list[Span]) -> int:
    return sum(after - first for first, after in _joined(spans))


def _window(held: "np.ndarray", spans: list[Span], speech: list[Span], begin: int) -> Window:
    """A window of what is held, whose first sample is `begin` in the source."""
    import numpy as np

    parts = _joined(spans)
    said = _inside(speech, parts[0][0], parts[-1][1])
    return Window(
        np.concatenate([held[first:after] for first, after in parts]),
        tuple((begin + first, begin + after) for first, after in parts),
        tuple((begin + first, begin + after) for first, after in said),
    )


def _inside(speech: Iterable[Span], first: int, after: int) -> tuple[Span, ...]:
    """What of the spans lies between two samples."""
    return tuple((max(a, first), min(b, after)) for a, b in speech if a < after and b > first)
