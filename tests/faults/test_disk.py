"""A disk that is full, read-only or gone under a library in use: a clear line, nothing harmed, and on it goes."""

import io
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import SUBTITLES, read_here

from pipeline import build
from pipeline.errors import StorageError
from pipeline.settings import Settings

SOON = 30.0  # s in which whatever goes wrong is said
ROOM = 140  # MB of the disk: more than Milvus Lite wants to have free


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", disk], capture_output=True)
    if made.returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.srt"
    path.write_text(SUBTITLES)
    return path


def fill(disk: Path) -> None:
    with suppress(OSError), open(disk / "filler", "ab", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 20))
    with suppress(OSError), open(disk / "filler", "ab", buffering=0) as filler:
        while True:
            filler.write(bytes(512))


@contextmanager
def said(words: str) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(StorageError, match=words):
        yield
    assert time.monotonic() - began < SOON


def stored(data_dir: Path) -> dict[str, bytes]:
    every = (
        path for path in data_dir.rglob("*") if path.is_file() and not path.name.startswith(("library", ".library"))
    )
    return {str(path.relative_to(data_dir)): path.read_bytes() for path in every}


def test_a_full_disk_is_said_by_everything_that_writes_and_harms_nothing(small_disk, talk, tmp_path):
    settings = Settings(data_dir=small_disk / "data")
    media = read_here(talk, settings)
    app = build(settings)
    assert app.find("volcanoes").moments
    other = tmp_path / "other.srt"
    other.write_text(SUBTITLES.replace("volcanoes", "glaciers"))
    before = stored(settings.data_dir)
    fill(small_disk)

    with said("disk is full"):
        app.upload("film.mp4", io.BytesIO(bytes(1 << 20)))
    with said("disk is full"):
        read_here(other, settings)
    with said("disk is full"):
        app.start(other)
    conversation = app.talk(media.id)
    conversation.ask("volcanoes")
    conversation.wait()
    assert conversation.exchanges[-1].text  # what is indexed is found
    assert "disk is full" in conversation.problem
    (settings.data_dir / media.id / "media.json").touch()  # as when another process had read it anew
    for file in (settings.data_dir / media.id / "vectors").iterdir():
        before.pop(str(file.relative_to(settings.data_dir)))
        file.unlink()  # its rows would go
    with said("disk .*is full"):
        app.find("volcanoes")
    assert stored(settings.data_dir) == before

    (small_disk / "filler").unlink()
    read_here(talk, settings)
    read_here(other, settings)
    assert {moment.media for moment in app.find("volcanoes glaciers").moments} == {one.id for one in app.list()[0]}
    conversation.ask("volcanoes")
    conversation.wait()
    assert not conversation.problem
    assert len(conversation.exchanges) == 2
    app.close()


def test_a_read_only_disk_is_said_and_what_was_read_is_still_there(small_disk, talk):
    settings = Settings(data_dir=small_disk / "data")
    media = read_here(talk, settings)
    app = build(settings)
    app.index()
    app.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    app = build(settings)
    assert [one.id for one in app.list()[0]] == [media.id]
    assert app.transcript(media.id, "txt")
    with said("ermission|read-only|Read-only"):
        app.upload("film.mp4", io.BytesIO(b"film"))
    with said("written"):
        app.find("volcanoes")
    with said("ermission"):
        app.remove(media.id)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert app.find("volcanoes").moments
    app.close()


def test_a_data_folder_that_goes_and_comes_back_needs_no_restart(settings, talk):
    media = read_here(talk, settings)
    app = build(settings)
    assert app.find("volcanoes").moments
    settings.data_dir.rename(settings.data_dir.with_name("away"))
    for use in (
        app.list,
        app.reindex,
        lambda: app.find("volcanoes"),
        lambda: app.get(media.id),
        lambda: app.ingest(talk),
        lambda: app.start(talk),
        lambda: app.upload("film.mp4", io.BytesIO(b"film")),
    ):
        with said("gone"):
            use()
    conversation = None
    with said("gone|cannot be used"):
        conversation = app.talk(media.id)
    assert conversation is None
    assert not settings.data_dir.exists()  # no other library is begun in its place
    settings.data_dir.with_name("away").rename(settings.data_dir)
    assert app.find("volcanoes").moments
    assert app.talk(media.id).ask("volcanoes")
    app.close()
