"""A local endpoint that speaks OpenAI's chat completions and /models, and misbehaves on request.

`with chat_server("drop") as server:` gives one whose answers break off; see BEHAVIOURS. By default it answers
in words, and holds to its key, model, image limit and context length as vLLM does, with vLLM's own messages.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "mistralai/Pixtral-12B-2409"
WORDS = ("The", " diagram", " shows", " two", " encoders", " [0:05].")


@dataclass
class Request:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict

    @property
    def images(self) -> int:
        return json.dumps(self.body).count('"image_url": {"url"')

    @property
    def text(self) -> str:
        """All text of all messages, without the pictures."""
        contents = [message["content"] for message in self.body.get("messages", ())]
        parts = [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in contents]
        return "\n".join(part["text"] for content in parts for part in content if part["type"] == "text")


@dataclass
class ChatServer:
    """What the endpoint is told to be, and what it has seen. Each field may be changed while it runs."""

    behaviour: str = "answer"
    only: str = ""  # the behaviour meets requests that hold these words; others are answered
    words: tuple[str, ...] = WORDS
    key: str = ""  # "" takes any
    model: str = MODEL
    image_limit: int = 4
    context_length: int = 16_384  # tokens; four characters count as one here
    image_tokens: int = 250  # what one picture counts
    lists_models: bool = True
    gate: threading.Event = field(default_factory=threading.Event)  # "gated" and "waits" wait for it
    closing: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)  # set when a client left in mid-answer
    requests: list[Request] = field(default_factory=list)
    connections: int = 0  # that were opened to it
    base_url: str = ""

    @property
    def chats(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/chat/completions")]


@contextmanager
def chat_server(behaviour: str = "answer", **told: object) -> Iterator[ChatServer]:
    """Serve on a free port of this machine until the end of the block."""
    state = ChatServer(behaviour, **told)
    handler = type("Handler", (_Handler,), {"state": state})
    with _Quiet(("127.0.0.1", 0), handler) as server:
        state.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            state.closing.set()
            state.gate.set()
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ChatServer
    asked: Request  # what is being answered

    def setup(self) -> None:
        self.state.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self._record({})
        if BEHAVIOURS[self.state.behaviour] in (_html, _redirect, _hang, _hang_up):
            BEHAVIOURS[self.state.behaviour](self)
        elif self.path != "/v1/models" or not self.state.lists_models:
            self.refuse(404, {"detail": "Not Found"})
        elif self.authorised():
            entry = {"id": self.state.model, "object": "model", "max_model_len": self.state.context_length}
            self.document(200, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        request = self._record(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if self.path != "/v1/chat/completions":
            self.refuse(404, {"detail": "Not Found"})
        elif self.authorised():
            with suppress(BrokenPipeError, ConnectionResetError):
                if not self._over_a_limit(request):
                    BEHAVIOURS[self.state.behaviour if self.state.only in request.text else "answer"](self)
                return
            self.state.hung_up.set()

    def _record(self, body: dict) -> Request:
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.state.requests.append(request)
        self.asked = request
        return request

    def _over_a_limit(self, request: Request) -> bool:
        state, limit = self.state, self.state.context_length
        tokens = len(request.text) // 4 + state.image_tokens * request.images
        if request.body["model"] != state.model:
            line = f"The model `{request.body['model']}` does not exist. Valid aliases: {state.model}."
            self.refuse(404, {"error": {"message": line, "type": "NotFoundError", "param": "model", "code": 404}})
        elif request.images > state.image_limit:
            self.too_much(f"At most {state.image_limit} image(s) may be provided in one prompt.")
        elif tokens > limit:
            self.too_much(
                f"This model's maximum context length is {limit} tokens. However, your prompt contains {tokens} input "
                "tokens, which exceeds this limit even without any output tokens."
            )
        else:
            return False
        return True

    def authorised(self) -> bool:
        if self.state.key and self.headers["Authorization"] != f"Bearer {self.state.key}":
            self.refuse(401, {"error": "Unauthorized"})
            return False
        return True

    def too_much(self, message: str) -> None:
        self.refuse(400, {"error": {"message": message, "type": "BadRequestError", "code": 400}})

    def refuse(self, status: int, body: dict, **headers: str) -> None:
        self.document(status, body, **headers)

    def document(self, status: int, body: dict | str, kind: str = "application/json", **headers: str) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def raw(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, data: object) -> None:
        self.raw(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n")

    def word(self, text: str | None, finish: str | None = None, **delta: str) -> None:
        delta = delta if text is None else {"content": text, **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self.event({"id": "1", "object": "chat.completion.chunk", "model": self.state.model, "choices": [choice]})

    def half(self) -> None:
        """The beginning of an answer."""
        self.begin()
        self.word("", role="assistant")
        for word in self.state.words[:3]:
            self.word(word)

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        pass

    def log_date_time_string(self) -> str:
        return ""


def _answer(handler: _Handler, finish: str = "stop") -> None:
    handler.begin()
    handler.word("", role="assistant")
    for word in handler.state.words:
        handler.word(word)
    handler.word(None, finish)
    handler.event({"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 1}})
    handler.event("[DONE]")
    handler.end()


def _gated(handler: _Handler) -> None:
    handler.half()
    handler.state.gate.wait()
    for word in handler.state.words[3:]:
        handler.word(word)
    handler.word(None, "stop")
    handler.event("[DONE]")
    handler.end()


def _waits(handler: _Handler) -> None:
    handler.begin()
    while not handler.state.gate.wait(0.5):
        handler.raw(": keep-alive\n\n")
    handler.word(" ".join(handler.state.words), "stop")
    handler.event("[DONE]")
    handler.end()


def _hang(handler: _Handler) -> None:
    handler.state.closing.wait()
    handler.close_connection = True


def _drip(handler: _Handler) -> None:
    while not handler.state.closing.wait(0.02):
        handler.raw(": keep-alive\n\n")


def _html(handler: _Handler) -> None:
    handler.document(200, "<html><body>Welcome to the model gateway</body></html>", "text/html")


def _redirect(handler: _Handler) -> None:
    handler.document(307, "", Location="http://elsewhere.example/v1/chat/completions")


def _hang_up(handler: _Handler) -> None:
    handler.close_connection = True


def _hang_up_once(handler: _Handler) -> None:
    handler.state.behaviour = "answer"
    handler.close_connection = True


def _fail_once(handler: _Handler) -> None:
    handler.state.behaviour = "answer"
    handler.document(503, {"error": {"message": "warming up"}})


def _busy_once(handler: _Handler) -> None:
    handler.state.behaviour = "answer"
    handler.document(429, {"error": {"message": "slow down"}})


def _status(status: int, message: str, **headers: str) -> Callable[[_Handler], None]:
    return lambda handler: handler.refuse(status, {"error": {"message": message}}, **headers)


def _echo_key(handler: _Handler) -> None:
    given = handler.headers["Authorization"].removeprefix("Bearer ")
    handler.refuse(400, {"error": {"message": f"the key {given} may not set temperature"}})


def _scene(*acts: Callable[[_Handler], None]) -> Callable[[_Handler], None]:
    def play(handler: _Handler) -> None:
        for act in acts:
            act(handler)

    return play


def _event(data: object) -> Callable[[_Handler], None]:
    return lambda handler: handler.event(data)


def _drop(handler: _Handler) -> None:
    """Reset the connection: whoever reads gets an error, not an end."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


