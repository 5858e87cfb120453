"""One source -> one Media: pictures, words heard or written, text on the screen, each read as far as it goes.

In: a path that was identified, of a video, a sound or a transcript (.srt, .vtt), and a folder: empty, or as a reading
that broke off left it. Out: a Media whose frames lie in that folder, and whose coverage says of each part what was
read, by what, and what could not be and why. What takes long is told bit by bit, and what was done of it is kept in
the folder, so that it is never done twice.
Knows no vectors and no vector store.
"""

import mmap
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.disk import append_line, read_lines, storage_errors
from pipeline.errors import ModelError, SourceError
from pipeline.media import folder as folders
from pipeline.media import guard, passages, screen, speech, subtitles, video
from pipeline.media import language as languages
from pipeline.media.source import check
from pipeline.media.unfinished import broken_off, under_way
from pipeline.settings import Limits, Settings
from pipeline.times import stamp
from pipeline.types import SPOKEN, Coverage, Frame, Media, Passage, Progress

if TYPE_CHECKING:
    import numpy as np

Report = Callable[[Progress], None]
Keep = Callable[[Media], None]
Words = tuple[Sequence[passages.Segment], str, str, Coverage]  # segments, their kind, their language, what was read

HEARD, SEEN = "speech.jsonl", "screen.jsonl"  # a line for each stretch that was heard, each picture that was read
MINUTE = 60.0  # s of work between two times that what was read is told
NO_SOUND = "The file has no sound."


def begin_media(
    path: Path, facts: video.Facts | None, media_id: str, folder: Path, settings: Settings, report: Report
) -> Media:
    """Read what is quick: pictures, and words that are written in or beside the source. Writes into the folder.

    `facts`: None for a transcript. What the coverage says is to come, go_on reads.
    Raises SourceError when there is nothing to read, ModelError when a model that the settings name cannot be had,
    StorageError when the folder cannot be written.
    """
    if facts is None:
        frames, coverage = [], {"frames": Coverage("absent", note="A transcript alone: there are no pictures.")}
        words = _read_transcript(path, settings.limits)
        title, length = subtitles.stem(path), max(end for _, end, _ in words[0])
    else:
        if settings.whisper_model:
            speech.require(settings.whisper_model)  # an hour of frames is not read first to fail then
        frames, coverage = _read_frames(path, facts, folder, settings, report)
        words = _read_words(path, facts, folder, settings.limits)
        title, length = path.stem, facts.length
    media = Media(
        id=media_id,
        title=_one_line(title) or "untitled",
        source=str(path.absolute()),
        unit="second",
        length=length,
        language="",
        frames=tuple(frames),
        coverage=coverage,
    )
    return _with_screen(_with_words(media, *words, folder), (), _screen_to_come(frames, length, settings))


def go_on(media: Media, path: Path, folder: Path, settings: Settings, report: Report, keep: Keep) -> Media:
    """Read what is still to come of a media, telling `keep` what there is now and then; the whole of it at the end.

    Raises what begin_media raises, and what keep raises.
    """
    if media.coverage["screen"].until is not None:
        media = _read_screen(media, folder, report, keep)
    if media.coverage["speech"].until is not None:
        media = _hear(media, path, folder, settings, report, keep)
    seen, heard = media.coverage["frames"], media.coverage["speech"]
    if not media.frames and seen.state == "off" and heard.state in ("off", "absent"):
        raise SourceError(seen.note)
    if not media.frames and heard.state == "absent" and not heard.by:
        raise SourceError(f"{path} holds no picture. {heard.note} Try another copy.")
    return media


