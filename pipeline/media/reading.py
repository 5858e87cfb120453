"""One source -> one Media: pictures, words heard or written, text on the screen, each read as far as it goes.

In: a path that was identified, of a video, a sound or a transcript (.srt, .vtt), and an empty folder. Out: a Media
whose frames lie in that folder, and whose coverage says of each part what was read, by what, and what could not be
and why.
Knows no vectors and no vector store.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import ModelError, SourceError
from pipeline.media import folder as folders
from pipeline.media import language as languages
from pipeline.media import passages, screen, speech, subtitles, video
from pipeline.media.source import check
from pipeline.settings import Settings
from pipeline.types import Coverage, Frame, Media, Passage, Progress

Report = Callable[[Progress], None]
Words = tuple[Sequence[passages.Segment], str, str, Coverage]  # segments, their kind, their language, what was read


def read_media(path: Path, media_id: str, folder: Path, settings: Settings, report: Report) -> Media:
    """Read the source at path. Writes `frames/` and the transcript into the folder and nothing else.

    Raises SourceError when no part can be read, ModelError when a model that the settings name cannot be had,
    StorageError when the folder cannot be written.
    """
    if subtitles.is_subtitles(path):
        frames, coverage = [], {"frames": Coverage("absent", note="A transcript alone: there are no pictures.")}
        segments, kind, language, coverage["speech"] = _read_transcript(path)
        title, length = subtitles.stem(path), max(end for _, end, _ in segments)
    else:
        facts, frames, coverage, (segments, kind, language, coverage["speech"]) = _read_video(
            path, folder, settings, report
        )
        title, length = path.stem, facts.length
    folders.write_transcript(segments, folder)
    words = passages.cut(segments, kind)
    on_screen, coverage["screen"] = _read_screen(folder, frames, settings, report)
    return Media(
        id=media_id,
        title=_one_line(title) or "untitled",
        source=str(path.absolute()),
        unit="second",
        length=length,
        language=language
        or languages.tell(" ".join([text for _, _, text in segments] or [one.text for one in on_screen])),
        frames=tuple(frames),
        passages=tuple(sorted([*words, *on_screen], key=lambda p: (p.start, p.kind))),
        coverage=coverage,
    )


def _one_line(name: str) -> str:
    """A file name as one line of text, whatever bytes it has."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def _read_transcript(path: Path) -> Words:
    """Subtitles that are a source of their own. Raises SourceError when there is nothing to read in them."""
    check(path)
    read = subtitles.read(path)
    if not read.segments:
        raise SourceError(
            f"{path} holds no captions that can be read: lines such as 00:01:05,000 --> 00:01:07,500, each with "
            "words below it. Open it in a text editor to see what it holds, or try another copy."
        )
    return read.segments, "subtitle", read.language, _coverage("read", path.name, [*read.notes])


def _read_video(
    path: Path, folder: Path, settings: Settings, report: Report
) -> tuple[video.Facts, list[Frame], dict[str, Coverage], Words]:
    if settings.whisper_model:
        speech.require(settings.whisper_model)  # an hour of frames is not read first to fail then
    facts = video.probe(path)
    frames, coverage = _read_frames(path, facts, folder, settings, report)
    words = _read_words(path, facts, settings, report)
    heard = words[-1]
    if not frames and coverage["frames"].state == "off" and heard.state in ("off", "absent"):
        raise SourceError(coverage["frames"].note)
    if not frames and heard.state == "absent" and not heard.by:
        raise SourceError(f"{path} holds no picture. {heard.note} Try another copy.")
    return facts, frames, coverage, words


def _read_frames(
    path: Path, facts: video.Facts, folder: Path, settings: Settings, report: Report
) -> tuple[list[Frame], dict[str, Coverage]]:
    if not facts.has_video:
        return [], {"frames": Coverage("absent", note="The file holds no picture.")}
    try:
        frames, notes = video.read_frames(
            path, folder, settings.frames_per_second, lambda done: report(Progress("frames", done))
        )
    except SourceError as error:
        if not facts.has_audio:
            raise
        return [], {"frames": Coverage("off", note=str(error))}  # the sound may still be heard
    by = f"{settings.frames_per_second:g} pictures a second"
    return frames, {"frames": _coverage("read", by, notes)}


def _read_words(path: Path, facts: video.Facts, settings: Settings, report: Report) -> Words:
    """Subtitles beside the file, else inside it, else what Whisper hears."""
    notes: list[str] = []
    for beside in subtitles.find_beside(path):
        try:
            read = subtitles.read(beside)
        except SourceError as error:  # one bad subtitle file must not hide a good one, or the sound
            notes.append(str(error))
            continue
        notes += read.notes
        if read.segments:
            return read.segments, "subtitle", read.language, _coverage("read", beside.name, notes)
        notes.append(f"{beside.name} holds no words.")
    if facts.subtitles:
        inside, language, more = video.read_embedded_subtitles(path)
        notes += more
        if inside:
            return inside, "subtitle", language, _coverage("read", "subtitles inside the file", notes)
    if not facts.has_audio:
        return (), "speech", "", _coverage("absent", "", ["The file has no sound.", *notes])
    return _hear(path, settings, report, notes)


def _hear(path: Path, settings: Settings, report: Report, notes: list[str]) -> Words:
    report(Progress("speech", 0.0))
    try:
        sound, more = video.read_sound(path)
        notes += more
        if not len(sound):
            return (), "speech", "", _coverage("absent", "", notes)
        heard = speech.hear(sound, settings.whisper_model, lambda done: report(Progress("speech", done)))
    except ModelError as error:
        if settings.whisper_model:  # named in the settings: used, or an error
            raise
        return (
            (),
            "speech",
            "",
            _coverage("off", "", [f"Speech was not heard. {error} Then read the video again.", *notes]),
        )
    except SourceError as error:
        return (), "speech", "", _coverage("off", "", [f"The sound could not be read. {error}", *notes])
    if not heard.segments:
        return (), "speech", heard.language, _coverage("absent", heard.by, ["No speech was heard.", *notes])
    return heard.segments, "speech", heard.language, _coverage("read", heard.by, notes)


def _coverage(state: str, by: str, notes: list[str]) -> Coverage:
    return Coverage("partly" if state == "read" and notes else state, by, " ".join(notes))


def _read_screen(
    folder: Path, frames: list[Frame], settings: Settings, report: Report
) -> tuple[list[Passage], Coverage]:
    if not frames:
        return [], Coverage("absent", note="There are no pictures to read text from.")
    if not settings.screen_text:
        return [], Coverage("off", note="Text on the screen was not read: SCREEN_TEXT is off. Set SCREEN_TEXT=on.")
    report(Progress("screen", 0.0))
    found = screen.read_screen(folder, frames, lambda done: report(Progress("screen", done)))
    if not found:
        return [], Coverage("absent", by="rapidocr", note="No text was seen on the screen.")
    return found, Coverage("read", by="rapidocr")
