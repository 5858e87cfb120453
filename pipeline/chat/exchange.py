"""A question with its answer, as it is kept and as pages see it <-> the text of chat.json.

In: exchanges, or text that may be anything. Out: the other. Knows neither files nor who answers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline.types import Citation, Evidence, Frame, Turn

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT = 1
RESTARTED = "The app was restarted while this was answered. Ask it again."

_ID = re.compile(r"[0-9a-f]{32}")
_IMAGE = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")  # never leads out of a folder


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, as far as it came."""

    question: str  # as it was typed; "" for a picture alone
    at: float | None = None  # s, where the player stood; None where it was not known
    picture: str = ""  # the file of an added picture, in the folder that the talk names; "" for none
    before: int = 0  # how many exchanges came before it when it was first asked: what a follow-up leans on
    asked: float = 0.0  # s since 1970, when
    text: str = ""  # what has arrived
    answered_by: str = ""  # a model name, or "quotes"; "" while evidence is looked for
    evidence: Evidence | None = None  # what was found; once a prompt was written, the part of it that was sent
    citations: tuple[Citation, ...] = ()  # once it has ended
    uncited: tuple[str, ...] = ()  # sentences that state something without a time, once it has ended
    finish: str | None = None  # None while it is answered; "stop", "length", "interrupted" or "stopped": see Reply
    error: str = ""  # what went wrong and what to do, in words a person reads
    # The messages that went to the model, each picture named instead of sent: {"type": "picture", "media", "time" (s),
    # "file" in the media folder}, or {"type": "picture", "added": True}. () for quotes, and before anything was sent.
    sent: tuple[Mapping[str, Any], ...] = ()

    @property
    def ended(self) -> bool:
        return self.finish is not None

    def turn(self) -> Turn | None:
        """What a follow-up leans on; None where nothing was found."""
        return Turn(self.evidence.question, self.text, self.evidence) if self.evidence else None


@dataclass(frozen=True)
class _Kept:
    """What chat.json holds."""

    format: int
    exchanges: tuple[Exchange, ...]


def dump(exchanges: Sequence[Exchange]) -> str:
    """The text of chat.json."""
    record = _form().dump_python(_Kept(FORMAT, tuple(exchanges)), mode="json", exclude_defaults=True)
    text = json.dumps(record, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # words that are no valid Unicode must not cost the others


def parse(text: str | bytes) -> tuple[Exchange, ...]:
    """The exchanges that dump wrote; one that had not ended says that it was interrupted.

    Raises ValueError for anything else.
    """
    kept = _form().validate_json(text)  # its ValidationError is a ValueError
    if kept.format != FORMAT:
        raise ValueError(f"it has format {kept.format}, and this version reads format {FORMAT}")
    for exchange in kept.exchanges:
        _check(exchange)
    return tuple(
        one if one.ended else replace(one, finish="stopped", error=one.error or RESTARTED) for one in kept.exchanges
    )


def _check(exchange: Exchange) -> None:
    """Pages and prompts open the files that are named."""
    moments = exchange.evidence.moments if exchange.evidence else ()
    items = [item for moment in moments for item in (*moment.frames, *moment.passages)]
    images = [item.image for item in items if isinstance(item, Frame) or item.image]
    contents = [message.get("content") for message in exchange.sent]
    shown = [part for one in contents if isinstance(one, list) for part in one if "media" in part or "file" in part]
    images += [part.get("file", "") for part in shown]
    if not all(map(_IMAGE.fullmatch, filter(None, [*images, exchange.picture]))) or "" in images:
        raise ValueError("it names a file outside of its folder")
    named = [one.media for one in moments] + [part.get("media", "") for part in shown]
    if not all(map(_ID.fullmatch, named)):
        raise ValueError("it names a video by something that is no id")


@cache
def _form() -> "TypeAdapter[_Kept]":
    from pydantic import TypeAdapter

    return TypeAdapter(_Kept)
