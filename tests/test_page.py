"""The page, driven without a browser: what a person reads and clicks in every state."""

import contextlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from chat_server import ChatServer, chat_server, free_port
from conftest import SUBTITLES, read_here
from streamlit.testing.v1 import AppTest

from pipeline import looking
from pipeline.chat import exchange
from pipeline.media import folder as folders
from pipeline.types import Chapter
from pipeline.workflow import Pipeline

KEY = "a-key-to-keep-secret"
APP = str(Path(__file__).resolve().parents[1] / "app.py")


@pytest.fixture
def page() -> Iterator[AppTest]:
    """The page over the data folder of this test."""
    st.cache_resource.clear()
    st.cache_data.clear()
    yield AppTest.from_file(APP, default_timeout=60)
    st.cache_resource.clear()


@pytest.fixture
def adding(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page of an empty library, where text on pictures is not read: that is half the time of a short film."""
    monkeypatch.setenv("SCREEN_TEXT", "off")
    return page.run()


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


def settle(page: AppTest) -> AppTest:
    """Wait for what goes on beside the page, as its polling does, and draw what came of it."""
    for thread in threading.enumerate():
        if thread.name in ("answer", "reading sources"):
            thread.join(timeout=120)
    return page.run()


def ask(page: AppTest, question: str) -> AppTest:
    page.chat_input[0].set_value(question).run()
    return settle(page)


def said(page: AppTest, number: int) -> str:
    """The words of one message of the chat."""
    return "\n".join(one.value for one in page.chat_message[number].markdown)


def tab(page: AppTest, name: str) -> AppTest:
    """Turn to a tab below the player."""
    page.session_state[f"tabs-{opened(page)}"] = name
    return page.run()


def opened(page: AppTest) -> str:
    """The id of the video that is open."""
    media_id = page.query_params["video"]
    return media_id if isinstance(media_id, str) else media_id[0]


def look_at_evidence(page: AppTest) -> None:
    """Of the first answer, by a click."""
    page.session_state[f"evidence-{opened(page)}-0"] = True
    page.run()


def add(page: AppTest, path: object) -> AppTest:
    """Paste a path and begin to read what it names."""
    page.text_input(key="path").set_value(str(path)).run()
    return page.button(key="read-plan").click().run()


def test_an_empty_library_asks_for_a_path(page):
    page.run()
    assert not page.exception
    assert "Chat with your video" in text(page)
    assert page.text_input(key="path").placeholder.startswith("/")
    assert "Videos you add are kept here." in text(page)


# -- adding


def test_a_path_that_is_not_there_is_a_clear_line_at_once(page):
    page.run()
    page.text_input(key="path").set_value("/nowhere/missing.mp4").run()
    assert not page.exception
    assert "/nowhere/missing.mp4" in page.error[0].value
    assert not [button for button in page.button if button.key == "read-plan"]


def test_a_path_is_understood_as_it_was_pasted(page, film, tmp_path):
    shutil.copyfile(film, tmp_path / "my talk.mp4")
    page.run()
    page.text_input(key="path").set_value(f'"file://{tmp_path}/my%20talk.mp4" ').run()
    assert not page.exception
    assert not page.error
    assert "my talk.mp4" in text(page)
    assert page.button(key="read-plan").label == "Read this video"


def test_a_web_address_is_told_what_to_do_with_it(page):
    page.run()
    page.text_input(key="path").set_value("https://example.org/talk.mp4").run()
    assert not page.exception
    assert "https://example.org/talk.mp4" in page.error[0].value.replace("\u2060", "")  # keeps it from being a link
    assert "Download" in page.error[0].value


def test_what_reading_will_take_is_said_before_it_begins(page, film):
    page.run()
    page.text_input(key="path").set_value(str(film)).run()
    assert not page.exception
    assert re.search(r"biology\.mp4.*\n.* takes .*(second|minute).*of disk", text(page))
    assert page.button(key="read-plan").label == "Read this video"


def test_a_folder_is_read_as_a_whole_without_the_subtitles_beside_its_videos(page, film, tmp_path):
    folder = tmp_path / "talks"
    folder.mkdir()
    for name in ("one", "two"):
        shutil.copyfile(film, folder / f"{name}.mp4")
        (folder / f"{name}.srt").write_text(SUBTITLES)
    (folder / "notes.txt").write_text("no video")
    page.run()
    page.text_input(key="path").set_value(str(folder)).run()
    assert not page.exception
    assert page.button(key="read-plan").label == "Read these 2 videos"


def test_a_video_opens_by_itself_once_it_can_be_asked_about(adding, film):
    add(adding, film)
    settle(adding)
    assert not adding.exception
    assert adding.get("video")
    assert "#### biology" in text(adding)


def test_a_file_that_is_no_video_is_said_before_it_is_read(page, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video at all")
    page.run()
    page.text_input(key="path").set_value(str(broken)).run()
    assert not page.exception
    assert "broken.mp4" in page.error[0].value
    assert not [button for button in page.button if button.key == "read-plan"]


def test_another_page_shows_what_is_being_read(adding, film):
    add(adding, film)
    later = AppTest.from_file(APP, default_timeout=60).run()
    assert not later.exception
    assert "**biology.mp4**" in text(later)
    named(adding, "Cancel").click().run()
    settle(adding)


def test_what_broke_off_when_the_app_ended_is_said_and_gone_on_with(page, film, settings, tmp_path, monkeypatch):
    (tmp_path / "talk.srt").write_text(SUBTITLES)
    with contextlib.suppress(KeyboardInterrupt):  # by a command that was stopped
        read_here(film, settings, lambda progress: (_ for _ in ()).throw(KeyboardInterrupt))
    left = settings.data_dir / ".queue-1"  # by a page that was killed
    left.mkdir()
    (left / "readings.json").write_text(json.dumps([{"path": f"{tmp_path}/talk.srt", "again": False, "begun": 1}]))
    gate = threading.Event()
    read = Pipeline._read_next
    monkeypatch.setattr(Pipeline, "_read_next", lambda *one: gate.wait(60) and read(*one))
    page.run()
    assert "Reading talk.srt broke off when the app ended. It goes on." in text(page)
    assert "biology.mp4 was not read to its end." in text(page)
    assert named(page, "Go on")
    gate.set()
    settle(page)
    assert "Read." in text(page)
    assert not left.exists()


def test_a_file_whose_name_is_no_text_is_read_like_any_other(page, settings, tmp_path, monkeypatch):
    (tmp_path / "\udcff.srt").write_text(SUBTITLES)
    left = settings.data_dir / ".queue-1"
    left.mkdir(parents=True)
    (left / "readings.json").write_text(json.dumps([{"path": f"{tmp_path}/\udcff.srt", "again": False, "begun": 0}]))
    gate = threading.Event()
    monkeypatch.setattr(Pipeline, "_read_next", lambda *_: gate.wait(60))
    page.run()
    assert not page.exception
    assert named(page, "Cancel")
    assert [one.label for one in page.sidebar.button if "\ufffd.srt: " in one.label]
    gate.set()
    settle(page)
    assert not page.exception


def test_a_video_whose_pictures_could_not_be_described_opens_and_says_so(library, page, film, monkeypatch):
    library.close()
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{free_port()}/v1")
    monkeypatch.setenv("CAPTIONS", "on")
    page.run()
    add(page, film)
    settle(page)
    assert page.get("video")
    assert "Descriptions of the pictures" in text(page)


# -- the library


def test_a_video_of_the_library_opens_with_its_player_and_what_could_not_be_read(watching):
    assert not watching.exception
    (video,) = watching.get("video")
    assert video.proto.start_time == 0
    assert "biology" in text(watching)
    assert "0:24 · subtitles, screen text, pictures" in text(watching)
    assert "Pictures were not looked at." in text(watching)  # CLIP is off, and the page says so


def test_a_link_opens_the_video_at_its_second(watching):
    watching.query_params["t"] = "9"
    watching.run()
    (video,) = watching.get("video")
    assert video.proto.start_time == 9
    assert not video.proto.autoplay  # who opens a link has not asked for sound


@pytest.mark.parametrize("time", ["soon", "-5", "nan", "1e9"])
def test_a_link_to_no_time_of_the_video_opens_it_all_the_same(watching, time):
    watching.query_params["t"] = time
    watching.run()
    assert not watching.exception
    assert 0 <= watching.get("video")[0].proto.start_time <= 24


def test_a_video_that_is_not_there_any_more_leads_back_to_the_start(page):
    page.query_params["video"] = "f" * 32
    page.run()
    assert not page.exception
    assert "No video" in page.error[0].value
    assert page.text_input(key="path")


def test_removing_a_video_leads_back_to_an_empty_start(watching, settings):
    named(watching, "Remove this video").click().run()
    assert not watching.exception
    assert watching.text_input(key="path")
    assert "Videos you add are kept here." in text(watching)
    assert not [path for path in settings.data_dir.iterdir() if path.is_dir() and not path.name.startswith(".")]


def test_a_wrong_setting_is_shown_not_thrown(page, monkeypatch):
    monkeypatch.setenv("FRAMES_PER_SECOND", "often")
    page.run()
    assert not page.exception
    assert "FRAMES_PER_SECOND" in page.error[0].value


def test_the_status_panel_says_what_the_doctor_says(watching):
    watching.session_state["status"] = True  # a click on the panel
    watching.run()
    assert "VLLM_BASE_URL" in text(watching)


# -- asking


def test_an_answer_comes_with_its_evidence_and_its_times_are_links(watching):
    ask(watching, "What about volcanoes?")
    assert not watching.exception
    assert "volcanoes" in said(watching, 1)
    assert "[0:19](#t=19.00)" in said(watching, 1)
    assert "quotes" in text(watching)
    look_at_evidence(watching)
    assert ":primary-background[volcanoes]" in said(watching, 1)  # the words that match are marked
    assert watching.image


def test_the_conversation_goes_on_and_survives_a_restart(watching):
    ask(watching, "Which pigment swallows red light?")
    ask(watching, "And what comes after that?")
    assert len(watching.chat_message) == 4
    assert "volcanoes" in said(watching, 3)
    st.cache_resource.clear()  # what a restart forgets
    again = AppTest.from_file(APP, default_timeout=60)
    again.query_params["video"] = watching.query_params["video"]
    again.run()
    assert len(again.chat_message) == 4
    assert "volcanoes" in said(again, 3)


def test_first_questions_are_suggested_from_the_video(watching, settings):
    divide(settings, 0.0, 9.0, 18.0)
    watching.run()
    named(watching, "What is this about?").click().run()
    settle(watching)
    assert "About 9" in said(watching, 1)


def test_the_last_question_can_be_put_in_other_words_and_any_be_asked_again(watching):
    ask(watching, "Which football club bought the goalkeeper?")
    watching.button(key="edit-0").click().run()
    watching.text_input(key="reworded").set_value("What about volcanoes?")
    named(watching, "Ask").click().run()
    settle(watching)
    assert len(watching.chat_message) == 2  # it took the place of the other
    assert "volcanoes" in said(watching, 1)
    watching.button(key="again-0").click().run()
    settle(watching)
    assert len(watching.chat_message) == 4
    assert "volcanoes" in said(watching, 3)


def test_of_a_long_chat_the_last_questions_are_drawn_and_the_others_when_asked_for(watching, settings):
    (film,) = (path for path in settings.data_dir.iterdir() if (path / "media.json").exists())
    every = tuple(
        exchange.Exchange(f"question {n}", before=n, asked=1e9 + n, text=f"answer {n}", finish="stop") for n in range(9)
    )
    (film / "chat.json").write_text(exchange.dump(every))
    st.cache_resource.clear()
    page = watching.run()
    assert "question 8" in text(page)
    assert "question 2" not in text(page)
    named(page, "Show 4 earlier").click().run()
    assert "question 0" in text(page)


def test_a_chat_can_be_taken_along_and_forgotten(watching):
    ask(watching, "What about volcanoes?")
    assert {"Markdown with pictures", "JSON"} <= {one.label for one in watching.get("download_button")}
    named(watching, "Clear this chat").click().run()
    assert not watching.chat_message


def test_the_whole_library_answers_with_the_video_named_in_each_link(watching, library, tmp_path):
    transcript = tmp_path / "boats.srt"
    transcript.write_text("1\n00:00:01,000 --> 00:00:05,000\nThe keel of this boat is made of oak.\n")
    library.ingest(transcript)
    library.close()
    film_id = opened(watching)
    watching.query_params["video"] = "all"
    watching.run()
    ask(watching, "What about volcanoes?")
    assert not watching.exception
    assert f"[0:19](#t=19.00&video={film_id})" in said(watching, 1)


def test_a_video_whose_file_is_gone_still_answers(watching, library, film, tmp_path):
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(film.read_bytes())
    library.close()
    read_here(moved, library.settings)
    moved.unlink()
    watching.run()
    assert "no longer" in text(watching)
    assert "volcanoes" in said(ask(watching, "What about volcanoes?"), 1)


def test_a_question_about_the_whole_video_shows_its_chapters_by_their_titles(watching, settings):
    divide(settings, 0.0, 9.0, 18.0)
    ask(watching, "What is this video about?")
    assert not watching.exception
    look_at_evidence(watching)
    evidence = next(one for one in watching.expander if "chapters" in one.label)
    assert evidence.label == "Evidence: 3 chapters"
    shown = "\n".join(one.value for one in evidence.markdown)
    assert all(f"**About {start}**" in shown for start in (0, 9, 18))


def test_what_is_not_in_the_video_is_said_once_with_the_nearest(watching):
    ask(watching, "Which football club bought the goalkeeper?")
    assert text(watching).count("This does not seem to be in the words of the video (subtitles and text on the sc") == 1
    assert text(watching).count("Pictures were not looked at. The weights of openai/clip") == 2  # and in what was read
    assert any(one.label.startswith("The nearest that was found") for one in watching.expander)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A model that says the same to every question."""
    words = ("A club from Madrid bought him.", " He cost ten million.", " The leaf is green [0:09].")
    with chat_server(words=words, key=KEY) as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.base_url)
        monkeypatch.setenv("VLLM_API_KEY", KEY)
        yield server


