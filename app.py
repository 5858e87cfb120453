"""The screen: paste the path of a video, watch it being read, chat about it.

One function per part of the page. Knows no video and no model code: everything goes through the Pipeline.
"""

import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st
from dotenv import load_dotenv

from pipeline import build
from pipeline.chat.citations import cue
from pipeline.chat.markup import neutralise
from pipeline.chat.reply import Reply
from pipeline.doctor import Check, check_all
from pipeline.errors import PipelineError
from pipeline.times import stamp
from pipeline.types import Coverage, Evidence, Media, Moment, Turn
from pipeline.workflow import Pipeline, Reading

STEPS = {
    "waiting": "Waiting for the video before it",
    "frames": "Taking pictures",
    "speech": "Listening",
    "screen": "Reading text on screen",
    "text": "Learning the words",
    "pictures": "Learning the pictures",
    "index": "Making it searchable",
}
PARTS = {
    "frames": "Pictures",
    "speech": "Speech",
    "screen": "Text on screen",
    "text": "Search by words",
    "pictures": "Search by picture",
}
STATES = {"ok": ":green[:material/check_circle:]", "off": ":gray[:material/do_not_disturb_on:]"}
BROKEN = ":red[:material/error:]"
FINISHES = {
    "length": "The answer was cut off at the model's limit.",
    "interrupted": "The answer broke off.",
    "stopped": "You stopped this answer.",
}
# The player stays in sight: it stands still, and the chat below it scrolls by itself.
LAYOUT = """<style>
[data-testid=stMainBlockContainer]:has(.st-key-player) { padding: 3.5rem 1rem 0; }
.st-key-player video { height: min(38vh, 56.25vw); background: #000; }
.st-key-chat, :has(> .st-key-chat) { height: max(12rem, 62vh - 16.5rem) !important; flex: none !important; }
</style>"""


@dataclass
class Asked:
    """One question on this page, its answer as far as it came, and what went wrong."""

    question: str
    before: int  # how many questions came before it when it was first asked: what a follow-up leans on
    reply: Reply | None = None
    error: str = ""
    ended: bool = False

    @property
    def evidence(self) -> Evidence:
        return self.reply.evidence if self.reply else Evidence(self.question)


@dataclass
class Chat:
    """What was asked about one video on this page, and where its player stands."""

    asked: list[Asked] = field(default_factory=list)
    seconds: float = 0.0
    jumps: int = 0  # how often a time was clicked: the same time clicked twice moves the player twice


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
            player(app, media)
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


