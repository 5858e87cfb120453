"""One OpenAI-compatible chat endpoint: requests out, words in. The only file that knows openai and httpx.

Every fault becomes an AnswerError here: what happened, what to do next, and never a key. It knows messages,
not evidence; deadlines and Stop come from the Line that its connections are given to. A connection stays open for the
next request, whatever asks it.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pipeline.chat.call import Deadlines
from pipeline.chat.faults import Refusal, explain, read_refusal
from pipeline.errors import AnswerError
from pipeline.line import Line
from pipeline.settings import Settings

if TYPE_CHECKING:
    import openai

    Answer = TypeVar("Answer")

TEMPERATURE = 0.2
LONGEST_RETRY_AFTER = 5.0  # s; who is asked to wait longer is told so instead
KEPT_OPEN = 32  # connections to endpoints that nobody uses now, all together
KEPT_FOR = 300.0  # s; most servers hang up earlier, which is seen before the next request
TAIL = 0.5  # s, from the end of an answer to the end of what carries it; longer, and its connection is not kept
CONTEXT_NAMES = ("max_model_len", "max_context_length", "context_length", "context_window")  # vLLM, Mistral, others


def load() -> None:
    """Import what a request takes."""
    import openai.resources.chat  # noqa: F401

    _certificates()


class Refused(AnswerError):
    """The request was too much: too long, too many images, or images where none are taken."""

    def __init__(self, line: str, refusal: Refusal) -> None:
        super().__init__(line)
        self.refusal = refusal


class UnknownModel(AnswerError):
    """The endpoint does not serve this model."""


class Wordless(AnswerError):
    """The answer came to its end, and there was no word in it."""


class Endpoint:
    """The endpoint that the settings name."""

    def __init__(self, settings: Settings, deadlines: Deadlines) -> None:
        self.key, self.base_url, self.model = settings.vllm_api_key, settings.vllm_base_url, settings.vllm_model
        self.deadlines = deadlines
        try:
            address = urlsplit(self.base_url)
        except ValueError as error:
            raise AnswerError(f"VLLM_BASE_URL is no web address ({error}). Correct it.") from error
        self.where = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
        self._secrets = [secret for secret in (self.key, address.password) if secret]
        self._models: tuple[str, ...] = ()

    @contextmanager
    def client(self, line: Line) -> "Iterator[openai.OpenAI]":
        """A client whose connection hangs on the line. Raises AnswerError for a key or address no request can carry."""
        import openai

        limits = self.deadlines
        timeout = openai.Timeout(max(limits.first_word, limits.read), connect=limits.connect)
        kept = _take(self.base_url, self.key) or self._connected()
        kept.line = line
        if kept.connection:
            line.hold(kept.connection, is_old=True)
        try:
            yield kept.client.with_options(timeout=timeout)
        finally:
            _give_back(kept) if line.let_go() else kept.client.close()

    def _connected(self) -> "_Kept":
        """A client for one request at a time."""
        import httpx
        import openai

        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise AnswerError("VLLM_API_KEY holds a blank or a character that no key has. Copy the key again.")
        hooks = {"request": [lambda request: request.extensions.update(trace=trace)]}
        try:
            web = httpx.Client(
                follow_redirects=False,
                event_hooks=hooks,
                verify=_certificates(),
                limits=httpx.Limits(max_connections=1, keepalive_expiry=KEPT_FOR),
            )
            client = openai.OpenAI(base_url=self.base_url, api_key=self.key or "EMPTY", http_client=web, max_retries=0)
        except httpx.InvalidURL as error:
            raise AnswerError(f"VLLM_BASE_URL is no web address: {self._plain(str(error))}. Correct it.") from error
        kept = _Kept(self.base_url, self.key, client)

        def trace(event: str, info: dict) -> None:
            if event.endswith(("connect_tcp.complete", "start_tls.complete")):
                kept.connection = info["return_value"].get_extra_info("socket")
                kept.line.hold(kept.connection)

        return kept

    def models(self, client: "openai.OpenAI", line: Line) -> tuple[tuple[str, ...], int | None]:
        """(names served, context length in tokens of our model); empty and None where it does not say.

        A refusal is not an error here: the chat request, which follows, is what counts.
        """
        import httpx
        import openai

        with self._translated():
            try:
                body = self._twice(line, lambda: client.get("/models", cast_to=httpx.Response)).json()
            except (openai.APIStatusError, json.JSONDecodeError, UnicodeDecodeError):
                return (), None
        entries = body.get("data") if isinstance(body, dict) else None
        served = {e["id"]: e for e in entries or () if isinstance(e, dict) and isinstance(e.get("id"), str)}
        self._models = tuple(served)
        lengths = (served.get(self.model, {}).get(name) for name in CONTEXT_NAMES)
        return self._models, next((n for n in lengths if isinstance(n, int) and n > 0), None)

    def send(
        self, client: "openai.OpenAI", line: Line, messages: Sequence[dict], max_tokens: int
    ) -> "openai.Stream[Any]":
        """Ask, and open the stream of the answer. Raises Refused, UnknownModel, AnswerError."""
        with self._translated():
            stream = self._twice(
                line,
                lambda: client.chat.completions.create(
                    model=self.model, messages=messages, max_tokens=max_tokens, temperature=TEMPERATURE, stream=True
                ),
            )
            kind = stream.response.headers.get("content-type", "")
            if "html" in kind:
                stream.close()
                raise AnswerError(
                    f"{self.where} answers with a web page, so it is no chat endpoint. "
                    "VLLM_BASE_URL usually ends in /v1, such as http://localhost:8000/v1."
                )
            if "json" in kind:
                message = _message(json.loads(stream.response.read()))
                raise self._failed(message or "it sent one whole document where a stream of words was asked for")
            return stream

    def listen(self, stream: "openai.Stream[Any]", say: Callable[[str], None]) -> str:
        """Say the words as they come, "" for a sign of thought; return "stop" or "length".

        Raises AnswerError when it ends in any other way, or without a word.
        """
        finish, worded = None, False
        with self._translated(), stream:
            for event in stream:
                if getattr(event, "object", None) == "error":
                    raise self._failed(_message(getattr(event, "model_extra", None)))
                choices = getattr(event, "choices", None)
                if not isinstance(choices, list) or not choices:
                    continue  # usage figures, or nothing at all
                delta = getattr(choices[0], "delta", None)
                text = getattr(delta, "content", None)
                if isinstance(text, str) and text:
                    worded = worded or not text.isspace()
                    say(text)
                elif getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None):
                    say("")
                finish = getattr(choices[0], "finish_reason", None)
                if finish:
                    _hear_out(stream)
                    break
        if finish in ("error", "abort", "content_filter"):
            raise self._failed(f"the answer was ended with {finish!r}")
        if not worded:
            raise (Wordless if finish else AnswerError)(
                f"The chat endpoint {self.where} ended the answer without a word. Ask again in other words; "
                f"if it stays so, check that {self.model} is a chat model."
            )
        if finish is None:
            raise AnswerError(
                f"The chat endpoint {self.where} broke off in mid-answer. What had arrived is kept; ask again."
            )
        return "length" if finish == "length" else "stop"

    def _twice(self, line: Line, request: "Callable[[], Answer]") -> "Answer":
        """One retry where nothing has arrived yet. The client's own would wait up to two minutes, unseen."""
        import openai

        try:
            return request()
        except openai.APITimeoutError:
            raise
        except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError) as error:
            asked = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
            pause = float(asked) if asked.isdecimal() else self.deadlines.pause
            if line.is_old and isinstance(error, openai.APIConnectionError):
                pause = 0.0  # the server hung up on what was open in this very moment
            if pause > LONGEST_RETRY_AFTER or line.is_cut.wait(pause):
                raise
        return request()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise self._refusal(error) from self._shown(error)
        except openai.APIConnectionError as error:
            raise AnswerError(self._unreached(error)) from self._shown(error)
        except openai.APIError as error:  # an error event within the stream
            raise self._failed(_message(error.body) or error.message) from self._shown(error)
        except httpx.HTTPError as error:  # in mid-stream the client lets these through
            raise AnswerError(
                f"The connection to the chat endpoint {self.where} broke off in mid-answer. "
                "What had arrived is kept; ask again, and see the server's log if it stays so."
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise AnswerError(
                f"The chat endpoint {self.where} sent something that is no chat answer. What had arrived is kept; "
                "ask again, and check that VLLM_BASE_URL is an OpenAI-compatible endpoint."
            ) from self._shown(error)

    def _refusal(self, error: "openai.APIStatusError") -> AnswerError:
        status, message = error.status_code, self._plain(_message(error.body))
        if status < 400:
            message = self._plain(f"moved to {error.response.headers.get('location', 'nowhere')}")
        line = explain(status, message, self.where, self.model, bool(self.key), self._models)
        if refusal := read_refusal(status, message):
            return Refused(line, refusal)
        return UnknownModel(line) if status == 404 and "model" in message.lower() else AnswerError(line)

    def _unreached(self, error: "openai.APIConnectionError") -> str:
        causes, cause = [], error.__cause__
        while cause is not None and cause not in causes:
            causes.append(cause)
            cause = cause.__cause__ or cause.__context__
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            return f"The name in {self.where} is not known to this network. Check VLLM_BASE_URL and the connection."
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            return f"No safe connection to {self.where} could be made. Check https or http in VLLM_BASE_URL."
        if any(type(cause).__name__ in ("RemoteProtocolError", "ReadError", "WriteError") for cause in causes):
            return f"The chat endpoint {self.where} hung up without an answer. See its log, then ask again."
        if any(type(cause).__name__ == "ReadTimeout" for cause in causes):
            return f"The chat endpoint {self.where} takes the question and does not answer. Check it, then ask again."
        return f"No chat endpoint answers at {self.where}. Start the server, or correct VLLM_BASE_URL."

    def _failed(self, message: str) -> AnswerError:
        return AnswerError(
            f"The chat endpoint {self.where} reported an error: {self._plain(message) or 'it did not say which'}. "
            "What had arrived is kept; ask again, and see the server's log if it stays so."
        )

    def _plain(self, message: str) -> str:
        """One short line without a secret: a server may echo the key it was sent."""
        for secret in self._secrets:
            message = message.replace(secret, "***")
        line = " ".join(message.split())
        return (line if len(line) <= 300 else line[:300] + " …").rstrip(".")

    def _shown(self, error: Exception) -> Exception | None:
        """The cause to keep for a traceback, unless it would show a secret there."""
        return None if any(secret in str(error) for secret in self._secrets) else error


@dataclass
class _Kept:
    """A client and the connection that it has, for one request at a time."""

    base_url: str
    key: str
    client: "openai.OpenAI"
    connection: socket.socket | None = None
    line: Line | None = None  # of the request that uses it, or used it last


_idle: list[_Kept] = []  # the one used last at the end
_idle_lock = threading.Lock()


def _take(base_url: str, key: str) -> _Kept | None:
    with _idle_lock:
        for kept in reversed(_idle):
            if (kept.base_url, kept.key) == (base_url, key):
                _idle.remove(kept)
                return kept
    return None


def _give_back(kept: _Kept) -> None:
    with _idle_lock:
        _idle.append(kept)
        over = _idle.pop(0) if len(_idle) > KEPT_OPEN else None
    if over:
        over.client.close()


def _hear_out(stream: "openai.Stream[Any]") -> None:
    """Read what comes after the last word: else its connection could not be used again."""
    connection = stream.response.extensions["network_stream"].get_extra_info("socket")
    late = threading.Timer(TAIL, _shut, (connection,))
    late.daemon = True
    late.start()
    try:
        with suppress(Exception):  # the answer is whole, whatever comes of its connection
            for _ in stream.response.stream:
                pass
    finally:
        late.cancel()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


@cache  # a client that is given none reads them from the disk, which takes longer than all else it does
def _certificates() -> ssl.SSLContext:
    """What httpx trusts by itself."""
    import httpx

    return httpx.create_ssl_context()


def _message(body: object) -> str:
    """An endpoint's own words in an error body; "" when there are none, or a web page."""
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(name):
            return _message(body[name])
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    return str(body) if isinstance(body, list) else ""
