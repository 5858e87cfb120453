"""Does a key get out? Canaries in every key setting go through every fault; all that is said and stored is searched.

    python tests/faults/canaries.py

The servers here repeat the key that they are sent: in bodies, headers, addresses, halves of answers. In the table each
surface is a row: how many faults went through it, how many characters were searched, how many canaries were found.
"""

import contextlib
import dataclasses
import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # run by hand

from pipeline import build, logs  # noqa: E402
from pipeline.chat.export import to_json, to_markdown  # noqa: E402
from pipeline.doctor import check_all  # noqa: E402
from pipeline.errors import PipelineError  # noqa: E402
from pipeline.media import speech  # noqa: E402
from pipeline.search import rerank  # noqa: E402
from pipeline.search.embeddings import image_embedding_available, text_embedding  # noqa: E402
from pipeline.settings import SECRETS, Settings  # noqa: E402
from pipeline.steps import read  # noqa: E402
from pipeline.workflow import Pipeline  # noqa: E402

CANARIES = {name: f"canary{number}Qx7Lw9Rt2Zb5Nk8Vd3Hs6Jp1" for number, name in enumerate(SECRETS)}
CANARIES["MILVUS_TOKEN"] = "somebody:" + CANARIES["MILVUS_TOKEN"]
SUBTITLES = "1\n00:00:01,000 --> 00:00:05,000\nPlanks of boats are glued with epoxy.\n"
QUESTION = "How are planks glued?"

_SSE = "text/event-stream"
_HALF = 'data: {"choices": [{"index": 0, "delta": {"content": "They are "}}]}\n\n'
# name -> status, headers, body; {key} is what was sent, and every one repeats it
FAULTS: dict[str, tuple[int, dict[str, str], str]] = {
    **{
        f"status {status}": (status, {}, '{"error": {"message": "no {key} here", "param": "{key}"}}')
        for status in (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)
    },
    "status 401, plain": (401, {}, "Incorrect API key provided: {key}. Authorization: Bearer {key}"),
    "status 401, detail": (401, {}, '{"detail": [{"loc": ["header"], "msg": "{key}", "input": "Bearer {key}"}]}'),
    "status 404, model": (404, {}, '{"error": {"message": "The model {key} does not exist"}}'),
    "status 400, length": (400, {}, '{"error": {"message": "maximum context length is 10 tokens, {key}"}}'),
    "status 500, page": (500, {"Content-Type": "text/html"}, "<html><pre>Traceback: key={key}</pre></html>"),
    "redirect": (307, {"Location": "http://127.0.0.1:9/?key={key}"}, "moved to {key}"),
    "redirect, with user": (301, {"Location": "http://me:{key}@127.0.0.1:9/"}, ""),
    "header": (429, {"Retry-After": "0", "X-Key": "{key}", "Set-Cookie": "key={key}"}, '{"message": "{key}"}'),
    "page": (200, {"Content-Type": "text/html"}, "<html>{key}</html>"),
    "document": (200, {"Content-Type": "application/json"}, '{"error": {"message": "{key} may not stream"}}'),
    "not JSON": (200, {"Content-Type": "application/json"}, "{key"),
    "malformed": (200, {"Content-Type": _SSE}, f'{_HALF}data: {{"choices": "{{key}}\n\n'),
    "error event": (
        200,
        {"Content-Type": _SSE},
        f'{_HALF}data: {{"error": {{"message": "{{key}}", "code": 500}}}}\n\n',
    ),
    "error object": (200, {"Content-Type": _SSE}, f'{_HALF}data: {{"object": "error", "message": "{{key}}"}}\n\n'),
    "breaks off": (200, {"Content-Type": _SSE, "X-Key": "{key}"}, _HALF),
}

SHORT = [name for name in FAULTS if name in ("status 401", "status 500") or "," in name or "status" not in name]


class Echo:
    """A server of chats, models and embeddings that answers with one fault and the key in it."""

    fault = "status 401"
    url = ""
    heard: set[str]  # keys that arrived


@contextlib.contextmanager
def echo_server() -> Iterator[Echo]:
    state = Echo()
    state.heard = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            key = self.headers.get("authorization", "").removeprefix("Bearer ")
            state.heard.add(key)
            status, headers, body = FAULTS[state.fault]
            sent = body.replace("{key}", key).replace("{{", "{").replace("}}", "}").encode()
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value.replace("{key}", key))
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield state
        finally:
            server.shutdown()


