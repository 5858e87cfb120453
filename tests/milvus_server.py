"""A real Milvus server on this machine's loopback, and a wire to it that can be made faulty.

The server is Milvus Lite's own, told to listen on TCP: it speaks the protocol of a Milvus cluster, keyword search
included.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chat_server import free_port

if TYPE_CHECKING:
    import grpc

PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 20\r\n\r\n<html>Welcome</html>"
MOVED = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"


@contextmanager
def serve_milvus(folder: Path) -> Iterator[int]:
    """The port of a Milvus server that keeps its data in the folder, until the block ends."""
    import grpc
    from milvus_lite.server import Server

    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = Server(str(folder / "server.db"), f"127.0.0.1:{port}")
    assert server.init()
    assert server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        yield port
    finally:
        server._p.kill()
        server._p.wait()


class Wire:
    """A TCP connection to a server, passed on by a proxy that misbehaves as `fault` says; "" is a good one.

    "slow": each piece 0.1 s late. "hang": takes everything, answers nothing. "drip": a byte a second. "drop": resets
    in the middle of an answer. "malformed": answers with noise. "empty": hangs up at once. "html", "redirect": a web
    server answers. "refused": nothing listens.
    """

    def __init__(self, target: int) -> None:
        self.fault = ""
        self.connections = 0
        self._target = target
        self._open: set[socket.socket] = set()
        self._closing = threading.Event()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def set(self, fault: str) -> None:
        """Let the wire have this fault from now on, on new and on open connections."""
        self.fault = fault
        if fault == "refused":
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        elif self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        if fault in ("refused", "malformed", "empty", "html", "redirect"):
            self.cut()  # what these do, they do to new connections

    def cut(self) -> None:
        """Reset what is open."""
        for one in list(self._open):
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self.cut()
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with client, suppress(OSError):
            if self.fault == "empty":
                return
            if said := {"html": PAGE, "redirect": MOVED, "malformed": b"\x00\xff" * 500}.get(self.fault):
                client.recv(1)
                client.sendall(said)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open.add(server)
                there = threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True)
                there.start()
                self._pass_on(server, client, True)
                self._open.discard(server)
        self._open.discard(client)

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                while self.fault == "hang" and is_answer and not self._closing.wait(0.05):
                    pass
                if self.fault == "slow":
                    self._closing.wait(0.1)
                if self.fault == "drop" and is_answer:
                    target.sendall(piece[: len(piece) // 2])
                    self.cut()
                    return
                while self.fault == "drip" and is_answer and piece and not self._closing.wait(1):
                    target.sendall(piece[:1])
                    piece = piece[1:]
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class Gateway:
    """Passes each call on to a Milvus server, unless `fault` says what to answer to those named in `calls`.

    A fault is the name of a gRPC status such as "RESOURCE_EXHAUSTED", or bytes to answer with.
    """

    def __init__(self, target: int) -> None:
        import grpc

        self.fault: str | bytes | None = None
        self.calls: tuple[str, ...] = ()  # method names such as "Search"; () is all of them
        self.answered: list[str] = []  # the names of the calls that arrived
        self._channel = grpc.insecure_channel(f"127.0.0.1:{target}")
        gateway = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
                return grpc.unary_unary_rpc_method_handler(partial(gateway._answer, details))

        self._server = grpc.server(ThreadPoolExecutor(4), handlers=(Handler(),))
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        self._server.stop(None)
        self._channel.close()

    def _answer(self, details: "grpc.HandlerCallDetails", request: bytes, call: "grpc.ServicerContext") -> bytes:
        import grpc

        name = details.method.rpartition("/")[2]
        self.answered.append(name)
        if self.fault is not None and (not self.calls or name in self.calls):
            if isinstance(self.fault, bytes):
                return self.fault
            call.abort(grpc.StatusCode[self.fault], f"told to, by {details.method}")
        kept = [(key, value) for key, value in details.invocation_metadata if key in ("authorization", "dbname")]
        return self._channel.unary_unary(details.method)(request, metadata=kept, timeout=30)
