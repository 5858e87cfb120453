"""The conversation: questions, answers as they arrive, and what they lean on.

The answers arrive in the library (talks.py); the page only looks. Knows nothing of the player but links to times.
"""

from collections.abc import Callable, Mapping

import streamlit as st

from pipeline import part_status
from pipeline.chat.exchange import Exchange
from pipeline.chat.export import to_json, to_markdown
from pipeline.chat.markup import file_name, linked, neutralise
from pipeline.chat.suggest import suggest
from pipeline.errors import ReadingStopped, SourceError
from pipeline.talks import Talk
from pipeline.times import stamp
from pipeline.types import Evidence, Media
from pipeline.ui import files
from pipeline.ui.door import person
from pipeline.ui.evidence import pictures, show_evidence, what_the_model_saw
from pipeline.ui.page import Open, failed, here, link, noun, stands_at, told
from pipeline.workflow import Pipeline

DRAWN, EARLIER = 5, 20  # questions with their answers, of a long conversation; what each click adds
BEAT = 0.2  # s between two looks at an answer that arrives
DRAWN_PLACES = "drawn-places"  # in the session: the evidence of the last answer that the page shows
ASKER, ANSWERER = ":material/person:", ":material/smart_display:"
PICTURES = ["png", "jpg", "jpeg", "webp"]
FINISHES = {
    "length": "The answer was cut off at the model's limit.",
    "interrupted": "The answer broke off.",
    "stopped": "You stopped this answer.",
}
DOUBT = "The answer names this time, but nothing that was found lies there."


def chat(app: Pipeline, open: Open) -> None:
    talk = talk_of(app, open)
    scroller = st.container(key="chat", height=400, border=False, autoscroll=False)
    with st.container(key="ask", horizontal=True, vertical_alignment="bottom", gap="xsmall", wrap=False):
        key = f"ask-{open.key}"
        # A callback, so that a run which ends meanwhile cannot take along what was sent and is not read yet.
        st.chat_input(
            "Ask about this " + noun(open.asked) if open.asked else "Ask about all videos",
            key=key,
            accept_file=True,
            file_type=PICTURES,
            on_submit=ask,
            args=(talk, key, open.asked),
        )
        keep(app, open, talk)
    titles = titles_of(app, open)
    with scroller:
        if talk.problem:
            st.warning(neutralise(talk.problem), icon=":material/warning:")
        if not talk.exchanges:
            opening(app, open, talk)
        # The last one may end, or another begin, while this is drawn: one look at them, and all is drawn from it.
        exchanges = talk.exchanges
        st.session_state[DRAWN_PLACES] = places(exchanges[-1].evidence) if exchanges else ()
        before = earlier(open, len(exchanges))
        for number, exchange in enumerate(exchanges[before:], before):
            last = number == len(exchanges) - 1
            if last and st.session_state.get("edited") == (open.key, exchange.asked):
                with st.chat_message("user", avatar=ASKER):
                    edit_form(talk, number, exchange)
                with st.chat_message("assistant", avatar=ANSWERER):
                    st.markdown(answer_text(open, exchange))
                continue
            with st.chat_message("user", avatar=ASKER):
                question(talk, exchange)
            with st.chat_message("assistant", avatar=ANSWERER):
                if exchange.ended:
                    answer(app, open, talk, exchange, number, titles, last)
                else:
                    arriving(app, open, talk)
                    what_was_found(app, open, exchange, number, titles)


def earlier(open: Open, count: int) -> int:
    """How many exchanges are left out until they are asked for: to draw an exchange takes as long as much else."""
    chat, drawn = st.session_state.get("earlier", ("", 0))
    drawn = drawn if chat == open.key else DRAWN
    if before := max(0, count - drawn):
        st.button(
            f"Show {min(EARLIER, before)} earlier",
            icon=":material/history:",
            key="earlier-questions",
            type="tertiary",
            on_click=lambda: st.session_state.update(earlier=(open.key, drawn + EARLIER)),
        )
    return before


def last_evidence(app: Pipeline, open: Open) -> Evidence | None:
    """What was found for the last question."""
    exchanges = talk_of(app, open).exchanges
    return exchanges[-1].evidence if exchanges else None


def talk_of(app: Pipeline, open: Open) -> Talk:
    """What whoever looks at this page has asked about what is open."""
    return app.talk(open.asked.id if open.asked else None, person())


