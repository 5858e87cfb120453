"""The upper part of the page: the title, what was read, the chapters, the player and where it stands.

Knows nothing of questions and answers.
"""

from pathlib import Path

import streamlit as st

from pipeline.chat.markup import neutralise
from pipeline.errors import PipelineError
from pipeline.times import stamp
from pipeline.types import SPOKEN, Coverage, Media
from pipeline.ui.page import STATES, asked_meanwhile, chat_of, choose, jump, noun, position_key, start
from pipeline.workflow import Pipeline, Playable

PARTS = {
    "frames": "Pictures",
    "speech": "Speech",
    "screen": "Text on screen",
    "captions": "Descriptions of the pictures",
    "text": "Search by words",
    "pictures": "Search by picture",
    "chapters": "Chapters",
}
# st.video does not say where it stands. This does, as a question is sent. And who asks sees the answer come: the chat
# follows what is new only where it was scrolled to its end. Elements come and go, so it listens to the document.
POSITION = """
export default function ({ data, setStateValue }) {
  const question = "[data-testid=stChatInputTextArea]", send = "[data-testid=stChatInputSubmitButton]";
  let said;
  const sent = ({ type, key, target }) => {
    if (type === "keydown" ? key !== "Enter" || !target.matches?.(question) : !target.closest?.(send)) return;
    const video = document.querySelector(".st-key-player video");
    const at = video?.readyState ? Math.round(10 * (data.offset + video.currentTime)) / 10 : said;
    if (at !== said) setStateValue("at", [said = at, data.jumps]);
    const chat = document.querySelector(".st-key-chat");
    if (chat) chat.scrollTop = chat.scrollHeight;
  };
  for (const event of ["keydown", "pointerdown"]) document.addEventListener(event, sent, true);
  return () => {
    for (const event of ["keydown", "pointerdown"]) document.removeEventListener(event, sent, true);
  };
}
"""
_position = st.components.v2.component("player_position", js=POSITION)


def watch(app: Pipeline, media: Media) -> None:
    asked_meanwhile()  # what was sent until now is drawn in this run
    header = st.container(horizontal=True, vertical_alignment="center")
    header.markdown(f"#### {neutralise(media.title)}", width="stretch")
    with st.container(key="player"):
        playing = player(app, media)
    chat_of(media).plays = playing is not None
    position(media, playing.offset if playing else 0.0)
    with header:
        if len(media.chapters) > 1:
            with st.container(width="content"):
                chapters(media)
        what_was_read(app, media)


def player(app: Pipeline, media: Media) -> Playable | None:
    """Draw the player, or why there is none."""
    state = chat_of(media)
    source = Path(media.source)
    if noun(media) == "transcript":
        st.info("A transcript: there is no video to play.", icon=":material/subtitles:")
        return None
    if not source.is_file():
        st.info(
            f"The file is no longer at {neutralise(media.source)}. Questions still work; to play it, "
            "put it back or add it from its new place."
        )
        return None
    try:
        with st.spinner("Preparing the player…"):
            playing = app.playable(media, state.seconds)
    except PipelineError as error:  # what cannot be played can still be asked
        st.warning(neutralise(str(error)))
        return None
    transcript = app.folder(media.id) / "transcript.vtt"
    has_words = any(p.kind in SPOKEN for p in media.passages)
    st.video(
        str(playing.path),
        start_time=int(state.seconds - playing.offset),
        subtitles=str(transcript) if has_words and playing.whole else None,
        autoplay=state.jumps > 0,
        # Streamlit mounts a playing video anew when its alt text changes: so the same time can be clicked twice.
        alt=f"{media.title}, from {stamp(state.seconds)}" + (f" (jump {state.jumps})" if state.jumps else ""),
    )
    if not playing.whole:
        st.caption(f"{playing.why}, so this is a clip from {stamp(playing.offset)}. Click a time to see another.")
    return playing


@st.fragment
def position(media: Media, offset: float) -> None:
    """Hear where the player stands. A fragment: what is being typed or answered goes on undisturbed."""
    with st.container(key="position"):
        _position(
            key=position_key(media), data={"offset": offset, "jumps": chat_of(media).jumps}, on_at_change=lambda: None
        )
    if asked_meanwhile():
        st.rerun(scope="app")


@st.fragment
def chapters(media: Media) -> None:
    """A fragment: to look at the list ends no answer."""
    state, key = chat_of(media), f"chapters-{media.id}"

    def go(seconds: float) -> None:
        jump(media, seconds)
        st.session_state[key] = False  # closed: it lies over the player

    with st.popover(f"Chapters ({len(media.chapters)})", icon=":material/toc:", key=key, on_change="rerun"):
        for number, chapter in enumerate(media.chapters):
            start, title = stamp(chapter.start), neutralise(chapter.title)
            if not state.plays:
                st.markdown(f"**{start}** {title}")
            elif st.button(
                f"{start} {title}", key=f"{key}-{number}", type="tertiary", on_click=go, args=(chapter.start,)
            ):
                st.rerun(scope="app")


def what_was_read(app: Pipeline, media: Media) -> None:
    missing = sum(coverage.state in ("off", "partly") for coverage in media.coverage.values())
    label = f"{missing} part{'s' if missing > 1 else ''} not read" if missing else "What was read"
    with st.popover(label, icon=":material/warning:" if missing else ":material/fact_check:"):
        for part, name in PARTS.items():
            if part in media.coverage:
                coverage_line(name, media.coverage[part])
        if missing and st.button("Read it again", icon=":material/refresh:"):
            choose(None)
            start(app, media.source, again=True)


def coverage_line(name: str, coverage: Coverage) -> None:
    icon = STATES["ok"] if coverage.state == "read" else STATES["off"]
    st.markdown(f"{icon} **{name}** {neutralise(coverage.by)}".rstrip())
    if coverage.note:
        st.caption(neutralise(coverage.note))
