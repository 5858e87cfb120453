"""The lower part of the page: questions, answers as they arrive, and the evidence they lean on.

Knows nothing of the player but the times that move it.
"""

import queue
import threading
from collections.abc import Iterator
from contextlib import closing

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pipeline.chat.citations import cue
from pipeline.chat.markup import neutralise
from pipeline.chat.quotes import NOT_NEAR
from pipeline.chat.reply import Reply
from pipeline.errors import PipelineError
from pipeline.times import stamp
from pipeline.types import Evidence, Frame, Media, Moment, Passage, Turn
from pipeline.ui.page import Asked, Chat, chat_of, noun, stands_at, time_button
from pipeline.workflow import Pipeline

FINISHES = {
    "length": "The answer was cut off at the model's limit.",
    "interrupted": "The answer broke off.",
    "stopped": "You stopped this answer.",
}
PICTURES = 3  # shown of one moment
KINDS = {"screen": "on screen: ", "caption": "the picture, as the model describes it: "}  # the others are said


def chat(app: Pipeline, media: Media) -> None:
    state, key = chat_of(media), f"ask-{media.id}"
    # A callback, since a question may arrive in a run of the fragment that hears the player: see asked_meanwhile.
    st.chat_input(f"Ask about this {noun(media)}", key=key, on_submit=ask, args=(media, key))
    with st.container(key="chat", height=400, border=False, autoscroll=True):
        if not state.asked:
            opening(app, media)
        for number, asked in enumerate(state.asked):
            with st.chat_message("user"):
                st.markdown(neutralise(asked.question))
            with st.chat_message("assistant"):
                if asked.ended or number < len(state.asked) - 1:
                    show_answer(app, media, asked, number)
                else:
                    answer(app, media, state, asked)


def ask(media: Media, key: str) -> None:
    state = chat_of(media)
    state.asked.append(Asked(st.session_state[key], len(state.asked), stands_at(media)))
    st.session_state.asked_meanwhile = True


def opening(app: Pipeline, media: Media) -> None:
    if noun(media) == "transcript":
        st.caption("Ask what is said, or where something is.")
    else:
        st.caption("Ask what is said, what is shown, or where something is. Times in the answer move the player.")
    if not app.settings.vllm_base_url:
        st.caption(
            f"No model is set up, so answers are quotes from the {noun(media)}. Status, in the sidebar, says how."
        )


def answer(app: Pipeline, media: Media, state: Chat, asked: Asked) -> None:
    """Answer the newest question, drawing words as they come. Whatever ends it, what had arrived is kept."""
    history = [Turn(a.question, a.reply.text, a.evidence) for a in state.asked[: asked.before] if a.reply]
    asked.ended = True
    try:
        with st.spinner(f"Looking through the {noun(media)}…"):
            at = None if asked.at is None else (media.id, asked.at)
            asked.reply = app.ask(asked.question, [media.id], history, at=at)
        words, picture = beside_a_picture(media)
        seen = asked.evidence
        beside = picture.empty()
        show_top_frame(app, seen, beside)
        with words:
            not_near(asked.reply)
        place = words.empty()
        words.button("Stop", icon=":material/stop_circle:", key="stop")  # any click ends the run: see beats
        with closing(beats(asked.reply)) as texts:
            for text in texts:
                if asked.evidence is not seen:  # what was sent, once it was looked at closer
                    seen = asked.evidence
                    show_top_frame(app, seen, beside)
                place.markdown(neutralise(text) + " ▍")
    except PipelineError as error:
        asked.error = str(error)
    st.rerun()


def beats(reply: Reply) -> Iterator[str]:
    """The text so far, at each piece and at least four times a second.

    The reply is read beside the page, so that Stop works also while the model is silent: the page notices a click
    only when it draws. When the page goes away the reply is stopped.
    """
    arrived: queue.Queue[BaseException | str | None] = queue.Queue()

    def read() -> None:
        try:
            for piece in reply:
                arrived.put(piece)
            arrived.put(None)
        except Exception as error:
            arrived.put(error)

    threading.Thread(target=read, daemon=True, name="reply").start()
    try:
        while True:
            try:
                piece = arrived.get(timeout=0.25)
            except queue.Empty:
                piece = ""
            if piece is None:
                return
            if isinstance(piece, BaseException):
                raise piece
            yield reply.text
    finally:
        reply.stop()


