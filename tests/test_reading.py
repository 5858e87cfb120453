"""Reading that holds nobody up: it is asked about before it is done, goes on where it stopped, waits its turn."""

import io
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import hostile
import pytest
from conftest import SUBTITLES, in_this_process, read_here
from make_film import make_film
from tiny_whisper import make_checkpoint

from pipeline import build, disk, part_status, waiting
from pipeline.errors import MediaNotFound, ModelError, PartLost, ReadingCancelled
from pipeline.media import folder as folders
from pipeline.media import guard, reading, screen, video
from pipeline.media.video import identify
from pipeline.readings import Reading, Readings
from pipeline.settings import Settings
from pipeline.types import Progress
from pipeline.waiting import Waiting, Wanted
from pipeline.worker import Worker
from pipeline.workflow import Pipeline

Report = Callable[[Progress], None]


class Killed(BaseException):
    """What the kill of a worker is to the steps: nothing after it is done."""


def kill_at(step: str, fraction: float) -> Report:
    def report(progress: Progress) -> None:
        if progress.step == step and progress.fraction > fraction:
            raise Killed

    return report


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three minutes of voice on four slides; what Whisper hears of it is in no file."""
    slides = [(0.0, "Harbour bridge"), (45.0, "Steel cables"), (90.0, "An elephant"), (135.0, "The library")]
    return make_film(
        tmp_path_factory.mktemp("talk") / "talk.mp4", seconds=180, fps=2, size=(240, 136), slides=slides, counter=False
    )


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_checkpoint(tmp_path_factory.mktemp("whisper") / "tiny.pt"))


@pytest.fixture(scope="session")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s without words or sound, three pictures: text on screen takes long to read."""
    return make_film(tmp_path_factory.mktemp("slides") / "slides.mp4", seconds=24, counter=False, sound=False)


def test_a_row_that_was_put_off_the_list_late_takes_no_new_reading_along():
    gate, dropped = threading.Event(), []
    readings = Readings(lambda reading: gate.wait(60), dropped.append)
    readings.add(Path("/first.mp4"), False, None)
    stale = readings.add(Path("/talk.mp4"), False, None)
    stale.cancel()
    new = readings.add(Path("/talk.mp4"), False, None)
    stale.forget()
    assert readings.by_path["/talk.mp4"] is new
    assert not dropped
    gate.set()


def test_the_queue_outlives_the_app_and_what_ends_it_twice_waits_for_a_person(tmp_path):
    never = threading.Event()  # an app that is killed reads for ever: nothing of it is told that it ended

    def run() -> tuple[Readings, Waiting, list[str]]:
        waiting = Waiting(tmp_path)
        begun: list[str] = []
        app = Readings(lambda reading: begun.append(reading.path.name) or never.wait(60), lambda reading: None, waiting)
        app.take_up(lambda path, again: None)
        return app, waiting, begun

    first, kept, begun = run()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        first.add(tmp_path / name, name == "b.mp4", None)
    first.by_path[str(tmp_path / "c.mp4")].cancel()
    second, other, _ = run()
    assert not second.by_path  # the first one lives
    other.close()
    wait_for(lambda: begun == ["a.mp4"])
    kept.close()  # killed

    second, kept, begun = run()
    wait_for(lambda: begun == ["a.mp4"])
    goes_on, waits = second.by_path.values()
    assert (goes_on.note, waits.note) == ("Reading a.mp4 broke off when the app ended. It goes on.", "")
    assert (waits.path.name, waits.again, waits.queued) == ("b.mp4", True, 1)
    kept.close()  # killed again

    third, kept, begun = run()
    wait_for(lambda: begun == ["b.mp4"])
    broken = third.by_path[str(tmp_path / "a.mp4")]
    assert broken.done
    assert "again" in broken.note
    kept.close()

    fourth, kept, _ = run()
    assert [path.name for path in map(Path, fourth.by_path)] == ["b.mp4"]
    kept.close()
    never.set()


