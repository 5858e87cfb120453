"""The page, driven without a browser: what a person reads and clicks in every state."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from chat_server import chat_server, free_port
from conftest import SUBTITLES
from streamlit.testing.v1 import AppTest

from pipeline.media import folder as folders
from pipeline.types import Chapter
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


def divide(settings, *starts: float) -> None:
    """Give the video of the library these chapters."""
    (record,) = settings.data_dir.glob("*/media.json")
    media = folders.load(record.parent)
    ends = [*starts[1:], media.length]
    chapters = tuple(Chapter(start, end, f"About {start:g}") for start, end in zip(starts, ends, strict=True))
    folders.save(replace(media, chapters=chapters), record.parent)


def test_chapters_are_listed_and_move_the_player(watching, settings):
    divide(settings, 0.0, 9.0, 18.0)
    watching.run()
    assert [button.label for button in watching.button if "About" in button.label] == [
        "0:00 About 0",
        "0:09 About 9",
        "0:18 About 18",
    ]
    named(watching, "0:09 About 9").click().run()
    assert watching.get("video")[0].proto.start_time == 9


def test_one_chapter_is_no_list(watching, settings):
    divide(settings, 0.0)
    watching.run()
    assert not [button for button in watching.button if "About" in button.label]


def test_a_question_about_the_whole_video_shows_its_chapters_by_their_titles(watching, settings):
    divide(settings, 0.0, 9.0, 18.0)
    watching.chat_input[0].set_value("What is this video about?").run()
    assert not watching.exception
    evidence = next(one for one in watching.expander if "chapters" in one.label)
    assert evidence.label == "Evidence: 3 chapters"
    assert {"**About 0**", "**About 9**", "**About 18**"} <= {one.value for one in evidence.markdown}


def test_what_is_not_in_the_video_is_said_once_with_the_nearest(watching):
    watching.chat_input[0].set_value("Which football club bought the goalkeeper?").run()
    assert text(watching).count("does not seem to be in the video") == 1
    assert any(one.label.startswith("The nearest that was found") for one in watching.expander)


@pytest.fixture
def answered(library: Pipeline, page: AppTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with the film open and a model that says the same to every question."""
    words = ("A club from Madrid bought him.", " He cost ten million.", " The leaf is green [0:09].")
    with chat_server(words=words) as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.base_url)
        page.query_params["video"] = library.list()[0][0].id
        library.close()
        yield page.run()


def test_sentences_without_a_time_are_counted_and_named(answered):
    answered.chat_input[0].set_value("Which pigment swallows red light?").run()
    assert not answered.exception
    (note,) = [caption for caption in answered.caption if "no time" in caption.value]
    assert note.value == "2 sentences carry no time."
    assert "Madrid" in note.proto.help
    assert "green" not in note.proto.help


def test_a_model_that_was_given_nothing_near_is_announced(answered):
    answered.chat_input[0].set_value("Which football club bought the goalkeeper?").run()
    assert not answered.exception
    assert "does not seem to be in the video" in answered.info[0].value


def test_a_transcript_alone_has_no_player_and_answers_with_its_times(page, library, tmp_path):
    transcript = tmp_path / "lesson.srt"
    transcript.write_text(SUBTITLES)
    page.query_params["video"] = library.ingest(transcript).id
    library.close()
    page.run()
    assert not page.get("video")
    assert "A transcript: there is no video to play." in text(page)
    page.chat_input[0].set_value("What about volcanoes?").run()
    assert not page.exception
    assert "volcanoes" in "\n".join(m.value for m in page.chat_message[1].markdown)
    assert any("0:19" in m.value for m in page.chat_message[1].markdown)
    assert not [button for button in page.button if button.label.startswith("0:")]  # there is nothing to move


def test_a_picture_that_is_gone_is_left_out(watching, settings):
    watching.chat_input[0].set_value("What about volcanoes?").run()
    assert watching.image
    for picture in settings.data_dir.glob("*/frames/*.jpg"):
        picture.unlink()
    watching.run()
    assert not watching.exception
    assert not watching.image
    assert "volcanoes" in text(watching)


def test_a_video_whose_pictures_could_not_be_described_opens_and_says_so(library, page, film, monkeypatch):
    library.close()
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{free_port()}/v1")
    monkeypatch.setenv("CAPTIONS", "on")
    page.run()
    page.text_input(key="path").set_value(str(film))
    named(page, "Read this video").click().run()
    finish_reading(page)
    assert page.get("video")
    assert "Descriptions of the pictures" in text(page)
    assert "pictures have a caption" in text(page)