@pytest.fixture
def answered(library: Pipeline, page: AppTest, model: ChatServer) -> AppTest:
    """The page with the film open and the model to answer."""
    page.query_params["video"] = library.list()[0][0].id
    library.close()
    return page.run()


def test_what_was_found_is_on_the_page_before_it_is_looked_at_closer_and_the_model_is_asked(
    answered, model, monkeypatch
):
    found, shown = threading.Event(), threading.Event()
    look_closer = looking.look_closer

    def looked_at(*given: object) -> object:
        found.set()
        assert shown.wait(60)
        return look_closer(*given)

    monkeypatch.setattr(looking, "look_closer", looked_at)
    answered.chat_input[0].set_value("Which pigment swallows red light?").run()
    assert found.wait(60)
    answered.run()
    assert not [one for one in model.chats if "Question: " in one.text and "<evidence>" in one.text]
    assert "Writing…" in said(answered, 1)
    assert answered.image
    assert [one for one in answered.get("html") if "where the question matched" in one.proto.body]  # the timeline
    assert any(one.label.startswith("Evidence: ") for one in answered.expander)
    shown.set()
    settle(answered)
    assert "The leaf is green" in said(answered, 1)


def test_a_time_that_is_not_in_the_evidence_is_marked_and_leads_there_all_the_same(answered, model):
    model.words = ("Volcanoes come next week [0:19]", ", or at [59:00].")
    ask(answered, "What about volcanoes?")
    assert not answered.exception
    assert "[0:19](#t=19.00)" in said(answered, 1)
    assert '[59:00](#t=3540.00 "The answer names this time, but nothing that was found lies there.")' in said(
        answered, 1
    )


