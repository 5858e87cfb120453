"""What is logged -> the terminal: without a key of the settings, and without signs that would move the terminal.

Errors of servers and names of files are of others; a log keeps them for a long time, and a terminal obeys some.
"""

import logging
from collections.abc import Collection
from typing import Any

from pipeline.chat.markup import printable
from pipeline.settings import secrets

FORM = "%(levelname)s %(name)s: %(message)s"

_kept_out: set[str] = set()


class _Careful(logging.LogRecord):
    """A line of any logger: Streamlit and its server bring handlers of their own, which write what it says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info:
            self.exc_text = _careful(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:
        return _careful(super().getMessage())


def keep_out(keys: Collection[str]) -> None:
    """Put these as ***, beside the keys of the environment."""
    _kept_out.update(keys)


def masked(text: str, keys: Collection[str]) -> str:
    """The text with each of the keys put as ***."""
    for key in sorted(keys, key=len, reverse=True):  # one may begin with another
        text = text.replace(key, "***")
    return text


def begin(level: int) -> None:
    """Log to standard error from this level on."""
    logging.setLogRecordFactory(_Careful)
    logging.basicConfig(level=level, format=FORM)


def _careful(text: str) -> str:
    return printable(masked(text, secrets() | _kept_out))
