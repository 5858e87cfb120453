"""Films for the tests: every picture carries its own number, so that a picture taken from a film tells its true time.

In: what the film shall be like. Out: a real video file, and the slides and words that are in it. Knows nothing of
the pipeline.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from voice import RATE, speak

SLIDES = ((0.0, "Photosynthesis"), (7.0, "Chlorophyll is green"), (14.0, "Thank you"))
COLOURS = ((24, 48, 112), (16, 96, 48), (112, 32, 32), (96, 72, 16), (64, 24, 96))  # one a slide, in turn
BITS = 12  # blocks that spell the number of a picture: 4,096 pictures


def make_film(
    path: Path,
    *,
    seconds: float = 20.0,
    fps: int = 10,
    size: tuple[int, int] = (480, 270),
    slides: Sequence[tuple[float, str]] = SLIDES,
    letters: float | None = None,
    counter: bool = True,
    sound: bool = True,
    subtitles: Sequence[tuple[float, float, str]] = (),
    gop: int = 50,
    when: Callable[[int], float] | None = None,
    start: float = 0.0,
    sound_from: float = 0.0,
    rotation: int = 0,
    codec: str = "libx264",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a film of titled slides to `path`; the suffix chooses the container.

    `slides`: (s, title). `letters`: their height in pixels, else as large as fits.
    `counter`: blocks along the top edge spell each picture's number (see read_number).
    `when`: number of a picture -> its time in s, for a variable frame rate; else number / fps.
    `start`: s, the first time stamp. `sound_from`: s of silence that is not in the file, before the sound begins.
    `subtitles`: (start, end, text), written inside, mov_text in .mp4 and subrip elsewhere.
    """
    when = when or (lambda number: number / fps)
    with av.open(str(path), "w", options=container_options or {}) as film:
        picture = film.add_stream(codec, rate=fps, options=codec_options or {})
        picture.width, picture.height = size
        picture.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        picture.codec_context.time_base = picture.time_base = Fraction(1, 12_800)
        picture.codec_context.gop_size = gop
        if rotation:
            picture.set_display_rotation(rotation)
        voice = film.add_stream("aac", rate=RATE, layout="mono") if sound else None
        words = film.add_stream("mov_text" if Path(path).suffix == ".mp4" else "subrip") if subtitles else None
        if words:
            words.metadata["language"] = "eng"
            words.codec_context.subtitle_header = b"[Script Info]\n"
            words.time_base = Fraction(1, 1000)
        for begin, end, text in subtitles:
            film.mux(_subtitle(words, begin + start, end + start, text))
        colours = COLOURS if letters is None else COLOURS[:1]
        titles = [_title(text, size, colours[n % len(colours)], letters) for n, (_, text) in enumerate(slides)]
        for number in range(round(seconds * fps)):
            now = when(number)
            shown = max((n for n, (begin, _) in enumerate(slides) if begin <= now), default=0)
            frame = av.VideoFrame.from_ndarray(_numbered(titles[shown], number) if counter else titles[shown])
            # Untagged, so written as players guess: BT.709 from 720 lines on.
            frame = frame.reformat(format=picture.pix_fmt, dst_colorspace="ITU709" if size[1] >= 720 else "ITU601")
            frame.pts = round((start + now) * 12_800)
            frame.time_base = Fraction(1, 12_800)
            film.mux(picture.encode(frame))
        film.mux(picture.encode(None))
        if voice:
            heard = speak(seconds - sound_from)
            for at in range(0, len(heard), 1024):
                block = av.AudioFrame.from_ndarray(heard[None, at : at + 1024], format="fltp", layout="mono")
                block.sample_rate = RATE
                block.pts = at + round((start + sound_from) * RATE)
                block.time_base = Fraction(1, RATE)
                film.mux(voice.encode(block))
            film.mux(voice.encode(None))
    return Path(path)


def read_number(image: Path | Image.Image) -> int:
    """The number of a picture of a film, read back from its blocks, whatever its size now."""
    if isinstance(image, Path):
        image = Image.open(image)
    grey = np.asarray(image.convert("L"))
    height, width = grey.shape
    row = grey[height // 24, [round((bit + 0.5) * width / BITS) for bit in range(BITS)]]
    return sum(int(value > 128) << bit for bit, value in enumerate(row))


def _title(text: str, size: tuple[int, int], colour: tuple[int, int, int], letters: float | None) -> np.ndarray:
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    points = letters or size[1] / 6
    while not letters and points > 8 and draw.textlength(text, font=ImageFont.load_default(points)) > size[0] * 0.9:
        points *= 0.9
    if letters:  # lines are added below, and those that were there stay where they are
        draw.multiline_text((40, 60), text, fill="white", font=ImageFont.load_default(points))
    else:
        draw.text((size[0] / 2, size[1] / 2), text, fill="white", font=ImageFont.load_default(points), anchor="mm")
    return np.asarray(image)


def _numbered(title: np.ndarray, number: int) -> np.ndarray:
    picture = title.copy()
    height, width = picture.shape[:2]
    for bit in range(BITS):
        left, right = round(bit * width / BITS), round((bit + 1) * width / BITS)
        picture[: height // 12, left:right] = 255 if number >> bit & 1 else 0
    return picture


def _subtitle(stream: av.stream.Stream, begin: float, end: float, text: str) -> av.Packet:
    data = text.encode()
    if stream.codec_context.name == "mov_text":
        data = len(data).to_bytes(2, "big") + data
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(begin * 1000)
    packet.duration = round((end - begin) * 1000)
    return packet


if __name__ == "__main__":
    import sys

    make_film(Path(sys.argv[1]))
