"""The guarded door: whatever a decoder does costs an error line and nothing else."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import hostile
import numpy as np
import pytest
from make_film import make_film

from pipeline import build
from pipeline.bench.cost import measure
from pipeline.errors import DecoderCrashed, ReadingStopped, SourceError
from pipeline.media import clips, guard, reading, video
from pipeline.playing import WORKSHOP, Player
from pipeline.settings import Limits, Settings
from pipeline.types import Media

LIMITS = Limits(memory=2 * 2**30)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"x")
    return path


def is_gone(pid: int) -> bool:
    """Whether a process ends within 20 s."""
    for _ in range(2000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def until(there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (hostile.crash, "decoder crashed on it (SIGSEGV)"),
        (
            hostile.hunger,
            "make them smaller, or raise DECODE_MEMORY_GB",
        ),
        (hostile.fail, "a fault in the file or in this app"),
        (hostile.lie, "its answer cannot be read"),
        (hostile.talk_nonsense, "its answer cannot be read"),
    ],
)
def test_what_goes_wrong_in_a_decoder_is_one_line_and_the_next_file_is_read(work, words, source, film):
    with pytest.raises(DecoderCrashed) as caught:
        guard.run(work, source, limits=LIMITS)
    assert words in str(caught.value)
    assert "talk.mp4" in str(caught.value)
    assert guard.run(video.probe, film, limits=LIMITS) == video.probe(film)


def test_a_decoder_that_does_not_get_on_is_ended(source, tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 6.0)
    source.write_bytes(bytes(50_000))  # it might take half a minute
    with pytest.raises(SourceError, match="did not get on"):
        guard.run(hostile.hang, source, tmp_path / "mark", limits=LIMITS)
    assert is_gone(int((tmp_path / "mark").read_text()))


def test_a_decoder_that_gets_on_for_ever_is_ended(source, monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 6.0)
    with pytest.raises(SourceError, match="took longer than 6 s"):
        guard.run(hostile.spin, source, limits=LIMITS)


def test_a_decoder_writes_no_endless_file(source, tmp_path):
    with pytest.raises(SourceError):
        guard.run(hostile.flood, source, tmp_path / "flood", limits=LIMITS)
    assert (tmp_path / "flood").stat().st_size == 0


def test_what_a_decoder_started_ends_with_it(source, tmp_path):
    with pytest.raises(SourceError):
        guard.run(hostile.leave_a_process, source, tmp_path / "mark", limits=LIMITS)
    assert is_gone(int((tmp_path / "mark").read_text()))


def test_a_decoder_ends_with_whoever_waits_for_it(source, tmp_path):
    code = (
        "import sys, hostile; from pathlib import Path; from pipeline.media import guard; "
        "from pipeline.settings import Limits; "
        "guard.run(hostile.hang, Path(sys.argv[1]), Path(sys.argv[2]), limits=Limits())"
    )
    mark = tmp_path / "mark"
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, source, mark],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)},
    )
    until(lambda: mark.exists() and mark.read_text())
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    assert is_gone(int(mark.read_text()))


def test_who_is_killed_from_outside_is_read_again_and_not_taken_for_damaged(source):
    with pytest.raises(ReadingStopped, match="Try again"):
        guard.run(hostile.be_killed, source, limits=LIMITS)


def test_nothing_secret_is_there_to_be_found(source, tmp_path, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "canary-in-the-environment")
    (tmp_path / ".env").write_text("VLLM_API_KEY=canary-in-a-file\n")  # MoviePy loads one where it stands
    monkeypatch.chdir(tmp_path)
    with open(tmp_path / "canary-open", "w"):
        found = guard.run(hostile.look_around, source, limits=LIMITS)
    assert found[0]
    assert "canary" not in str(found)


@pytest.fixture
def loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process while another thread loads a library, as cv2 does: a folder of its own stands first in sys.path,
    whose `typing` hides Python's, and LD_LIBRARY_PATH is another. Here nothing starts that is given one of the two."""
    folder = tmp_path / "library"
    (folder / "typing").mkdir(parents=True)
    (folder / "typing" / "__init__.py").write_text("raise ImportError('this is not the typing of Python')")
    (folder / "libc.so.6").touch()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.chdir(folder)


def test_a_decoder_starts_while_another_thread_loads_a_library(film, loading):
    assert guard.run(video.probe, film, limits=LIMITS) == video.probe(film)


def test_a_worker_and_a_measurement_start_while_another_thread_loads_a_library(film, settings, tmp_path, request):
    with closing(build(settings)) as pipeline:
        request.getfixturevalue("loading")
        media = pipeline.read(film)
    assert {media.coverage[part].state for part in ("frames", "speech")} == {"read"}
    assert measure(hostile.count_to_three, folder=tmp_path).done == 3


