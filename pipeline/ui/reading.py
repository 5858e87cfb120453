"""What is being read: how far each is, how fast, how long it will take; cancel, try again, open.

The readings go on in the library (readings.py); the page only looks.
"""

import os

import streamlit as st

from pipeline.chat.markup import neutralise
from pipeline.readings import Reading
from pipeline.times import stamp
from pipeline.types import Media, Progress
from pipeline.ui.page import choose, failed, told
from pipeline.workflow import Pipeline

STEPS = {
    "waiting": "Starting",
    "frames": "Taking pictures",
    "speech": "Listening",
    "screen": "Reading text on screen",
    "captions": "Describing the pictures",
    "text": "Learning the words",
    "pictures": "Learning the pictures",
    "chapters": "Finding chapters",
    "index": "Making it searchable",
}
BEAT = 1.0  # s between two looks
ROWS, LINES = 20, 5  # readings that are drawn at a time, on the start page and beside the others


def queue(app: Pipeline) -> None:
    """Every reading of this run of the app, on the start page."""
    if app.readings:
        st.markdown("##### Reading")
        rows(app, news(app))


def news(app: Pipeline) -> tuple:
    """What the rest of the page shows of the readings, and what is open: when it changes, all is drawn anew."""
    return st.query_params.get("video"), *((path, one.media_id, one.done) for path, one in app.readings.items())


@st.fragment(run_every=BEAT)
def rows(app: Pipeline, before: tuple) -> None:
    awaited = app.readings.get(st.session_state.get("awaited", ""))
    # What was just begun opens as soon as it can be asked about, unless more is being added meanwhile.
    if awaited and awaited.media_id and not st.session_state.get("path"):
        st.session_state.awaited = ""
        choose(awaited.media_id)
        st.rerun(scope="app")
    if news(app) != before:
        st.rerun(scope="app")
    every = sorted(app.readings.values(), key=_matters)
    for reading in every[:ROWS]:
        row(app, reading)
    if len(every) > ROWS:
        st.caption(f"and {len(every) - ROWS} more")


def _matters(reading: Reading) -> int:
    """The order where not all can be drawn: what is being read, what needs a person, what waits, what is done."""
    if reading.done:
        return 1 if reading.error or reading.cancelled else 3
    return 2 if reading.queued else 0


def key_of(reading: Reading) -> str:
    """What its parts of the page are told apart by; the path itself may hold what is no letter, and none is drawn."""
    return f"{abs(hash(str(reading.path))):x}"


def row(app: Pipeline, reading: Reading) -> None:
    key = key_of(reading)
    with st.container(border=True, gap=None, key=f"reading-{key}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"**{neutralise(reading.path.name)}**", width="stretch")
            if reading.media_id:
                st.button(
                    "Open",
                    key=f"show-{key}",
                    icon=":material/play_arrow:",
                    type="tertiary",
                    on_click=choose,
                    args=(reading.media_id,),
                )
            buttons(app, reading)
        how_far(reading)


def buttons(app: Pipeline, reading: Reading) -> None:
    """What can be done with it, besides opening it."""
    key = key_of(reading)
    if not reading.done:
        st.button(
            "Cancel", key=f"cancel-{key}", icon=":material/close:", type="tertiary", on_click=told(reading.cancel)
        )
        return
    if (reading.error or reading.cancelled) and os.path.isfile(reading.path):  # an upload that is no video was not kept
        again = "Go on" if reading.cancelled else "Try again"
        st.button(
            again,
            key=f"retry-{key}",
            icon=":material/refresh:",
            type="tertiary",
            on_click=told(app.start),
            args=(str(reading.path), reading.again),
        )
    st.button(
        "Take it off this list",
        key=f"forget-{key}",
        icon=":material/close:",
        type="tertiary",
        help="Take it off this list",
        on_click=told(reading.forget),
    )


def how_far(reading: Reading) -> None:
    if reading.error:
        failed(reading.error)
    elif reading.cancelled:
        st.caption(neutralise(reading.note) or "Cancelled. What was read is kept: go on whenever you like.")
    elif reading.done:
        st.caption(":green[:material/check_circle:] Read.")
    else:
        if reading.note:
            st.caption(neutralise(reading.note))
        if reading.queued:
            st.caption(f"Waiting: {reading.queued} before it.")
        else:
            for one in reading.present:
                step(one)


def step(now: Progress) -> None:
    st.progress(0.0 if now.step == "waiting" else min(max(now.fraction, 0.0), 1.0), in_words(now))
    if now.note:
        st.caption(neutralise(now.note))


def in_words(now: Progress, brief: bool = False) -> str:
    """Such as "Listening · 40 % · 4.1 times as fast as it plays · 3:20 left"; brief: of these the first two."""
    parts = [STEPS.get(now.step, now.step)]
    if now.fraction and now.step != "waiting":
        parts.append(f"{100 * now.fraction:.0f} %")
    if now.speed and not brief:
        parts.append(f"{now.speed:.{0 if now.speed >= 10 else 1}f} times as fast as it plays")
    if now.left is not None and now.fraction < 1 and not brief:
        parts.append(f"{stamp(now.left)} left")
    return " · ".join(parts)


def reading_of(app: Pipeline, media: Media) -> Reading | None:
    """The reading that is still adding to this media."""
    return next((one for one in app.readings.values() if one.media_id == media.id and not one.done), None)


def strip(app: Pipeline, media: Media) -> None:
    """Below the player, while it is still being read: it can be asked all the same."""
    if reading := reading_of(app, media):
        being_read(app, media, reading, news(app))


@st.fragment(run_every=BEAT)
def being_read(app: Pipeline, media: Media, reading: Reading, before: tuple) -> None:
    if news(app) != before or app.get(media.id) != media:
        st.rerun(scope="app")  # more can be asked about, or all of it
    with st.container(key="strip", horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width="stretch", gap=None):
            for one in reading.present:
                step(one)
        buttons(app, reading)


def elsewhere(app: Pipeline) -> None:
    """In the sidebar: what waits or is read and is not in the list of videos yet, and what could not be read."""
    if coming(app):
        lines(app, news(app))


def coming(app: Pipeline) -> list[Reading]:
    return [one for one in app.readings.values() if one.error or (not one.done and not one.media_id)]


@st.fragment(run_every=2 * BEAT)
def lines(app: Pipeline, before: tuple) -> None:
    if news(app) != before:
        st.rerun(scope="app")
    every = sorted(coming(app), key=_matters)
    for one in every[:LINES]:
        if one.error:
            far = "not read to its end" if one.media_id else "not read"
        else:
            far = f"{one.queued} before it" if one.queued else in_words(one.present[-1], brief=True)
        st.button(
            f"{neutralise(one.path.name)}: {far}",
            key=f"line-{key_of(one)}",
            type="tertiary",
            icon=":material/error:" if one.error else ":material/hourglass_top:",
            width="stretch",
            on_click=choose,
            args=(None,),
        )
    if len(every) > LINES:
        st.caption(f"and {len(every) - LINES} more")