def test_two_apps_that_begin_at_once_take_a_queue_over_once(tmp_path, monkeypatch):
    ended = Waiting(tmp_path)
    ended.keep([Wanted("a.mp4", False, 0)])
    ended.close()
    first, second, held = Waiting(tmp_path), Waiting(tmp_path), waiting.hold
    taken = []

    def after_the_other(folder, **options):
        monkeypatch.setattr(waiting, "hold", held)
        taken.extend(first.take_over())
        return held(folder, **options)

    monkeypatch.setattr(waiting, "hold", after_the_other)
    assert second.take_over() == []
    assert [one.path for one in taken] == ["a.mp4"]
    first.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    assert condition()


def test_a_page_says_what_broke_off_and_goes_on_with_it(hearing, talk, monkeypatch):
    with pytest.raises(Killed):
        read_here(talk, hearing, kill_at("frames", 0.5))  # by a command, say
    read = []
    monkeypatch.setattr(Pipeline, "_read_next", lambda self, reading: read.append(reading.path))
    app = build(hearing).take_up()
    (shown,) = app.readings.values()
    assert (shown.path, shown.done, shown.again) == (talk, True, False)
    assert "was not read to its end" in shown.note
    assert not read  # a person may have cancelled it: only a click goes on
    shown.forget()
    app.close()
    assert not build(hearing).take_up().readings
    assert (hearing.data_dir / identify(talk) / "frames").exists()  # kept for whoever reads it again


