"""What grows, grows where nobody waits: the page of a thousand videos, and of one of ten hours."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from test_structure import HEAVY

from pipeline import playing, steps, workflow
from pipeline.media import folder as folders
from pipeline.types import Chapter, Coverage, Frame, Media, Passage

ROOT = Path(__file__).resolve().parents[1]
HOURS = 10
LONG = "f" * 32
MOST_PARTS, MOST_BYTES = 700, 300_000  # of one drawing, whatever the library holds


def long_video() -> Media:
    """Ten hours: a picture every 5 s, a sentence every 3.6 s, a chapter every 2 minutes."""
    end = 3600.0 * HOURS
    frames = [Frame(5.0 * n, 5.0 * n + 5, f"frames/{n:06}.jpg") for n in range(7200)]
    words = [Passage(3.6 * n, 3.6 * n + 3, f"Sentence {n} of many is said.", "speech") for n in range(10_000)]
    chapters = [Chapter(120.0 * n, 120.0 * n + 120, f"Part {n}") for n in range(300)]
    coverage = {part: Coverage("read", "made up") for part in ("frames", "speech")}
    return Media(
        LONG, "A day", "/nowhere/day.mp4", "second", end, "en", tuple(frames), tuple(words), tuple(chapters), coverage
    )


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a thousand short videos, and one of ten hours that has its pictures."""
    data = tmp_path_factory.mktemp("thousand")
    small = Media("0" * 32, "Talk 0", "/nowhere/0.mp4", "second", 60.0, "en")
    one = data / small.id
    one.mkdir()
    folders.save(small, one)
    record = (one / folders.RECORD).read_text()
    for number in range(1, 1000):
        folder = data / f"{number:032x}"
        folder.mkdir()
        text = record.replace(small.id, folder.name).replace("Talk 0", f"Talk {number}")
        (folder / folders.RECORD).write_text(text)
    (data / LONG / "frames").mkdir(parents=True)
    folders.save(long_video(), data / LONG)
    for number in range(48):
        (data / LONG / "frames" / f"{number:06}.jpg").write_bytes(b"a picture")
    return data


@pytest.fixture
def page(thousand: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("DATA_DIR", str(thousand))
    monkeypatch.setattr(workflow.Pipeline, "warm", lambda app, after: None)
    st.cache_resource.clear()
    yield AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    st.cache_resource.clear()


def drawn(page: AppTest) -> tuple[int, int]:
    """(parts, bytes) of what was sent."""
    assert not page.exception
    protos = [one.proto for one in page._tree if getattr(one, "proto", None) is not None]
    return len(protos), sum(one.ByteSize() for one in protos)


@pytest.mark.parametrize("video", ["", "all", LONG])
def test_what_is_drawn_does_not_grow_with_the_library(page, video):
    page.query_params.update({"video": video} if video else {})
    parts, size = drawn(page.run())
    assert parts < MOST_PARTS
    assert size < MOST_BYTES
    more = next(one for one in page.sidebar.button if one.label.startswith("Show more of 1001"))
    cards = [one for one in page.sidebar.button if one.key and one.key.startswith("open-")]
    assert 10 < len(cards) < 20
    more.click().run()
    assert len([one for one in page.sidebar.button if one.key and one.key.startswith("open-")]) > len(cards)


def test_a_video_far_down_the_list_is_found_by_its_title_and_shown_where_it_is_open(page):
    page.run()
    page.text_input(key="titles").set_value("talk 123").run()
    found = [one.label for one in page.sidebar.button if one.key and one.key.startswith("open-")]
    assert found == ["Talk 123"]
    page.text_input(key="titles").set_value("").run()
    page.query_params["video"] = f"{5:032x}"
    page.run()
    assert "Talk 5" in [one.label for one in page.sidebar.button]


@pytest.mark.parametrize("tab", ["Chapters", "Transcript", "Frames"])
def test_ten_hours_are_shown_page_by_page(page, tab):
    page.query_params["video"] = LONG
    page.session_state[f"tabs-{LONG}"] = tab
    parts, size = drawn(page.run())
    assert parts < MOST_PARTS
    assert size < MOST_BYTES


def test_to_open_what_is_in_the_library_reads_and_embeds_nothing(library, monkeypatch):
    media = library.list()[0][0]
    library.playable(media, 0.0)  # whoever read it has looked at it
    library.close()
    calls = itertools.count()

    def counted(*given: object, **named: object) -> None:
        next(calls)
        raise AssertionError("nothing is read, embedded or looked into to open a video")

    monkeypatch.setattr(workflow.Pipeline, "warm", lambda app, after: None)
    monkeypatch.setattr(workflow, "Worker", counted)
    monkeypatch.setattr(workflow.embeddings, "text_embedding", counted)
    monkeypatch.setattr(steps, "embed", counted)
    monkeypatch.setattr(playing.guard, "run", counted)
    st.cache_resource.clear()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params["video"] = media.id
    page.run()
    st.cache_resource.clear()
    assert not page.exception
    assert page.get("video")
    assert next(calls) == 0


def test_a_page_draws_before_any_heavy_library_is_imported(thousand):
    heavy = {*HEAVY, "llama_index", "pandas", "pyarrow", "altair", "scipy"} - {"charset_normalizer"}
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; from pipeline.workflow import Pipeline\n"
        "Pipeline.warm = lambda app, after: None  # what a page begins once it is drawn\n"
        "for video in sys.argv[1:]:\n"
        "    page = AppTest.from_file('app.py', default_timeout=60)\n"
        "    page.query_params.update({'video': video} if video else {})\n"
        "    assert not page.run().exception and (page.chat_input if video else page.text_input)\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "", LONG, "all"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(thousand)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