def show_answer(app: Pipeline, media: Media, asked: Asked, number: int) -> None:
    if asked.reply:
        words, picture = beside_a_picture(media)
        show_top_frame(app, asked.evidence, picture)
        with words:
            not_near(asked.reply)
            st.markdown(neutralise(asked.reply.text) or "_No answer arrived. This is what was found:_")
            with st.container(horizontal=True, key=f"times-{number}"):
                for citation in asked.reply.citations:
                    time_button(media, citation.time, f"cited-{number}-{citation.time}", doubt=not citation.supported)
        show_evidence(app, media, asked.evidence, number)
        below(asked)
    if asked.error:
        st.error(neutralise(asked.error), icon=":material/error:")
    if asked.error or not asked.reply or asked.reply.finish != "stop":
        st.button(
            "Ask again",
            key=f"again-{number}",
            icon=":material/refresh:",
            on_click=ask_again,
            args=(media, asked),
        )


def ask_again(media: Media, asked: Asked) -> None:
    chat_of(media).asked.append(Asked(asked.question, asked.before, asked.at))


def not_near(reply: Reply) -> None:
    """Say that a model was given nothing near enough; quotes say so themselves."""
    if not reply.evidence.near and reply.answered_by != "quotes":
        st.info(f"{NOT_NEAR} The model was given the nearest that was found.", icon=":material/search_off:")


def below(asked: Asked) -> None:
    """How the answer came about, and what to know about it."""
    reply = asked.reply
    by = "quotes from the video" if reply.answered_by == "quotes" else reply.answered_by
    how = [f"Answered by {neutralise(by)}."] if reply.text else []
    if reply.evidence.kind == "now" and asked.at is not None:
        how.append(f"The player was at {stamp(asked.at)}.")
    st.caption(" ".join([*how, "" if asked.error else FINISHES.get(reply.finish, "")]))
    if count := len(reply.uncited):
        st.caption(
            f"{count} sentence{'s carry' if count > 1 else ' carries'} no time.",
            help="Nothing shows where these come from:\n\n"
            + "\n".join(f"- {neutralise(' '.join(sentence.split()))}" for sentence in reply.uncited),
        )
    for note in reply.evidence.notes:
        st.caption(neutralise(note))


def show_evidence(app: Pipeline, media: Media, evidence: Evidence, number: int) -> None:
    if not evidence.moments:
        return
    what = "chapter" if evidence.kind == "whole" else "moment"
    count = f"{len(evidence.moments)} {what}{'s' * (len(evidence.moments) > 1)}"
    label = f"Evidence: {count}" if evidence.near else f"The nearest that was found: {count}"
    with st.expander(label, icon=":material/search:"):
        for rank, moment in enumerate(evidence.moments):
            show_moment(app, media, moment, f"{number}-{rank}")


def beside_a_picture(media: Media) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Where words go, and the picture beside them; all of the width to the words where there are no pictures."""
    return st.columns([2, 1]) if media.frames else (st.container(), st.container())


def show_top_frame(app: Pipeline, evidence: Evidence, place: DeltaGenerator) -> None:
    if evidence.top_frame:
        media_id, frame = evidence.top_frame
        which = "best" if evidence.near else "nearest"
        show_picture(app, media_id, frame, f"The {which} picture, at {stamp(cue(frame))}", place)


def show_picture(app: Pipeline, media_id: str, frame: Frame, caption: str, place: DeltaGenerator) -> None:
    file = app.picture(media_id, frame)
    if file.is_file():  # what was looked at closer is not kept for ever
        place.image(str(file), caption=caption)


def show_moment(app: Pipeline, media: Media, moment: Moment, key: str) -> None:
    pictures, words = st.columns([1, 3]) if moment.frames else (st.container(), st.container())
    for frame in moment.frames[:PICTURES]:
        show_picture(app, moment.media, frame, stamp(cue(frame)), pictures)
    with words:
        with st.container(horizontal=True, vertical_alignment="center"):
            time_button(media, cue(moment), f"moment-{key}")
            if moment.title:
                st.markdown(f"**{neutralise(moment.title)}**")
            else:
                st.caption(neutralise(", ".join(moment.why)))
        st.markdown("  \n".join(map(line, moment.passages)))


def line(passage: Passage) -> str:
    text = " ".join(passage.text.split())
    return f"**{stamp(cue(passage))}** {KINDS.get(passage.kind, '')}{neutralise(text)}"
