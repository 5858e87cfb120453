"""The door to FFmpeg's readers: opens a file, hands out its packets, decodes what can be decoded.

In: a path that a user gave; nothing in the file is trusted. Out: streams, packets, pictures and sound, and notes on
what was damaged. Times are seconds from the container's start. Knows not what they are read for.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SourceError
from pipeline.media import sampling
from pipeline.media.source import USUAL, check, why_not
from pipeline.settings import Limits
from pipeline.times import stamp

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame, Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream

# Containers that hold their media themselves. Playlists (hls, dash, concat), pictures and text open other files, or
# are none of ours; a whitelist of protocols does not stop them, this one does.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,wav,w64,aiff,caf,mp3,flac,aac,ac3,amr,"
    "h264,hevc,m4v,obu,ivf,mpegvideo,mjpeg,dv,mxf,gif,nut,rm,wtv"
)
LONGEST_GAP = 3600.0  # s; a longer one is a broken time stamp
PATIENCE = 30.0  # s until a read that does not come back is given up
RATE = 16_000  # Hz, what Whisper hears
GAP = 0.05  # s; time stamps of sound that goes on may be this far off
COUNTED = ("mp3", "aac", "ac3", "eac3", "amr")  # FFmpeg's names of what has no times but those counted from the start
DEFAULT, FORCED, COVER = 0x1, 0x40, 0x400  # FFmpeg's AV_DISPOSITION flags
PROTECTED = ("encv", "enca", "drmi", "drms")  # codec tags of Common Encryption and FairPlay
PROTECTION = "{} is encrypted (copy protection). Give a copy without protection."


def on_packet() -> None:
    """Called with each packet that is read: whoever watches over it puts another in its place."""


# -- opening


def load() -> None:
    """Import what decoding needs: where that fails, no file is the cause."""
    import av  # noqa: F401
    import numpy as np  # noqa: F401


@contextmanager
def open_media(path: Path, limits: Limits = USUAL) -> "Iterator[InputContainer]":
    """The one way into FFmpeg. Its errors inside become SourceErrors; MemoryError is left as it is."""
    import av

    check(path, limits)
    # "file:" keeps a name such as http:x.mp4 or concat:a|b from being taken for an address.
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file", "max_pixels": str(int(limits.pixels))}
    try:
        container = av.open(f"file:{path.absolute()}", options=options, timeout=PATIENCE, metadata_errors="replace")
    except MemoryError:  # FFmpeg's is one, too
        raise
    except av.FFmpegError as error:
        raise SourceError(why_not(path, error)) from error
    try:
        with container:
            yield container
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise SourceError(f"{path} cannot be decoded ({error.strerror}). Try another copy.") from error


def _why_nothing(path: Path, container: "InputContainer") -> str:
    streams = [s for s in container.streams if s.type in ("video", "audio") and not int(s.disposition) & COVER]
    if any(s.codec_context and s.codec_tag in PROTECTED for s in streams):
        return PROTECTION.format(path)
    if streams:
        names = " and ".join(sorted({f"{s.type} in {codec_name(s)}" for s in streams}))
        return f"{path} holds {names}, which cannot be decoded here. Convert it to H.264 and AAC."
    return f"{path} holds neither pictures nor sound. Check that it is the right file and not cut off."


def codec_name(stream: "Stream") -> str:
    """FFmpeg's name, such as "h264"."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "an unknown codec"


def _decodable(stream: "Stream") -> bool:
    return (
        stream.codec_context is not None and not int(stream.disposition) & COVER and stream.codec_tag not in PROTECTED
    )


def best_video(container: "InputContainer") -> "Stream | None":
    """The default stream; of several, the largest."""
    streams = [s for s in container.streams.video if _decodable(s)]
    return max(
        streams,
        key=lambda s: (int(s.disposition) & DEFAULT, s.codec_context.width * s.codec_context.height),
        default=None,
    )


def best_audio(container: "InputContainer") -> "Stream | None":
    streams = [s for s in container.streams.audio if _decodable(s)]
    return max(streams, key=lambda s: int(s.disposition) & DEFAULT, default=None)


def look_in(path: Path, container: "InputContainer", stream: "Stream | None", limits: Limits = USUAL) -> int:
    """Refuse what cannot be decoded: nothing, too large, encrypted. Degrees counter-clockwise to turn the pictures.

    The last two are told by packets and pictures only, so the first are read.
    """
    if stream is None:
        raise SourceError(_why_nothing(path, container))
    width, height = getattr(stream.codec_context, "width", 0), getattr(stream.codec_context, "height", 0)
    if width * height > limits.pixels:
        raise SourceError(
            f"{path} has pictures of {width} x {height} pixels, and MAX_MEGAPIXELS allows {limits.pixels / 1e6:g} "
            "million. Scale it down, or raise MAX_MEGAPIXELS."
        )
    decoder = Decoder(stream, limits)
    with suppress(IndexError):  # as below
        for packet in islice(container.demux(stream), 100):
            if packet.size and packet.has_sidedata("encryption_info"):
                raise SourceError(PROTECTION.format(path))
            if stream.type == "audio":
                return 0
            for frame in decoder.decode(packet):
                return frame.rotation
    return 0


