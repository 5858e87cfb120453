"""What every test stands on: a clean environment, a film with words beside it, a library that has read it."""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline import build, steps
from pipeline.settings import Settings
from pipeline.types import Media, Progress
from pipeline.worker import Worker
from pipeline.workflow import Pipeline

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

# Several files are tested at a time: each gets one core, not all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Model hubs are never asked by a test: what is not on the disk is not there, at once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Nothing hears, but where a test says so: weights cannot be joined here, nor fetched through a proxy that is not there.
os.environ["XDG_CACHE_HOME"] = "/dev/null/cache"  # no folder, also not for root
os.environ["https_proxy"] = "http://127.0.0.1:9"
os.environ["no_proxy"] = "127.0.0.1,localhost"

SHARED = Path(__file__).resolve().parents[2] / "shared"
SUBTITLES = """1
00:00:00,500 --> 00:00:03,000
Welcome. Today we see how plants make sugar out of sunlight.

2
00:00:09,500 --> 00:00:12,500
The green colour comes from a pigment that swallows red and blue light.

3
00:00:19,000 --> 00:00:22,500
Next week we shall talk about volcanoes. Thank you for coming.
"""


def read_here(
    path: Path, settings: Settings, report: Callable[[Progress], None] = lambda progress: None, again: bool = False
) -> Media:
    """Read a source in this process: a worker of its own, which every video has, loads every model again."""
    return steps.read(path, settings, again, report)


def in_this_process(worker: Worker, report: Callable[[Progress], None], ready: Callable[[str], None]) -> str:
    """Worker.run without its process, in which a test can change nothing. Decoders run in theirs all the same."""
    job = json.loads(worker._job)
    return steps.read(Path(job["path"]), Settings(**job["settings"]), job["again"], report, ready).id


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own keys and endpoints never reach a test, nor does a .env."""
    for setting in dataclasses.fields(Settings):
        monkeypatch.setenv(setting.name.upper(), "")  # empty is not set, and a .env does not fill it
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing configured, an empty library."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real videos, speech and questions beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of real media, ../shared, which is not here")
    return SHARED


@pytest.fixture(scope="session")
def whisper_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XDG_CACHE_HOME for the weights of Whisper base, which are joined when they are first asked for."""
    return (
        tmp_path_factory.getbasetemp().parent / "cache"
        if os.environ.get("PYTEST_XDIST_WORKER")
        else (tmp_path_factory.mktemp("cache"))
    )


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 s, three slides, each picture numbered, sound without words, subtitles beside it with silences between."""
    from make_film import make_film

    path = make_film(tmp_path_factory.mktemp("film") / "biology.mp4", seconds=24)
    path.with_suffix(".srt").write_text(SUBTITLES)
    return path


@pytest.fixture(scope="session")
def read_once(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has read the film. Nobody writes into it: see library."""
    data_dir = tmp_path_factory.mktemp("read") / "data"
    read_here(film, Settings(data_dir=data_dir))
    with contextlib.closing(build(Settings(data_dir=data_dir))) as pipeline:
        pipeline.index()
    return data_dir


@pytest.fixture
def library(read_once: Path, settings: Settings) -> Iterator[Pipeline]:
    """A library of one's own that has read the film."""
    shutil.copytree(read_once, settings.data_dir)
    pipeline = build(settings)
    yield pipeline
    pipeline.close()


# -- a real browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from served import CHROMIUM, NEEDS_CHROMIUM

    for item in items:
        if not CHROMIUM and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_CHROMIUM))


@pytest.fixture(scope="module")
def somebody() -> "Iterator[BrowserContext]":
    """A person with a browser."""
    from served import person

    with person() as somebody:
        yield somebody
