"""A stretch of a video -> a short H.264 and AAC file that any browser plays, a GIF; a time -> its picture.

In: a path, two times. Out: a file, in a folder where it may also stay unfinished. MoviePy composes and encodes what
container.py reads: MoviePy's own reader misplaces pictures and sound in files with a variable frame rate or late
sound, and opens playlists. Knows not why the stretch was chosen.
"""

import errno
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import child
from pipeline.disk import storage_errors
from pipeline.errors import SourceError
from pipeline.media.container import Decoder, Tape, best_audio, best_video, open_media
from pipeline.media.picture import upright
from pipeline.media.source import USUAL
from pipeline.media.video import probe
from pipeline.settings import Limits

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from moviepy import VideoClip

LONG_SIDE = 1280  # pixels
GIF_SIDE, GIF_RATE, GIF_LONGEST = 480, 8.0, 20.0  # pixels, Hz, s: about a megabyte for each 3 s of film
STILL_SIDE, STILL_QUALITY = 7680, 92  # pixels: as large as it is; of 1-95
SOUND_RATE = 44_100  # Hz
SLOWEST, FASTEST = 10.0, 30.0  # Hz, of pictures in a clip
COLOURS = (
    *("-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
    *("-movflags", "+faststart", "-crf", "23"),
)


def cut(source: Path, start: float, end: float, target: Path, limits: Limits = USUAL) -> Path:
    """Write the stretch from `start` to `end` s to `target`, an .mp4.

    Raises SourceError where the source has no pictures there, StorageError where the clip cannot be written.
    """
    from moviepy.audio.AudioClip import AudioArrayClip

    with _stretch(source, start, end, LONG_SIDE, limits) as (clip, rate), _written(target):
        sound = _sound(source, start, start + clip.duration, limits)
        if sound is not None:
            clip = clip.with_audio(AudioArrayClip(sound, fps=SOUND_RATE))
        clip.write_videofile(
            str(target),
            fps=rate,
            codec="libx264",
            preset="veryfast",
            audio_codec="aac",
            temp_audiofile=str(target.with_suffix(".m4a")),
            ffmpeg_params=list(COLOURS),
            logger=None,
        )
        _require_whole(target)
    return target


def animate(source: Path, start: float, end: float, target: Path, limits: Limits = USUAL) -> Path:
    """Write the stretch from `start` to `end` s to `target`, a small silent .gif.

    Raises what cut raises, and SourceError for a stretch that is too long for a GIF.
    """
    if end - start > GIF_LONGEST:
        raise SourceError(f"A GIF of {end - start:.0f} s would be huge. Choose {GIF_LONGEST:.0f} s or less, or a clip.")
    with _stretch(source, start, end, GIF_SIDE, limits) as (clip, _), _written(target):
        clip.write_gif(str(target), fps=GIF_RATE, logger=None)
    return target


def still(source: Path, at: float, target: Path, limits: Limits = USUAL) -> Path:
    """Write the picture shown at `at` s to `target`, a .jpg of full size.

    Raises SourceError where the source has no picture there, StorageError where it cannot be written.
    """
    from PIL import Image

    if not probe(source, limits).has_video:
        raise SourceError(f"{source} has sound only: there is no picture to save.")
    with open_media(source, limits) as container, _written(target):
        _, picture = next(_pictures(Tape(container, best_video(container)), at, STILL_SIDE, limits))
        Image.fromarray(picture).save(target, quality=STILL_QUALITY)
    return target


@contextmanager
def _stretch(
    source: Path, start: float, end: float, long_side: int, limits: Limits
) -> "Iterator[tuple[VideoClip, float]]":
    """(MoviePy's clip of the pictures from `start` to `end` s, pictures a second)."""
    from moviepy import VideoClip

    facts = probe(source, limits)
    if not facts.has_video:
        raise SourceError(f"{source} has sound only. Play the sound itself.")
    end = min(end, facts.length) if facts.length else end
    if end <= start:
        raise SourceError(f"{source} has no pictures from {start:g} s to {end:g} s. Choose a time inside the video.")
    with open_media(source, limits) as container:
        stream = best_video(container)
        pictures = _pictures(Tape(container, stream), start, long_side, limits)
        rate = min(FASTEST, max(SLOWEST, float(stream.average_rate or 25)))
        yield VideoClip(_Shown(pictures, start), duration=end - start), rate


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """What goes wrong in writing the target, in plain words."""
    with storage_errors(target):
        try:
            yield
        except OSError as error:
            # MoviePy gives FFmpeg's words, not its error number.
            raise OSError(errno.ENOSPC, "disk full") if "No space left" in str(error) else error  # noqa: B904


def ffmpeg_version() -> str:
    """The version of the ffmpeg that MoviePy runs. Raises StorageError where it cannot be run."""
    from moviepy.config import FFMPEG_BINARY

    # MoviePy's own ffmpeg_version() fails on builds whose version is no number, such as the one it brings.
    with storage_errors(Path(FFMPEG_BINARY)):
        said = subprocess.run(
            [FFMPEG_BINARY, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=child.environment(),
            timeout=30,
            check=False,
        )
    return said.stdout.split(" Copyright")[0].removeprefix("ffmpeg version ").strip() or "unknown"


class _Shown:
    """MoviePy's frame function: asked for growing times, gives the picture shown then. Its own times are kept."""

    def __init__(self, pictures: "Iterator[tuple[float, np.ndarray]]", start: float) -> None:
        self.pictures, self.start = pictures, start
        self.now = next(pictures)
        self.next = next(pictures, None)

    def __call__(self, t: float) -> "np.ndarray":
        while self.next and self.next[0] <= self.start + t + 0.001:
            self.now, self.next = self.next, next(self.pictures, None)
        return self.now[1]


def _pictures(tape: Tape, start: float, long_side: int, limits: Limits) -> "Iterator[tuple[float, np.ndarray]]":
    """(s, RGB of even size) from the picture shown at `start` on."""
    import numpy as np

    def drawn(time: float, frame: "VideoFrame") -> "tuple[float, np.ndarray]":
        image = np.asarray(upright(frame, tape.stream, long_side))
        pad = [(0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)]  # H.264 halves both sides
        return time, np.pad(image, pad, mode="edge")

    before = None
    decoder = Decoder(tape.stream, limits)
    for time, frame in _from(tape, start, lambda: tape.pictures(decoder)):
        if before and time > start:
            yield drawn(*before)
        before = (time, frame)
    if before is None:
        raise SourceError("No picture of this stretch can be decoded: the file is damaged there. Try another time.")
    yield drawn(*before)


def _from(tape: Tape, start: float, read: Callable[[], Iterator]) -> Iterator:
    """What `read` gives, (s, piece), from at or before `start` on.

    A seek ends too late in files without an index: then another is made from further back.
    """
    for back in (0.0, 10.0, start):
        tape.seek(start - back)
        pieces = read()
        first = next(pieces, None)
        if first and first[0] <= start:
            break
    return chain([first], pieces) if first else iter(())


def _sound(source: Path, start: float, end: float, limits: Limits) -> "np.ndarray | None":
    """Stereo float32 of shape (samples, 2) from `start` to `end`, zeros where there is none; None without sound."""
    import numpy as np

    with open_media(source, limits) as container:
        stream = best_audio(container)
        if not stream:
            return None
        sound = np.zeros((round((end - start) * SOUND_RATE), 2), np.float32)
        tape, decoder = Tape(container, stream), Decoder(stream, limits)
        for time, block in _from(tape, start, lambda: tape.sound(decoder, SOUND_RATE, "stereo")):
            at = round((time - start) * SOUND_RATE)
            if at >= len(sound):
                break
            block = block[max(0, -at) :][: len(sound) - max(0, at)]
            sound[max(0, at) : max(0, at) + len(block)] = block
        return np.clip(sound, -1, 1)


def _require_whole(path: Path) -> None:
    """MoviePy does not look at how ffmpeg ended: a full disk leaves a file without its index."""
    try:
        probe(path)
    except SourceError as error:
        raise OSError(f"the clip was not finished: {error}") from error