# -- reading


def _start(container: "InputContainer") -> float:
    return (container.start_time or 0) / 1e6


def measure(path: Path, container: "InputContainer", limits: Limits = USUAL) -> float:
    """s. The packets are counted where the header does not say, says more than may be, or counts from zero though
    the media starts later. Raises SourceError where it is too long."""
    length = (container.duration or 0) / 1e6
    late = container.format.name.startswith("matroska") and _start(container) > 1
    if not 0 < length <= limits.length or late:
        with open_media(path, limits) as again:
            tape = Tape(again, best_video(again) or best_audio(again))
            length, untimed = 0.0, 0
            for packet in tape:
                untimed += packet.pts is None
                if tape.reached > length + LONGEST_GAP:
                    break
                length = max(tape.reached, untimed / tape.rate)
    if length > limits.length:
        raise SourceError(
            f"{path} lasts {length / 3600:.1f} hours, and MAX_HOURS allows {limits.length / 3600:g}. "
            "Cut it, or raise MAX_HOURS."
        )
    return length


class Tape:
    """The packets of one stream in the order of the file, and how far the file goes."""

    def __init__(self, container: "InputContainer", stream: "Stream") -> None:
        self.container, self.stream = container, stream
        self.ticks = stream.time_base.as_integer_ratio()
        self.start = _start(container)
        self.reached = 0.0  # s, the last end of a packet of any stream
        self.end = -inf  # s, the last end of a packet of this stream
        self.broken = False
        rate = getattr(stream, "average_rate", None) or getattr(stream, "guessed_rate", None)
        self.rate = float(rate or 25)  # pictures a second, for streams without times

    def clock(self, stamp: int) -> float:
        """A time stamp of the stream in s from the start of the container."""
        return stamp * self.ticks[0] / self.ticks[1] - self.start

    def __iter__(self) -> "Iterator[Packet]":
        import av

        mine = self.stream.index
        ticks: dict[int, tuple[int, int]] = {}  # of each stream; to ask a packet costs more than to read it
        try:
            for packet in self.container.demux():
                on_packet()
                if not packet.size:
                    continue  # PyAV's mark of the end
                index, pts = packet.stream_index, packet.pts
                if pts is not None:
                    if index not in ticks:
                        ticks[index] = packet.time_base.as_integer_ratio()
                    numerator, denominator = ticks[index]
                    end = (pts + (packet.duration or 0)) * numerator / denominator - self.start
                    self.reached = max(self.reached, end)
                    if index == mine:
                        self.end = max(self.end, end)
                if index == mine:
                    yield packet
        except MemoryError:
            raise
        except (av.FFmpegError, IndexError):  # the second: PyAV fails on a stream that was not there at first
            self.broken = True  # what was read is good; notes() tells the rest

    def sights(
        self, decoder: "Decoder", step: float, since: float = -inf, exact: bool = True
    ) -> "Iterator[sampling.Sight]":
        """Looks at the pictures, one every `step` s and cues between; on from the one that is shown `since` s.

        Where not `exact`, one in every `step` s, whichever is the cheapest to decode.
        """
        # Keyframes are found by the times at which they are decoded, a little before; without an index, too late.
        seeks = since > 0 and self.container.start_time is not None  # as seek does
        begin = since if exact or not seeks else since // step * step
        for back in (1.0, 30.0, since) if seeks else (0.0,):
            if seeks:
                self.seek(begin - back)
            packets = iter(self)
            first = list(islice(packets, 32))
            if any(p.pts is not None and self.clock(p.pts) <= begin for p in first):
                break
        # Decoding times may be unknown at the start of a Matroska file, display times never but in raw streams.
        if any(p.pts is None for p in first) or (first and first[-1].dts is None):
            pictures = self._timed(decoder.run(chain(first, packets)))
            return sampling.walk_frames((one for one in pictures if one[0] >= since - sampling.EXACT), step)
        sampler = sampling.Sampler(chain(first, packets), decoder, self.clock)
        return sampler.walk(step, since) if exact else sampler.walk_slots(step, since)

    def _timed(self, frames: "Iterator[VideoFrame]") -> "Iterator[tuple[float, VideoFrame]]":
        for number, frame in enumerate(frames):
            time = self.clock(frame.pts) if frame.pts is not None else number / self.rate
            self.end = self.reached = max(self.end, time + 1 / self.rate)
            yield time, frame

    def seek(self, time: float) -> None:
        """Go on from about a keyframe before `time` s, or from here where that cannot be done."""
        import av

        if self.container.start_time is None:
            return  # without times there is no way to tell where a seek ends
        with suppress(av.FFmpegError):
            self.container.seek(max(0, int((time + self.start) * 1e6)))

    def pictures(self, decoder: "Decoder") -> "Iterator[tuple[float, VideoFrame]]":
        """(s, picture) of every picture."""
        return self._timed(decoder.run(self))

    def sound(self, decoder: "Decoder", rate: int = RATE, layout: str = "mono") -> "Iterator[tuple[float, np.ndarray]]":
        """(s, float32 of shape (samples, channels)), in blocks of about a second, none of them across a gap."""
        run, ends = None, 0.0
        for frame in chain(decoder.run(self), [None]):
            at = ends if frame is None or frame.time is None else frame.time
            if run and (frame is None or not run.takes(frame) or abs(at - ends) > GAP):
                yield from run.end()
                run = None
            if frame:
                run = run or _Run(frame, layout, rate, self.start)
                yield from run.add(frame, at)
                ends = at + frame.samples / frame.sample_rate

    def sound_since(self, since: float, decoder: "Decoder") -> "tuple[float, Iterator[tuple[float, np.ndarray]]]":
        """(where it begins, the same as sound): a little before `since` s where the file has times, else at 0."""
        if since > 0 and self.container.start_time is not None and self.container.format.name not in COUNTED:
            for back in (1.0, 30.0):  # a decoder needs some sound to find in; a seek may end too late
                self.seek(since - back)
                blocks = self.sound(decoder)
                first = next(blocks, None)
                if first and first[0] <= since:
                    return max(0.0, first[0]), chain([first], blocks)
                decoder.reset()
            self.seek(0)
        return 0.0, self.sound(decoder)

    def notes(self, length: float) -> list[str]:
        """What is missing of `length` s."""
        if self.broken or self.reached < length - max(2.0, length / 50):
            until = stamp(max(0.0, self.end))
            return [f"The file is damaged or cut off: it was read until {until} of {stamp(length)}."]
        return []


