"""The screen: a library on the left, a player and a conversation about it on the right.

One function per part of the page; what each part draws is in the files beside this one. Knows no video and no model
code: everything goes through the Pipeline.
"""

import contextlib

import streamlit as st

from pipeline import build
from pipeline.errors import PipelineError
from pipeline.settings import Settings, lock
from pipeline.types import Media
from pipeline.ui import door, reading
from pipeline.ui.adding import welcome
from pipeline.ui.chatting import chat, last_evidence
from pipeline.ui.contents import contents, covers
from pipeline.ui.library import library
from pipeline.ui.page import ALL, ICON, LOOK, Open, failed, in_turn, put
from pipeline.ui.status import status
from pipeline.ui.timeline import timeline
from pipeline.ui.watching import title, watch
from pipeline.workflow import Pipeline

DRAWN = 2.0  # s that a browser takes to draw the page, which loading would slow


@st.cache_resource(show_spinner="Opening the library…")
def opened() -> Pipeline:
    return build(Settings.from_env(login=door.has_login())).take_up()


def main() -> None:
    st.set_page_config("Chat with your video", ICON, "wide")
    st.html(LOOK)
    try:
        if not door.may_enter(lock()[1]):
            return
        draw(opened())
    except PipelineError as error:
        failed(error)


def draw(app: Pipeline) -> None:
    with in_turn():
        open = what_is_open(app)
        with st.sidebar:
            st.markdown("### Chat with your video")
            library(app, open)
            reading.elsewhere(app)
            status(app)
        trouble()
        if open.asked or open.library:
            watching(app, open)
            app.warm(DRAWN)
        else:
            welcome(app)


def what_is_open(app: Pipeline) -> Open:
    """What the address names, so that a reload, a bookmark or a link comes back to it."""
    media_id = st.query_params.get("video", "")
    if media_id == ALL:
        beside = st.session_state.get("beside", "")
        with contextlib.suppress(PipelineError):  # removed since
            return Open(None, app.get(beside) if beside else None, library=True)
        return Open(None, None, library=True)
    if not media_id:
        return Open(None, None)
    try:
        media = app.get(media_id)
    except PipelineError as error:
        st.query_params.clear()
        st.session_state.trouble = str(error)
        return Open(None, None)
    start_at(media, st.query_params.get("t", ""))
    return Open(media, media)


def start_at(media: Media, asked: str) -> None:
    """Put the player where the address says, once."""
    if asked and st.session_state.get("started") != (media.id, asked):
        st.session_state.started = (media.id, asked)
        with contextlib.suppress(ValueError):  # what is no time starts at the beginning
            put(media.id, min(max(0.0, float(asked)), media.length), plays=False)


def trouble() -> None:
    """What the last click did not do, and why."""
    if said := st.session_state.pop("trouble", ""):
        failed(said)


def watching(app: Pipeline, open: Open) -> None:
    """The player and what the video holds on the left, the conversation on the right; all in a row on a phone."""
    left, right = st.columns([7, 5], gap="medium")
    with left:
        if not open.shown:
            watch(app, open)
            covers(app)
        else:
            title(app, open.shown)
            watch(app, open)
            reading.strip(app, open.shown)
            timeline(open.shown, last_evidence(app, open))
            contents(app, open.shown)
    with right:
        chat(app, open)
