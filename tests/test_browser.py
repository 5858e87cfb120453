"""What a person does with a video in a real Chromium: watch, ask, find, keep. See test_browser_reading for the rest."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chat_server import ChatServer, chat_server
from served import (
    NEEDS_PLAYWRIGHT,
    Server,
    ask,
    leads_to,
    new_page,
    open_video,
    press,
    put_player,
    running,
    wait_for_player,
)

from pipeline.media import folder as folders
from pipeline.types import Chapter

expect = pytest.importorskip("playwright.sync_api", reason=NEEDS_PLAYWRIGHT).expect
pytestmark = pytest.mark.browser

WORDS = ("Plants", " make sugar", " [0:02].", " A pigment swallows light [0:10].", " Next come volcanoes [0:20].")
WHOLE = "What is this video about?"  # no model is asked what it asks for


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatServer]:
    with chat_server(words=WORDS) as endpoint:
        yield endpoint


@pytest.fixture
def model(endpoint: ChatServer) -> Iterator[ChatServer]:
    """The model that answers, as a test begins: at once, the same to every question."""
    endpoint.gate.clear()
    yield endpoint
    endpoint.behaviour = "answer"
    endpoint.gate.set()


@pytest.fixture(scope="module")
def data(read_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the film, in three chapters."""
    data = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(read_once, data)
    folder = next(data.glob("*/media.json")).parent
    chapters = [Chapter(start, start + 8.0, f"About {start:g}") for start in (0.0, 8.0, 16.0)]
    folders.save(replace(folders.load(folder), chapters=tuple(chapters)), folder)
    return data


@pytest.fixture(scope="module")
def server(data, endpoint) -> Iterator[Server]:
    with running(data, VLLM_BASE_URL=endpoint.base_url) as server:
        yield server


@pytest.fixture(scope="module")
def address(server, data) -> str:
    """Of the film."""
    return f"{server.address}/?video={next(data.glob('*/media.json')).parent.name}"


@pytest.fixture
def page(somebody, address, model):
    """The page with the film open, of which nothing has been asked."""
    with new_page(somebody) as page:
        open_video(page, address)
        page.locator("[data-test-script-state=notRunning]").wait_for()
        if page.get_by_test_id("stChatMessage").count():
            press(page, "keep")
            page.get_by_role("button", name="Clear this chat").click()
            expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
        yield page


def test_every_time_moves_the_player(page):
    answer = ask(page, "What about volcanoes?")
    time = answer.get_by_role("link", name="0:20")
    time.click()
    wait_for_player(page, 20)
    put_player(page, 1)
    time.click()  # the same once more
    wait_for_player(page, 20)

    picture = answer.get_by_test_id("stImageLink").first
    picture.click()
    wait_for_player(page, leads_to(picture))

    page.get_by_test_id("stTab").filter(has_text="Chapters").click()
    page.locator(".st-key-follow-chapters").get_by_role("link", name="0:16").click()
    wait_for_player(page, 16)
    expect(page.locator("[aria-current=time]")).to_have_text("0:16")

    put_player(page, 1)
    page.locator(".st-key-timeline [aria-label*='About 16']").click()
    wait_for_player(page, 16)


def test_nothing_moves_or_is_lost_while_words_stream(page, model):
    put_player(page, 3)
    video, field = page.locator(".st-key-player video"), page.get_by_test_id("stChatInputTextArea")
    video.evaluate("video => { video.muted = true; video.mine = true; video.play(); }")
    boxes = video.bounding_box(), field.bounding_box()
    model.behaviour, model.only = "gated", "Question: "
    answer = ask(page, WHOLE)
    expect(answer).to_contain_text("make sugar")
    expect(field).to_be_focused()
    page.keyboard.type("And what comes")  # the next question, while this one is answered
    assert (video.bounding_box(), field.bounding_box()) == boxes
    model.gate.set()
    expect(answer).to_contain_text("Answered by")
    assert (video.bounding_box(), field.bounding_box()) == boxes
    assert page.evaluate("() => scrollY || document.querySelector('[data-testid=stMain]').scrollTop") == 0
    assert video.evaluate("video => video.mine && sought === 3 && video.currentTime >= 3 && !video.paused")
    expect(field).to_be_focused()
    page.keyboard.type(" next?")
    expect(field).to_have_value("And what comes next?")
    expect(answer.get_by_text("make sugar").first).to_be_in_viewport()  # the answer is read from its beginning
    evidence = answer.get_by_text("Evidence: ")
    evidence.click()  # what a person opens stays where it is
    expect(answer.locator("[class*=st-key-save-]").first).to_be_visible()
    expect(evidence).to_be_in_viewport()


def test_what_was_found_shows_before_the_model_says_a_word(page, model):
    model.behaviour, model.only = "waits", ""  # nor what kind of question it is
    answer = ask(page, "What about volcanoes?")
    expect(answer.get_by_test_id("stImageLink").first).to_be_visible()
    expect(answer.get_by_text("Evidence: ")).to_be_visible()
    expect(page.locator(".st-key-timeline .lane a").last).to_be_visible()
    expect(answer).to_contain_text("Writing…")
    assert not model.gate.is_set()
    model.gate.set()
    expect(answer).to_contain_text("Answered by")