def test_a_worker_ends_with_its_parent_and_lets_go_of_the_folder():
    code = """if True:
        import sys, threading, time
        from pipeline.worker import _die_with_parent
        threading.Thread(target=_die_with_parent, args=(sys.stdin,), daemon=True).start()
        print("reads", flush=True)
        time.sleep(60)
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert worker.stdout.readline() == b"reads\n"
    worker.stdin.close()  # as when the parent is killed
    assert worker.wait(timeout=30) == -signal.SIGKILL


def test_a_transcript_is_cancelled_too(settings, tmp_path):
    worker = Worker(tmp_path / "talk.srt", settings)
    report = worker.while_wanted(lambda progress: None)
    report(Progress("text", 0.0))
    worker.cancel()
    with pytest.raises(ReadingCancelled):
        report(Progress("text", 0.5))


@pytest.fixture
def hearing(settings: Settings, whisper: str) -> Settings:
    """Whisper is there, and text on screen is not read."""
    return replace(settings, whisper_model=whisper, screen_text=False)


def test_a_reading_that_was_killed_goes_on_in_mid_speech(talk, hearing, tmp_path):
    with pytest.raises(Killed):
        read_here(talk, hearing, kill_at("speech", 0.9))
    folder = hearing.data_dir / identify(talk)
    before = (folder / "speech.jsonl").read_bytes()
    broken_off = folders.load(folder)
    speech = broken_off.coverage["speech"]
    assert speech.state == "partly"
    assert 0 < speech.until < 180
    assert speech.note.startswith("Speech was heard to ")
    assert "of 3:00. Read it again to go on." in speech.note
    assert any(one.kind == "speech" for one in broken_off.passages)

    told: list[Progress] = []
    media = read_here(talk, hearing, told.append)
    assert (folder / "speech.jsonl").read_bytes().startswith(before)
    assert next(one for one in told if one.step == "speech").fraction > 0.25
    assert not [one for one in told if one.step == "frames"]
    assert media.coverage["speech"].state == "read"
    assert media.coverage["speech"].until is None
    assert max(one.end for one in media.passages) > 150

    whole = read_here(talk, replace(hearing, data_dir=tmp_path / "other"))
    assert media == whole


def test_a_reading_that_was_killed_goes_on_with_the_pictures_and_their_texts(slides, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MINUTE", 0.0)  # every text is told at once
    settings = replace(settings, frames_per_second=0.25)
    with pytest.raises(Killed):
        read_here(slides, settings, kill_at("frames", 0.7))
    folder = settings.data_dir / identify(slides)
    assert not (folder / "media.json").exists()
    (*_, last) = sorted((folder / "frames").iterdir())
    last.write_bytes(last.read_bytes()[:100])  # killed while it was written
    told: list[Progress] = []
    with pytest.raises(Killed):
        read_here(slides, settings, lambda progress: told.append(progress) or kill_at("screen", 0.5)(progress))
    assert 0.2 < told[0].fraction < 0.9
    so_far = folders.load(folder)
    assert so_far.coverage["screen"].state == "partly"
    assert 0 < so_far.coverage["screen"].until < 24
    assert [one.text for one in so_far.passages if one.kind == "screen"] == ["Photosynthesis"]
    seen = (folder / "screen.jsonl").read_bytes()
    media = read_here(slides, settings)
    assert (folder / "screen.jsonl").read_bytes().startswith(seen)
    assert media == read_here(slides, replace(settings, data_dir=tmp_path / "other"))


def test_pictures_that_a_crash_cost_are_read_by_the_next_reading(slides, settings, tmp_path, monkeypatch):
    settings = replace(settings, frames_per_second=1)
    with monkeypatch.context() as broken:
        broken.setattr(video, "read_frames", hostile.pictures_then_crash)
        cut_short = read_here(slides, settings)
    assert cut_short.coverage["frames"].lost
    assert cut_short.coverage["screen"].state == "read"  # of the pictures there are
    told: list[Progress] = []
    media = read_here(slides, settings, told.append)
    assert min(one.fraction for one in told if one.step == "frames") > 0.2  # on from the last
    assert media == read_here(slides, replace(settings, data_dir=tmp_path / "other"))


def test_sound_that_a_crash_cost_is_heard_by_the_next_reading(talk, hearing, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(video, "read_sound", hostile.most_of_the_sound)
        cut_short = read_here(talk, hearing)
    speech = cut_short.coverage["speech"]
    assert (speech.state, speech.lost) == ("partly", True)
    assert speech.until < 150 < max(one.end for one in cut_short.passages if one.kind == "speech")
    assert "The sound after 2:3" in speech.note
    assert read_here(talk, hearing) == read_here(talk, replace(hearing, data_dir=tmp_path / "other"))


def test_subtitles_that_a_crash_cost_replace_what_was_heard_instead(settings, tmp_path, monkeypatch):
    film = make_film(tmp_path / "film.mp4", sound=False, subtitles=[(1.0, 4.0, "Chloroplasts are green.")])
    with monkeypatch.context() as broken:
        broken.setattr(video, "read_embedded_subtitles", hostile.crash_in_subtitles)
        cut_short = read_here(film, settings)
    assert cut_short.coverage["subtitles"].lost
    assert "The subtitles inside the file were not read" in cut_short.coverage["subtitles"].note
    media = read_here(film, settings)
    assert [one.text for one in media.passages if one.kind == "subtitle"] == ["Chloroplasts are green."]
    assert media == read_here(film, replace(settings, data_dir=tmp_path / "other"))


def test_what_crashes_every_time_is_tried_once_a_reading(slides, settings, monkeypatch):
    tried: list[str] = []
    run = guard.run

    def noted(work: Callable, *args: object, **more: object) -> object:
        tried.append(work.__name__)
        return run(work, *args, **more)

    monkeypatch.setattr(guard, "run", noted)
    monkeypatch.setattr(video, "read_frames", hostile.pictures_then_crash)
    first = read_here(slides, settings)
    again = read_here(slides, settings)
    assert again.frames == first.frames
    assert again.coverage["frames"] == first.coverage["frames"]
    assert again.chapters == first.chapters
    assert tried.count("pictures_then_crash") == 2
    read_here(slides, settings)
    assert tried.count("pictures_then_crash") == 3


def test_the_queue_shows_what_a_crash_cost_as_an_error_and_does_not_try_again_by_itself(slides, settings, monkeypatch):
    monkeypatch.setattr(video, "read_frames", hostile.pictures_then_crash)
    monkeypatch.setattr(Worker, "run", in_this_process)
    app = build(settings)
    shown = app.start(slides, again=True)
    wait(shown)
    assert isinstance(shown.error, PartLost)
    assert "The pictures after" in str(shown.error)
    assert app.get(shown.media_id).frames
    assert not shown.again  # to try again reads the rest alone
    app.close()
    assert not build(settings).take_up().readings


@pytest.mark.parametrize("other", [{"exact_frames": True}, {"frames_per_second": 0.5}], ids=["exact", "more"])
def test_pictures_that_were_taken_otherwise_are_not_gone_on_with(settings, other, tmp_path):
    film = make_film(tmp_path / "film.mp4", gop=35, sound=False)  # at 3.5, 7, 10.5 s: none at a multiple of 5 s
    with pytest.raises(Killed):
        read_here(film, settings, kill_at("frames", 0.6))
    assert [*(settings.data_dir / identify(film) / "frames").iterdir()]
    media = read_here(film, replace(settings, **other))
    assert media == read_here(film, replace(settings, data_dir=tmp_path / "other", **other))


def test_text_on_the_screen_and_speech_are_read_beside_each_other(talk, hearing, monkeypatch):
    heard, read_screen = threading.Event(), screen.read_screen

    def slowly(*args: object) -> Iterator[str]:
        for text in read_screen(*args):
            heard.wait(60)  # who read the pictures first would wait here for ever
            yield text

    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        if progress.step == "speech" and progress.fraction > 0.2:
            heard.set()

    monkeypatch.setattr(screen, "read_screen", slowly)
    monkeypatch.setattr(reading, "MINUTE", 0.0)
    media = read_here(talk, replace(hearing, screen_text=True), report)
    steps = [one.step for one in told if one.fraction > 0]
    assert steps.index("speech") < steps.index("screen") < len(steps) - 1
    assert {media.coverage[part].state for part in ("speech", "screen")} == {"read"}
    assert {one.kind for one in media.passages} == {"speech", "screen"}


def test_what_keeps_the_screen_from_being_read_beside_the_hearing_is_said(talk, hearing, monkeypatch):
    def broken(*_: object) -> Iterator[str]:
        yield "Harbour bridge"
        raise ModelError("Text on the screen cannot be read. Reinstall it.")

    monkeypatch.setattr(screen, "read_screen", broken)
    with pytest.raises(ModelError, match="Reinstall it"):
        read_here(talk, replace(hearing, screen_text=True))
    assert (hearing.data_dir / identify(talk) / "screen.jsonl").exists()


def test_what_was_read_so_far_is_asked_about_and_nothing_is_called_missing(talk, hearing):
    with pytest.raises(Killed):
        read_here(talk, hearing, kill_at("speech", 0.9))
    pipeline = build(hearing)
    with disk.hold(hearing.data_dir / identify(talk)):  # as its worker does
        media = pipeline.everything()[0][0]
        assert media.coverage["speech"].state == "reading"
        assert media.coverage["speech"].note.endswith("of 3:00 so far.")
        found = pipeline.find("Who measured the steel cables?")
        assert any("cables" in one.text for one in found.moments[0].passages)
        nowhere = pipeline.find("Which football club bought the goalkeeper?")
    pipeline.close()
    assert not nowhere.near
    gap = nowhere.not_looked_at[0]
    assert (gap.part, gap.state, gap.next) == ("speech", "reading", "Ask again when it has been read.")
    assert re.fullmatch(r"Speech was heard to \d:\d\d of 3:00 so far", gap.what)
    assert not [line for line in part_status.not_found(nowhere) if "to be in the video" in line]


def test_what_was_read_before_stays_until_the_new_is_whole(slides, settings):
    before = read_here(slides, settings)
    library = build(settings)
    settings = replace(settings, frames_per_second=0.25)
    with pytest.raises(Killed):
        read_here(slides, settings, kill_at("screen", 0.3), again=True)
    assert library.everything()[0] == [before]
    assert library.find("chlorophyll").moments
    told: list[Progress] = []
    after = read_here(slides, settings, told.append, again=True)
    assert not [one for one in told if one.step == "frames"]  # of the reading that was killed
    assert library.everything()[0] == [after]
    assert after.coverage["frames"].by == "0.25 pictures a second"
    assert not [path for path in settings.data_dir.iterdir() if path.name.startswith(".reading")]
    library.close()


@contextmanager
def kept_waiting(path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The reading of this source, by whomever, waits until the end of the block."""
    monkeypatch.setattr(disk, "PATIENCE", 60.0)
    (settings.data_dir / identify(path)).mkdir(parents=True)
    with disk.hold(settings.data_dir / identify(path)):
        yield