_BEGIN, _HALF, _END = _Handler.begin, _Handler.half, _Handler.end
BEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
    "answer": _answer,
    "gated": _gated,  # three words, then waits for the gate
    "waits": _waits,  # not a word before the gate opens, but a sign of life
    "cut off": lambda handler: _answer(handler, "length"),
    "hang": _hang,  # takes the request and never answers
    "drip": _scene(_BEGIN, _drip),  # keep-alive lines and never a word
    "drip midway": _scene(_HALF, _drip),
    "silent midway": _scene(_HALF, _hang),
    "chatter": lambda handler: (
        [handler.begin()] and [handler.word("la ") for _ in iter(handler.state.closing.is_set, 1)]
    ),
    "hang up": _hang_up,  # closes before any answer
    "drop": _scene(_HALF, _drop),  # resets in mid-answer
    "close midway": _scene(_HALF, _END),  # ends cleanly in mid-answer, without a finish
    "done midway": _scene(_HALF, _event("[DONE]"), _END),
    "malformed": _scene(_HALF, _event('{"choices": [{"delta"'), _END),
    "not text": _scene(_HALF, lambda handler: handler.wfile.write(b"9\r\ndata: \xff\n\n\r\n"), _END),
    "error object": _scene(_HALF, _event({"object": "error", "message": "CUDA out of memory"}), _END),
    "error event": _scene(_HALF, _event({"error": {"message": "engine died", "code": 500}}), _END),
    "aborted": _scene(_HALF, lambda handler: handler.word(None, "abort"), _END),
    "odd events": _scene(
        *[_BEGIN], *[_event(e) for e in (None, [], "7", {"choices": None}, {"choices": [None]})], _END
    ),
    "empty choices": _scene(_BEGIN, _event({"choices": []}), _event("[DONE]"), _END),
    "only done": _scene(_BEGIN, _event("[DONE]"), _END),
    "no text": _scene(_BEGIN, lambda handler: handler.word("", "stop"), _event("[DONE]"), _END),
    "blanks": _scene(_BEGIN, lambda handler: handler.word(" \n", "stop"), _event("[DONE]"), _END),
    "thinks": _scene(
        _BEGIN,
        lambda handler: handler.word(None, reasoning_content="hm"),
        lambda handler: handler.word("Two encoders.", "stop"),
        _event("[DONE]"),
        _END,
    ),
    "html": _html,
    "redirect": _redirect,
    "document": lambda handler: handler.document(200, {"error": {"message": "streaming is switched off"}}),
    "hangs up once": _hang_up_once,  # as a server does that has just grown tired of an idle connection
    "fails once": _fail_once,
    "busy once": _busy_once,  # 429 without a Retry-After
    "echo key": _echo_key,
    "text only": _status(400, "tiny-llama is not a multimodal model"),
    "forbidden": _status(403, "not for you"),
    "busy": _status(429, "slow down", Retry_After="60"),
    "broken": _status(500, "engine core died"),
    "too long always": _status(
        400, "This model's maximum context length is 16384 tokens. Your prompt has 99999 tokens."
    ),
}