def choose(media_id: str | None) -> None:
    st.session_state.pop("reading", None)
    if media_id:
        st.query_params["video"] = media_id
    else:
        st.query_params.clear()


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
                icon=":material/movie:",
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
    with st.popover("Remove this video", icon=":material/delete:", width="stretch"):
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
    with st.form("add", border=False):
        path = st.text_input(
            "Path of a video", placeholder="/home/me/talks/lecture.mp4", label_visibility="collapsed", key="path"
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


def start(app: Pipeline, path: str, again: bool = False) -> None:
    st.session_state.reading = str(app.start(path, again).path)
    st.rerun()


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
    if reading.media_id:
        choose(reading.media_id)
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
        elif step != "waiting":
            st.markdown(
                f"{STATES['ok']} {STEPS[step]}" if progress.fraction == 1.0 else f"{STATES['off']} {STEPS[step]}: off"
            )
    st.caption("You can leave this page: reading goes on, and the video will be in the list.")


# -- watching


def player(app: Pipeline, media: Media) -> None:
    state = chat_of(media)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {neutralise(media.title)}", width="stretch")
        what_was_read(app, media)
    with st.container(key="player"):
        source = Path(media.source)
        if not source.is_file():
            st.info(
                f"The file is no longer at {neutralise(media.source)}. Questions still work; to play it, "
                "put it back or add it from its new place."
            )
            return
        try:
            with st.spinner("Preparing the player…"):
                playing = app.playable(media, state.seconds)
        except PipelineError as error:  # what cannot be played can still be asked
            st.warning(neutralise(str(error)))
            return
        transcript = app.folder(media.id) / "transcript.vtt"
        has_words = any(p.kind != "screen" for p in media.passages)
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


def jump(media: Media, seconds: float) -> None:
    state = chat_of(media)
    state.seconds, state.jumps = seconds, state.jumps + 1


def time_button(media: Media, seconds: float, key: str, doubt: bool = False) -> None:
    st.button(
        stamp(seconds) + (" not in the evidence" if doubt else ""),
        key=key,
        icon=":material/help:" if doubt else ":material/play_arrow:",
        help="The answer names this time, but nothing that was found lies there." if doubt else None,
        on_click=jump,
        args=(media, seconds),
    )


# -- chatting


def chat_of(media: Media) -> Chat:
    return st.session_state.setdefault("chats", {}).setdefault(media.id, Chat())


def chat(app: Pipeline, media: Media) -> None:
    state = chat_of(media)
    if question := st.chat_input("Ask about this video", key=f"ask-{media.id}"):
        state.asked.append(Asked(question, len(state.asked)))
    with st.container(key="chat", height=400, border=False, autoscroll=True):
        if not state.asked:
            st.caption("Ask what is said, what is shown, or where something is. Times in the answer move the player.")
            if not app.settings.vllm_base_url:
                st.caption(
                    "No model is set up, so answers are quotes from the video. Status, in the sidebar, says how."
                )
        for number, asked in enumerate(state.asked):
            with st.chat_message("user"):
                st.markdown(neutralise(asked.question))
            with st.chat_message("assistant"):
                if asked.ended or number < len(state.asked) - 1:
                    show_answer(app, media, asked, number)
                else:
                    answer(app, media, state, asked)


def answer(app: Pipeline, media: Media, state: Chat, asked: Asked) -> None:
    """Answer the newest question, drawing words as they come. Whatever ends it, what had arrived is kept."""
    history = [Turn(a.question, a.reply.text, a.evidence) for a in state.asked[: asked.before] if a.reply]
    asked.ended = True
    try:
        with st.spinner("Looking through the video…"):
            asked.reply = app.ask(asked.question, [media.id], history)
        words, picture = st.columns([2, 1])
        with picture:
            show_top_frame(app, asked)
        place = words.empty()
        words.button("Stop", icon=":material/stop_circle:", key="stop")  # any click ends the run: see beats
        with closing(beats(asked.reply)) as texts:
            for text in texts:
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
        words, picture = st.columns([2, 1])
        with picture:
            show_top_frame(app, asked)
        with words:
            st.markdown(neutralise(asked.reply.text) or "_No answer arrived. This is what was found:_")
            with st.container(horizontal=True, key=f"times-{number}"):
                for citation in asked.reply.citations:
                    time_button(media, citation.time, f"cited-{number}-{citation.time}", doubt=not citation.supported)
        if asked.evidence.moments:
            with st.expander(f"Evidence: {len(asked.evidence.moments)} moments", icon=":material/search:"):
                for rank, moment in enumerate(asked.evidence.moments):
                    show_moment(app, media, moment, f"{number}-{rank}")
        by = "quotes from the video" if asked.reply.answered_by == "quotes" else asked.reply.answered_by
        how = [f"Answered by {neutralise(by)}."] if asked.reply.text else []
        st.caption(" ".join([*how, "" if asked.error else FINISHES.get(asked.reply.finish, "")]))
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
    chat_of(media).asked.append(Asked(asked.question, asked.before))


def show_top_frame(app: Pipeline, asked: Asked) -> None:
    if asked.evidence.top_frame:
        media_id, frame = asked.evidence.top_frame
        st.image(str(app.picture(media_id, frame)), caption=f"The best picture, at {stamp(cue(frame))}")


def show_moment(app: Pipeline, media: Media, moment: Moment, key: str) -> None:
    picture, words = st.columns([1, 3])
    if moment.frames:
        picture.image(str(app.picture(moment.media, moment.frames[0])))
    with words:
        with st.container(horizontal=True, vertical_alignment="center"):
            time_button(media, cue(moment), f"moment-{key}")
            st.caption(neutralise(", ".join(moment.why)))
        for passage in moment.passages:
            st.markdown(f"**{stamp(cue(passage))}** {passage.kind}: {neutralise(passage.text)}")


main()