def test_an_answer_that_failed_says_why_and_can_be_asked_for_again(answered, model):
    model.behaviour = "broken"
    ask(answered, "What about volcanoes?")
    assert not answered.exception
    assert "500" in answered.error[0].value
    assert KEY not in answered.error[0].value
    model.behaviour = "answer"
    answered.button(key="again-0").click()
    settle(answered.run())
    assert not answered.exception
    assert "The leaf is green" in said(answered, 3)
    assert len(answered.error) == 1


def test_sentences_without_a_time_are_counted_and_named(answered):
    ask(answered, "Which pigment swallows red light?")
    assert not answered.exception
    (note,) = [caption for caption in answered.caption if "no time" in caption.value]
    assert note.value == "2 sentences carry no time."
    assert "Madrid" in note.proto.help
    assert "green" not in note.proto.help


def test_what_the_model_saw_is_shown_word_for_word(answered):
    ask(answered, "Which pigment swallows red light?")
    answered.button(key="saw-0").click().run()
    assert not answered.exception
    sent = "\n".join(one.value for one in answered.code)
    assert "Question: Which pigment swallows red light?" in sent
    assert "<evidence>" in sent


def test_a_model_that_was_given_nothing_near_is_announced(answered):
    ask(answered, "Which football club bought the goalkeeper?")
    assert not answered.exception
    said = answered.info[0].value
    assert said.startswith(
        "This does not seem to be in the words of the video (subtitles and text on the screen). Pict"
    )
    assert "set CLIP_MODEL" in said


