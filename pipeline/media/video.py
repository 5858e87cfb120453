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
    LONGEST_GAP,
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
from pipeline.media.source import USUAL, check
from pipeline.settings import Limits
from pipeline.times import stamp
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np

JITTER = RATE // 10  # samples: time stamps of sound may be this far off before sound is moved
BLOCK = RATE  # samples of sound that are given at once, more or less
DAMAGED = "The sound is damaged at {}, and may be wrong there and after."
JPEG_END = b"\xff\xd9"
STREAMS = 100  # subtitles in a file that are told of
CUES, LARGEST = 50_000, 5_000_000  # captions, letters that are read: a day has half, a tenth as many
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


def identify(path: Path, limits: Limits = USUAL) -> str:
    """First 32 hex digits of the SHA-256 of the content. Raises SourceError where there is none to read."""
    check(path, limits)
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Check the disk it is on.") from error
    return digest.hexdigest()[:32]


def probe(path: Path, limits: Limits = USUAL) -> Facts:
    """Open the file and read its header. Raises SourceError unless it holds pictures or sound that can be decoded."""
    with open_media(path, limits) as container:
        video, audio = best_video(container), best_audio(container)
        rotation = look_in(path, container, video or audio, limits)
        width, height = shown_size(video, rotation) if video else (0, 0)
        return Facts(
            container=container_name(path, container),
            length=measure(path, container, limits),
            has_video=video is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            video_codec=codec_name(video) if video else "",
            audio_codec=codec_name(audio) if audio else "",
            pixel_format=(video.codec_context.pix_fmt or "") if video else "",
            subtitles=tuple((s.index, codec_name(s), s.language or "") for s in container.streams.subtitles[:STREAMS]),
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
    path: Path,
    folder: Path,
    fps: float,
    progress: Callable[[float], None],
    limits: Limits = USUAL,
    exact: bool = False,
) -> tuple[list[Frame], list[str]]:
    """Write the pictures worth keeping, of `fps` a second, as JPEGs into `folder/frames`: (frames, notes).

    Each is named by its true time in the video and stands until the next one. Notes say what could not be read.
    It may be any picture within its 1 / fps s; `exact`: the one that is shown at their very beginning.
    Where the folder holds pictures of a reading that broke off, it goes on from the last of them.
    Raises SourceError when no picture can be decoded, StorageError when one cannot be written.
    """
    facts = probe(path, limits)
    with storage_errors(folder):
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        disk.sweep(folder / "frames")
        kept = _kept(folder)
    since = kept[-1].start if kept else -inf
    notes = []
    with open_media(path, limits) as container:
        stream = best_video(container)
        if not stream:
            return [], []
        decoder = Decoder(stream, limits)
        tape = Tape(container, stream)

        def watched(sights: Iterator[Sight]) -> Iterator[Sight]:
            for sight in sights:
                progress(min(1.0, max(0.0, sight.time / facts.length)) if facts.length else 0.0)
                yield sight

        for start, picture in look.choose(watched(tape.sights(decoder, 1 / fps, since, exact))):
            start = max(0.0, start)
            if start > limits.length:
                when = stamp(kept[-1].start) if kept else stamp(0.0)
                notes.append(f"The pictures' time stamps jump at {when}: nothing after that was read.")
                break
            image = f"frames/{start:010.3f}.jpg"
            if kept and kept[-1].image >= image:
                continue
            if len(kept) >= limits.pictures:
                notes.append(
                    f"Only the first {limits.pictures:,} pictures were kept, until {stamp(start)}. Raise MAX_PICTURES, "
                    "or lower FRAMES_PER_SECOND, and read it anew."
                )
                break
            jpeg = encode_jpeg(picture, stream)
            write_whole(folder / image, jpeg)
            kept.append(Frame(start, start, image))
    if not kept:
        raise SourceError(f"No picture of {path} can be decoded: the file is damaged or protected. Try another copy.")
    progress(1.0)
    notes += tape.notes(facts.length) if not notes else []
    return _until_the_next(kept, min(tape.end, limits.length)), notes + decoder.notes("picture")


def read_exact_frames(
    path: Path, folder: Path, fps: float, progress: Callable[[float], None], limits: Limits = USUAL
) -> tuple[list[Frame], list[str]]:
    """The same with exact times: another door, since guard.py opens a function and hands it no options."""
    return read_frames(path, folder, fps, progress, limits, exact=True)


def frames_in(folder: Path) -> list[Frame]:
    """The pictures that a reading which broke off left in `folder/frames`. Raises StorageError."""
    with storage_errors(folder):
        return _until_the_next(_kept(folder), 0.0)


