"""The sockets that Streamlit serves on: what is small is sent at once."""

import contextlib
import gc
import socket


def send_at_once() -> None:
    """Keep small answers from waiting some 40 ms each until the browser has acknowledged what came before.

    Nagle's algorithm holds them back. asyncio turns it off (TCP_NODELAY), but not for a socket that names no protocol,
    as the one that Streamlit makes and listens on. Nothing hands that one out, so all of this process are told; what
    they accept from then on inherits it.
    """
    for one in gc.get_objects():
        if type(one) is socket.socket and one.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # closed, or no TCP
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