@dataclasses.dataclass
class Row:
    """One surface: what went through it and what was found on it."""

    surface: str
    faults: int = 0
    searched: int = 0  # characters
    found: set[str] = dataclasses.field(default_factory=set)  # settings whose canary got out, and with which fault

    def add(self, text: str, fault: str = "") -> None:
        self.faults += 1
        self.searched += len(text)
        self.found |= {f"{name} ({fault})" for name in canaries_in(text)}


def canaries_in(text: str) -> set[str]:
    """The settings whose canary stands in the text, whole, of user:password the password, or a good part of it."""
    return {name for name, key in CANARIES.items() if key.rpartition(":")[2][:16] in text}


def as_told(act: Callable[[], object]) -> str:
    """All that is said of what it returns or raises: words, repr, traceback with every cause."""
    try:
        said = act()
        return f"{said}\n{said!r}"
    except PipelineError as error:
        return f"{error}\n{error!r}\n{error.args}\n{''.join(traceback.format_exception(error))}"


def inside(folder: Path, faults: Sequence[str] = tuple(FAULTS), each: int = 1) -> list[Row]:
    """Answers, embeddings, checks, exports, logs and what is stored, in this process.

    each: every one of the faults goes through chats and embeddings, and each so many-th through the rest.
    """
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logging.setLogRecordFactory(logging.LogRecord)  # bare: what logs.py would mask counts as well
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    rows = [Row("answers"), Row("checks (doctor)"), Row("chats: kept and exported"), Row("embeddings"), Row("settings")]
    answers, checks, chats, embeddings, told = rows
    try:
        with echo_server() as server:
            settings = configured(folder, server.url)
            library, media = a_library(folder, settings)
            try:
                for number, fault in enumerate(faults):
                    server.fault = fault
                    if number % each == 0:
                        answers.add(as_told(lambda: "".join(library.ask(QUESTION, [media]))), fault)
                        checks.add("\n".join(map(repr, check_all(library))), fault)
                    talk = library.talk(media)
                    talk.ask(QUESTION)
                    talk.wait()
                    chats.add(repr(talk.exchanges) + exported(library, media), fault)
                    talk.clear()
            finally:
                library.close()
            for kind in ("mistral", "openai"):
                one = dataclasses.replace(settings, text_embedding=kind)
                for fault in faults:
                    server.fault = fault
                    model = text_embedding(one, lambda seconds: None)
                    embeddings.add(as_told(partial(model.get_query_embedding, QUESTION)), f"{kind}: {fault}")
            if not set(CANARIES.values()) & server.heard:
                raise RuntimeError("No key arrived at the servers, so nothing was tried.")
        told.add(f"{settings!r} {library!r}")
        key = CANARIES["VLLM_API_KEY"]
        for name in ("FRAMES_PER_SECOND", "SCREEN_TEXT", "TEXT_EMBEDDING", "CAPTIONS", "VLLM_BASE_URL", "MILVUS_URI"):
            told.add(as_told(lambda name=name: Settings.from_env({name: key}) and ""), f"a key as {name}")
        told.add(as_told(lambda: image_embedding_available(Settings(clip_model=key))), "a key as CLIP_MODEL")
        told.add(as_told(lambda: rerank.available(key)), "a key as RERANKER")
        told.add(as_told(lambda: speech.available(key)), "a key as WHISPER_MODEL")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    logged = Row("what is logged, before it is masked")
    logged.add(heard.getvalue())
    return [*rows, logged, stored(folder)]


def configured(folder: Path, url: str) -> Settings:
    """Every key is a canary."""
    keys = {name.lower(): key for name, key in CANARIES.items()}
    return Settings(
        data_dir=folder / "data",
        media_roots=(folder,),
        text_embedding="local",
        vllm_base_url=url,
        embedding_base_url=url,
        embedding_model="a-model",
        mistral_base_url=url,
        **keys,
    )


def a_library(folder: Path, settings: Settings) -> tuple[Pipeline, str]:
    """One that has read a transcript, and its id."""
    source = folder / "boats.srt"
    source.write_text(SUBTITLES)
    media = read(source, dataclasses.replace(settings, vllm_base_url=""), False, lambda progress: None)
    library = build(settings)
    library.index()
    return library, media.id


def exported(library: Pipeline, media: str) -> str:
    talk, titles = library.talk(media), {media: library.get(media).title}
    archive = to_markdown(talk.exchanges, titles, library.picture, talk.picture, "http://localhost:8501/")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        text = files.read("chat.md").decode()
    return text + to_json(talk.exchanges, titles)