@told
def ask(talk: Talk, key: str, media: Media | None) -> None:
    sent = st.session_state[key]
    picture = sent.files[0].getvalue() if sent.files else None
    try:
        talk.ask(sent.text, stands_at(media) if media else None, picture)
    except (SourceError, ReadingStopped) as error:  # the field is empty by now
        raise type(error)(f"{error} Nothing was asked: “{sent.text}”" if sent.text else str(error)) from error


def titles_of(app: Pipeline, open: Open) -> Mapping[str, str]:
    """media id -> title, of all that is asked."""
    return {one.id: one.title for one in ([open.asked] if open.asked else app.list()[0])}


def opening(app: Pipeline, open: Open, talk: Talk) -> None:
    """What a conversation begins with: what may be asked, and what is off."""
    if open.library:
        st.markdown("Ask all your videos at once. Answers name the video, and their times open it.")
    elif noun(open.asked) == "transcript":
        st.markdown("Ask what is said, or where something is said.")
    else:
        st.markdown("Ask what is said, what is shown, or where something is. Times in the answer move the player.")
    for gap in part_status.look([open.asked])[1] if open.asked else ():
        st.caption(neutralise(part_status.say(gap)))
    if not app.settings.vllm_base_url:
        st.caption("No model is set up, so answers are quotes. Status, on the left, says how to set one up.")
    if open.asked:
        with st.container(key="suggestions", gap="xsmall"):
            for one in suggest(open.asked):
                st.button(
                    neutralise(one), key=f"suggest-{one}", icon=":material/chat_bubble:", on_click=talk.ask, args=(one,)
                )


# -- one question


def question(talk: Talk, exchange: Exchange) -> None:
    picture = talk.picture(exchange)
    if address := picture and files.picture(picture):
        st.image(address, width=160, alt="The picture of this question")
    st.markdown(neutralise(exchange.question) or "Where is this shown?")


def edit_form(talk: Talk, number: int, exchange: Exchange) -> None:
    """The last question, to be asked in other words."""

    def done() -> None:
        st.session_state.pop("edited", None)

    @told
    def reword() -> None:
        done()
        words = st.session_state.reworded.strip()
        if words and is_there(talk, number, exchange):
            talk.edit(number, words)

    with st.form("reword", border=False):
        st.text_input("Your question", exchange.question, key="reworded")
        with st.container(horizontal=True):
            st.form_submit_button("Ask", type="primary", on_click=reword)
            st.form_submit_button("Cancel", on_click=done)


# -- one answer


@st.fragment(run_every=BEAT)
def arriving(app: Pipeline, open: Open, talk: Talk) -> None:
    """The answer that is being given. A fragment of its own: nothing else is drawn while words stream."""
    exchange = talk.exchanges[-1] if talk.exchanges else None
    if exchange is None or exchange.ended:
        st.rerun(scope="app")
    if places(exchange.evidence) != st.session_state.get(DRAWN_PLACES, ()):
        st.rerun(scope="app")  # once: what was found, and the timeline, show before the first word
    if exchange.text:
        not_near(exchange)
        st.markdown(answer_text(open, exchange) + " ▍")
    else:
        where = "all videos" if open.library else f"the {noun(open.asked)}"
        st.markdown(f":gray[{'Writing…' if exchange.evidence else f'Looking through {where}…'}]")
    st.button("Stop", icon=":material/stop_circle:", key="stop", type="tertiary", on_click=talk.stop)


def what_was_found(app: Pipeline, open: Open, exchange: Exchange, number: int, titles: Mapping[str, str]) -> None:
    """Before the first word, and while words arrive: drawn once, outside of what is drawn again and again."""
    if exchange.evidence:
        pictures(app, open, exchange.evidence, titles)
        show_evidence(app, open, exchange.evidence, titles, number)


def places(evidence: Evidence | None) -> tuple:
    """What tells one evidence from another on the page; looking closer changes its pictures alone."""
    return tuple((one.media, one.start, one.end) for one in evidence.moments) if evidence else ()


