"""The open connection of a request, which another thread may cut. Knows no HTTP, and not what is sent."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_thread = threading.local()  # .line: the Line of the request that this thread makes


class TooSlow(Exception):
    """No whole answer came in time."""


class Line:
    """The open connection of a request, which another thread may cut."""

    def __init__(self) -> None:
        self.is_cut = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_old = False  # whether the connection was open before this request

    def hold(self, connection: socket.socket, is_old: bool = False) -> None:
        """Take the newest connection; one that opens after the cut is cut as well."""
        with self._lock:
            self._socket, self.is_old = connection, is_old
            if self.is_cut.is_set():
                self._shut()

    def let_go(self) -> bool:
        """The request is over, and no cut reaches its connection any more: whether none has."""
        with self._lock:
            self._socket = None
            return not self.is_cut.is_set()

    def cut(self) -> None:
        """Wake whoever reads from it, with an end of file. Closing alone would not wake them."""
        with self._lock:
            self.is_cut.set()
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def hold_line(response: Any) -> None:
    """To be told of each response of a client, when its headers have come: its connection can be cut from then on."""
    if stream := response.extensions.get("network_stream"):
        _thread.line.hold(stream.get_extra_info("socket"))


def in_time(call: Callable[[], T], seconds: float) -> T:
    """call() on a thread of its own, cut off when it takes longer than that. Raises TooSlow, and what it raises.

    A read timeout alone cannot do this: an answer that drips never meets it, a name that does not resolve never
    starts it. The client that is called tells hold_line of each response.
    """
    line = Line()
    ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        _thread.line = line
        try:
            ended.put((call(), None))
        except BaseException as error:  # handed to the thread that waits
            ended.put((None, error))

    threading.Thread(target=work, name="service", daemon=True).start()
    try:
        answer, error = ended.get(timeout=max(0.0, seconds))
    except queue.Empty:
        line.cut()
        raise TooSlow from None
    if error is not None:
        raise error
    return answer