def _until_the_next(kept: list[Frame], end: float) -> list[Frame]:
    """Each picture stands until the next, the last until `end` s."""
    ends = [frame.start for frame in kept[1:]] + [max([end, *(frame.start for frame in kept[-1:])])]
    return [Frame(frame.start, until, frame.image) for frame, until in zip(kept, ends, strict=False)]


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


def read_sound(path: Path, since: float = 0.0, limits: Limits = USUAL) -> "Iterator[np.ndarray | str]":
    """Mono float32 in [-1, 1] at 16 kHz from `since` s on, block by block; and, in words, what is missing of it.

    Sample n of all blocks is heard since + n / 16,000 s from the start: where sound sets in late or has gaps, there are
    zeros. Nothing without sound. Raises SourceError.
    """
    import numpy as np

    first = round(since * RATE)  # sample
    waiting: list[np.ndarray] = []
    known = 0.0  # damaged places before what is asked for; all, once it was told that there are more

    def clean() -> np.ndarray:
        heard = np.clip(np.nan_to_num(np.concatenate(waiting)), -1, 1).astype(np.float32)
        waiting.clear()
        return heard

    with open_media(path, limits) as container:
        stream = best_audio(container)
        if not stream:
            return
        length = measure(path, container, limits)
        decoder = Decoder(stream, limits)
        tape = Tape(container, stream)
        start, blocks = tape.sound_since(since, decoder)
        have = round(start * RATE)  # samples
        for time, block in blocks:
            at = round(time * RATE)
            if have < first:
                known = decoder.damaged
            elif decoder.damaged > known:
                known = inf
                yield DAMAGED.format(stamp(have / RATE))  # now: who goes on after a break does not come here again
            if at - have > LONGEST_GAP * RATE or max(at, have) + len(block) > limits.length * RATE:
                yield f"The sound's time stamps jump at {stamp(have / RATE)}: nothing after that was heard."
                break
            if have - at > JITTER:
                block = block[have - at :]
            for part in (*_silence(at - have if at - have > JITTER else 0), block[:, 0]):
                have += len(part)
                if len(part) and have > first:
                    waiting.append(part[-(have - first) :])
                if waiting and have // BLOCK > (have - len(part)) // BLOCK:  # every second
                    yield clean()
        if waiting:
            yield clean()
        if decoder.damaged > known:
            yield DAMAGED.format(stamp(have / RATE))
        yield from tape.notes(length)
        if have == 0:
            yield "The sound could not be decoded, or is empty."


def _silence(samples: int) -> "Iterator[np.ndarray]":
    import numpy as np

    return (np.zeros(min(BLOCK, samples - n), np.float32) for n in range(0, samples, BLOCK))


def read_embedded_subtitles(
    path: Path, limits: Limits = USUAL
) -> tuple[list[tuple[float, float, str]], str, list[str]]:
    """([(start s, end s, text)], ISO 639-1 language or "", notes) of the best text subtitles inside the file."""
    with open_media(path, limits) as container:
        streams = [s for s in container.streams.subtitles if s.codec_context]
        texts = [s for s in streams if codec_name(s) not in BITMAPS and not int(s.disposition) & FORCED]
        if not texts:
            drawn = any(codec_name(s) in BITMAPS for s in streams)
            note = (
                "The subtitles inside the file are pictures of words, not text; they were not read. Put them beside it "
                f"as text: {path.stem}.srt."
            )
            return [], "", [note] if drawn else []
        stream = max(texts, key=lambda s: (int(s.disposition) & DEFAULT, -s.index))
        cues: list[tuple[float, float, str]] = []
        notes: list[str] = []
        size = lost = 0
        decoder = Decoder(stream, limits)
        tape = Tape(container, stream)
        for packet in tape:
            if packet.pts is None:
                continue
            text = "\n".join(_plain(rect.ass.decode(errors="replace")) for rect in decoder.decode(packet))
            begin, end = tape.clock(packet.pts), tape.clock(packet.pts + (packet.duration or 0))
            begin = max(0.0, begin)
            if text.strip() and begin <= end <= limits.length:
                cues.append((begin, end, text.strip()))
            else:
                lost += bool(text.strip())
            if len(cues) >= CUES or (size := size + len(text)) > LARGEST:
                notes.append(f"Only the first {len(cues):,} captions inside the file were read.")
                break
        if lost:
            notes.append(f"{lost} captions inside the file have no possible time and were left out.")
        return cues, language_of([(stream.language or "").lower()]), notes + decoder.notes("subtitles")


def _plain(ass: str) -> str:
    """The words of one line of an ASS script, as FFmpeg gives all text subtitles."""
    text = ass.split(",", 8)[-1]
    if re.search(r"\\p[1-9]", text):
        return ""  # a drawing
    text = re.sub(r"\{[^}]*\}|<[^>]+>", "", text)
    return re.sub(r"\\[Nn]", "\n", text).replace(r"\h", " ")
