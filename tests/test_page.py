"""The page, driven without a browser: what a person reads and clicks in every state."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pipeline.workflow import Pipeline

APP = str(Path(__file__).resolve().parents[1] / "app.py")


@pytest.fixture
def page() -> Iterator[AppTest]:
    """The page over the data folder of this test."""
    st.cache_resource.clear()
    st.cache_data.clear()
    yield AppTest.from_file(APP, default_timeout=60)
    st.cache_resource.clear()


@pytest.fixture
def watching(library: Pipeline, page: AppTest) -> AppTest:
    """The page with the film open."""
    media_id = library.list()[0][0].id
    library.close()
    page.query_params["video"] = media_id
    return page.run()


def text(page: AppTest) -> str:
    return "\n".join(
        str(part.value) for part in [*page.markdown, *page.caption, *page.error, *page.info, *page.warning]
    )


def named(page: AppTest, label: str):
    return next(button for button in page.button if button.label == label)


def finish_reading(page: AppTest) -> AppTest:
    for thread in threading.enumerate():
        if thread.name.startswith("reading "):
            thread.join(timeout=120)
    return page.run()


def test_an_empty_library_asks_for_a_path(page):
    page.run()
    assert not page.exception
    assert page.title[0].value == "Chat with your video"
    assert page.text_input(key="path").placeholder.startswith("/")


def test_a_path_that_is_not_there_is_a_clear_line_and_can_be_tried_again(page):
    page.run()
    page.text_input(key="path").set_value("/nowhere/missing.mp4")
    named(page, "Read this video").click().run()
    finish_reading(page)
    assert not page.exception
    assert "/nowhere/missing.mp4" in page.error[0].value
    assert {"Try again", "Choose another video"} <= {button.label for button in page.button}


def test_a_video_of_the_library_opens_with_its_player_and_what_could_not_be_read(watching):
    assert not watching.exception
    (video,) = watching.get("video")
    assert video.proto.start_time == 0
    assert "biology" in text(watching)
    assert "found by their time" in text(watching)  # CLIP is off, and the page says so


def test_an_answer_comes_with_its_evidence_and_its_times_move_the_player(watching):
    watching.chat_input[0].set_value("What about volcanoes?").run()
    assert not watching.exception
    assert "volcanoes" in text(watching)
    assert "quotes" in text(watching)
    cited = named(watching, "0:19")
    cited.click().run()
    (video,) = watching.get("video")
    assert video.proto.start_time == 19
    assert video.proto.autoplay
    before = video.proto.id
    watching.button(key=cited.key).click().run()
    assert watching.get("video")[0].proto.id != before  # the same time again moves it again


def test_the_conversation_goes_on(watching):
    watching.chat_input[0].set_value("Which pigment swallows red light?").run()
    watching.chat_input[0].set_value("And what comes after that?").run()
    assert len(watching.chat_message) == 4
    assert "volcanoes" in "\n".join(m.value for m in watching.chat_message[3].markdown)


def test_a_video_whose_file_is_gone_still_answers(watching, library, film, tmp_path):
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(film.read_bytes())
    library.ingest(moved)
    library.close()
    moved.unlink()
    watching.run()
    assert "no longer" in text(watching)
    watching.chat_input[0].set_value("What about volcanoes?").run()
    assert "volcanoes" in "\n".join(m.value for m in watching.chat_message[1].markdown)


def test_the_status_panel_says_what_the_doctor_says(watching):
    watching.session_state["status"] = True  # a click on the panel
    watching.run()
    assert "VLLM_BASE_URL" in text(watching)


def test_a_video_that_is_not_there_any_more_leads_back_to_the_start(page):
    page.query_params["video"] = "f" * 32
    page.run()
    assert not page.exception
    assert "No video" in page.warning[0].value
    assert page.title[0].value == "Chat with your video"


def test_a_wrong_setting_is_shown_not_thrown(page, monkeypatch):
    monkeypatch.setenv("FRAMES_PER_SECOND", "often")
    page.run()
    assert not page.exception
    assert "FRAMES_PER_SECOND" in page.error[0].value


def test_removing_a_video_leads_back_to_an_empty_start(watching, settings):
    named(watching, "Remove").click().run()
    assert not watching.exception
    assert watching.title[0].value == "Chat with your video"
    assert "Videos you add are kept here." in text(watching)
    assert not [path for path in settings.data_dir.iterdir() if path.is_dir() and not path.name.startswith(".")]


def test_a_page_opened_while_a_video_is_read_shows_it_and_takes_another(page, film):
    page.run()
    page.text_input(key="path").set_value(str(film))
    named(page, "Read this video").click().run()
    later = AppTest.from_file(APP, default_timeout=60).run()  # another tab, while the first one's video is read
    assert later.text_input(key="path")
    named(later, "biology.mp4 is being read. Show how far").click().run()
    assert not later.exception
    assert later.subheader[0].value == "biology.mp4"
    finish_reading(page)
    assert "biology" in text(page)
