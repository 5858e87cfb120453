"""Real HTTP servers on this computer that speak OpenAI's and Mistral's /v1/embeddings, and can misbehave.

A vector is a bag of hashed words, so texts that share words are near each other.
"""

import hashlib
import json
import math
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class EmbeddingServer:
    """What a server was asked, and how it is told to answer.

    `faults` holds the answers to the next requests, first one first: "401", "429", "429 retry-after 7", "500",
    "302", "400 long" (while a text has over 600 characters), "count", "nan", "none", "zero", "html", "hangup", "hang",
    "drip" (an answer of blanks that does not end), "drop" (a reset in mid-answer), "slow" (0.2 s), "malformed",
    "empty", "texts" (instead of numbers), "list" (instead of an object).
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.faults: list[str] = []
        self.requests = 0
        self.connections = 0  # that were opened to it
        self.inputs: list[str] = []  # of requests that were answered well
        self.keys: list[str] = []
        self.url = ""
        self.closing = threading.Event()
        self.hung_up = threading.Event()  # set when a client left in mid-answer


@contextmanager
def serve_embeddings(dimension: int = 64) -> Iterator[EmbeddingServer]:
    """Serve on a free port until the block ends. `.url` is the address without /v1."""
    state = EmbeddingServer(dimension)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def bag_of_words(text: str, dimension: int) -> list[float]:
    """A unit vector: each word adds one at the place that its hash names."""
    vector = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or [text]:
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % dimension] += 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


class _Handler(BaseHTTPRequestHandler):
    server_state: EmbeddingServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server_state.connections += 1
        super().setup()

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        state.requests += 1
        state.keys.append(self.headers.get("authorization", ""))
        texts = body.get("input", body.get("inputs"))
        texts = [texts] if isinstance(texts, str) else texts
        fault = state.faults.pop(0) if state.faults else ""
        if self.path != "/v1/embeddings":
            self._send(404, json.dumps({"message": f"no such path: {self.path}"}))
        elif fault == "hangup":
            self.close_connection = True
        elif fault == "hang":
            state.closing.wait()
            self.close_connection = True
        elif fault in ("drip", "drop"):
            self._begin_and(fault)
        elif fault in ("malformed", "empty", "list"):
            self._send(200, {"malformed": '{"object": "list", "data": [{"embed', "empty": "", "list": "[1, 2]"}[fault])
        elif fault == "html":
            self._send(200, "<html><body>Welcome</body></html>", "text/html")
        elif fault == "302":
            self._send(302, "", headers={"location": "http://127.0.0.1:1/v1/embeddings"})
        elif fault == "400 long":
            if any(len(text) > 600 for text in texts):
                state.faults.insert(0, fault)
                said = "This model's maximum context length is 512 tokens. Please reduce the length of the input."
                self._send(400, json.dumps({"object": "error", "message": said}))
            else:
                self._answer(texts)
        elif fault[:1].isdigit():
            headers = {"retry-after": fault.split()[-1]} if "retry-after" in fault else {}
            key = self.headers.get("authorization", "")
            self._send(int(fault[:3]), json.dumps({"message": f"no, {key}"}), headers=headers)
        else:
            self._answer(texts, fault)

    def _begin_and(self, fault: str) -> None:
        """Send the head of a long answer, then blanks without end, or nothing more."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000000")
        self.end_headers()
        self.wfile.write(b" ")
        if fault == "drop":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            with suppress(OSError):
                while not self.server_state.closing.wait(0.02):
                    self.wfile.write(b" ")
            self.server_state.hung_up.set()
        self.close_connection = True

    def _answer(self, texts: list[str], fault: str = "") -> None:
        state = self.server_state
        vectors: list = [bag_of_words(text, state.dimension) for text in texts]
        if fault == "count":
            vectors = vectors[:-1]
        elif fault == "nan":
            vectors[-1] = [math.nan] * state.dimension
        elif fault == "zero":
            vectors[-1] = [0.0] * state.dimension
        elif fault == "none":
            vectors[-1] = None
        elif fault == "texts":
            vectors[-1] = ["a"] * state.dimension
        elif fault == "slow":
            state.closing.wait(0.2)
        else:
            state.inputs += texts
        # Last first: what counts is the index, not the order.
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in reversed(list(enumerate(vectors)))
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1, "completion_tokens": 0}
        self._send(200, json.dumps({"id": "1", "object": "list", "model": "m", "data": data, "usage": usage}))

    def _send(self, status: int, text: str, kind: str = "application/json", headers: dict | None = None) -> None:
        payload = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(payload)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args: object) -> None:
        pass
