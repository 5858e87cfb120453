"""Packets -> the few pictures worth seeing, decoded with as little work as that takes.

In: the packets of one video stream in the order of the file, and a decoder. Out: decoded pictures in the order of
time: the one that is being shown at each sampling time, and between them cues, where the encoder's own choices say
that the scene changed. Knows neither files nor what a picture shows. Nothing is sought, so a file without an index
will do; what is held is bounded.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor, inf
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from av import Packet, VideoFrame

HELD = 600  # packets: 20 s at 30 Hz; a longer stretch without a keyframe is decoded as it comes
PATIENCE = 64  # packets fed after a picture's own before it counts as lost; decoders reorder by 16 at most
SPACING = 0.5  # s between two cues: enough to date a change, and a file of keyframes only stays cheap
# A picture that stands weighs 0.1 % of a keyframe (slides, screens), or nothing but its header; slow motion 1 %.
STILL, HEADER = 1 / 200, 50  # of a keyframe; bytes
# A keyframe that comes when it was due weighs what the one before it did, unless something changed.
LATE = 0.1  # of the usual time between two
RATIO = 1.3  # of two sizes, from which they differ
# Jumps at every turn are none: a film that was encoded twice jumps at each keyframe of the first time.
HABIT = 3, 6.0  # so many jumps in so many s; a jump still tells where it is
LARGER = 2  # times as large as these
# A jump so soon after a change goes on with it. Where a keyframe is never further away, that shows what came of it.
AFTER, SOON = 2.0, 1.0  # s
EXACT = 0.001  # s; Matroska rounds its time stamps by half as much


class Decoder(Protocol):
    """What decodes. Damaged packets give no picture and raise nothing."""

    def decode(self, packet: "Packet | None", only_if_needed: bool = False) -> "list[VideoFrame]":
        """Pictures that are ready now. `only_if_needed`: nobody wants this one unless others refer to it."""

    def reset(self) -> None:
        """Forget all pictures: the next packet is a keyframe elsewhere."""

    @property
    def waits(self) -> bool:
        """Whether it holds a picture back until it has seen those that may come before it."""


@dataclass(frozen=True)
class Sight:
    """One look at the video."""

    time: float  # s
    frame: "VideoFrame | None"  # None where the picture was lost to damage
    sample: bool  # it is one of those asked for; else a cue on the way there
    still: bool = False  # nothing moved in the second before it


class Sampler:
    """Walks the packets of one stream once."""

    def __init__(self, packets: "Iterable[Packet]", decoder: Decoder, clock: Callable[[int], float]) -> None:
        """`clock`: a time stamp of the stream -> s from the start of the video."""
        self.packets, self.decoder, self.clock = iter(packets), decoder, clock
        self.held: deque[Packet] = deque()  # read and not yet decoded; at most HELD
        self.ready: deque[VideoFrame] = deque()  # decoded and not yet passed
        self.known: list[float] = []  # s, of the pictures that were read and not yet passed, sorted
        self.keys: list[float] = []  # s, of the keyframes among them, sorted
        self.cues: list[float] = []  # s, where the scene may change, sorted
        self.now = -inf  # s: every picture before it has been read
        self.end = -inf  # s, the end of the last picture that was read
        self.since = -inf  # s, where the walk begins
        self.ended = self.drained = False
        self.sizes: deque[tuple[float, int]] = deque(maxlen=60)  # (s, bytes) of the pictures between keyframes
        self.key = (-inf, 0)  # (s, bytes) of the last keyframe
        self.between = 0  # pictures since then
        self.whole = 0  # bytes of the last picture drawn anew: that keyframe, or a jump since that outweighs it
        self.usual = (0, 0.0)  # (pictures, s) from one keyframe to the next, at most
        self.last_key = -inf  # s, the last keyframe that was a cue
        self.changed = -inf  # s, the last change
        self.owed = False  # whether the next keyframe is to be a cue, because a change went on
        self.jumps: deque[tuple[float, int]] = deque(maxlen=HABIT[0])  # (s, bytes) of the last
        self.current: VideoFrame | None = None
        self.seen = -inf  # s, the last picture that was given out

    def walk(self, step: float, since: float = -inf) -> Iterator[Sight]:
        """The first picture, the one shown at every multiple of `step` s, and the cues between, in order.

        Goes on `since` s where given: the picture shown then is the first.
        """
        self.since = self.seen = since
        due = None
        while True:
            # All pictures up to the first one not passed must be known, or a later one would be taken for it.
            while not self.ended and (not self.known or self.now <= self.known[0]):
                self._read()
            if not self.known:
                return
            first = self.known[0]
            # A gap, however long, is crossed in one step: times are only sampled where there are pictures.
            due = max(first, since) if due is None else max(due, ceil((first - EXACT) / step) * step)
            while not self.ended and self.now <= min([due, *self.cues]) + EXACT:
                self._read()
            if self.cues and self.cues[0] < due:
                yield from self._visit(self.cues.pop(0), sample=False)
            elif due >= self.end and due > first:
                return
            else:
                yield from self._visit(due, sample=True)
                due = (floor((due + EXACT) / step) + 1) * step
                self.keys.clear()

    def walk_slots(self, step: float, since: float = -inf) -> Iterator[Sight]:
        """One picture of every `step` s in which there are any, the cheapest to decode, and the cues between, in order.

        Goes on `since` s where given: the picture shown then is the first.
        """
        self.since = self.seen = begin = since
        if since > -inf:
            while not self.ended and self.now <= since + EXACT:
                self._read()
            yield from self._visit(since, sample=True)
        while True:
            due = self._due(begin, step)
            # What comes before the slot may be looked at before it is known which of its pictures will be taken.
            cue = self.cues[0] if self.cues and self.cues[0] < (begin if due is None else due) - EXACT else None
            wanted = due if cue is None else cue
            if not self.ended and (wanted is None or self.now <= wanted + EXACT):
                self._read()
            elif cue is not None:
                yield from self._visit(self.cues.pop(0), sample=False)
            elif due == inf:
                return
            else:
                if due > since + EXACT:  # else it was taken before the walk was broken off
                    yield from self._visit(due, sample=True)
                begin = (floor((due + EXACT) / step) + 1) * step

    def _due(self, begin: float, step: float) -> float | None:
        """s, the picture to take of the slot in which the first one from `begin` on lies: the first where the scene may
        change, which is looked at in any case; else a keyframe; without any, what is shown in the middle.

        inf after the last picture; None where more must be read to tell.
        """
        at = bisect_left(self.known, begin - EXACT)
        if at == len(self.known):
            return inf if self.ended else None
        first = self.known[at]
        if self.now <= first:
            return None
        slot = floor((first + EXACT) / step) * step
        all_read = self.now > slot + step or len(self.held) >= HELD
        del self.keys[: bisect_left(self.keys, slot - EXACT)]
        cut = next((time for time in self.cues if first - EXACT <= time < slot + step - EXACT), None)
        if cut is not None or not all_read:
            return cut
        if self.keys and self.keys[0] < slot + step - EXACT:
            return self.keys[0]
        middle = slot + step / 2
        if first > middle and self.since >= slot - EXACT:
            return self.since  # what is shown in the middle is, or is before, the picture that the walk goes on from
        return self.known[bisect_right(self.known, max(first, middle) + EXACT) - 1]

    def _read(self) -> None:
        packet = next(self.packets, None)
        if packet is None:
            self.ended, self.now = True, inf
            return
        self.held.append(packet)
        if packet.pts is not None and not packet.is_discard:
            time = self.clock(packet.pts)
            insort(self.known, time)
            self.end = max(self.end, self.clock(packet.pts + (packet.duration or 0)))
            self._notice(packet, time)
        if packet.dts is not None:
            self.now = self.clock(packet.dts)
        if len(self.held) > HELD:
            self.ready.extend(self.decoder.decode(self.held.popleft(), only_if_needed=True))
            while len(self.ready) > 1:
                self.ready.popleft()

    def _notice(self, packet: "Packet", time: float) -> None:
        """Encoders put a keyframe at a cut, or spend as much on the picture after it as on a keyframe."""
        size = packet.size
        if packet.is_keyframe:
            tells = time >= self.last_key + SPACING and self._tells(time, size)
            insort(self.keys, time)
            if tells:
                self.last_key = self.changed = time
            if tells or self.owed:
                self.owed = False
                self._remember(time)
            if self.key[1]:
                self.usual = max(self.usual[0], self.between), max(self.usual[1], time - self.key[0])
            self.key, self.whole, self.between = (time, size), size, 1
            return
        self.between += 1
        # On slides and screens a change weighs 50-1000 times the usual packet and at least an eighth of a keyframe;
        # in moving footage the usual packet is a tenth of a keyframe, so that only real cuts reach ten of them.
        might = size > self.key[1] / 8 and (not self.jumps or time >= self.jumps[-1][0] + SPACING)
        if might and size > 10 * median([size for _, size in self.sizes] or [0]):
            often, within = HABIT
            habitual = len(self.jumps) == often and time - self.jumps[0][0] < within
            if not habitual or size > LARGER * max(size for _, size in self.jumps):
                self._change(time, size)
            self.jumps.append((time, size))
            self.whole = max(self.whole, size)
        self.sizes.append((time, size))

    def _change(self, time: float, size: int) -> None:
        """A jump, unless it goes on with a change that a keyframe will soon show whole."""
        anew = size * RATIO >= self.whole
        self.owed = not anew and time < self.changed + AFTER and 0 < self.usual[1] <= SOON + EXACT
        if not self.owed:
            self.changed = time
            self._remember(time)

    def _tells(self, time: float, size: int) -> bool:
        """Whether a keyframe may stand at a cut: it comes before its turn, or weighs not what the one before did."""
        pictures, seconds = self.usual
        regular = not pictures or self.between == pictures or abs(time - self.key[0] - seconds) <= LATE * seconds
        return not regular or not 1 / RATIO <= size / max(1, self.whole) <= RATIO

    def _remember(self, cue: float) -> None:
        if cue >= self.since:
            insort(self.cues, cue)

    def _stood(self, until: float) -> bool:
        before = [size for time, size in self.sizes if until - 1 <= time < until]
        return bool(before) and median(before) <= max(self.key[1] * STILL, HEADER)

    def _visit(self, due: float, sample: bool) -> Iterator[Sight]:
        """The picture shown at `due`, after those that had to be decoded on the way."""
        passed = bisect_right(self.known, due + EXACT)
        if not passed:
            return
        wanted = self.known[passed - 1]
        # A sample may want the picture that a cue has just shown: it is passed only by a sample.
        del self.known[: passed if sample else passed - 1]
        if sample:
            del self.cues[: bisect_right(self.cues, due + EXACT)]
        self._start_at_keyframe(due)
        shown = None
        for frame in self._decode_up_to(wanted):
            time = self.clock(frame.pts)
            if time < wanted and time >= self.seen + SPACING:
                self.seen = time
                yield Sight(time, frame, False, self._stood(time))
            shown = frame
        if shown:
            self.current = shown
            self.seen = self.clock(shown.pts)
            yield Sight(self.seen, shown, sample, self._stood(self.seen))
        elif sample:
            yield Sight(due, None, sample)

    def _start_at_keyframe(self, due: float) -> None:
        """Drop what is not needed to decode the picture at `due`."""
        for index in range(len(self.held) - 1, 0, -1):
            packet = self.held[index]
            if packet.is_keyframe and packet.pts is not None and self.clock(packet.pts) <= due + EXACT:
                for _ in range(index):
                    self.held.popleft()
                self.ready.clear()
                self.decoder.reset()
                return

    def _decode_up_to(self, wanted: float) -> "Iterator[VideoFrame]":
        """Pictures up to the one at `wanted` s; it comes last, unless it is lost."""
        if self.current and self.clock(self.current.pts) == wanted:
            yield self.current
            return
        if apart := self._decode_apart(wanted):
            yield from apart
            return
        late = 0
        while late <= PATIENCE:
            while self.ready and self.clock(self.ready[0].pts) <= wanted:
                frame = self.ready.popleft()
                yield frame
                if self.clock(frame.pts) == wanted:
                    return
            if self.ready or self.drained:
                return
            if not self.held and not self.ended:
                self._read()
            packet = self.held.popleft() if self.held else None
            self.drained = packet is None
            before = packet is not None and packet.pts is not None and self.clock(packet.pts) < wanted
            late += not before
            decoded = self.decoder.decode(packet, only_if_needed=before)
            self.ready.extend(frame for frame in decoded if frame.pts is not None)

    def _decode_apart(self, wanted: float) -> "list[VideoFrame]":
        """Pictures up to the one at `wanted` s without those that follow it, where the next to be wanted is after
        another keyframe, as far as is known. The packets stay in line, since it may turn out otherwise."""
        if not self.decoder.waits or not self.held or not self.held[0].is_keyframe:
            return []
        times = [None if packet.pts is None else self.clock(packet.pts) for packet in self.held]
        key = next((time for time in self.keys if time > wanted), inf)
        if wanted not in times or (self.cues and self.cues[0] < key) or (key == inf and wanted != times[0]):
            return []
        frames = []
        for packet, time in zip(self.held, times[: times.index(wanted) + 1], strict=False):
            frames += self.decoder.decode(packet, only_if_needed=time is not None and time < wanted)
        frames += self.decoder.decode(None)
        self.decoder.reset()
        self.ready.clear()
        frames = [frame for frame in frames if frame.pts is not None and self.clock(frame.pts) <= wanted]
        return frames if frames and self.clock(frames[-1].pts) == wanted else []


def walk_frames(frames: "Iterable[tuple[float, VideoFrame]]", step: float) -> Iterator[Sight]:
    """The same for a stream whose packets tell no times, such as raw H.264: every picture is decoded.

    `frames`: (s, picture) in the order of time.
    """
    due, seen = None, -inf
    before: tuple[float, VideoFrame] | None = None
    for time, frame in frames:
        if before is None:
            due = time
        elif time > due + EXACT:
            yield Sight(*before, sample=True)
            due = ceil((time - EXACT) / step) * step
        elif before[0] >= seen + SPACING:
            seen = before[0]
            yield Sight(*before, sample=False)
        before = (time, frame)
    if before and due <= before[0] + EXACT:
        yield Sight(*before, sample=True)
