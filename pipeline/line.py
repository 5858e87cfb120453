"""The open connection of a request, which another thread may cut. Knows no HTTP, and not what is sent."""

import contextlib
import socket
import threading


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