def stored(folder: Path) -> Row:
    """Every byte below the folder."""
    row = Row("the data folder")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            row.add(f"{path}\n{path.read_bytes().decode('latin-1')}", path.name)
    return row


# -- other processes


def outside(folder: Path) -> list[Row]:
    """The command line, the worker and a served page: processes of their own, the keys in their environment."""
    rows = [Row("the command line"), Row("a worker: what it inherits, what it logs"), Row("a served page: its log")]
    with echo_server() as server:
        settings = configured(folder, server.url)
        library, media = a_library(folder, settings)
        library.close()
        environ = os.environ | environment(settings)
        for fault, arguments in (
            ("status 401", ["doctor"]),
            ("status 500", ["doctor", "--json"]),
            ("error event", ["ask", media[:8], QUESTION]),
            ("status 401, plain", ["ask", media[:8], QUESTION, "--json"]),
            ("redirect", ["list", "--json"]),
        ):
            server.fault = fault
            rows[0].add(said(["-m", "pipeline", *arguments], environ), " ".join(arguments))
        wrong = environ | {"TEXT_EMBEDDING": CANARIES["MISTRAL_API_KEY"]}
        rows[0].add(said(["-m", "pipeline", "list"], wrong), "a key in the wrong setting")
        inherits = (
            "from pathlib import Path; from pipeline.settings import Settings; from pipeline.worker import Worker; "
            "child = Worker(Path('x.mp4'), Settings.from_env())._started(); "
            "print(Path(f'/proc/{child.pid}/environ').read_text()); child.kill(); child.wait()"
        )
        rows[1].add(said(["-c", inherits], environ), "environ")
        broken = folder / "broken.mp4"
        broken.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 100)
        rows[1].add(said(["-m", "pipeline", "ingest", str(broken)], environ), "a file that is no video")
        rows[2].add(served(environ), "wrong and right passwords, a fault")
    return [*rows, stored(folder)]


def environment(settings: Settings) -> dict[str, str]:
    values = {one.name.upper(): getattr(settings, one.name) for one in dataclasses.fields(Settings)}
    roots = {"MEDIA_ROOTS": os.pathsep.join(map(str, settings.media_roots))}
    return {name: {True: "on", False: "off"}.get(value, str(value)) for name, value in values.items()} | roots


def said(arguments: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120
    )
    if not (done.stdout + done.stderr).strip():
        raise RuntimeError(f"{arguments} said nothing: nothing was tried")
    return done.stdout + done.stderr


def served(environ: dict[str, str]) -> str:
    """What a page says in its terminal, and to strangers, while passwords are tried."""
    import urllib.error
    import urllib.request

    from chat_server import free_port

    port = free_port()
    options = ["--server.headless=true", f"--server.port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    heard = []
    try:
        for line in process.stdout:
            heard.append(line)
            if "URL:" in line:
                break
        key = CANARIES["APP_PASSWORD"]
        visit = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        for typed in ("wrong", key + "x", key):
            try:
                answer = visit.open(f"http://127.0.0.1:{port}/?video=x", f"password={typed}".encode(), timeout=20)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                heard += [answer.url, str(answer.headers), answer.read().decode()]
        if answer.status != 200:
            raise RuntimeError("The password let nobody in, so nothing was tried.")
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=30)
    return "".join([*heard, rest])


def masked_log(folder: Path) -> Row:
    """A log line that holds a key shows none."""
    row = Row("a log line with a key in it")
    for key in CANARIES.values():
        row.add(logs.masked(f"Authorization: Bearer {key}", configured(folder, "http://x").secrets))
    return row


def table(rows: list[Row]) -> str:
    lines = [f"{'surface':<44} {'tries':>6} {'searched':>12} {'found':>6}"]
    lines += [f"{one.surface:<44} {one.faults:>6} {one.searched:>12,} {len(one.found):>6}" for one in rows]
    lines += [f"  {one.surface}: {', '.join(sorted(one.found))}" for one in rows if one.found]
    return "\n".join(lines)


if __name__ == "__main__":
    for name in CANARIES:
        os.environ[name] = ""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inside").mkdir()
        (Path(folder) / "outside").mkdir()
        results = [*inside(Path(folder) / "inside"), *outside(Path(folder) / "outside"), masked_log(Path(folder))]
    print(table(results))
    sys.exit(any(re.search(r"\S", "".join(one.found)) for one in results))