def test_children_get_the_environment_of_when_the_library_was_built(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_A_DOT_ENV", "3")
    with closing(build(settings)):
        monkeypatch.setenv("FROM_A_DOT_ENV", "4")  # a library that was loaded since
        monkeypatch.setenv("QT_QPA_FONTDIR", "4")
        assert measure(hostile.count_environment, "FROM_A_DOT_ENV", folder=tmp_path).done == 3
        assert measure(hostile.count_environment, "QT_QPA_FONTDIR", folder=tmp_path).done == 0


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Callable]:
    """A function whose module ends the next so many processes that import it."""
    left, file = tmp_path / "left", tmp_path / "not_there_yet.py"
    left.write_text("0")
    file.write_text(
        "import os, sys; from pathlib import Path\n"
        "left = Path(__file__).with_name('left'); number = int(left.read_text())\n"
        "if number: left.write_text(str(number - 1)); sys.stderr.write('no such library\\n'); os._exit(3)\n"
        "def work(source, limits): return 'done'\n"
    )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, file.stem, module)
    spec.loader.exec_module(module)

    def fail(times: int) -> Callable:
        left.write_text(str(times))
        return module.work

    return fail


def test_a_decoder_that_ends_before_it_opened_the_file_is_started_once_more(failing, source, caplog):
    assert guard.run(failing(1), source, limits=LIMITS) == "done"
    assert "no such library" in caplog.text


def test_a_decoder_that_cannot_be_started_does_not_blame_the_file(failing, source, caplog):
    with pytest.raises(ReadingStopped) as caught:
        guard.run(failing(3), source, limits=LIMITS)
    assert "is not the cause" in str(caught.value)
    assert "(no such library)" in str(caught.value)
    assert "Try again" in str(caught.value)
    assert "copy" not in str(caught.value)
    assert caplog.text.count("It said: no such library") == 2
    assert guard.run(failing(0), source, limits=LIMITS) == "done"


def test_where_a_decoder_crashed_is_in_the_log(source, caplog):
    with pytest.raises(DecoderCrashed):
        guard.run(hostile.crash, source, limits=LIMITS)
    assert "in crash" in caplog.text  # the function


def test_a_file_that_is_no_video_did_not_crash_anything(source, caplog):
    with pytest.raises(SourceError) as caught:
        guard.run(video.probe, source, limits=LIMITS)
    assert not isinstance(caught.value, DecoderCrashed)
    assert not caplog.text


def test_many_threads_may_ask_at_once(film):
    with ThreadPoolExecutor(6) as pool:
        facts = list(pool.map(lambda _: guard.run(video.probe, film, limits=LIMITS), range(6)))
    assert facts == [video.probe(film)] * 6


def test_a_decoder_waits_while_nobody_asks_and_that_is_not_held_against_it(film, monkeypatch):
    class Clock:
        passed = 0.0

        def monotonic(self):
            return time.monotonic() + self.passed

    clock = Clock()
    monkeypatch.setattr(guard, "time", clock)
    seconds = 0.0
    with closing(guard.stream(video.read_sound, film, limits=LIMITS)) as pieces:
        for piece in pieces:
            seconds += len(piece) / 4 / video.RATE
            clock.passed += 10_000.0  # so long what came was being heard
    assert seconds == pytest.approx(24, abs=0.1)


def test_a_decoder_is_never_far_ahead_and_ends_when_it_is_not_wanted(source):
    with closing(guard.stream(hostile.pour, source, limits=LIMITS)) as pieces:
        pid = int(next(pieces))
        given = [np.frombuffer(next(pieces), np.float32)[0] for _ in range(3)]
        assert given == [0, 1, 2]
    assert is_gone(pid)


def test_what_is_yielded_before_a_crash_is_given(source):
    given = []
    with pytest.raises(SourceError, match="crashed"):
        given.extend(guard.stream(hostile.pour_then_crash, source, limits=LIMITS))
    assert [len(one) for one in given] == [400_000] * 3


# -- a reading


@pytest.fixture
def silent(film: Path, tmp_path: Path) -> Path:
    """A film without words beside it."""
    path = tmp_path / "alone.mp4"
    path.write_bytes(film.read_bytes())
    return path


def read(path: Path, folder: Path, settings: Settings) -> Media:
    """The media, without what it is searched by."""

    def ignored(_: object) -> None:
        return None

    facts = video.probe(path)
    media = reading.begin_media(path, facts, "0" * 32, folder, settings, ignored)
    return reading.go_on(media, path, folder, settings, ignored, ignored)


