"""A media file -> its facts, pictures, sound and inside subtitles.

In: a path that a user gave. Out: values and JPEGs, and notes on what was damaged or is missing.
Times are seconds from the container's start. Knows no speech, no text on pictures, no library.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import disk
from pipeline.disk import storage_errors, write_whole
from pipeline.errors import SourceError
from pipeline.media import look
from pipeline.media.container import (
    DEFAULT,
    FORCED,
    RATE,
    Decoder,
    Tape,
    best_audio,
    best_video,
    codec_name,
    container_name,
    look_in,
    measure,
    open_media,
)
from pipeline.media.language import language_of
from pipeline.media.picture import encode_jpeg, shown_size
from pipeline.media.sampling import Sight
from pipeline.media.source import check
from pipeline.times import stamp
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np

JITTER = RATE // 10  # samples: time stamps of sound may be this far off before sound is moved
JPEG_END = b"\xff\xd9"
LONGEST_GAP = 3600 * RATE  # samples: an hour of silence is a broken time stamp
BITMAPS = ("dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle", "xsub")  # FFmpeg's names


@dataclass(frozen=True)
class Facts:
    """What a file says about itself."""

    container: str  # "mp4", "mov", "webm", "mkv", or FFmpeg's name
    length: float  # s
    has_video: bool  # moving pictures; cover art is none
    has_audio: bool
    width: int  # pixels as shown, after rotation and sample aspect ratio; 0 without video
    height: int
    video_codec: str  # FFmpeg's name, "" without video
    audio_codec: str
    pixel_format: str  # such as "yuv420p"
    subtitles: tuple[tuple[int, str, str], ...]  # (stream index, codec, language as the file names it)


def identify(path: Path) -> str:
    """First 32 hex digits of the SHA-256 of the content. Raises SourceError where there is none to read."""
    check(path)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the disk it is on.") from error
    return digest.hexdigest()[:32]


def probe(path: Path) -> Facts:
    """Open the file and read its header. Raises SourceError unless it holds pictures or sound that can be decoded."""
    with open_media(path) as container:
        video, audio = best_video(container), best_audio(container)
        rotation = look_in(path, container, video or audio)
        width, height = shown_size(video, rotation) if video else (0, 0)
        return Facts(
            container=container_name(path, container),
            length=measure(path, container),
            has_video=video is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            video_codec=codec_name(video) if video else "",
            audio_codec=codec_name(audio) if audio else "",
            pixel_format=(video.codec_context.pix_fmt or "") if video else "",
            subtitles=tuple((s.index, codec_name(s), s.language or "") for s in container.streams.subtitles),
        )


def plays_in_browser(facts: Facts) -> bool:
    """Whether Chromium and Firefox play the file as it is."""
    video = facts.video_codec in ("", "vp8", "vp9", "av1") or (
        facts.video_codec == "h264" and facts.pixel_format in ("yuv420p", "yuvj420p")
    )
    audio = facts.audio_codec in ("", "aac", "mp3", "opus", "vorbis", "flac")
    if facts.container == "wav":
        audio = facts.audio_codec in ("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le")
    return video and audio and facts.container in ("mp4", "mov", "webm", "mp3", "wav", "flac", "ogg")


def read_frames(
    path: Path, folder: Path, fps: float, progress: Callable[[float], None]
) -> tuple[list[Frame], list[str]]:
    """Write the pictures worth keeping, of `fps` a second, as JPEGs into `folder/frames`: (frames, notes).

    Each is named by its true time in the video and stands until the next one. Notes say what could not be read.
    Where the folder holds pictures of a reading that broke off, it goes on from the last of them.
    Raises SourceError when no picture can be decoded, StorageError when one cannot be written.
    """
    facts = probe(path)
    with storage_errors(folder):
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        disk.sweep(folder / "frames")
        kept = _kept(folder)
    since = kept[-1].start if kept else -inf
    with open_media(path) as container:
        stream = best_video(container)
        if not stream:
            return [], []
        decoder = Decoder(stream)
        tape = Tape(container, stream)

        def watched(sights: Iterator[Sight]) -> Iterator[Sight]:
            for sight in sights:
                progress(min(1.0, max(0.0, sight.time / facts.length)) if facts.length else 0.0)
                yield sight

        for start, picture in look.choose(watched(tape.sights(decoder, 1 / fps, since))):
            start = max(0.0, start)
            image = f"frames/{start:010.3f}.jpg"
            if kept and kept[-1].image >= image:
                continue
            jpeg = encode_jpeg(picture, stream)
            write_whole(folder / image, jpeg)
            kept.append(Frame(start, start, image))
    if not kept:
        raise SourceError(f"No picture of {path} can be decoded: the file is damaged or protected. Try another copy.")
    ends = [frame.start for frame in kept[1:]] + [max(tape.end, kept[-1].start)]
    frames = [Frame(frame.start, end, frame.image) for frame, end in zip(kept, ends, strict=True)]
    progress(1.0)
    return frames, tape.notes(facts.length) + decoder.notes("picture")


def _kept(folder: Path) -> list[Frame]:
    """The pictures that are there, up to the first that a crash left unfinished."""
    kept = []
    for file in sorted((folder / "frames").glob("[0-9]*.jpg")):
        with open(file, "rb") as jpeg:
            jpeg.seek(max(0, file.stat().st_size - len(JPEG_END)))
            if jpeg.read() != JPEG_END:
                break
        kept.append(Frame(float(file.stem), float(file.stem), f"frames/{file.name}"))
    return kept


def read_sound(path: Path, progress: Callable[[float], None] = lambda done: None) -> "tuple[np.ndarray, list[str]]":
    """Mono float32 in [-1, 1] at 16 kHz of the whole file, and notes; empty without sound.

    Sample n is heard n / 16,000 s from the start: where sound sets in late or has gaps, there are zeros.
    """
    import numpy as np

    heard = bytearray()  # grows in place, so that an hour is not copied to be joined
    notes: list[str] = []
    with open_media(path) as container:
        stream = best_audio(container)
        if stream:
            length = measure(path, container)
            decoder = Decoder(stream)
            tape = Tape(container, stream)
            for time, block in tape.sound(decoder):
                at = round(time * RATE)
                have = len(heard) // 4
                if at - have > LONGEST_GAP:
                    when = stamp(have / RATE)
                    notes.append(f"The sound's time stamps jump at {when}: nothing after that was heard.")
                    break
                if at - have > JITTER:
                    heard.extend(bytes(4 * (at - have)))
                elif have - at > JITTER:
                    block = block[have - at :]
                heard.extend(block.tobytes())
                progress(min(1.0, time / length) if length else 0.0)
            notes += tape.notes(length) + decoder.notes("sound")
            if not heard:
                notes.append("The sound could not be decoded, or is empty.")
    progress(1.0)
    sound = np.frombuffer(heard, np.float32)
    return np.clip(sound, -1, 1, out=sound), notes


def read_embedded_subtitles(path: Path) -> tuple[list[tuple[float, float, str]], str, list[str]]:
    """([(start s, end s, text)], ISO 639-1 language or "", notes) of the best text subtitles inside the file."""
    with open_media(path) as container:
        streams = [s for s in container.streams.subtitles if s.codec_context]
        texts = [s for s in streams if codec_name(s) not in BITMAPS and not int(s.disposition) & FORCED]
        if not texts:
            drawn = any(codec_name(s) in BITMAPS for s in streams)
            note = "The subtitles inside the file are pictures of words, not text; they were not read."
            return [], "", [note] if drawn else []
        stream = max(texts, key=lambda s: (int(s.disposition) & DEFAULT, -s.index))
        cues: list[tuple[float, float, str]] = []
        decoder = Decoder(stream)
        tape = Tape(container, stream)
        for packet in tape:
            if packet.pts is None:
                continue
            text = "\n".join(_plain(rect.ass.decode(errors="replace")) for rect in decoder.decode(packet))
            begin, end = tape.clock(packet.pts), tape.clock(packet.pts + (packet.duration or 0))
            if text.strip():
                cues.append((begin, end, text.strip()))
        return cues, language_of([(stream.language or "").lower()]), decoder.notes("subtitles")


def _plain(ass: str) -> str:
    """The words of one line of an ASS script, as FFmpeg gives all text subtitles."""
    text = ass.split(",", 8)[-1]
    if re.search(r"\\p[1-9]", text):
        return ""  # a drawing
    text = re.sub(r"\{[^}]*\}|<[^>]+>", "", text)
    return re.sub(r"\\[Nn]", "\n", text).replace(r"\h", " ")
