"""The player, what was read of what it shows, and where it stands. Knows nothing of questions and answers."""

import os
from pathlib import Path

import streamlit as st

from pipeline import part_status
from pipeline.chat.markup import neutralise
from pipeline.errors import PipelineError
from pipeline.playing import Playable
from pipeline.times import stamp
from pipeline.types import SPOKEN, Coverage, Media
from pipeline.ui import files
from pipeline.ui.moments import save_button
from pipeline.ui.page import BROKEN, STATES, Open, choose, noun, place, position_key, put, told
from pipeline.workflow import Pipeline

_player = st.components.v2.component("player", js=Path(__file__).with_name("player.js").read_text())

WARNED = ("frames", "subtitles", "speech", "screen", "captions", "text")  # without CLIP, words are found all the same


def title(app: Pipeline, media: Media) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="title", gap="xsmall", wrap=False):
        st.markdown(f"#### {neutralise(media.title)}", width="stretch")
        save_button(app, media)
        what_was_read(app, media)


def what_was_read(app: Pipeline, media: Media) -> None:
    parts = WARNED if media.passages else (*WARNED, "pictures")
    states = [media.coverage[part].state for part in parts if part in media.coverage]
    missing = sum(state in ("off", "partly", "doubtful") for state in states)
    label = f"{missing} part{'s' if missing > 1 else ''} incomplete" if missing else "What was read"
    with st.popover(label, icon=":material/warning:" if missing else ":material/fact_check:", type="tertiary"):
        for part in part_status.NAMES:
            if part in media.coverage:
                coverage_line(part, media.coverage[part])
        if any(coverage.state in ("off", "partly") for coverage in media.coverage.values()):
            unfinished = any(coverage.until is not None for coverage in media.coverage.values())
            st.button(
                "Go on reading" if unfinished else "Read it again",
                icon=":material/refresh:",
                key="reread",
                on_click=told(app.start),
                args=(media.source, not unfinished),
            )


def coverage_line(part: str, coverage: Coverage) -> None:
    icons = {"read": STATES["ok"], "reading": ":blue[:material/hourglass_top:]"}
    icon = BROKEN if coverage.lost else icons.get(coverage.state, STATES["off"])
    st.markdown(f"{icon} **{part_status.NAMES[part]}** {neutralise(coverage.by)}".rstrip())
    if about := part_status.about(part, coverage):
        st.caption(neutralise(about))


def watch(app: Pipeline, open: Open) -> None:
    """The player of what is shown."""
    media = open.shown
    with st.container(key="player"):
        playing = player(app, media) if media else None
    position(open, playing)


def player(app: Pipeline, media: Media) -> Playable | None:
    """Draw the player, or why there is none."""
    where = place(media.id)
    at = min(where.seconds, media.length)  # a link may name any time
    if noun(media) == "transcript":
        st.info("A transcript: there is no video to play.", icon=":material/subtitles:")
        return None
    if not os.path.isfile(media.source):  # as a Path it raises where its folder may not be entered
        st.info(
            f"The file is no longer at {neutralise(media.source)}. Questions still work; to play it, "
            "put it back or add it from its new place.",
            icon=":material/link_off:",
        )
        return None
    try:
        with st.spinner("Preparing the player…"):
            playing = app.playable(media, at)
    except PipelineError as error:  # what cannot be played can still be asked
        st.warning(neutralise(str(error)), icon=":material/warning:")
        return None
    transcript = app.folder(media.id) / "transcript.vtt"
    has_words = any(p.kind in SPOKEN for p in media.passages)
    if not (address := files.video(playing.path)):  # gone in this very moment
        return None
    st.video(
        address,
        start_time=max(0, int(at - playing.offset)),
        subtitles=str(transcript) if has_words and playing.whole else None,
        autoplay=where.plays,
        alt=media.title,
    )
    if not playing.whole:
        until = stamp(playing.offset + playing.length)
        st.caption(f"{playing.why}, so this is {stamp(playing.offset)} to {until}. Click any time to see another part.")
    return playing


def position(open: Open, playing: Playable | None) -> None:
    """Move the player, and hear where it stands.

    No fragment: what the browser sends at once travels in one message, and of one that is a fragment's, no more is run.
    """
    media, key = open.shown, position_key(open.shown)

    def elsewhere() -> None:
        """A time that the player does not hold: of another video, of another part of a long one, or past its end."""
        asked = st.session_state[key].elsewhere
        video, seconds = str(asked["video"]), float(asked["seconds"])
        put(video, min(seconds, media.length) if media and video == media.id else seconds)
        if open.library:
            st.session_state.beside = video
        elif video != media.id:
            choose(video)

    with st.container(key="position"):
        data = {"offset": playing.offset, "length": playing.length, "until": media.length} if playing else {}
        _player(
            key=key,
            data={"video": media.id if media else "", "talk": open.key, **data},
            on_at_change=lambda: None,
            on_elsewhere_change=elsewhere,
            on_still_change=lambda: None,  # to draw the page is all that is wanted
        )
