"""How a person fills a library in a real Chromium: adds, waits, cancels, goes on, asks meanwhile, removes.

Every picture that is read is described by a model that keeps everybody waiting until its gate is opened: so a
reading lasts as long as a test wants.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import ChatServer, chat_server
from make_film import make_film
from served import (
    NEEDS_PLAYWRIGHT,
    ask,
    leads_to,
    new_page,
    press,
    serve,
    wait_for_player,
)

from pipeline.chat import captions

expect = pytest.importorskip("playwright.sync_api", reason=NEEDS_PLAYWRIGHT).expect
pytestmark = pytest.mark.browser

DESCRIBING = "Describing the pictures"
WORDS = ("Lava", " is hot", " [0:11].", " It flows.")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatServer]:
    with chat_server("waits", words=WORDS, only=captions.REQUEST) as endpoint:
        yield endpoint


@pytest.fixture
def model(endpoint: ChatServer) -> Iterator[ChatServer]:
    """The model, which answers questions at once and describes pictures once its gate is open."""
    endpoint.gate.clear()
    yield endpoint
    endpoint.gate.set()


@pytest.fixture(scope="module")
def address(read_once: Path, endpoint, tmp_path_factory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(read_once, data)
    with serve(data, VLLM_BASE_URL=endpoint.base_url, CAPTIONS="on", SCREEN_TEXT="off") as address:
        yield address


@pytest.fixture
def page(somebody, address, model):
    """The page as the library opens."""
    with new_page(somebody) as page:
        page.goto(address)
        yield page


@pytest.fixture
def videos(page):
    """The list of videos in the sidebar."""
    return page.get_by_test_id("stSidebar").locator(".st-key-library")


def row(page, name: str):
    """The line of one reading on the start page."""
    return page.locator("[class*=st-key-reading-]").filter(has_text=name)


def paste(page, path: Path) -> None:
    page.get_by_label("Path of a video").fill(str(path))
    page.keyboard.press("Enter")


def transcript(path: Path, words: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"1\n00:00:01,000 --> 00:00:05,000\n{words}\n")
    return path


def test_a_video_is_watched_and_asked_while_it_is_read(page, model, videos, tmp_path):
    slides = ((0.0, "Volcanoes"), (7.0, "Magma"), (14.0, "Thank you"))  # the last as in the other film
    film = make_film(tmp_path / "lava.mp4", seconds=20, slides=slides)
    transcript(film.with_suffix(".srt"), "Lava is molten rock.")
    paste(page, film)
    expect(page.locator(".st-key-plan")).to_contain_text("takes")
    page.get_by_role("button", name="Read this video").click()
    strip = page.locator(".st-key-strip")
    expect(strip).to_contain_text(DESCRIBING)  # it has opened by itself
    expect(page.locator(".st-key-title h4")).to_have_text("lava")
    page.reload()  # the address names it, and nobody's page is needed for it to be read
    expect(strip).to_contain_text(DESCRIBING)

    answer = ask(page, "What is lava?")
    answer.get_by_role("link", name="0:11").click()
    wait_for_player(page, 11)
    expect(answer).to_contain_text("Answered by")

    page.get_by_test_id("stTab").filter(has_text="Frames").click()
    page.get_by_role("button", name="Find similar").nth(2).click()
    alike = page.locator(".st-key-contents").get_by_role("link", name="biology").first
    at = leads_to(alike)
    alike.click()  # the same slide in another video, which opens there
    expect(page.locator(".st-key-title h4")).to_have_text("biology")
    wait_for_player(page, at)

    videos.get_by_role("button", name="lava").click()
    expect(strip).to_contain_text(DESCRIBING)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text("Lava is hot")
    model.gate.set()
    expect(strip).to_have_count(0)
    page.get_by_role("button", name="incomplete").click()
    expect(page.get_by_text("Descriptions of the pictures mistralai/Pixtral-12B-2409")).to_be_visible()


def test_what_is_uploaded_waits_its_turn_is_cancelled_and_gone_on_with(page, model, videos, tmp_path):
    film = make_film(tmp_path / "long.mp4", seconds=15, size=(240, 136))
    words = [transcript(tmp_path / f"{name}.srt", f"A {name} is a boat.") for name in ("ferry", "canoe")]
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files([film, *words])
    page.get_by_role("button", name="Read these 3 videos").click()
    long, ferry, canoe = (row(page, name) for name in ("long.mp4", "ferry.srt", "canoe.srt"))
    expect(long).to_contain_text(DESCRIBING)
    expect(ferry).to_contain_text("Waiting: 1 before it.")
    expect(canoe).to_contain_text("Waiting: 2 before it.")

    canoe.get_by_role("button", name="Cancel").click()
    expect(canoe).to_contain_text("Cancelled. What was read is kept")
    page.reload()  # what is read does not hang on a page
    expect(ferry).to_contain_text("Waiting: 1 before it.")
    long.get_by_role("button", name="Cancel").click()
    expect(long).to_contain_text("Cancelled. What was read is kept")
    expect(ferry).to_contain_text("Read.")  # its turn has come

    long.get_by_role("button", name="Go on").click()
    expect(long).to_contain_text(DESCRIBING)
    model.gate.set()
    expect(long).to_contain_text("Read.")
    canoe.get_by_role("button", name="Go on").click()
    expect(canoe).to_contain_text("Read.")
    press(canoe, "forget-")
    expect(canoe).to_have_count(0)
    ferry.get_by_role("button", name="Open").click()
    expect(page.locator(".st-key-title h4")).to_have_text("ferry")
    expect(videos.get_by_role("button", name="canoe")).to_be_visible()


def test_a_folder_is_added_and_a_video_removed_once_that_is_confirmed(page, videos, tmp_path):
    words = {name: transcript(tmp_path / "birds" / f"{name}.srt", f"The {name} sings.") for name in ("wren", "robin")}
    paste(page, tmp_path / "birds")
    page.get_by_role("button", name="Read these 2").click()
    for name in words:
        expect(row(page, name)).to_contain_text("Read.")
    videos.get_by_role("button", name="wren").click()
    expect(page.locator(".st-key-title h4")).to_have_text("wren")

    press(page, "more")
    page.get_by_role("button", name="Remove this transcript").wait_for()
    page.keyboard.press("Escape")  # not meant
    expect(page.get_by_role("button", name="Remove this transcript")).to_have_count(0)
    press(page, "more")
    page.get_by_role("button", name="Remove this transcript").click()
    expect(videos.get_by_role("button", name="wren")).to_have_count(0)
    expect(videos.get_by_role("button", name="robin")).to_be_visible()
    expect(page.get_by_label("Path of a video")).to_be_visible()
    assert words["wren"].is_file()
