"""One OpenAI-compatible chat endpoint: requests out, words in. The only file that knows openai and httpx.

Every fault becomes an AnswerError here: what happened, what to do next, and never a key. It knows messages,
not evidence; deadlines and Stop come from the Line that its connections are given to.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
CONTEXT_NAMES = ("max_model_len", "max_context_length", "context_length", "context_window")  # vLLM, Mistral, others


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
        """A client whose connections hang on the line. Raises AnswerError for a key or address no request can carry."""
        import httpx
        import openai

        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise AnswerError("VLLM_API_KEY holds a blank or a character that no key has. Copy the key again.")

        def trace(event: str, info: dict) -> None:
            if event.endswith(("connect_tcp.complete", "start_tls.complete")):
                line.hold(info["return_value"].get_extra_info("socket"))

        def hang_up_on_cut(request: httpx.Request) -> None:
            request.extensions["trace"] = trace

        limits = self.deadlines
        timeout = httpx.Timeout(max(limits.first_word, limits.read), connect=limits.connect)
        hooks = {"request": [hang_up_on_cut]}
        try:
            web = httpx.Client(timeout=timeout, follow_redirects=False, event_hooks=hooks, verify=_certificates())
            client = openai.OpenAI(
                base_url=self.base_url, api_key=self.key or "EMPTY", http_client=web, timeout=timeout, max_retries=0
            )
        except httpx.InvalidURL as error:
            raise AnswerError(f"VLLM_BASE_URL is no web address: {self._plain(str(error))}. Correct it.") from error
        with client:
            yield client

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
