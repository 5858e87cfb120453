"""What the parts of the page share: whose turn it is, what is open, links, where the player stands, what went wrong.

Lives in Streamlit's session state and in the address of the page. Draws nothing but what went wrong.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

from pipeline.chat.markup import neutralise
from pipeline.errors import PipelineError
from pipeline.media.subtitles import is_subtitles
from pipeline.times import stamp
from pipeline.types import Media

STATES = {"ok": ":green[:material/check_circle:]", "off": ":gray[:material/do_not_disturb_on:]"}
BROKEN = ":red[:material/error:]"
ICON = Path(__file__).with_name("icon.svg").read_text()  # a sign by its name would be fetched from elsewhere
LOOK = Path(__file__).with_name("page.css")
TURN = 0.3  # s that a page waits for the drawing of others
ALL = "all"  # in the address: the whole library is asked

_drawing = threading.Lock()


@dataclass
class Place:
    """Where the player of one video was put."""

    seconds: float = 0.0  # s
    plays: bool = False


@dataclass(frozen=True)
class Open:
    """What is open on this page."""

    asked: Media | None  # what is asked about; None with `library` False: the start page
    shown: Media | None  # what the player shows: the same, or of the whole library the last one a time led to
    library: bool = False  # whether the whole library is asked

    @property
    def key(self) -> str:
        return self.asked.id if self.asked else ALL


# -- drawing


@contextmanager
def in_turn() -> Iterator[None]:
    """Draw one page after another, not all at once: Python runs one thread at a time, so many at once would all end
    last, and keep waiting whoever is answered. What draws for long lets the others pass.
    """
    first = _drawing.acquire(timeout=TURN)
    try:
        yield
    finally:
        if first:
            _drawing.release()


# -- what is open


def choose(media_id: str | None) -> None:
    """Open this video, ALL of them, or with None the start page."""
    st.session_state.awaited = ""  # nothing else opens by itself then
    st.query_params.from_dict({"video": media_id} if media_id else {})  # at once: each change is a step of Back


def place(media_id: str) -> Place:
    return st.session_state.setdefault("places", {}).setdefault(media_id, Place())


def put(media_id: str, seconds: float, plays: bool = True) -> None:
    """Put the player of a video at a time."""
    st.session_state.setdefault("places", {})[media_id] = Place(seconds, plays)


def stands_at(media: Media) -> float:
    """Where its player stands (s): where it was last heard of, else where it was put."""
    at = getattr(st.session_state.get(position_key(media)), "at", None)
    return place(media.id).seconds if at is None else at


def position_key(media: Media | None) -> str:
    return f"position-{media.id if media else ''}"


# -- words and links


def noun(media: Media) -> str:
    """What a person calls it."""
    return "transcript" if is_subtitles(Path(media.source)) else "video"


def link(seconds: float, video: str = "", doubt: str = "", words: str = "") -> str:
    """Markdown for a time that plays from there: see player.js. `doubt` is shown to who points at it."""
    title = f' "{doubt}"' if doubt else ""
    return f"[{words or stamp(seconds)}]({address(seconds, video)}{title})"


def here() -> str:
    """The address of this page, without what is open on it."""
    parts = urlsplit(st.context.url or "http://localhost")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def address(seconds: float, video: str = "") -> str:
    """What a link to a time leads to."""
    return f"#t={seconds:.2f}" + (f"&video={video}" if video else "")


def short(text: str, most: int = 90) -> str:
    """In one line of so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# -- what went wrong


def failed(error: object) -> None:
    """Say it, whatever a file, a server or a model put into its words."""
    st.error(neutralise(str(error)), icon=":material/error:")


def told(act: Callable[..., None]) -> Callable[..., None]:
    """A callback whose PipelineError is shown at the top of the page instead of ending it."""

    @wraps(act)
    def careful(*args: Any, **kwargs: Mapping[str, Any]) -> None:
        try:
            act(*args, **kwargs)
        except PipelineError as error:
            st.session_state.trouble = str(error)

    return careful
