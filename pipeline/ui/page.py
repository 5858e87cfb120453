"""What the parts of the page share: what was asked about each video, where its player stands, which one is open.

Lives in Streamlit's session state and in the address of the page. Draws nothing but times.
"""

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from pipeline.chat.reply import Reply
from pipeline.media.subtitles import is_subtitles
from pipeline.times import stamp
from pipeline.types import Evidence, Media
from pipeline.workflow import Pipeline

STATES = {"ok": ":green[:material/check_circle:]", "off": ":gray[:material/do_not_disturb_on:]"}
BROKEN = ":red[:material/error:]"


@dataclass
class Asked:
    """One question on this page, its answer as far as it came, and what went wrong."""

    question: str
    before: int  # how many questions came before it when it was first asked: what a follow-up leans on
    at: float | None = None  # s, where the player stood
    reply: Reply | None = None
    error: str = ""
    ended: bool = False

    @property
    def evidence(self) -> Evidence:
        return self.reply.evidence if self.reply else Evidence(self.question)


@dataclass
class Chat:
    """What was asked about one video on this page, and where its player was put."""

    asked: list[Asked] = field(default_factory=list)
    seconds: float = 0.0  # where the player was put
    jumps: int = 0  # how often a time was clicked: the same time clicked twice moves the player twice
    plays: bool = True  # whether there is a player for a time to move


def chat_of(media: Media) -> Chat:
    return st.session_state.setdefault("chats", {}).setdefault(media.id, Chat())


def choose(media_id: str | None) -> None:
    """Open this video, or with None the start page."""
    st.session_state.pop("reading", None)
    if media_id:
        st.query_params["video"] = media_id
    else:
        st.query_params.clear()


def start(app: Pipeline, path: str, again: bool = False) -> None:
    """Begin to read a source and show how far that is."""
    st.session_state.reading = str(app.start(path, again).path)
    st.rerun()


def noun(media: Media) -> str:
    """What a person calls it."""
    return "transcript" if is_subtitles(Path(media.source)) else "video"


def jump(media: Media, seconds: float) -> None:
    state = chat_of(media)
    state.seconds, state.jumps = seconds, state.jumps + 1


def stands_at(media: Media) -> float | None:
    """Where its player stands (s): where it was last heard of, or put since; None where neither was."""
    state = chat_of(media)
    at, jumps = getattr(st.session_state.get(position_key(media)), "at", None) or (None, 0)
    return at if jumps == state.jumps else state.seconds


def asked_meanwhile() -> bool:
    """Whether a question was sent that the page has not drawn yet.

    The browser puts what is sent at once into one message, and where a part of it is of a fragment, that alone is run.
    """
    return st.session_state.pop("asked_meanwhile", False)


def position_key(media: Media) -> str:
    return f"position-{media.id}"


def time_button(media: Media, seconds: float, key: str, doubt: bool = False) -> None:
    """A time that moves the player; only a time where there is none."""
    help = "The answer names this time, but nothing that was found lies there." if doubt else None
    text = stamp(seconds) + (" not in the evidence" if doubt else "")
    if not chat_of(media).plays:
        st.badge(text, icon=":material/help:" if doubt else None, color="orange" if doubt else "blue", help=help)
        return
    st.button(
        text,
        key=key,
        icon=":material/help:" if doubt else ":material/play_arrow:",
        help=help,
        on_click=jump,
        args=(media, seconds),
    )
