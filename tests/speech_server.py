"""A real HTTP server on this computer that speaks OpenAI's /v1/audio/transcriptions, and can misbehave.

It hears nothing: to every sound that holds some, it answers with the words it is given.
"""

import io
import json
import threading
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SpeechServer:
    """What a server was asked, and how it is told to answer.

    `gives`: "words", "segments", or "text" alone, as models that refuse verbose_json. `faults`: the answers to the next
    requests, first one first: a status such as "401" or "500", "html", "list", "nonsense" (times that are none).
    """

    def __init__(self, said: Sequence[str]) -> None:
        self.said = said
        self.gives = "words"
        self.faults: list[str] = []
        self.keys: list[str] = []
        self.seconds: list[float] = []  # of each sound
        self.asked: list[dict[str, str]] = []  # the other fields of each request
        self.url = ""


@contextmanager
def serve_speech(said: Sequence[str]) -> Iterator[SpeechServer]:
    """Serve on a free port until the block ends. `.url` ends with /v1."""
    state = SpeechServer(said)

    class Handler(_Handler):
        server_state = state

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield state
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server_state: SpeechServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "ears", "object": "model"}]})

    def do_POST(self) -> None:
        state = self.server_state
        body = self.rfile.read(int(self.headers["content-length"]))
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        fields, sound = {}, b""
        for part in message_from_bytes(head + body).walk():
            name = part.get_param("name", header="content-disposition")
            if part.get_filename():
                sound = part.get_payload(decode=True)
            elif name:
                fields[name] = part.get_payload(decode=True).decode()
        with wave.open(io.BytesIO(sound)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
            seconds = file.getnframes() / 16_000
        state.keys.append(self.headers.get("authorization", ""))
        state.seconds.append(seconds)
        state.asked.append(fields)
        fault = state.faults.pop(0) if state.faults else ""
        if fault.isdecimal():
            self._send(int(fault), {"error": {"message": f"no, {self.headers.get('authorization')}"}})
        elif fault:
            self._send(200, {"html": "<html>hello</html>", "list": [1]}.get(fault) or self._nonsense(seconds))
        elif state.gives == "text" and fields["response_format"] != "json":
            self._send(400, {"error": {"message": "response_format 'verbose_json' is not compatible with this model"}})
        else:
            self._send(200, self._answer(seconds) if state.gives != "text" else {"text": " ".join(state.said)})

    def _answer(self, seconds: float) -> dict:
        state = self.server_state
        step = seconds / len(state.said)
        segments = [
            {"id": n, "start": n * step, "end": (n + 1) * step, "text": f" {one}", "avg_logprob": -0.2,
             "no_speech_prob": 0.01, "compression_ratio": 1.2}
            for n, one in enumerate(state.said)
        ]  # fmt: skip
        answer = {"task": "transcribe", "language": "english", "duration": seconds, "text": " ".join(state.said)}
        if state.gives == "words":
            every = [(n, word.strip(".,")) for n, one in enumerate(state.said) for word in one.split()]
            many = [sum(n == number for n, _ in every) for number in range(len(state.said))]
            places = [0] * len(state.said)
            words = []
            for n, word in every:
                at = n * step + places[n] * step / many[n]
                words.append({"word": word, "start": at, "end": at + step / many[n]})
                places[n] += 1
            answer["words"] = words
        return answer | {"segments": segments}

    def _nonsense(self, seconds: float) -> dict:
        bad = [{"start": "1", "end": None, "text": 3}, {"start": -1.0, "end": 1.0, "text": "x"}, "no segment"]
        return {"text": " ".join(self.server_state.said), "segments": bad, "words": bad, "language": 7}

    def _send(self, status: int, value: object) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if isinstance(value, str) else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