def answer(
    app: Pipeline, open: Open, talk: Talk, exchange: Exchange, number: int, titles: Mapping[str, str], last: bool
) -> None:
    evidence = exchange.evidence or Evidence(exchange.question)
    if exchange.error and not exchange.text:
        failed(exchange.error)
    if exchange.answered_by:
        not_near(exchange)
        with st.container(key=f"answer-{number}"):
            st.markdown(answer_text(open, exchange) or "_No answer arrived. This is what was found:_")
        pictures(app, open, evidence, titles)
    if exchange.error and exchange.text:
        failed(exchange.error)
    below(open, exchange)
    with st.container(horizontal=True, key=f"tools-{number}", gap="xsmall"):
        if exchange.text and icon("content_copy", "Copy the answer", f"copy-{number}"):
            st.toast("Copied.")  # player.js did it
        icon("refresh", "Ask again", f"again-{number}", again, talk, number, exchange)
        if last and exchange.question:
            icon("edit", "Edit the question", f"edit-{number}", edit, open, exchange)
        if exchange.sent and icon("visibility", "What the model saw", f"saw-{number}"):
            what_the_model_saw(app, talk, exchange)
    show_evidence(app, open, evidence, titles, number)


def icon(name: str, words: str, key: str, act: Callable | None = None, *args: object) -> bool:
    """A small button whose words show where it is pointed at."""
    return st.button(words, icon=f":material/{name}:", help=words, key=key, type="tertiary", on_click=act, args=args)


@told
def again(talk: Talk, number: int, exchange: Exchange) -> None:
    if is_there(talk, number, exchange):
        talk.again(number)


def is_there(talk: Talk, number: int, exchange: Exchange) -> bool:
    """Whether it still stands there: another page may have changed the chat."""
    return [one.asked for one in talk.exchanges[number : number + 1]] == [exchange.asked]


def edit(open: Open, exchange: Exchange) -> None:
    st.session_state.edited = (open.key, exchange.asked)


def answer_text(open: Open, exchange: Exchange) -> str:
    """Its words with each time a link, those that nothing bears out marked."""
    from pipeline.chat.citations import check

    citations = exchange.citations or check(exchange.text, exchange.evidence or Evidence(""))
    playable = not open.asked or noun(open.asked) == "video"
    doubt = "" if not exchange.ended else DOUBT
    return linked(
        exchange.text,
        {
            one.time: link(one.time, "" if open.asked else one.media, "" if one.supported else doubt)
            for one in citations
            if playable
        },
    )


def not_near(exchange: Exchange) -> None:
    """Say that a model was given nothing near enough; quotes say so themselves."""
    if exchange.evidence and not exchange.evidence.near and exchange.answered_by != "quotes":
        words = neutralise(" ".join(part_status.not_found(exchange.evidence)))
        given = part_status.nearest(exchange.evidence).lower()
        st.info(f"{words} The model was given {given}.", icon=":material/search_off:")


def below(open: Open, exchange: Exchange) -> None:
    """How the answer came about, and what to know about it."""
    how = []
    if exchange.text:
        by = "quotes from the video" if exchange.answered_by == "quotes" else exchange.answered_by
        how.append(f"Answered by {neutralise(by)}.")
    if exchange.evidence and exchange.evidence.kind == "now" and exchange.at is not None:
        how.append(f"The player was at {stamp(exchange.at)}.")
    if not exchange.error:
        how.append(FINISHES.get(exchange.finish or "", ""))
    how += [neutralise(note) for note in (exchange.evidence.notes if exchange.evidence else ())]
    if words := " ".join(filter(None, how)):
        st.caption(words)
    near = exchange.evidence is None or exchange.evidence.near  # else it is said that nothing was found
    if near and (count := len(exchange.uncited)):
        st.caption(
            f"{count} sentence{'s carry' if count > 1 else ' carries'} no time.",
            help="Nothing shows where these come from:\n\n"
            + "\n".join(f"- {neutralise(' '.join(sentence.split()))}" for sentence in exchange.uncited),
        )


# -- all of it


def keep(app: Pipeline, open: Open, talk: Talk) -> None:
    """Take the conversation along, or forget it."""
    name = file_name(open.asked.title) if open.asked else "All videos"
    empty = not talk.exchanges  # it is there all the same: the question box is not to become narrower
    with st.popover("Export or forget", icon=":material/more_vert:", type="tertiary", key="keep", disabled=empty):
        titles, page = titles_of(app, open), here()
        st.download_button(
            "Markdown with pictures",
            lambda: to_markdown(talk.exchanges, titles, app.picture, talk.picture, page),
            f"{name} - chat.zip",
            "application/zip",
            icon=":material/folder_zip:",
            width="stretch",
            on_click="ignore",
        )
        st.download_button(
            "JSON",
            lambda: to_json(talk.exchanges, titles),
            f"{name} - chat.json",
            "application/json",
            icon=":material/data_object:",
            width="stretch",
            on_click="ignore",
        )
        st.button("Clear this chat", icon=":material/delete:", width="stretch", on_click=told(talk.clear))
