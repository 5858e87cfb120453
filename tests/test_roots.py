"""Which files may be opened: in MEDIA_ROOTS, wherever links lead, and never the app's own; what is refused says why."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipeline import build
from pipeline.errors import SettingsError, SourceError
from pipeline.media import closer, reading, subtitles, video
from pipeline.playing import Player
from pipeline.settings import Settings
from pipeline.types import Frame, Media

WORDS = "1\n00:00:00,500 --> 00:00:03,000\nWelcome to a secret.\n"


@pytest.fixture
def rooms(tmp_path: Path, film: Path) -> tuple[Path, Path]:
    """(a folder that may be read, one that may not), with the same film and words in each."""
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        shutil.copy(film, tmp_path / name / "talk.mp4")
        (tmp_path / name / "words.srt").write_text(WORDS)
        Image.new("RGB", (90, 60)).save(tmp_path / name / "picture.png")
    return tmp_path / "inside", tmp_path / "outside"


@pytest.fixture
def within(rooms, tmp_path) -> Settings:
    return Settings(data_dir=tmp_path / "data", media_roots=(rooms[0],))


def test_every_way_in_refuses_what_lies_outside_and_says_how_to_allow_it(rooms, within):
    inside, outside = rooms
    (inside / "link.mp4").symlink_to(outside / "talk.mp4")
    (inside / "link.srt").symlink_to(outside / "words.srt")
    (inside / "link.png").symlink_to(outside / "picture.png")
    (inside / "linked").symlink_to(outside)
    pipeline = build(within)
    ways = {
        pipeline.estimate: (
            outside / "talk.mp4",
            inside / "link.mp4",
            inside / "linked/talk.mp4",
            outside / "words.srt",
        ),
        pipeline.sources: (outside, outside / "talk.mp4", inside / "linked", inside / "../outside"),
        pipeline.read: (outside / "words.srt", inside / "link.srt"),
        lambda path: pipeline.find("What is this?", picture=path): (outside / "picture.png", inside / "link.png"),
        lambda path: pipeline.talk().ask("What is this?", picture=path): (outside / "picture.png",),
    }
    for way, paths in ways.items():
        for path in paths:
            with pytest.raises(SourceError) as caught:
                way(path)
            assert f"MEDIA_ROOTS to {inside}" in str(caught.value)
            assert str(outside) in str(caught.value)
    pipeline.close()
    assert not pipeline.list()[0]


def test_what_lies_inside_is_read_also_by_a_link_within(rooms, within):
    inside, _ = rooms
    (inside / "link.mp4").symlink_to(inside / "talk.mp4")
    pipeline = build(within)
    assert pipeline.estimate(inside / "link.mp4").length == pytest.approx(24, abs=0.1)
    assert len(pipeline.sources(inside)) == 3
    pipeline.close()


def test_a_root_that_is_itself_a_link_counts_as_what_it_leads_to(rooms, within, tmp_path):
    (tmp_path / "home").symlink_to(rooms[0])
    pipeline = build(replace(within, media_roots=(tmp_path / "home",)))
    assert pipeline.sources(rooms[0] / "talk.mp4") == [rooms[0] / "talk.mp4"]
    pipeline.close()


def test_subtitles_beside_a_video_that_lead_outside_are_passed_over_and_it_is_said(rooms, within, tmp_path):
    inside, outside = rooms
    (inside / "talk.srt").symlink_to(outside / "words.srt")
    (inside / "talk.en.srt").write_text(WORDS.replace("a secret", "the talk"))
    facts = video.probe(inside / "talk.mp4")
    media = reading.begin_media(inside / "talk.mp4", facts, "0" * 32, tmp_path, within, lambda progress: None)
    assert [one.text for one in media.passages] == ["Welcome to the talk."]
    assert "MEDIA_ROOTS" in media.coverage["speech"].note
    assert "secret" not in (tmp_path / "transcript.vtt").read_text()


def test_what_was_read_is_neither_played_nor_looked_at_once_it_is_outside(rooms, within, tmp_path):
    inside, outside = rooms
    source = inside / "talk.mp4"
    media = Media(video.identify(source), "talk", str(source), "second", 24.0, "", (Frame(0, 24, "frames/0.jpg"),))
    source.unlink()
    source.symlink_to(outside / "talk.mp4")
    player = Player(within.limits)
    for way in (
        lambda: player.playable(media, tmp_path, 0.0),
        lambda: player.moment_file(media, tmp_path, 0.0, 2.0, "mp4"),
        lambda: closer.look(media, [(0, 2)], tmp_path, limits=within.limits),
    ):
        with pytest.raises(SourceError, match="MEDIA_ROOTS"):
            way()
    assert not list(tmp_path.rglob("*.mp4.*"))


def test_what_is_not_there_is_said_wherever_it_would_lie(rooms, within):
    pipeline = build(within)
    for room in rooms:
        for way in (pipeline.sources, pipeline.estimate, pipeline.read):
            with pytest.raises(SourceError, match="There is no file"):
                way(room / "gone.mp4")
        with pytest.raises(SourceError, match="There is no picture"):
            pipeline.find("What is this?", picture=room / "gone.png")
    with pytest.raises(SourceError, match=f"its folder {rooms[1] / 'disk'} is not there"):
        pipeline.sources(rooms[1] / "disk/films/gone.mp4")
    pipeline.close()


def test_what_can_be_no_path_is_refused_in_one_line(within):
    for path in ("x" * 5000, "a\0b", "two\nlines"):
        with pytest.raises(SourceError):
            build(within).sources(path)


def test_uploads_are_always_inside(rooms, within):
    pipeline = build(within)
    with open(rooms[1] / "words.srt", "rb") as file:
        stored = pipeline.upload("words.srt", file)
    assert subtitles.read(stored, within.limits).segments
    pipeline.close()


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The folder of the app and the home folder, in one, with passwords in it."""
    folder = tmp_path / "own"
    (folder / ".streamlit").mkdir(parents=True)
    monkeypatch.setattr("pipeline.settings.APP", folder)
    monkeypatch.setattr("pipeline.settings._home", lambda: (folder,))
    for name in (".env", ".streamlit/secrets.toml", ".streamlit/config.toml"):
        (folder / name).write_text(WORDS)
    return folder


