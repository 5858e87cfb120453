"""The screen: paste the path of a video, watch it being read, chat about it.

One function per part of the page: choosing and adding are here, watching and chatting in pipeline/ui. Knows no video
and no model code: everything goes through the Pipeline.
"""

from pathlib import Path

import streamlit as st
from dotenv import load_dotenv

from pipeline import build
from pipeline.chat.markup import neutralise
from pipeline.doctor import Check, check_all
from pipeline.errors import AnswerError, PipelineError
from pipeline.times import stamp
from pipeline.types import Media
from pipeline.ui.chatting import chat
from pipeline.ui.page import BROKEN, STATES, choose, noun, start
from pipeline.ui.watching import watch
from pipeline.workflow import Pipeline, Reading

STEPS = {
    "waiting": "Waiting for the video before it",
    "frames": "Taking pictures",
    "speech": "Listening",
    "screen": "Reading text on screen",
    "captions": "Describing the pictures",
    "text": "Learning the words",
    "pictures": "Learning the pictures",
    "chapters": "Finding chapters",
    "index": "Making it searchable",
}
# The player stays in sight: it stands still, and the chat below it scrolls by itself.
LAYOUT = """<style>
[data-testid=stMainBlockContainer]:has(.st-key-player) { padding: 3.5rem 1rem 0; }
.st-key-player video { height: min(38vh, 56.25vw); background: #000; }
.stApp { --rest: 100vh - 17.5rem; }
.stApp:has(.st-key-player video) { --rest: 62vh - 16.5rem; }
.st-key-chat, :has(> .st-key-chat) { height: max(12rem, var(--rest)) !important; flex: none !important; }
.st-key-position, :has(> .st-key-position) { display: none; }
</style>"""


@st.cache_resource(show_spinner="Opening the library…")
def library() -> Pipeline:
    return build()


def main() -> None:
    st.set_page_config("Chat with your video", ":material/smart_display:", "centered")
    load_dotenv(Path(__file__).with_name(".env"))
    st.html(LAYOUT)
    try:
        app = library()
        media = chosen(app)
        sidebar(app, media)
        if media:
            watch(app, media)
            chat(app, media)
        elif reading := app.readings.get(st.session_state.get("reading", "")):
            reading_view(app, reading)
        else:
            welcome(app)
    except PipelineError as error:
        st.error(neutralise(str(error)), icon=":material/error:")


# -- choosing a video


def chosen(app: Pipeline) -> Media | None:
    """The video in the address, so that a reload or a bookmark comes back to it."""
    media_id = st.query_params.get("video", "")
    if not media_id:
        return None
    try:
        return app.get(media_id)
    except PipelineError as error:
        st.query_params.clear()
        st.warning(neutralise(str(error)))
        return None


def sidebar(app: Pipeline, media: Media | None) -> None:
    with st.sidebar:
        st.markdown("### Chat with your video")
        st.button("Add a video", icon=":material/add:", width="stretch", on_click=choose, args=(None,))
        listed, problems = app.list()
        for one in listed:
            st.button(
                f"{neutralise(one.title)} · {stamp(one.length)}",
                key=f"open-{one.id}",
                type="primary" if media and one.id == media.id else "tertiary",
                icon=":material/movie:" if noun(one) == "video" else ":material/subtitles:",
                width="stretch",
                on_click=choose,
                args=(one.id,),
            )
        if not listed:
            st.caption("Videos you add are kept here.")
        for problem in problems:
            st.warning(neutralise(problem))
        if media:
            remove_button(app, media)
        status(app)


def remove_button(app: Pipeline, media: Media) -> None:
    with st.popover(f"Remove this {noun(media)}", icon=":material/delete:", width="stretch"):
        st.write("Its pictures, words and index go. The original file stays where it is.")
        if st.button("Remove", type="primary"):
            app.remove(media.id)
            st.session_state.get("chats", {}).pop(media.id, None)
            choose(None)
            st.rerun()


def status(app: Pipeline) -> None:
    panel = st.expander("Status", icon=":material/monitor_heart:", on_change="rerun", key="status")
    with panel:
        if not panel.open:  # checking asks services and takes a moment: only for those who look
            return
        for check in checks(app):
            st.markdown(f"{STATES.get(check.state, BROKEN)} **{check.part}** {neutralise(check.found)}")
            if check.next:
                st.caption(neutralise(check.next))
        st.button("Check again", on_click=checks.clear, width="stretch")


@st.cache_data(ttl=300, show_spinner="Checking every part…")
def checks(_app: Pipeline) -> list[Check]:
    return check_all(_app)


# -- adding a video


def welcome(app: Pipeline) -> None:
    st.title("Chat with your video")
    st.write("Paste the path of a video on this machine. It is read here, once; then ask it anything.")
    st.caption("A transcript alone, .srt or .vtt, can be read too.")
    with st.form("add", border=False):
        path = st.text_input(
            "Path of a video or transcript",
            placeholder="/home/me/talks/lecture.mp4",
            label_visibility="collapsed",
            key="path",
        )
        read = st.form_submit_button("Read this video", type="primary", icon=":material/play_arrow:")
    uploaded = st.file_uploader("or upload a file", help="An uploaded file is copied into the library.")
    if read and path.strip():
        start(app, path.strip().strip("'\""))
    elif read:
        st.warning("Paste the path of a video first.")
    if uploaded and st.button("Read the uploaded file", icon=":material/upload_file:"):
        with st.spinner("Storing the file…"):
            stored = app.upload(uploaded.name, uploaded)
        start(app, str(stored))
    being_read(app)


def being_read(app: Pipeline) -> None:
    """What is being read meanwhile, also since before this page was opened."""
    for path, reading in app.readings.items():
        if not reading.done:
            st.button(
                f"{neutralise(reading.path.name)} is being read. Show how far",
                key=f"show-{path}",
                icon=":material/hourglass:",
                on_click=st.session_state.update,
                kwargs={"reading": path},
            )


@st.fragment(run_every=1.0)
def reading_view(app: Pipeline, reading: Reading) -> None:
    if media_id := reading.media_id or read_all_the_same(app, reading):
        choose(media_id)
        st.rerun(scope="app")
    st.subheader(neutralise(reading.path.name))
    if reading.error:
        st.error(neutralise(str(reading.error)), icon=":material/error:")
        with st.container(horizontal=True):
            if st.button("Try again", icon=":material/refresh:"):
                start(app, str(reading.path))
            if st.button("Choose another video"):
                choose(None)
                app.readings.pop(str(reading.path), None)
                st.rerun(scope="app")
        return
    steps = reading.progress
    for step, progress in steps.items():
        if step == next(reversed(steps)):
            st.progress(min(max(progress.fraction, 0.0), 1.0), f"{STEPS[step]} …")
            if progress.note:
                st.caption(neutralise(progress.note))
        elif step != "waiting":
            st.markdown(
                f"{STATES['ok']} {STEPS[step]}" if progress.fraction == 1.0 else f"{STATES['off']} {STEPS[step]}: off"
            )
    st.caption("You can leave this page: reading goes on, and the video will be in the list.")


def read_all_the_same(app: Pipeline, reading: Reading) -> str:
    """The video whose pictures could not all be described: the rest is there, and it says what is missing."""
    if not isinstance(reading.error, AnswerError):
        return ""
    return next((media.id for media in app.list()[0] if media.source == str(reading.path)), "")


main()