def test_what_is_removed_while_it_is_read_stays_removed(talk, hearing):
    pipeline = build(hearing)

    def remove_at_speech(progress: Progress) -> None:
        if progress.step == "speech" and pipeline.everything()[0]:
            pipeline.remove(identify(talk))

    with pytest.raises(MediaNotFound, match="removed while it was read"):
        read_here(talk, hearing, remove_at_speech)
    assert pipeline.everything() == ([], [])
    pipeline.close()
    assert not (hearing.data_dir / identify(talk)).exists()


def wait(reading: Reading) -> None:
    for thread in threading.enumerate():
        if thread.name == "reading sources":
            thread.join(timeout=120)
    assert reading.done


def test_one_source_is_read_at_a_time_and_one_that_waits_can_be_taken_out(settings, tmp_path, monkeypatch):
    pipeline = build(settings)
    paths = []
    for name in ("first", "second", "third"):
        paths.append(tmp_path / f"{name}.srt")
        paths[-1].write_text(SUBTITLES.replace("plants", name))
    with kept_waiting(paths[0], settings, monkeypatch):
        first, second, third = (pipeline.start(path) for path in paths)
        assert pipeline.start(paths[2]) is third
        assert [one.queued for one in (first, second, third)] == [0, 1, 2]
        second.cancel()
        assert [one.queued for one in (first, second, third)] == [0, 0, 1]
        assert second.done
        assert second.cancelled
    wait(third)
    assert {one.title for one in pipeline.everything()[0]} == {"first", "third"}
    assert third.media_id
    pipeline.close()


