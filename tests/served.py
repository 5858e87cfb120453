"""The real page for tests and screenshots: the command of the README on a free port, and a real Chromium.

In: a data folder and settings. Out: the address of the page, and a browser. Of what is on the page it knows only how
a question is asked.
"""

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chat_server import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

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
PATIENCE = 60_000  # ms, at most for anything to show
LISTEN = """addEventListener("seeking", ({ target }) => {
  if (target.closest(".st-key-player")) window.sought = target.currentTime;
}, true)"""
NEEDS_PLAYWRIGHT = "needs playwright, in tests/requirements.txt"
NEEDS_CHROMIUM = "needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path"


class Server:
    """The page on this data folder, with these environment variables; none of a developer's own reach it."""

    def __init__(self, data_dir: Path, script: Path = ROOT / "app.py", **settings: str) -> None:
        from pipeline.settings import Settings  # screenshots.py, run as a script, finds it only by now

        self._port = free_port()
        self._none = {setting.name.upper(): "" for setting in dataclasses.fields(Settings)}
        # Films of tests lie in folders of their own, outside the home folder.
        self._settings = {"DATA_DIR": str(data_dir), "MEDIA_ROOTS": "/"} | settings
        self._script = script
        self._process: subprocess.Popen | None = None
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve, and return once it does. The same address each time."""
        options = ["--server.headless=true", f"--server.port={self._port}"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(self._script), *options],
            cwd=ROOT,
            env=os.environ | self._none | self._settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stdout:  # it says when it serves
            if "URL" in line:
                return
        raise RuntimeError("The page is not served: see standard error.")

    def cpu_seconds(self) -> float:
        """What its process has taken so far (Linux)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@contextlib.contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Server]:
    """A server that may be stopped and started anew until the block ends."""
    server = Server(data_dir, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def serve(data_dir: Path, **settings: str) -> Iterator[str]:
    """The address of the page, served on this data folder with these environment variables until the block ends."""
    with running(data_dir, **settings) as server:
        yield server.address


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """A browser, closed when the block ends."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def person() -> Iterator["BrowserContext"]:
    """A browser of one person: what was fetched once stays in it."""
    with chromium() as browser:
        may = ["clipboard-read", "clipboard-write"]
        context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=may)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(LISTEN)
        yield context


@contextlib.contextmanager
def new_page(person: "BrowserContext") -> Iterator["Page"]:
    """A page of its own. Nothing on it may throw until the block ends."""
    page, thrown = person.new_page(), []
    page.on("pageerror", lambda error: thrown.append(error))
    yield page
    page.close()
    assert not thrown, thrown


def open_video(page: "Page", address: str) -> None:
    """Go to a video, and wait for its player."""
    page.goto(address)
    page.wait_for_function("() => document.querySelector('video')?.readyState > 0")


def ask(page: "Page", question: str) -> "Locator":
    """Type a question and send it: where its answer comes."""
    page.locator("[data-test-script-state=notRunning]").wait_for()  # what was asked before is drawn, and counted
    before = page.get_by_test_id("stChatMessage").count()
    field = page.get_by_test_id("stChatInputTextArea")
    field.fill(question)
    field.press("Enter")
    return page.get_by_test_id("stChatMessage").nth(before + 1)


def press(within: "Page | Locator", key: str) -> None:
    """Click a button that has a sign and no words, by the start of its key."""
    within.locator(f"[class*=st-key-{key}] button:visible").last.click()


def put_player(page: "Page", seconds: float) -> None:
    """Stop it there, as a person who drags its slider does."""
    page.evaluate(
        """seconds => new Promise(done => {
            const video = document.querySelector('.st-key-player video');
            video.pause();
            video.addEventListener('seeked', done, {once: true});
            video.currentTime = seconds;
        })""",
        seconds,
    )


def wait_for_player(page: "Page", seconds: float) -> None:
    """Until it was moved to this time, or the whole second before it, and stands there or has played on."""
    page.wait_for_function(
        "at => at - 1 < window.sought && window.sought < at + 0.1"
        " && document.querySelector('.st-key-player video')?.currentTime >= window.sought",
        arg=seconds,
    )


def leads_to(link: "Locator") -> float:
    """The time (s) that a link leads to."""
    return float(re.search(r"#t=([\d.]+)", link.get_attribute("href"))[1])
