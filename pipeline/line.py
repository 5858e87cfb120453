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

    def hold(self, connection: socket.socket) -> None:
        """Take the newest connection; one that opens after the cut is cut as well."""
        with self._lock:
            self._socket = connection
            if self.is_cut.is_set():
                self._shut()

    def cut(self) -> None:
        """Wake whoever reads from it, with an end of file. Closing alone would not wake them."""
        with self._lock:
            self.is_cut.set()
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