def _one_line(name: str) -> str:
    """A file name as one line of text, whatever bytes it has."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def _with_words(
    media: Media,
    segments: Sequence[passages.Segment],
    kind: str,
    language: str,
    coverage: Coverage,
    folder: Path,
) -> Media:
    """The media with these words for all that is said in it, which the transcript in the folder holds too."""
    folders.write_transcript(segments, folder)
    seen = [one for one in media.passages if one.kind not in SPOKEN]
    return replace(
        media,
        passages=_in_order([*passages.cut(segments, kind), *seen]),
        language=language or languages.tell(" ".join(text for _, _, text in segments)) or media.language,
        coverage={**media.coverage, "speech": coverage},
    )


def _with_screen(media: Media, found: Sequence[Passage], coverage: Coverage) -> Media:
    """The media with these texts for all that stands on its screen."""
    said = [one for one in media.passages if one.kind in SPOKEN]
    return replace(
        media,
        passages=_in_order([*said, *found]),
        language=media.language if said else languages.tell(" ".join(one.text for one in found)),
        coverage={**media.coverage, "screen": coverage},
    )


def _in_order(every: Sequence[Passage]) -> tuple[Passage, ...]:
    return tuple(sorted(every, key=lambda one: (one.start, one.kind)))


def _read_transcript(path: Path, limits: Limits) -> Words:
    """Subtitles that are a source of their own. Raises SourceError when there is nothing to read in them."""
    check(path, limits)
    read = subtitles.read(path, limits)
    if not read.segments:
        raise SourceError(
            f"{path} holds no captions that can be read: lines such as 00:01:05,000 --> 00:01:07,500, each with "
            "words below it. Open it in a text editor to see what it holds, or try another copy."
        )
    return read.segments, "subtitle", read.language, _coverage("read", path.name, [*read.notes])


def _read_frames(
    path: Path, facts: video.Facts, folder: Path, settings: Settings, report: Report
) -> tuple[list[Frame], dict[str, Coverage]]:
    if not facts.has_video:
        return [], {"frames": Coverage("absent", note="The file holds no picture.")}
    by = f"{settings.frames_per_second:g} pictures a second"
    try:
        frames, notes = guard.run(
            video.read_frames,
            path,
            folder,
            settings.frames_per_second,
            limits=settings.limits,
            progress=lambda done: report(Progress("frames", done)),
        )
    except SourceError as error:
        if frames := video.frames_in(folder):  # what was read before a decoder crashed is good
            note = f"The pictures after {stamp(frames[-1].start)} were not read. {error}"
            return frames, {"frames": Coverage("partly", by, note)}
        if not facts.has_audio:
            raise
        return [], {"frames": Coverage("off", note=str(error))}  # the sound may still be heard
    return frames, {"frames": _coverage("read", by, notes)}


def _read_sound(
    path: Path, folder: Path, limits: Limits, progress: Callable[[float], None] = lambda done: None
) -> "tuple[np.ndarray, list[str]]":
    """(mono float32 at 16 kHz, notes). It lies in a file without a name, which goes with it, whoever is killed.

    What was decoded before a decoder crashed is heard. Raises SourceError, StorageError.
    """
    import numpy as np

    with storage_errors(folder), tempfile.TemporaryFile(dir=folder) as file:
        try:
            notes = guard.run(
                video.read_sound, path, file.fileno(), folder, limits=limits, progress=progress, file=file.fileno()
            )
        except SourceError as error:
            if not os.fstat(file.fileno()).st_size:
                raise
            notes = [f"The sound after {stamp(os.fstat(file.fileno()).st_size / 4 / video.RATE)} was not read. {error}"]
        size = os.fstat(file.fileno()).st_size // 4 * 4
        if not size:
            return np.zeros(0, np.float32), notes
        return np.frombuffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY), np.float32), notes


def _read_words(path: Path, facts: video.Facts, folder: Path, limits: Limits) -> Words:
    """Subtitles beside the file, else inside it; else what Whisper hears is to come."""
    notes: list[str] = []
    for beside in subtitles.find_beside(path):
        try:
            read = subtitles.read(beside, limits)
        except SourceError as error:  # one bad subtitle file must not hide a good one, or the sound
            notes.append(str(error))
            continue
        notes += read.notes
        if read.segments:
            return read.segments, "subtitle", read.language, _coverage("read", beside.name, notes)
        notes.append(f"{beside.name} holds no words.")
    if facts.subtitles:
        try:
            inside, language, more = guard.run(video.read_embedded_subtitles, path, limits=limits)
        except SourceError as error:
            inside, language, more = [], "", [f"The subtitles inside the file were not read. {error}"]
        notes += more
        if inside:
            return inside, "subtitle", language, _coverage("read", "subtitles inside the file", notes)
    if not facts.has_audio:
        return (), "speech", "", _coverage("absent", "", [NO_SOUND, *notes])
    if notes and not read_lines(folder / HEARD):
        append_line(folder / HEARD, {"notes": notes})  # said at the end, by whatever process
    return (), "speech", "", under_way("speech", 0.0, facts.length)


def _hear(media: Media, path: Path, folder: Path, settings: Settings, report: Report, keep: Keep) -> Media:
    """Hear what was not heard yet. Each stretch is kept as soon as it was."""
    lines = read_lines(folder / HEARD)
    notes = [note for line in lines for note in line.get("notes", ())]
    lines = [line for line in lines if "until" in line]
    by = " and ".join(dict.fromkeys(line["by"] for line in lines))
    segments = [tuple(segment) for line in lines for segment in line["segments"]]
    until, language = (lines[-1]["until"], lines[-1]["language"]) if lines else (0.0, "")

    def heard(coverage: Coverage) -> Media:
        return _with_words(media, segments, "speech", language, coverage, folder)

    report(Progress("speech", _part(until, media.length)))
    try:
        sound, more = _read_sound(path, folder, settings.limits)
    except SourceError as error:
        return heard(_coverage("partly" if segments else "off", by, [f"The sound could not be read. {error}", *notes]))
    notes += more
    if not len(sound):
        return heard(_coverage("absent", "", notes))
    stretches = speech.hear(sound, settings.whisper_model, until, language)
    told = -MINUTE if not segments else time.monotonic()  # the first words at once
    while True:
        try:
            stretch = next(stretches, None)
        except ModelError as error:
            if settings.whisper_model:  # named in the settings: used, or an error
                raise
            if segments:
                return heard(broken_off("speech", until, media.length, by, f"{error} Then read the video again."))
            note = f"Speech was not heard. {error} Then read the video again."
            return heard(_coverage("off", "", [note, *notes]))
        if stretch is None:
            break
        until, language, now_by = stretch.until, stretch.language, speech.name(settings.whisper_model)
        by = " and ".join(dict.fromkeys([*filter(None, by.split(" and ")), now_by]))
        append_line(
            folder / HEARD,
            {"until": until, "language": language, "by": now_by, "segments": [list(one) for one in stretch.segments]},
        )
        segments += stretch.segments
        report(Progress("speech", _part(until, media.length)))
        if segments and time.monotonic() - told >= MINUTE:
            keep(heard(under_way("speech", until, media.length, by)))
            told = time.monotonic()
    report(Progress("speech", 1.0))
    if not segments:
        return heard(_coverage("absent", by, ["No speech was heard.", *notes]))
    return heard(_coverage("read", by, notes))


def _part(until: float, length: float) -> float:
    return min(1.0, until / length) if length else 0.0


def _coverage(state: str, by: str, notes: list[str]) -> Coverage:
    return Coverage("partly" if state == "read" and notes else state, by, " ".join(notes))


def _screen_to_come(frames: list[Frame], length: float, settings: Settings) -> Coverage:
    if not frames:
        return Coverage("absent", note="There are no pictures to read text from.")
    if not settings.screen_text:
        return Coverage("off", note="Text on the screen was not read: SCREEN_TEXT is off. Set SCREEN_TEXT=on.")
    return under_way("screen", 0.0, length)


def _read_screen(media: Media, folder: Path, report: Report, keep: Keep) -> Media:
    """Read the text on the pictures whose text was not read yet. Each text is kept as soon as it was."""
    known = {line["image"]: line["text"] for line in read_lines(folder / SEEN) if "image" in line and "text" in line}
    texts = []
    for frame in media.frames:
        if frame.image not in known:
            break
        texts.append(known[frame.image])

    def seen(coverage: Coverage) -> Media:
        return _with_screen(media, screen.to_passages(media.frames, texts), coverage)

    report(Progress("screen", len(texts) / len(media.frames)))
    told = time.monotonic()
    done = len(texts)
    for frame, text in zip(media.frames[done:], screen.read_screen(folder, media.frames, done), strict=True):
        append_line(folder / SEEN, {"image": frame.image, "text": text})
        texts.append(text)
        report(Progress("screen", len(texts) / len(media.frames)))
        if time.monotonic() - told >= MINUTE:
            keep(seen(under_way("screen", frame.end, media.length, "rapidocr")))
            told = time.monotonic()
    report(Progress("screen", 1.0))
    if not any(texts):
        return seen(Coverage("absent", by="rapidocr", note="No text was seen on the screen."))
    return seen(Coverage("read", by="rapidocr"))