def test_a_reading_is_cancelled_kept_and_gone_on_with(talk, hearing):
    pipeline = build(replace(hearing, frames_per_second=2))
    reading = pipeline.start(talk)
    seen = threading.Event()
    show = reading.show

    def cancel_at_speech(progress: Progress) -> None:
        show(progress)
        if progress.step == "speech" and not seen.is_set():
            seen.set()
            threading.Thread(target=reading.cancel).start()

    reading.show = cancel_at_speech
    wait(reading)
    assert reading.cancelled
    assert reading.error is None
    media = pipeline.get(reading.media_id)
    assert media.coverage["speech"].state == "partly"
    assert media.frames
    again = pipeline.start(talk)
    wait(again)
    assert again.error is None
    assert not again.cancelled
    assert "frames" not in again.progress
    assert pipeline.get(again.media_id).coverage["speech"].state == "read"
    pipeline.close()


def test_an_upload_that_is_cancelled_before_it_can_be_asked_about_is_gone_once_forgotten(settings, film, monkeypatch):
    pipeline = build(settings)
    words = pipeline.upload("words.srt", io.BytesIO(SUBTITLES.encode()))
    with open(film, "rb") as content:
        uploaded = pipeline.upload("film.mp4", content)
    with kept_waiting(words, settings, monkeypatch):
        busy, waiting = pipeline.start(words), pipeline.start(uploaded)
        waiting.cancel()
    wait(busy)
    assert uploaded.exists()  # it can still be gone on with
    for one in (busy, waiting):
        one.forget()
    assert not pipeline.readings
    assert not uploaded.exists()
    assert words.exists()
    pipeline.close()
