"""The real page in a real Chromium: paste a path, wait, ask, see the answer, click a time and see the player move."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
]
READING = 180_000  # ms, at most for reading the film


@pytest.fixture
def address(settings) -> Iterator[str]:
    """The address of the page, served by the command of the README on a data folder of this test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(settings.data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in server.stdout:  # it says when it serves
        if "URL" in line:
            break
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture
def page(address):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, in tests/requirements.txt")
    if not CHROMIUM:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        sync_api.expect.set_options(timeout=60_000)
        page.goto(address)
        yield page
        browser.close()


def test_from_a_pasted_path_to_a_time_that_moves_the_player(page, film):
    from playwright.sync_api import expect

    expect(page.get_by_role("heading", name="Chat with your video").first).to_be_visible()
    page.get_by_label("Path of a video").fill(str(film))
    page.get_by_role("button", name="Read this video").click()
    video = page.locator("video")
    expect(video).to_be_visible(timeout=READING)
    page.reload()  # the address names the video: a reload comes back to it
    expect(video).to_be_visible()

    page.get_by_test_id("stChatInputTextArea").fill("What about volcanoes?")
    page.keyboard.press("Enter")
    answer = page.get_by_test_id("stChatMessage").nth(1)
    expect(answer).to_contain_text("Next week we shall talk about volcanoes")
    expect(answer.locator("img").first).to_be_visible()

    time = answer.locator(".st-key-times-0").get_by_role("button", name=re.compile(r"0:19"))
    time.click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= 19")
    page.evaluate("() => { document.querySelector('video').pause(); document.querySelector('video').currentTime = 1 }")
    time.click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= 19")


def test_what_is_this_is_about_what_the_player_shows(library, page, address):
    from playwright.sync_api import expect

    media = library.list()[0][0]
    library.close()
    page.goto(f"{address}/?video={media.id}")
    page.wait_for_function("() => document.querySelector('video')?.readyState > 0")
    question = page.get_by_test_id("stChatInputTextArea")
    question.click()
    page.keyboard.type("What is th")
    page.evaluate("() => { document.querySelector('video').currentTime = 11 }")  # moved while a question is typed
    page.wait_for_function("() => !document.querySelector('video').seeking")
    page.keyboard.type("is?")
    expect(question).to_have_value("What is this?")
    page.keyboard.press("Enter")
    answer = page.get_by_test_id("stChatMessage").nth(1)
    expect(answer).to_contain_text("The player was at 0:11.")
    expect(answer).to_contain_text("a pigment that swallows red and blue light")
    assert page.evaluate("() => document.querySelector('video').currentTime") == 11

    page.keyboard.type("What is this?")  # the field has kept the focus
    page.evaluate("() => { document.querySelector('video').currentTime = 21 }")  # moved as the question is sent
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stChatMessage").nth(3)).to_contain_text("The player was at 0:21.")
