"""What is logged -> the terminal: without a key of the settings, and without signs that would move the terminal.

Errors of servers and names of files are of others; a log keeps them for a long time, and a terminal obeys some.
"""

import logging
from collections.abc import Collection

from pipeline.chat.markup import printable
from pipeline.settings import secrets

FORM = "%(levelname)s %(name)s: %(message)s"

_kept_out: set[str] = set()


class _Careful(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(masked(super().format(record), secrets() | _kept_out))


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
    handler = logging.StreamHandler()
    handler.setFormatter(_Careful(FORM))
    logging.basicConfig(level=level, handlers=[handler])
