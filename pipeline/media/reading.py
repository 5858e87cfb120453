"""One source -> one Media: pictures, words heard or written, text on the screen, each read as far as it goes.

In: a path that was identified, of a video, a sound or a transcript (.srt, .vtt), and a folder: empty, or as a reading
that broke off left it. Out: a Media whose frames lie in that folder, and whose coverage says of each part what was
read, by what, and what could not be and why. What takes long is told bit by bit, and what was done of it is kept in
the folder, so that it is never done twice.
Knows no vectors and no vector store.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.disk import append_line, read_lines
from pipeline.errors import DecoderCrashed, ModelError, SourceError
from pipeline.media import folder as folders
from pipeline.media import guard, passages, screen, speech, subtitles, video
from pipeline.media import language as languages
from pipeline.media.seeing import Seeing
from pipeline.media.source import check
from pipeline.part_status import IN_DOUBT, SUBTITLES_INSIDE, broken_off, lost, off, under_way
from pipeline.settings import Limits, Settings
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, SHOWN, Coverage, Frame, Media, Passage, Progress

if TYPE_CHECKING:
    import numpy as np

Report = Callable[[Progress], None]
Keep = Callable[[Media], None]
Words = tuple[Sequence[passages.Segment], str, str, Coverage]  # segments, their kind, their language, what was read

HEARD = "speech.jsonl"  # a line for each stretch that was heard
MINUTE = 60.0  # s of work between two times that what was read is told
MOSTLY = 2 / 3  # of what is said is in the language of a source
NO_SOUND = "The file has no sound."
INSIDE = "subtitles"  # the part of the coverage that says that those inside the file were lost; else "speech" says it


def begin_media(
    path: Path, facts: video.Facts | None, media_id: str, folder: Path, settings: Settings, report: Report
) -> Media:
    """Read what is quick: pictures, and words that are written in or beside the source. Writes into the folder.

    `facts`: None for a transcript. What the coverage says is to come, go_on reads.
    Raises SourceError when there is nothing to read, ModelError when a model that the settings name cannot be had,
    StorageError when the folder cannot be written.
    """
    if facts is None:
        frames, seen = [], Coverage("absent", note="A transcript alone: there are no pictures.")
        inside, words = None, _read_transcript(path, settings.limits)
        title, length = subtitles.stem(path), max(end for _, end, _ in words[0])
    else:
        if speech.is_named(settings):
            speech.require(*speech.chosen(settings))  # an hour of frames is not read first to fail then
        frames, seen = _read_frames(path, facts, folder, settings, report)
        words, inside = _read_words(path, facts, folder, settings.limits)
        title, length = path.stem, facts.length
    media = Media(
        id=media_id,
        title=_one_line(title) or "untitled",
        source=str(path.absolute()),
        unit="second",
        length=length,
        language="",
        frames=tuple(frames),
        coverage={"frames": seen} | ({INSIDE: inside} if inside else {}),
    )
    return _with_screen(_with_words(media, *words, folder), (), _screen_to_come(frames, length, settings))


def read_lost(media: Media, path: Path, folder: Path, settings: Settings, report: Report) -> Media:
    """Read once more what begin_media reads and a crash cost: the pictures after the last one, subtitles inside.

    What go_on reads, and the text on new pictures, is to come. Raises what begin_media raises.
    """
    if not any(part in media.coverage and media.coverage[part].lost for part in ("frames", INSIDE)):
        return media
    facts = guard.run(video.probe, path, limits=settings.limits)
    coverage = dict(media.coverage)
    if coverage["frames"].lost:
        frames, seen = _read_frames(path, facts, folder, settings, report)
        ways = dict.fromkeys(filter(None, [coverage["frames"].by, seen.by]))  # the settings may have changed since
        coverage["frames"] = replace(seen, by=" and ".join(ways))
        if len(frames) > len(media.frames):
            coverage["screen"] = _screen_to_come(frames, media.length, settings)
        media = replace(media, frames=tuple(frames), coverage=coverage)
    if coverage.pop(INSIDE, None):
        words, inside = _read_words(path, facts, folder, settings.limits)
        media = replace(media, coverage=coverage | ({INSIDE: inside} if inside else {}))
        if words[0]:  # they stand for what was heard instead
            media = _with_words(media, *words, folder)
    return media


def go_on(media: Media, path: Path, folder: Path, settings: Settings, report: Report, keep: Keep) -> Media:
    """Read what is still to come of a media, telling `keep` what there is now and then; the whole of it at the end.

    Raises what begin_media raises, and what keep raises.
    """
    seeing = Seeing(folder, media.frames, report) if media.coverage["screen"].until is not None else None
    if media.coverage["speech"].until is not None:
        # Two steps on half the cores each are sooner done than one after the other on all: see cores.py.
        with seeing.beside() if seeing else nullcontext():
            so_far = (lambda now: keep(_seen(now, seeing))) if seeing else keep
            media = _hear(media, path, folder, settings, report, so_far)
    if seeing:
        told = time.monotonic()
        for _ in () if seeing.is_done else seeing.read_on():
            if time.monotonic() - told >= MINUTE:
                keep(_seen(media, seeing))
                told = time.monotonic()
        media = _seen(media, seeing)
    seen, heard = media.coverage["frames"], media.coverage["speech"]
    if not media.frames and seen.state == "off" and heard.state in ("off", "absent"):
        raise (DecoderCrashed if seen.lost or heard.lost else SourceError)(seen.note)
    if not media.frames and not heard.by and (heard.state == "absent" or NO_SOUND in heard.note):
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
    doubtful: Sequence[passages.Segment] = (),
) -> Media:
    """The media with these words for all that is said in it, which the transcript in the folder holds too.

    `doubtful`: what may have been said; it stands in no transcript.
    """
    folders.write_transcript(segments, folder)
    seen = [one for one in media.passages if one.kind in SHOWN]
    unsure = [Passage(start, end, " ".join(text.split()), DOUBTFUL) for start, end, text in doubtful]
    return replace(
        media,
        passages=_in_order([*passages.cut(segments, kind), *unsure, *seen]),
        language=language or languages.tell(" ".join(text for _, _, text in segments)) or media.language,
        coverage={**media.coverage, "speech": coverage},
    )


def _with_screen(media: Media, found: Sequence[Passage], coverage: Coverage) -> Media:
    """The media with these texts for all that stands on its screen."""
    said = [one for one in media.passages if one.kind not in SHOWN]
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
) -> tuple[list[Frame], Coverage]:
    if not facts.has_video:
        return [], Coverage("absent", note="The file holds no picture.")
    by = f"{settings.frames_per_second:g} pictures a second" + ", at exact times" * settings.exact_frames
    try:
        frames, notes = guard.run(
            video.read_exact_frames if settings.exact_frames else video.read_frames,
            path,
            folder,
            settings.frames_per_second,
            limits=settings.limits,
            progress=lambda done: report(Progress("frames", done)),
        )
    except SourceError as error:
        frames = video.frames_in(folder)  # what was read before a decoder crashed is good
        if not frames and not facts.has_audio:
            raise
        until, state, what = 0.0, "off", str(error)  # the sound may still be heard
        if frames:
            until, state = frames[-1].start, "partly"
            what = f"The pictures after {stamp(until)} were not read. {error}"
        by = by if frames else ""
        return frames, lost(state, by, what, until) if isinstance(error, DecoderCrashed) else Coverage(state, by, what)
    return frames, _coverage("read", by, notes)


def _sound_of(
    path: Path, since: float, limits: Limits, note: Callable[[str], None], crashed: Callable[[str], None]
) -> "Iterator[np.ndarray]":
    """Mono float32 at 16 kHz from `since` s on, block by block; `note` is told what is missing of it for good,
    `crashed` what a crash of the decoder cost.

    What is decoded before is given. Raises SourceError where nothing is.
    """
    import numpy as np

    have = round(since * video.RATE)  # samples
    first = have
    with closing(guard.stream(video.read_sound, path, since, limits=limits)) as pieces:
        try:
            for piece in pieces:
                if isinstance(piece, str):
                    note(piece)
                    continue
                have += len(piece) // 4
                yield np.frombuffer(piece, np.float32)
        except SourceError as error:
            if have == first:
                raise
            what = f"The sound after {stamp(have / video.RATE)} was not read. {error}"
            crashed(what) if isinstance(error, DecoderCrashed) else note(what)


def _read_words(path: Path, facts: video.Facts, folder: Path, limits: Limits) -> tuple[Words, Coverage | None]:
    """Subtitles beside the file, else inside it; else what Whisper hears is to come.

    The second says that a crash cost the subtitles inside; then, too, the sound is heard meanwhile.
    """
    notes: list[str] = []
    unread: list[str] = []  # of these, what tells of words that are there all the same
    crash = None
    for beside in subtitles.find_beside(path):
        try:
            read = subtitles.read(beside, limits)
        except SourceError as error:  # one bad subtitle file must not hide a good one, or the sound
            notes.append(str(error))
            unread.append(str(error))
            continue
        notes += read.notes
        if read.segments:
            return (read.segments, "subtitle", read.language, _coverage("read", beside.name, notes)), None
        notes.append(f"{beside.name} holds no words.")
    if facts.subtitles:
        try:
            inside, language, more = guard.run(video.read_embedded_subtitles, path, limits=limits)
        except DecoderCrashed as error:
            inside, language, more = [], "", []
            crash = lost("off", "", f"The subtitles inside the file were not read. {error}", 0.0)
        except SourceError as error:
            inside, language, more = [], "", [f"The subtitles inside the file were not read. {error}"]
        notes += more
        unread += more
        if inside:
            return (inside, "subtitle", language, _coverage("read", SUBTITLES_INSIDE, notes)), None
    if not facts.has_audio:
        return ((), "speech", "", _coverage("off" if unread else "absent", "", [NO_SOUND, *notes])), crash
    if notes and not read_lines(folder / HEARD):
        append_line(folder / HEARD, {"notes": notes})  # said at the end, by whatever process
    return ((), "speech", "", under_way("speech", 0.0, facts.length)), crash


def _hear(media: Media, path: Path, folder: Path, settings: Settings, report: Report, keep: Keep) -> Media:
    """Hear what was not heard yet. Each stretch is kept as soon as it was."""
    lines = read_lines(folder / HEARD)
    notes = [note for line in lines for note in line.get("notes", ())]
    lines = [line for line in lines if "until" in line]
    by = " and ".join(dict.fromkeys(line["by"] for line in lines))
    segments = [tuple(segment) for line in lines for segment in line["segments"]]
    doubtful = [tuple(segment) for line in lines for segment in line.get("doubtful", ())]
    spoken: Counter[str] = Counter()
    for line in lines:
        spoken.update(line.get("languages", {}))
    last = speech.Stretch(lines[-1]["until"], language=lines[-1]["language"]) if lines else speech.Stretch(0.0)

    def heard(coverage: Coverage) -> Media:
        return _with_words(media, segments, "speech", _usual(spoken), coverage, folder, doubtful)

    def note(what: str) -> None:
        if what not in notes:
            notes.append(what)
            append_line(folder / HEARD, {"notes": [what]})  # who goes on after a break does not come here again

    report(Progress("speech", _part(last.until, media.length)))
    model, engine = speech.chosen(settings)
    now_by = speech.name(model, engine)
    told, unheard = time.monotonic(), not segments
    crashes: list[str] = []
    with closing(_sound_of(path, last.until, settings.limits, note, crashes.append)) as sound:
        stretches = speech.hear(sound, model, engine, last)
        while True:
            try:
                stretch = next(stretches, None)
            except SourceError as error:
                why = f"The sound could not be read. {error}"
                if not isinstance(error, DecoderCrashed):
                    return heard(_coverage("partly" if segments else "off", by, [why, *notes]))
                crashes.append(why)
                break
            except ModelError as error:
                if speech.is_named(settings):  # used, or an error
                    raise
                why = f"{error} Then read the video again."
                if segments:
                    return heard(broken_off("speech", last.until, media.length, by, why))
                return heard(off("speech", " ".join([why, *notes])))
            if stretch is None:
                break
            by = " and ".join(dict.fromkeys([*filter(None, by.split(" and ")), now_by]))
            if crashes:  # it may end in the middle of a word: it is heard again with what follows
                segments += stretch.segments
                doubtful += stretch.doubtful
                continue
            last = stretch
            line = {"until": last.until, "language": last.language, "languages": dict(last.languages), "by": now_by}
            found = {"segments": [*map(list, last.segments)], "doubtful": [*map(list, last.doubtful)]}
            append_line(folder / HEARD, line | found)
            segments += last.segments
            doubtful += last.doubtful
            spoken.update(last.languages)
            report(Progress("speech", _part(last.until, media.length)))
            if (segments and unheard) or time.monotonic() - told >= MINUTE:  # the first words at once
                keep(heard(under_way("speech", last.until, media.length, by)))
                told, unheard = time.monotonic(), not segments
    if crashes:
        return heard(lost("partly" if segments else "off", by, " ".join([*crashes, *notes]), last.until))
    if not last.until:
        return heard(_coverage("absent", "", notes))
    report(Progress("speech", 1.0))
    if not segments and doubtful:
        return heard(_coverage("doubtful", by, [f"{IN_DOUBT}.", *notes]))
    if not segments:
        return heard(_coverage("absent", by, ["No speech was heard.", *notes]))
    return heard(_coverage("read", by, notes))


def _usual(spoken: Mapping[str, float]) -> str:
    """The language that is spoken for most of the time (s by language); "" where none is sure, or several are."""
    most = max(spoken, key=lambda one: spoken[one], default="")
    return most if most and spoken[most] >= MOSTLY * sum(spoken.values()) else ""


def _part(until: float, length: float) -> float:
    return min(1.0, until / length) if length else 0.0


def _coverage(state: str, by: str, notes: list[str]) -> Coverage:
    return Coverage("partly" if state == "read" and notes else state, by, " ".join(notes))


def _screen_to_come(frames: list[Frame], length: float, settings: Settings) -> Coverage:
    if not frames:
        return Coverage("absent", note="There are no pictures to read text from.")
    if not settings.screen_text:
        return off("screen", "SCREEN_TEXT is off. Set SCREEN_TEXT=on.")
    return under_way("screen", 0.0, length)


def _seen(media: Media, seeing: Seeing) -> Media:
    """The media with the text that was read on its pictures so far."""
    seeing.check()
    if not seeing.is_done:
        coverage = under_way("screen", seeing.until, media.length, "rapidocr" if seeing.texts else "")
    elif any(seeing.texts):
        coverage = Coverage("read", by="rapidocr")
    else:
        coverage = Coverage("absent", by="rapidocr", note="No text was seen on the screen.")
    return _with_screen(media, screen.to_passages(media.frames, seeing.texts), coverage)