def test_a_crash_in_the_pictures_keeps_those_before_it_and_the_sound(silent, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "read_frames", hostile.pictures_then_crash)
    media = read(silent, tmp_path, replace(settings, screen_text=False, frames_per_second=1))
    assert 5 < len(media.frames) < 20
    assert all((tmp_path / frame.image).stat().st_size for frame in media.frames)
    seen = media.coverage["frames"]
    assert seen.state == "partly"
    assert "The pictures after 0:1" in seen.note
    assert "crashed" in seen.note
    assert (seen.lost, seen.until) == (True, media.frames[-1].start)
    assert "WHISPER_MODEL" in media.coverage["speech"].note  # it came to that


def test_a_crash_in_the_sound_keeps_the_pictures_and_what_was_heard_before(silent, settings, tmp_path, monkeypatch):
    notes: list[str] = []
    crashes: list[str] = []

    def heard() -> np.ndarray:
        return np.concatenate(list(reading._sound_of(silent, 0.0, settings.limits, notes.append, crashes.append)))

    whole = heard()
    monkeypatch.setattr(video, "read_sound", hostile.sound_then_crash)
    sound = heard()
    assert 0.3 * len(whole) < len(sound) < 0.8 * len(whole)
    assert (sound == whole[: len(sound)]).all()
    (note,) = crashes
    assert not notes  # what may be read the next time is not missing for good
    assert "The sound after 0:1" in note
    assert "crashed" in note
    monkeypatch.setattr(video, "read_sound", hostile.crash_in_sound)
    media = read(silent, tmp_path, replace(settings, screen_text=False))
    assert media.coverage["frames"].state == "read"
    assert media.coverage["speech"].state == "off"
    assert media.coverage["speech"].lost
    assert "The sound could not be read" in media.coverage["speech"].note


# -- a clip


def media_of(path: Path) -> Media:
    return Media("0" * 32, "film", str(path), "second", 24.0, "")


def test_a_clip_appears_when_it_is_whole_and_a_crash_leaves_nothing(film, tmp_path, monkeypatch):
    player, folder = Player(), tmp_path / "media"
    (folder / "clips" / f"{WORKSHOP}999999999").mkdir(parents=True)  # of a process that was killed
    clip = player.moment_file(media_of(film), folder, 1.0, 3.0, "mp4")
    assert video.probe(clip).length == pytest.approx(2, abs=0.2)
    monkeypatch.setattr(clips, "cut", hostile.half_a_clip)
    with pytest.raises(SourceError, match="crashed"):
        player.moment_file(media_of(film), folder, 4.0, 6.0, "mp4")
    assert [path.name for path in (folder / "clips").iterdir()] == [clip.name]


def test_ffmpeg_is_given_our_own_pictures_and_never_the_file(film, tmp_path, monkeypatch):
    seen = []
    start = subprocess.Popen.__init__

    def noted(self, command, *args, **options):
        seen.append([str(one) for one in command])
        start(self, command, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    clips.cut(film, 1.0, 2.0, tmp_path / "a.mp4")
    assert seen
    for command in seen:
        given = [command[at + 1] for at, word in enumerate(command) if word == "-i"]
        assert set(given) <= {"-", str(tmp_path / "a.m4a")}
        assert not any(str(film) in word for word in command)


# -- limits


def refused(path: Path, limits: Limits) -> str:
    with pytest.raises(SourceError) as caught:
        guard.run(video.probe, path, limits=limits)
    return str(caught.value)


def test_each_limit_is_said_with_its_setting(film, tmp_path):
    assert "MAX_FILE_GB" in refused(film, replace(LIMITS, size=1000))
    assert "MAX_HOURS" in refused(film, replace(LIMITS, length=10))
    assert "MAX_MEGAPIXELS" in refused(film, replace(LIMITS, pixels=100_000))
    frames, notes = guard.run(
        video.read_frames, film, tmp_path, 1.0, limits=replace(LIMITS, pictures=3), progress=lambda done: None
    )
    assert len(frames) == 3
    assert "MAX_PICTURES" in notes[0]


def test_a_length_that_the_header_lies_about_is_not_believed(tmp_path):
    path = make_film(tmp_path / "a.mp4", seconds=2, size=(160, 90))
    content = bytearray(path.read_bytes())
    at = content.index(b"mvhd") + 20
    content[at : at + 4] = b"\xff\xff\xff\xf0"
    for track in (content.index(b"tkhd"), content.rindex(b"tkhd")):
        content[track + 24 : track + 28] = b"\xff\xff\xff\xf0"
    path.write_bytes(content)
    assert guard.run(video.probe, path, limits=LIMITS).length < 3


def test_settings_give_the_limits():
    limits = Settings.from_env({"MAX_HOURS": "2", "MAX_FILE_GB": "1", "MAX_PICTURES": "50"}).limits
    assert (limits.length, limits.size, limits.pictures) == (7200, 1e9, 50)
