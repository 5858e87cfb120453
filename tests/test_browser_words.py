"""Hostile words in a real Chromium: nothing that a model, a speaker, a slide or a title says is fetched or linked.

What the page would forbid the browser to fetch (door.py) is switched off here, so that the words alone count; a last
test looks at that second lock alone.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chat_server import chat_server, free_port
from conftest import read_here
from payloads import payloads
from served import NEEDS_PLAYWRIGHT, PATIENCE, ROOT, ask, chromium, press, running

from pipeline import build
from pipeline.chat import exchange
from pipeline.chat.exchange import Exchange
from pipeline.media import folder as folders
from pipeline.settings import Settings
from pipeline.types import Chapter, Evidence, Moment, Passage

expect = pytest.importorskip("playwright.sync_api", reason=NEEDS_PLAYWRIGHT).expect
pytestmark = pytest.mark.browser

WHOLE = "What is this video about?"
LINKS = """() => {
  const roots = [document], out = [];
  while (roots.length) {
    const root = roots.pop();
    for (const one of root.querySelectorAll("*")) {
      if (one.shadowRoot) roots.push(one.shadowRoot);
      const to = one.getAttribute("href") ?? one.getAttribute("xlink:href") ?? one.getAttribute("action");
      if (to === null || one.tagName === "LINK") continue;
      const url = URL.canParse(to, location.href) ? new URL(to, location.href) : null;
      if (url?.origin !== location.origin) out.push(to);
    }
  }
  return out;
}"""


class Catcher:
    """Counts what arrives from outside of the page."""

    def __init__(self, there: str) -> None:
        self.there, self.paths = there, []


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.paths.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state = Catcher(f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()


@contextlib.contextmanager
def visit(catcher: Catcher, bypass_csp: bool = True):
    """(a page, what it asked for outside of `home`) of a browser that nothing but the words holds back."""
    catcher.paths.clear()
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=bypass_csp)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        yield page, asked


def outside(asked: list[str], home: str) -> list[str]:
    return [url for url in asked if not url.startswith((home, home.replace("http", "ws"), "data:", "blob:"))]


@contextlib.contextmanager
def small_page(folder: Path, script: str) -> Iterator[str]:
    """A page of these lines alone, without a door."""
    port = free_port()
    (folder / "small.py").write_text(script)
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "small.py", *options, "--browser.gatherUsageStats=false"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in process.stdout:
            if "URL" in line:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


def drawn(page, address: str, words: str) -> None:
    """Open it and wait until these words, its last, are there and what it loads has come."""
    page.goto(address)
    page.get_by_text(words).last.wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_load_state("networkidle")


def test_unguarded_words_are_fetched_and_linked(tmp_path, catcher):
    """The control: else the tests below would prove nothing."""
    texts = json.dumps(list(payloads(catcher.there).values()))
    script = (
        f"import json\nimport streamlit as st\nfor one in json.loads({texts!r}): st.markdown(one)\nst.text('drawn')"
    )
    with small_page(tmp_path, script) as home, visit(catcher) as (page, asked):
        drawn(page, home, "drawn")
        links = page.evaluate(LINKS)
        print(f"\nunguarded: {len(set(catcher.paths))} addresses fetched, {len(set(links))} linked")
        assert len(set(catcher.paths)) >= 10
        assert len(set(links)) >= 10
        assert outside(asked, home)


def test_every_beginning_of_every_payload_is_safe(tmp_path, catcher):
    """Whole, one character at a time, with words marked, and with times linked."""
    script = f"""
import json
import streamlit as st
from pipeline.chat.markup import linked, marked, neutralise
for one in json.loads({json.dumps(list(payloads(catcher.there).values()))!r}):
    for end in range(1, len(one) + 1):
        st.markdown(neutralise(one[:end]))
    st.markdown(marked(one, {{"plants", "plant", "x", "read"}}))
    st.markdown(linked(one, {{2.0: "[0:02](#t=2.00)"}}))
    st.caption(neutralise(one), help=neutralise(one))
    st.button(neutralise(one), key=one)
    st.markdown(f"**{{neutralise(one)}}** :gray[{{neutralise(one)}}] [{{neutralise(one)}}](#t=1.00)")
