"""A request on a thread of its own: words in, words out, within deadlines, ended at once by a cut.

A read timeout alone cannot do this: a server that drips keep-alive lines never meets it, a name that
does not resolve never starts it, and a blocked read never looks at a Stop button. Knows nothing of HTTP.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from pipeline.errors import AnswerError
from pipeline.line import Line


@dataclass(frozen=True)
class Deadlines:
    """How long an endpoint may take. Only words count as an answer, never keep-alive lines."""

    connect: float = 3.0  # s, to open the connection
    read: float = 30.0  # s, between two words
    first_word: float = 120.0  # s, from the question to the first word
    whole: float = 600.0  # s, from the question to the last word
    pause: float = 0.5  # s, before the one retry


@dataclass(frozen=True)
class _Result:
    value: Any


class Call:
    """`work(line, say)` runs on a thread, calls say(piece), and returns how it finished.

    say("") is a sign of life without a word.
    """

    def __init__(self, work: Callable[[Line, Callable[[str], None]], Any], deadlines: Deadlines, who: str) -> None:
        self._work = work
        self._deadlines = deadlines
        self._who = who  # what the error lines call the other side
        self._line = Line()
        self._said: queue.SimpleQueue[str | _Result | BaseException] = queue.SimpleQueue()

    def cut(self) -> None:
        """End pieces() at once, from any thread."""
        self._said.put(_Result(None))
        self._line.cut()

    def pieces(self) -> Generator[str, None, Any]:
        """Yield the words; return what `work` returned. Raises AnswerError when a deadline passes."""
        threading.Thread(target=self._run, name="chat-endpoint", daemon=True).start()
        limits = self._deadlines
        begin = time.monotonic()
        due, last = begin + limits.first_word, begin + limits.whole
        begun = False
        try:
            while True:
                try:
                    item = self._said.get(timeout=max(0.0, min(due, last) - time.monotonic()))
                except queue.Empty:
                    item = None
                if item is None or (isinstance(item, str) and time.monotonic() > last):
                    raise AnswerError(self._too_late(begun, time.monotonic() > last)) from None
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, _Result):
                    return item.value
                begun = True
                due = time.monotonic() + limits.read
                if item:
                    yield item
        finally:
            self._line.cut()

    def result(self) -> Any:
        """What `work` returned, its words let go."""
        pieces = self.pieces()
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                return end.value

    def _run(self) -> None:
        try:
            self._said.put(_Result(self._work(self._line, self._say)))
        except BaseException as error:  # handed to the thread that reads the answer
            self._said.put(error)

    def _say(self, piece: str) -> None:
        if self._line.is_cut.is_set():  # a socket that was shut still gives what keeps pouring in
            raise ConnectionAbortedError("nobody listens any more")
        self._said.put(piece)

    def _too_late(self, begun: bool, over: bool) -> str:
        limits = self._deadlines
        if over:
            return (
                f"{self._who} was not done after {limits.whole:g} s, so the answer was ended there. "
                "What had arrived is kept; ask something narrower, or check that the server is not overloaded."
            )
        if begun:
            return (
                f"{self._who} went silent in mid-answer for {limits.read:g} s. "
                "What had arrived is kept; ask again, and check the server if it stays so."
            )
        return (
            f"{self._who} sent no word within {limits.first_word:g} s. "
            "Check that the server is running and not overloaded, then ask again."
        )