def test_an_endpoint_that_is_down_is_said_in_the_answer(library, page, monkeypatch):
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{free_port()}/v1")
    page.query_params["video"] = library.list()[0][0].id
    library.close()
    page.run()
    ask(page, "What about volcanoes?")
    assert not page.exception
    assert "Start the server" in page.error[0].value
    assert any(one.label.startswith("Evidence") for one in page.expander)


def test_a_picture_that_is_gone_is_left_out(watching, settings):
    ask(watching, "What about volcanoes?")
    assert watching.image
    for picture in settings.data_dir.glob("*/frames/*.jpg"):
        picture.unlink()
    watching.run()
    assert not watching.exception
    assert not watching.image
    assert "volcanoes" in text(watching)


# -- what the video holds


def divide(settings, *starts: float) -> None:
    """Give the video of the library these chapters."""
    (record,) = settings.data_dir.glob("*/media.json")
    media = folders.load(record.parent)
    ends = [*starts[1:], media.length]
    chapters = tuple(Chapter(start, end, f"About {start:g}") for start, end in zip(starts, ends, strict=True))
    folders.save(replace(media, chapters=chapters), record.parent)


def test_chapters_are_listed_with_links_to_their_times(watching, settings):
    divide(settings, 0.0, 9.0, 18.0)
    watching.run()
    assert "[0:09](#t=9.00) About 9" in text(watching)


