"""The ways of probing a file, taking pictures from it, telling those that look the same, and taking its sound.

In: a Work. Each is measured up to its second `yield`; see cost.py. Imports are made before the first.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.bench.work import Work
from pipeline.media import guard, look, video
from pipeline.media.container import Decoder, Tape, best_audio, best_video, open_media
from pipeline.media.vad import FRAME, RATE, stretches

if TYPE_CHECKING:
    import numpy as np

LOOKS = 48  # pictures that are held at once to be compared: 150 MB of 1080p


def probe(work: Work) -> Iterator[float | None]:
    yield
    guard.run(video.probe, work.video, limits=work.settings.limits)
    yield 1


def probe_plainly(work: Work) -> Iterator[float | None]:
    from moviepy import AudioFileClip, VideoFileClip

    has_video = video.probe(work.video, work.settings.limits).has_video
    yield
    (VideoFileClip if has_video else AudioFileClip)(str(work.video)).close()
    yield 1


def open_barely(work: Work) -> Iterator[float | None]:
    import av  # noqa: F401

    yield
    with open_media(work.video, work.settings.limits):
        pass
    yield 1


def frames(work: Work) -> Iterator[float | None]:
    length = _length(work)
    yield
    video.read_frames(
        work.video, work.folder, work.settings.frames_per_second, lambda done: None, limits=work.settings.limits
    )
    yield length


def frames_plainly(work: Work) -> Iterator[float | None]:
    from moviepy import VideoFileClip

    length = _length(work)
    yield
    with VideoFileClip(str(work.video), audio=False) as clip:
        clip.write_images_sequence(str(work.folder / "%06d.png"), fps=work.settings.frames_per_second, logger=None)
    yield length


def keyframes(work: Work) -> Iterator[float | None]:
    import av  # noqa: F401

    length = _length(work)
    yield
    with open_media(work.video, work.settings.limits) as container:
        stream = best_video(container)
        decoder = Decoder(stream)
        for _ in decoder.run(p for p in container.demux(stream) if p.is_keyframe and p.size):
            pass
    yield length


def marks(work: Work) -> Iterator[float | None]:
    with open_media(work.video, work.settings.limits) as container:
        sights = _sights(work, container)
        yield
        for _ in look.choose(iter(sights)):
            pass
        yield len(sights)


def marks_plainly(work: Work) -> Iterator[float | None]:
    """Every picture whole, in colours, against the one before it."""
    import numpy as np

    with open_media(work.video, work.settings.limits) as container:
        sights = _sights(work, container)
        yield
        before = None
        for sight in sights:
            now = sight.frame.to_ndarray(format="rgb24").astype(np.int16)
            if before is not None:
                np.abs(now - before).mean()
            before = now
        yield len(sights)


def thumbnails(work: Work) -> Iterator[float | None]:
    with open_media(work.video, work.settings.limits) as container:
        sights = _sights(work, container)
        yield
        for sight in sights:
            sight.frame.reformat(*look.CELLS, format="gray", interpolation="AREA", threads=1)
        yield len(sights)


def _sights(work: Work, container) -> list:
    stream = best_video(container)
    seen = Tape(container, stream).sights(Decoder(stream, work.settings.limits), 1 / work.settings.frames_per_second)
    return [sight for sight in islice(seen, LOOKS) if sight.frame is not None]


def sound(work: Work) -> Iterator[float | None]:
    import numpy as np  # noqa: F401

    length = _length(work)
    yield
    for _ in _sound(work):
        pass
    yield length


def sound_plainly(work: Work) -> Iterator[float | None]:
    from moviepy import AudioFileClip

    length = _length(work)
    yield
    with AudioFileClip(str(work.video)) as clip:
        clip.write_audiofile(str(work.folder / "sound.wav"), fps=RATE, logger=None)
    yield length


def packets(work: Work) -> Iterator[float | None]:
    import av  # noqa: F401

    length = _length(work)
    yield
    with open_media(work.video, work.settings.limits) as container:
        for _ in container.demux():
            pass
    yield length


def _sound(work: Work) -> "Iterator[np.ndarray]":
    """Mono float32 at 16 kHz, block by block."""
    for piece in video.read_sound(work.video, limits=work.settings.limits):
        if not isinstance(piece, str):
            yield piece


def choose_sound(work: Work, seconds: float) -> Iterator[float | None]:
    """Keep the stretch of so many s that holds most speech. Done: how many s of all hold speech."""
    import numpy as np

    yield
    path = work.folder / "sound"
    with open(path, "wb") as file:

        def kept() -> "Iterator[np.ndarray]":
            for block in _sound(work):
                file.write(block.tobytes())
                yield block

        speech = [span for piece in stretches(kept()) for window in piece.windows for span in window.speech]
    heard = np.memmap(path, np.float32, "r") if path.stat().st_size else np.zeros(0, np.float32)
    spoken = np.zeros(-(-len(heard) // FRAME), bool)
    for begin, end in speech:
        spoken[begin // FRAME : end // FRAME] = True
    many = min(len(spoken), int(min(seconds, 1e9) * RATE / FRAME))
    before = np.concatenate([[0], np.cumsum(spoken)])
    first = int((before[many:] - before[: len(before) - many]).argmax()) if many else 0
    np.save(work.sound, heard[first * FRAME : (first + many) * FRAME])
    yield float(spoken.sum()) * FRAME / RATE


def stretch(work: Work, seconds: float) -> Iterator[float | None]:
    """Copy the first s of the file, nothing decoded, into the folder."""
    import av

    yield
    target = work.folder / f"stretch{work.video.suffix}"
    with open_media(work.video, work.settings.limits) as container, av.open(str(target), "w") as copy:
        streams = [one for one in (best_video(container), best_audio(container)) if one]
        copies = {one.index: copy.add_stream_from_template(one) for one in streams}
        start = (container.start_time or 0) / 1e6
        for packet in container.demux(streams):
            if packet.dts is None:
                continue
            if float(packet.dts * packet.time_base) - start > seconds:
                break
            packet.stream = copies[packet.stream.index]
            copy.mux(packet)
    yield video.probe(target, work.settings.limits).length


def _length(work: Work) -> float:
    return video.probe(work.video, work.settings.limits).length