@pytest.mark.parametrize("password", ["", "eight or more"])
def test_passwords_and_chats_of_the_app_are_never_read(own, rooms, tmp_path, password):
    data = tmp_path / "data"
    pipeline = build(Settings(data_dir=data, media_roots=(Path("/"),), app_password=password))
    for name in ("chat.json", "0" * 32 + "/chat-" + "1" * 32 + ".json", "0" * 32 + "/chat-pictures/1.jpg"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(WORDS)
    secret = [own / ".env", own / ".streamlit/secrets.toml", own / ".streamlit/config.toml"]
    secret += [*data.rglob("*.json"), *data.rglob("*.jpg")]
    assert len(secret) == 6
    for number, file in enumerate(secret):
        link = tmp_path / f"{number}.srt"
        link.symlink_to(file)
        ways = (pipeline.sources, pipeline.estimate, lambda path: pipeline.find("?", picture=path))
        for way, path in [*((way, path) for way in ways for path in (file, link)), (pipeline.read, link)]:
            with pytest.raises(SourceError, match="belongs to this app") as caught:
                way(path)
            assert "secret." not in str(caught.value)
    pipeline.close()


def test_no_other_way_leads_to_the_passwords(own, rooms, settings, tmp_path):
    """Nor a hard link, subtitles beside a video, or a video that became a link."""
    inside, _ = rooms
    (inside / "hard.srt").hardlink_to(own / ".env")
    with pytest.raises(SourceError, match="belongs to this app"):
        build(settings).sources(inside / "hard.srt")
    (inside / "talk.srt").symlink_to(own / ".env")
    facts = video.probe(inside / "talk.mp4")
    media = reading.begin_media(inside / "talk.mp4", facts, "0" * 32, tmp_path, settings, lambda progress: None)
    assert not media.passages
    source = inside / "talk.mp4"
    source.unlink()
    source.symlink_to(own / ".env")
    with pytest.raises(SourceError, match="belongs to this app"):
        Player(settings.limits).playable(Media("0" * 32, "talk", str(source), "second", 24.0, ""), tmp_path, 0.0)


def test_what_is_no_regular_file_is_opened_by_no_way(settings, tmp_path):
    os.mkfifo(tmp_path / "pipe.srt")
    for name in ("environ.srt", "environ.png"):
        (tmp_path / name).symlink_to("/proc/self/environ")
    pipeline = build(settings)
    for path in (tmp_path / "pipe.srt", tmp_path / "environ.srt", Path("/dev/zero"), Path("/proc/self/environ")):
        for way in (pipeline.sources, pipeline.estimate, pipeline.read):
            with pytest.raises(SourceError, match="not a regular file"):
                way(path)
    with pytest.raises(SourceError, match="not a regular file"):
        pipeline.find("?", picture=tmp_path / "environ.png")
    with pytest.raises(SourceError, match="not a regular file"):
        subtitles.read(tmp_path / "environ.srt")
    pipeline.close()


def test_alone_on_this_machine_any_file_may_be_read(rooms, tmp_path):
    settings = Settings.from_env({"DATA_DIR": str(tmp_path / "data")})
    assert settings.media_roots[0] == Path("/")
    pipeline = build(settings)
    assert pipeline.sources(rooms[1] / "talk.mp4") == [rooms[1] / "talk.mp4"]
    assert pipeline.estimate(rooms[1] / "talk.mp4").length == pytest.approx(24, abs=0.1)
    pipeline.close()


def test_behind_a_password_or_a_login_the_home_folder_and_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.settings._home", lambda: (tmp_path / "home",))
    data = {"DATA_DIR": str(tmp_path / "data")}
    locked = data | {"APP_PASSWORD": "eight or more"}
    for settings in (Settings.from_env(locked), Settings.from_env(data, login=True)):
        assert settings.media_roots == (tmp_path / "home", tmp_path / "data")
    monkeypatch.setattr("pipeline.settings._home", lambda: ())  # a user without one
    for settings in (Settings.from_env(locked), Settings.from_env(data, login=True)):
        assert settings.media_roots == (tmp_path / "data",)


@pytest.mark.parametrize("password", ["", "eight or more"])
@pytest.mark.parametrize("login", [False, True])
def test_media_roots_sets_it_with_a_lock_and_without(tmp_path, password, login):
    environ = {"DATA_DIR": str(tmp_path), "APP_PASSWORD": password}
    named = Settings.from_env(environ | {"MEDIA_ROOTS": os.pathsep.join(("/films", "~/talks"))}, login)
    assert named.media_roots == (Path("/films"), Path.home() / "talks", tmp_path)
    for wrong in ("~nobody-has-this-name/films", os.pathsep):
        with pytest.raises(SettingsError, match="MEDIA_ROOTS"):
            Settings.from_env(environ | {"MEDIA_ROOTS": wrong}, login)