def test_one_chapter_is_no_list(watching, settings):
    divide(settings, 0.0)
    watching.run()
    assert "About 0" not in text(watching)


def test_the_transcript_is_searched_and_its_lines_lead_to_their_times(watching):
    tab(watching, "Transcript")
    assert "[0:19](#t=19" in text(watching)
    (box,) = [one for one in watching.text_input if one.label == "Search the transcript"]
    box.set_value("volcano").run()
    assert "1 of" in text(watching)
    assert ":primary-background[volcanoes]" in text(watching)
    box.set_value("goalkeeper").run()
    assert "No sentence holds" in text(watching)


def test_frames_lead_to_their_times_and_to_what_is_similar(watching):
    tab(watching, "Frames")
    assert not watching.exception
    assert len(watching.image) >= 3
    next(one for one in watching.button if one.label == "Find similar").click().run()
    assert not watching.exception
    assert "like 0:00" in str([one.proto for one in watching.image])


def test_a_transcript_alone_has_no_player_and_answers_with_its_times(page, library, tmp_path):
    transcript = tmp_path / "lesson.srt"
    transcript.write_text(SUBTITLES)
    page.query_params["video"] = library.ingest(transcript).id
    library.close()
    page.run()
    assert not page.get("video")
    assert "A transcript: there is no video to play." in text(page)
    ask(page, "What about volcanoes?")
    assert not page.exception
    assert "volcanoes" in said(page, 1)
    assert "0:19" in said(page, 1)
    assert "#t=" not in text(page)  # there is nothing to move