def test_an_answer_is_stopped_asked_again_reworded_and_copied(page, model):
    model.behaviour, model.only = "gated", "Question: "
    stopped = ask(page, WHOLE)
    expect(stopped).to_contain_text("make sugar")
    page.get_by_role("button", name="Stop").click()
    expect(stopped).to_contain_text("You stopped this answer.")
    expect(stopped).to_contain_text("make sugar")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)

    model.behaviour = "answer"
    messages = page.get_by_test_id("stChatMessage")
    before = messages.count()
    press(stopped, "again-")
    expect(messages).to_have_count(before + 2)
    again = messages.last
    expect(again).to_contain_text("Next come volcanoes")
    expect(again).to_contain_text("Answered by")

    press(again, "edit-")
    page.get_by_label("Your question").fill("How do plants make sugar?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(messages.nth(before)).to_contain_text("How do plants make sugar?")  # it took the place of the other
    expect(messages.nth(before + 1)).to_contain_text("Answered by")
    expect(messages).to_have_count(before + 2)

    press(messages.last, "copy-")
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.strip() == "Plants make sugar 0:02. A pigment swallows light 0:10. Next come volcanoes 0:20."


def test_a_reload_in_mid_answer_costs_no_word(page, model):
    model.behaviour, model.only = "gated", "Question: "
    expect(ask(page, WHOLE)).to_contain_text("make sugar")
    page.reload()
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("make sugar")
    expect(answer.get_by_role("button", name="Stop")).to_be_visible()
    model.gate.set()
    expect(answer).to_contain_text("Next come volcanoes")
    expect(answer).to_contain_text("Answered by")


def test_what_is_this_is_about_what_the_player_shows(page):
    question = page.get_by_test_id("stChatInputTextArea")
    question.click()
    page.keyboard.type("What is th")
    put_player(page, 11)  # moved while a question is typed
    page.keyboard.type("is?")
    expect(question).to_have_value("What is this?")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("The player was at 0:11.")
    assert page.evaluate("() => document.querySelector('video').currentTime") == 11
    page.keyboard.type("What is this?")  # the field has kept the focus
    put_player(page, 21)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("The player was at 0:21.")


def test_a_picture_is_found_in_the_video(page, data):
    slide = max(one for one in data.glob("*/frames/*.jpg") if float(one.stem) <= 10)
    page.locator(".st-key-ask input[type=file]").set_input_files(slide)
    page.get_by_role("button", name="Send message").click()
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("Answered by")
    expect(page.get_by_alt_text("The picture of this question").last).to_be_visible()
    answer.get_by_test_id("stImageLink").first.click()
    wait_for_player(page, float(slide.stem))


def test_the_transcript_is_searched_and_taken_along_and_renames_nothing(page):
    page.get_by_test_id("stTab").filter(has_text="Transcript").click()
    lines = page.locator(".st-key-follow-lines").get_by_role("link")
    expect(lines).to_have_count(4)
    page.get_by_label("Search the transcript").fill("volcano")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 4 sentences")).to_be_visible()
    expect(page.locator(".st-key-title h4")).to_have_text("biology")
    lines.first.click()
    wait_for_player(page, 19)
    page.locator(".st-key-contents").get_by_role("button", name="Download").click()
    for form, holds in {".srt": "00:00:19,000 -->", ".vtt": "WEBVTT", ".txt": "volcanoes"}.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=form).click()
        assert download.value.suggested_filename == f"biology{form}"
        assert holds in download.value.path().read_text()


def test_a_chat_is_taken_along_and_forgotten(page):
    expect(ask(page, "What about volcanoes?")).to_contain_text("Answered by")
    press(page, "keep")
    with page.expect_download() as download:
        page.get_by_role("button", name="Markdown with pictures").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as taken:
        names = taken.namelist()
        text = taken.read(next(name for name in names if name.endswith(".md"))).decode()
    assert "What about volcanoes?" in text
    assert "Next come volcanoes" in text
    assert [name for name in names if name.endswith(".jpg")]
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert "Next come volcanoes" in json.dumps(json.loads(download.value.path().read_text()))
    page.get_by_role("button", name="Clear this chat").click()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
    page.get_by_role("button", name="What is this about?").click()  # it begins anew, with what may be asked
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("Answered by")


def test_a_moment_is_kept_as_a_clip_a_picture_and_a_link(page):
    put_player(page, 12)
    page.get_by_role("button", name="Save or share").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("From")).to_have_value("0:12")
    dialog.get_by_label("To").fill("0:15")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Make the clip").click()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "biology 0.12.mp4"
    assert download.value.path().read_bytes()[4:8] == b"ftyp"
    page.wait_for_function("() => Math.abs(document.querySelector('[role=dialog] video').duration - 3) < 0.5")

    dialog.get_by_text("Picture", exact=True).click()
    dialog.get_by_role("button", name="Make the picture").click()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes()[:2] == b"\xff\xd8"

    dialog.get_by_text("Link", exact=True).click()
    link = dialog.get_by_test_id("stCode")
    expect(link).to_contain_text("t=12")
    open_video(page, re.search(r"http\S+", link.inner_text())[0])
    wait_for_player(page, 12)
    assert page.evaluate("() => document.querySelector('video').paused")  # nobody has asked for sound


def test_answers_outlive_the_server(page, server):
    expect(ask(page, "What about volcanoes?")).to_contain_text("Answered by")
    messages = page.get_by_test_id("stChatMessage").count()
    server.stop()
    server.start()
    page.reload()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(messages)
    answer = page.get_by_test_id("stChatMessage").last
    expect(answer).to_contain_text("Next come volcanoes")
    answer.get_by_role("link", name="0:20").click()
    wait_for_player(page, 20)
