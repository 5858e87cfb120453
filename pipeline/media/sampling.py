"""Packets -> the few pictures worth seeing, decoded with as little work as that takes.

In: the packets of one video stream in the order of the file, and a decoder. Out: decoded pictures in the order of
time: the one that is being shown at each sampling time, and between them cues, where the encoder's own choices say
that the scene changed. Knows neither files nor what a picture shows. Nothing is sought, so a file without an index
will do; what is held is bounded.
"""

from bisect import insort
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
EXACT = 0.001  # s; Matroska rounds its time stamps by half as much


class Decoder(Protocol):
    """What decodes. Damaged packets give no picture and raise nothing."""

    def decode(self, packet: "Packet | None", only_if_needed: bool = False) -> "list[VideoFrame]":
        """Pictures that are ready now. `only_if_needed`: nobody wants this one unless others refer to it."""

    def reset(self) -> None:
        """Forget all pictures: the next packet is a keyframe elsewhere."""


@dataclass(frozen=True)
class Sight:
    """One look at the video."""

    time: float  # s
    frame: "VideoFrame | None"  # None where the picture was lost to damage
    sample: bool  # it is what is shown at a sampling time; else a cue on the way there
    still: bool = False  # nothing moved in the second before it


class Sampler:
    """Walks the packets of one stream once."""

    def __init__(self, packets: "Iterable[Packet]", decoder: Decoder, clock: Callable[[int], float]) -> None:
        """`clock`: a time stamp of the stream -> s from the start of the video."""
        self.packets, self.decoder, self.clock = iter(packets), decoder, clock
        self.held: deque[Packet] = deque()  # read and not yet decoded
        self.ready: deque[VideoFrame] = deque()  # decoded and not yet passed
        self.known: list[int] = []  # time stamps of the pictures that were read and not yet passed, sorted
        self.cues: list[float] = []  # s, where the scene may change, sorted
        self.now = -inf  # s: every picture before it has been read
        self.end = -inf  # s, the end of the last picture that was read
        self.since = -inf  # s, where the walk begins
        self.ended = self.drained = False
        self.keyframe_size = 0  # bytes
        self.sizes: deque[tuple[float, int]] = deque(maxlen=60)  # (s, bytes) of the pictures between keyframes
        self.last_key = self.last_jump = -inf  # s
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
            while not self.ended and (not self.known or self.now <= self.clock(self.known[0])):
                self._read()
            if not self.known:
                return
            first = self.clock(self.known[0])
            # A gap, however long, is crossed in one step: times are only sampled where there are pictures.
            due = max(first, since) if due is None else max(due, ceil((first - EXACT) / step) * step)
            while not self.ended and self.now <= min([due, *self.cues]) + EXACT:
                self._read()
            if self.cues and self.cues[0] < due:
                yield from self._visit(self.cues.pop(0), sample=False)
            elif due >= self.end and due > first:
                return
            else:
                while self.cues and self.cues[0] <= due + EXACT:
                    self.cues.pop(0)
                yield from self._visit(due, sample=True)
                due = (floor((due + EXACT) / step) + 1) * step

    def _read(self) -> None:
        packet = next(self.packets, None)
        if packet is None:
            self.ended, self.now = True, inf
            return
        self.held.append(packet)
        if packet.pts is not None and not packet.is_discard:
            insort(self.known, packet.pts)
            time = self.clock(packet.pts)
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
        if packet.is_keyframe:
            self.keyframe_size = packet.size
            if time >= self.last_key + SPACING:
                self.last_key = time
                self._remember(time)
            return
        usual = median(size for _, size in self.sizes) if self.sizes else 0
        self.sizes.append((time, packet.size))
        # On slides and screens a change weighs 50-1000 times the usual packet and at least an eighth of a keyframe;
        # in moving footage the usual packet is a tenth of a keyframe, so that only real cuts reach ten of them.
        if packet.size > max(self.keyframe_size / 8, usual * 10) and time >= self.last_jump + SPACING:
            self.last_jump = time
            self._remember(time)

    def _remember(self, cue: float) -> None:
        if cue >= self.since:
            insort(self.cues, cue)

    def _stood(self, until: float) -> bool:
        before = [size for time, size in self.sizes if until - 1 <= time < until]
        return bool(before) and median(before) <= max(self.keyframe_size * STILL, HEADER)

    def _visit(self, due: float, sample: bool) -> Iterator[Sight]:
        """The picture shown at `due`, after those that had to be decoded on the way."""
        passed = sum(self.clock(pts) <= due + EXACT for pts in self.known)
        if not passed:
            return
        wanted = self.known[passed - 1]
        # A sample may want the picture that a cue has just shown: it is passed only by a sample.
        del self.known[: passed if sample else passed - 1]
        self._start_at_keyframe(due)
        shown = None
        for frame in self._decode_up_to(wanted):
            time = self.clock(frame.pts)
            if frame.pts < wanted and time >= self.seen + SPACING:
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

    def _decode_up_to(self, wanted: int) -> "Iterator[VideoFrame]":
        """Pictures up to the one stamped `wanted`; it comes last, unless it is lost."""
        if self.current and self.current.pts == wanted:
            yield self.current
            return
        late = 0
        while late <= PATIENCE:
            while self.ready and self.ready[0].pts <= wanted:
                frame = self.ready.popleft()
                yield frame
                if frame.pts == wanted:
                    return
            if self.ready or self.drained:
                return
            if not self.held and not self.ended:
                self._read()
            packet = self.held.popleft() if self.held else None
            self.drained = packet is None
            before = packet is not None and packet.pts is not None and packet.pts < wanted
            late += not before
            decoded = self.decoder.decode(packet, only_if_needed=before)
            self.ready.extend(frame for frame in decoded if frame.pts is not None)


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
