"""The start page: add videos by path, by upload, or a whole folder; what reading will take; how far it is."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pipeline.chat.markup import neutralise
from pipeline.errors import PipelineError
from pipeline.estimate import say, together
from pipeline.types import Estimate
from pipeline.ui.page import failed, told
from pipeline.ui.reading import queue
from pipeline.workflow import Pipeline

SHOWN = 8  # of the files in a folder


def welcome(app: Pipeline) -> None:
    empty = not app.list()[0]
    with st.container(key="welcome"):
        st.markdown("## Chat with your video" if empty else "## Add videos")
        st.markdown("Paste the path of a video on this machine. It is read here, once; then ask it anything.")
        with st.container(horizontal=True, gap="xsmall", wrap=False):
            given = st.text_input(
                "Path of a video, a transcript or a folder",
                placeholder="/home/me/talks/lecture.mp4",
                label_visibility="collapsed",
                key="path",
                icon=":material/folder_open:",
            )
            st.button("Next", key="next")  # to leave the field is enough: what was pasted is looked at
        pasted(app, given)
        uploads(app)
        queue(app)


def pasted(app: Pipeline, given: str) -> None:
    """What lies at the path that was given."""
    if not given.strip():
        st.caption("Also a transcript alone (.srt, .vtt), or a folder: all videos in it are read, one after another.")
        return
    try:
        sources = app.sources(given)
    except PipelineError as error:
        failed(error)
        return
    plan(app, sources, "plan")


def plan(app: Pipeline, sources: Sequence[Path], key: str) -> None:
    """What reading will take, and the button that begins. A file that cannot be read keeps no other from it."""
    estimates: dict[Path, Estimate] = {}
    errors: list[PipelineError] = []
    with st.spinner("Looking at the files…", show_time=len(sources) > SHOWN):
        for source in sources:
            try:
                estimates[source] = app.estimate(source)
            except PipelineError as error:
                errors.append(error)
    for error in errors[:SHOWN]:
        failed(error)
    if len(errors) > SHOWN:
        st.caption(f"and {len(errors) - SHOWN} more that cannot be read")
    if not estimates:
        return
    with st.container(border=True, key=key):
        for source, estimate in list(estimates.items())[:SHOWN]:
            st.markdown(f"**{neutralise(source.name)}**  \n{neutralise(say(estimate))}")
        if len(estimates) > SHOWN:
            st.caption(f"and {len(estimates) - SHOWN} more")
        if len(estimates) > 1:
            st.markdown(f"**All of them**  \n{neutralise(say(together(list(estimates.values()))))}")
        count = f"these {len(estimates)} videos" if len(estimates) > 1 else "this video"
        st.button(
            f"Read {count}",
            type="primary",
            icon=":material/play_arrow:",
            key=f"read-{key}",
            on_click=begin,
            args=(app, list(estimates)),
        )


@told
def begin(app: Pipeline, sources: Sequence[Path]) -> None:
    started = [app.start(source) for source in sources]
    st.session_state.path = ""
    st.session_state.uploads = st.session_state.get("uploads", 0) + 1  # an empty field again
    st.session_state.awaited = str(started[0].path) if len(started) == 1 else ""


def uploads(app: Pipeline) -> None:
    files = st.file_uploader(
        "or drop files here", accept_multiple_files=True, key=f"files-{st.session_state.get('uploads', 0)}"
    )
    if not files:
        return
    stored = st.session_state.setdefault("stored", {})  # by the id that Streamlit gave them
    try:
        with st.spinner("Storing…"):
            for file in files:
                if file.file_id not in stored:
                    stored[file.file_id] = app.upload(file.name, file)
    except PipelineError as error:
        failed(error)
        return
    plan(app, [stored[file.file_id] for file in files], "uploaded")