st.text("drawn")
"""
    with small_page(tmp_path, script) as home, visit(catcher) as (page, asked):
        drawn(page, home, "drawn")
        for tip in page.get_by_test_id("stTooltipHoverTarget").all()[:3]:
            tip.hover()
        assert page.evaluate(LINKS) == []
        assert catcher.paths == []
        assert outside(asked, home) == []


@pytest.fixture
def hostile(read_once: Path, tmp_path: Path, catcher: Catcher) -> Path:
    """A library in which all that others write is markup: titles, chapters, words, captions, and a kept chat."""
    data = tmp_path / "data"
    shutil.copytree(read_once, data)
    every = list(payloads(catcher.there).values())
    film = next(data.glob("*/media.json")).parent
    media = folders.load(film)
    passages = [replace(one, text=f"{every[n % len(every)]} {one.text}") for n, one in enumerate(media.passages)]
    passages += [Passage(n * 0.5, n * 0.5 + 0.4, text, ("screen", "caption")[n % 2]) for n, text in enumerate(every)]
    chapters = [Chapter(n * 0.5, n * 0.5 + 0.5, text) for n, text in enumerate(every)]
    coverage = {part: replace(one, by=every[0], note=every[1], state="partly") for part, one in media.coverage.items()}
    bad = replace(media, title=every[0], passages=tuple(passages), chapters=tuple(chapters), coverage=coverage)
    folders.save(bad, film)
    said = tmp_path / "said.srt"
    said.write_text(
        "".join(f"{n + 1}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{text}\n\n" for n, text in enumerate(every))
    )
    read_here(said, Settings(data_dir=data))
    with contextlib.closing(build(Settings(data_dir=data))) as library:
        library.reindex()

    kept, moments = [], []
    for number, text in enumerate(every):
        heard = (Passage(1.0, 3.0, text, "speech"),)
        moments.append(Moment(media.id, 1.0, 3.0, 0.5, heard, media.frames[:1], (text,), text))
        sent = ({"role": text[:40], "content": text}, {"role": "user", "content": [{"type": "text", "text": text}]})
        found = Evidence(text, tuple(moments), notes=(text,))  # of the last answer all of them
        answered = Exchange(text, text=f"{text} [0:02]", answered_by=text[:40], evidence=found, asked=1.0 + number)
        kept.append(replace(answered, uncited=(text,), finish="interrupted", error=text, sent=sent))
    (film / "chat.json").write_text(exchange.dump(kept))
    return data


def test_nothing_on_the_real_page_is_fetched_or_linked(hostile, catcher):
    """Kept answers, transcripts, titles, tabs, tooltips, dialogs; then answers whole and one character at a time."""
    film = Path(next(hostile.glob("*/frames"))).parent.name
    said = next(one.parent.name for one in hostile.glob("*/media.json") if one.parent.name != film)
    every = "\n\n".join(payloads(catcher.there).values())
    with (
        chat_server(words=(every, " [0:02].")) as model,
        running(hostile, VLLM_BASE_URL=model.base_url) as server,
        visit(catcher) as (page, asked),
    ):

        def check(where: str) -> None:
            page.locator("[data-test-script-state=notRunning]").wait_for()
            page.wait_for_load_state("networkidle")
            assert page.evaluate(LINKS) == [], where
            assert catcher.paths == [], where
            assert outside(asked, server.address) == [], where

        page.goto(f"{server.address}/?video={film}")
        shown = page.get_by_text("Evidence: ")
        expect(shown).to_have_count(5)
        for many in (25, len(payloads(catcher.there))):
            page.get_by_role("button", name="earlier").click()
            expect(shown).to_have_count(many)
        check("kept answers")
        for tip in page.get_by_text("1 sentence carries no time").all()[-2:]:
            tip.locator("xpath=ancestor::*[@data-testid='stElementContainer']").locator(
                "[data-testid=stTooltipHoverTarget]"
            ).first.hover()
        page.get_by_text("Evidence: ").last.click()
        expect(page.locator("[class*=st-key-save-]")).to_have_count(len(payloads(catcher.there)))
        check("evidence")
        press(page, "saw-")
        page.get_by_role("dialog").wait_for()
        check("what the model saw")
        page.keyboard.press("Escape")
        for tab in ("Chapters", "Transcript", "Frames"):
            page.get_by_test_id("stTab").filter(has_text=tab).click()
            check(tab)
        page.locator(".st-key-timeline .lane a").first.hover(force=True)
        check("timeline")

        for words in ((every, " [0:02]."), (*every, " [0:02].")):
            model.words = words
            answer = ask(page, WHOLE)
            answer.get_by_text("Answered by").wait_for()
            check(f"an answer in {len(words)} pieces")

        page.goto(f"{server.address}/?video={said}")
        page.get_by_test_id("stTab").filter(has_text="Transcript").click()
        check("transcript")
        page.get_by_label("Search the transcript").fill("plants")
        page.keyboard.press("Enter")
        check("words found")
        page.goto(f"{server.address}/?video=all")
        page.get_by_test_id("stChatInputTextArea").wait_for()
        check("all videos")
        page.goto(f"{server.address}/?video=![x](http://{catcher.there}/video)")
        page.get_by_role("alert").first.wait_for()
        check("an address that is markup")


def test_the_browser_itself_is_told_to_fetch_nothing_from_outside(tmp_path, catcher):
    """The second lock, alone: words that slipped through the first would still reach nobody."""
    with running(tmp_path / "data") as server, visit(catcher, bypass_csp=False) as (page, _):
        page.goto(server.address)
        page.get_by_text("Paste the path").wait_for()
        page.evaluate(
            """async there => {
                for (const name of ["img", "iframe", "video", "script"])
                    document.body.append(Object.assign(document.createElement(name), {src: there + "/" + name}));
                const style = document.createElement("style");
                style.textContent = `body { background: url(${there}/background) }`;
                document.head.append(style);
                await fetch(there + "/fetch").catch(() => {});
                navigator.sendBeacon(there + "/beacon", "x");
            }""",
            f"http://{catcher.there}",
        )
        page.wait_for_load_state("networkidle")
        assert catcher.paths == []


def test_a_link_leads_where_it_leads_once_the_password_is_given(tmp_path):
    with running(tmp_path / "data", APP_PASSWORD="eight or more") as server, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{server.address}/?video=all")
        for typed in ("wrong", "eight or more"):
            page.get_by_label("Password").fill(typed)
            page.keyboard.press("Enter")
        page.get_by_test_id("stChatInputTextArea").wait_for()
        assert page.url == f"{server.address}/?video=all"
        page.reload()
        page.get_by_test_id("stChatInputTextArea").wait_for()