class _Run:
    """Sound of one form and without a gap: frames, 47 a second in AAC, -> blocks of a second.

    One by one, passing the frames on would take longer than decoding them.
    """

    def __init__(self, first: "AudioFrame", layout: str, rate: int, start: float) -> None:
        import av

        self._form, self._start = _form(first), start
        self._held = av.AudioFifo()
        self._at = 0.0  # s, where what is held begins
        self._resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)

    def takes(self, frame: "AudioFrame") -> bool:
        return _form(frame) == self._form

    def add(self, frame: "AudioFrame", at: float) -> "Iterator[tuple[float, np.ndarray]]":
        if not self._held.samples:
            self._at = at
        frame.pts = None  # as the clock tells them, they may be off by a sample, which the fifo takes for a gap
        self._held.write(frame)
        if self._held.samples >= frame.sample_rate:
            yield from self._resampled(self._read())

    def end(self) -> "Iterator[tuple[float, np.ndarray]]":
        if self._held.samples:
            yield from self._resampled(self._read())
        yield from self._resampled(None)

    def _read(self) -> "AudioFrame":
        block = self._held.read()
        block.time_base = Fraction(1, block.sample_rate)
        block.pts = round(self._at * block.sample_rate)
        return block

    def _resampled(self, frame: "AudioFrame | None") -> "Iterator[tuple[float, np.ndarray]]":
        for block in self._resampler.resample(frame):
            if block.pts is not None:
                samples = block.to_ndarray().reshape(-1, block.layout.nb_channels)
                yield block.pts * float(block.time_base) - self._start, samples


def _form(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class Decoder:
    """Decodes one stream and goes on after damage."""

    def __init__(self, stream: "Stream", limits: Limits = USUAL) -> None:
        self.context = stream.codec_context
        self.damaged = 0
        self.skips = self.skipping = False
        if stream.type == "video":
            self.context.thread_count = 1  # skip_frame would reach other threads' pictures; also cheaper in all
            self.context.options = {"max_pixels": str(int(limits.pixels))}
            self.skips = self.context.codec.canonical_name in ("h264", "mpeg2video", "mpeg4")

    def decode(self, packet: "Packet | None", only_if_needed: bool = False) -> list:
        """Pictures, blocks of sound or subtitles that are ready. None for the packet drains the decoder."""
        import av

        if self.skips and only_if_needed != self.skipping:
            self.skipping = only_if_needed
            self.context.skip_frame = "NONREF" if only_if_needed else "DEFAULT"
        try:
            decoded = self.context.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            self.damaged += 1
            return []
        self.damaged += sum(getattr(frame, "is_corrupt", False) for frame in decoded)
        return decoded

    def run(self, packets: "Iterable[Packet]") -> Iterator:
        """All that the packets hold."""
        for packet in packets:
            yield from self.decode(packet)
        yield from self.decode(None)

    def reset(self) -> None:
        """Forget what came before: the next packet is a keyframe elsewhere."""
        self.context.flush_buffers()

    @property
    def waits(self) -> bool:
        """Whether it holds a picture back until it has seen those that may come before it."""
        return bool(self.context.has_b_frames)

    def notes(self, what: str) -> list[str]:
        """Whether something was damaged."""
        return [f"The {what} is damaged in {self.damaged} places and may be wrong there."] if self.damaged else []


def container_name(path: Path, container: "InputContainer") -> str:
    """mp4, mov, webm, mkv, or FFmpeg's name where that is one kind of file."""
    name = container.format.name
    if name.startswith("mov"):
        return "mov" if container.metadata.get("major_brand", "qt").startswith("qt") else "mp4"
    if name.startswith("matroska"):
        with open(path, "rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    return name
