"""One call to an embedding service in, its answer out: tried again while that can help, refused plainly when not.

Knows HTTP status codes and how long to wait. Does not know what is sent or what comes back.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from pipeline.errors import EmbeddingError
from pipeline.line import TooSlow, in_time

TRIES = 5
FIRST_WAIT = 1.0  # s, doubled with each try
LONGEST_WAIT = 60.0  # s, all waits of one call together
ONE_TRY = 30.0  # s, from a request to the end of its answer
WHOLE = 150.0  # s, all tries of one call and the waits between them
QUESTION = 30.0  # s, the same where a person waits for it
SHORTEST_TEXT = 500  # characters; a text is not cut below this to fit a model


@dataclass(frozen=True)
class Service:
    """How to speak with one embedding service. `errors` are the exceptions its client raises for its faults.

    The client is told to call hold_line on each response.
    """

    who: str
    key: str = field(repr=False)
    key_name: str
    errors: tuple[type[Exception], ...]
    wait: Callable[[float], None]
    one_try: float = ONE_TRY  # s

    def ask(self, call: Callable[[list[str]], Any], texts: Sequence[str], within: float = WHOLE) -> Any:
        """call(texts), with up to 5 tries and 60 s of waiting on 429, 5xx and lost connections, `within` s in all.

        A Retry-After of the server is kept. Where the service says that a text is too long for its model,
        the longest ones are cut in half and sent again. Raises EmbeddingError.
        """
        texts = list(texts)
        tries, waited, end = 1, 0.0, time.monotonic() + within
        while True:
            try:
                return in_time(partial(call, texts), min(self.one_try, end - time.monotonic()))
            except (*self.errors, TooSlow) as error:
                status = getattr(error, "status_code", None)
                if status in (401, 403):
                    raise EmbeddingError(f"{self.who} refused the key: check {self.key_name}.") from None
                if _too_long(status, error) and max(map(len, texts)) > SHORTEST_TEXT:
                    limit = max(max(map(len, texts)) // 2, SHORTEST_TEXT)
                    texts = [text[:limit] for text in texts]
                    continue
                pause = self._pause(error, status, tries)
                late = pause is not None and time.monotonic() + pause >= end
                if pause is None or tries >= TRIES or waited + pause > LONGEST_WAIT or late:
                    raise EmbeddingError(self._words(error, status, tries)) from self._without_key(error)
            self.wait(pause)
            waited += pause
            tries += 1

    def _pause(self, error: Exception, status: int | None, tries: int) -> float | None:
        """Seconds until the next try; None where no further try can help."""
        lost = status is None and not isinstance(error, ValueError)  # no answer came at all
        if not (lost or status in (408, 409, 429) or (status or 0) >= 500):
            return None
        asked = _retry_after(error)
        return FIRST_WAIT * 2 ** (tries - 1) if asked is None else max(asked, 0.0)

    def _words(self, error: Exception, status: int | None, tries: int) -> str:
        again = "What was embedded so far is kept; try again later."
        if status == 429:
            return f"{self.who} allows no more requests for now. {again}"
        if isinstance(error, TooSlow):
            return f"{self.who} did not answer in time ({tries} tries). Check that it is not overloaded. {again}"
        if status is None and not isinstance(error, ValueError):
            return f"{self.who} cannot be reached ({tries} tries). Check its address and the network. {again}"
        if status is not None and status >= 500:
            return f"{self.who} failed with status {status} ({tries} tries). {again}"
        if status is not None and 300 <= status < 400:
            return f"{self.who} points to another address (status {status}). Set that address instead."
        if status is None or status < 300:
            return f"{self.who} sent something that is no embedding. Check its address."
        said = " ".join(str(getattr(error, "body", "") or error).split())
        if self.key:
            said = said.replace(self.key, "***")
        return f"{self.who} refused the request (status {status}): {said[:200]}. Check its address and model."

    def _without_key(self, error: Exception) -> Exception | None:
        """The error as a cause, unless it repeats the key: a traceback is printed and logged."""
        return None if self.key and self.key in str(error) else error


def _too_long(status: int | None, error: Exception) -> bool:
    said = str(error).lower()
    return status in (400, 413, 422) and any(word in said for word in ("context length", "too long", "tokens"))


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait (RFC 9110: a number or a date), or None."""
    headers = getattr(error, "headers", None) or getattr(getattr(error, "response", None), "headers", None) or {}
    given = headers.get("retry-after")
    if not given:
        return None
    if given.isdecimal():
        return float(given)
    try:
        return parsedate_to_datetime(given).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
