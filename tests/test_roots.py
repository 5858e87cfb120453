"""Only what lies in MEDIA_ROOTS is opened, wherever links lead, and what is refused says how to allow it."""

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


def test_of_what_is_not_there_nothing_is_told_outside(rooms, within):
    with pytest.raises(SourceError, match="MEDIA_ROOTS"):
        build(within).sources(rooms[1] / "gone.mp4")
    with pytest.raises(SourceError, match="no file"):
        build(within).sources(rooms[0] / "gone.mp4")


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


def test_the_default_is_the_home_folder_and_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.settings._home", lambda: (tmp_path / "home",))
    assert Settings(data_dir=tmp_path / "data").media_roots == (tmp_path / "home", tmp_path / "data")
    named = Settings.from_env({"DATA_DIR": str(tmp_path), "MEDIA_ROOTS": os.pathsep.join(("/films", "~/talks"))})
    assert named.media_roots == (Path("/films"), Path.home() / "talks", tmp_path)
    with pytest.raises(SettingsError, match="MEDIA_ROOTS"):
        Settings(media_roots=(Path("~nobody-has-this-name/films"),))
