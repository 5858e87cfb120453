"""Many people chat at once on the real page, with a simulated model, while a video is being read.

    python tests/faults/load.py [--people 20] [--minutes 10] [--think 20] [--video FILE]

Each person is a connection of its own that speaks the page's protocol, as a browser does: it gives the password, opens
the video, asks, reads the answer as it arrives, thinks, and asks again. Printed: errors, words of one person seen by
another, how long the app takes to the first word beside what the model takes, and whether memory, threads, file handles
and files level off. Exit code 1 where something is lost.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

PASSWORD = "twenty people at once"
TAG = re.compile(r"P\d\d-Q\d\d\d")
ASKED = (
    "What does the speaker say about {} here?",
    "When is {} shown?",
    "How does {} work?",
    "Why does {} matter?",
    "Where can {} be seen?",
)
TOPICS = ("the engine", "the colour", "a number", "the river", "an example", "the first step", "the leaf", "light")
FIRST_WORD, WORD, WORDS = 0.5, 0.1, 40  # s until the first word, s between two, words of an answer
DECIDING = 0.1  # s until the model says what kind of question it is
STILL = 5.0  # s after which a page on which an answer arrives and nothing changes is drawn anew: see player.js
ASKED_SHARE = 0.5  # s, that the app itself may take at the 95th percentile
WAIT = 120.0  # s after which an answer counts as lost


@dataclass
class Question:
    """What happened to one question: times of the monotonic clock, s."""

    tag: str
    sent: float
    decide: list[float] = field(default_factory=list)  # when the model was asked what kind it is, and had answered
    asked: float = 0.0  # when the model was asked for the answer
    begun: float = 0.0  # when it said its first word
    seen: float = 0.0  # when the first word was on the page
    whole: float = 0.0  # when the last one was

    @property
    def share(self) -> float:
        """s to the first word that are the app's own."""
        model = self.begun - self.asked + (self.decide[1] - self.decide[0] if self.decide else 0.0)
        return self.seen - self.sent - model


class Model:
    """An OpenAI-compatible endpoint that takes its time, and repeats who asked."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.url = ""

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int((re.search(rb"content-length: (\d+)", head, re.IGNORECASE) or [0, 0])[1])
                body = await reader.readexactly(length)
                if head.startswith(b"GET"):
                    models = {
                        "object": "list",
                        "data": [{"id": "simulated", "object": "model", "max_model_len": 16384}],
                    }
                    text = json.dumps(models).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
                    await writer.drain()
                else:
                    await self._answer(json.loads(body), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict, writer: asyncio.StreamWriter) -> None:
        now = time.monotonic()
        tags = TAG.findall(json.dumps(body["messages"][-1]))
        question = self.questions.get(tags[-1] if tags else "")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if body["max_tokens"] < 50:  # what kind of question it is
            await asyncio.sleep(DECIDING)
            self._say(writer, "one thing", "stop")
            if question:
                question.decide = [now, time.monotonic()]
        else:
            if question:
                question.asked = now
            await asyncio.sleep(FIRST_WORD)
            if question:
                question.begun = time.monotonic()
            for number in range(WORDS):
                self._say(
                    writer, f"heard-{question.tag if question else 'nobody'} " if number == 0 else f"word{number} "
                )
                await writer.drain()
                await asyncio.sleep(WORD)
            self._say(writer, "end-of-answer.", "stop")
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await writer.drain()

    def _say(self, writer: asyncio.StreamWriter, text: str, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        event = f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))


class Person:
    """One browser: its connection, what is on its page, and what it has asked."""

    def __init__(self, number: int, address: str, media_id: str, model: Model, seed: int) -> None:
        self.name = f"P{number:02d}"
        self.asked: list[Question] = []
        self.faults: list[str] = []
        self._address, self._media, self._model = address, media_id, model
        self._random = random.Random(seed * 1000 + number)
        self._box = ""  # the id of the question box
        self._repeats: dict[str, asyncio.Task] = {}  # by fragment: it is drawn again and again
        self._changed = 0.0  # when what is on the page last did
        self.stood_still = 0

    async def chat(self, until: float, think: float, once: bool = False) -> None:
        """Ask until then, or one question."""
        import httpx2
        import websockets

        async with httpx2.AsyncClient(base_url=self._address, timeout=60) as web:
            entered = await web.post("/", data={"password": PASSWORD})
            assert entered.status_code == 303, entered.status_code
            cookie = "; ".join(f"{one.name}={one.value}" for one in web.cookies.jar)
        self._socket = await websockets.connect(
            self._address.replace("http", "ws") + "/_stcore/stream",
            additional_headers={"Cookie": cookie},
            subprotocols=["streamlit"],
            max_size=None,
            ping_interval=None,
        )
        listening = asyncio.create_task(self._listen())
        listening.add_done_callback(self._hung_up)
        try:
            await self._rerun()
            while not self._box and time.monotonic() < until:
                await asyncio.sleep(0.2)
            await asyncio.sleep(0 if once else self._random.uniform(0, think))
            while time.monotonic() < until:
                await self._ask()
                if once:
                    return
                await asyncio.sleep(self._random.uniform(0.5, 1.5) * think)
        finally:
            listening.cancel()
            for task in self._repeats.values():
                task.cancel()
            await self._socket.close()

    def _hung_up(self, listening: asyncio.Task) -> None:
        if not listening.cancelled():
            self.faults.append(f"the connection ended: {listening.exception()!r}")

    async def _ask(self) -> None:
        tag = f"{self.name}-Q{len(self.asked):03d}"
        words = self._random.choice(ASKED).format(self._random.choice(TOPICS))
        question = self._model.questions[tag] = Question(tag, time.monotonic())
        self.asked.append(question)
        await self._rerun(asked=f"{words} ({tag})")
        while not question.whole:
            if time.monotonic() - question.sent > WAIT:
                self.faults.append(f"{tag} was not answered: {question}")
                return
            if time.monotonic() - max(question.sent, self._changed) > STILL:
                self._changed = time.monotonic()
                self.stood_still += 1
                await self._rerun()
            await asyncio.sleep(0.05)

    async def _rerun(self, asked: str = "", fragment: str = "") -> None:
        from streamlit.proto.BackMsg_pb2 import BackMsg

        message = BackMsg()
        message.rerun_script.query_string = f"video={self._media}"
        if fragment:
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
        if asked:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = self._box
            state.chat_input_value.data = asked
        await self._socket.send(message.SerializeToString())

    async def _repeat(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._rerun(fragment=fragment)

    async def _listen(self) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        async for data in self._socket:
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session" and not message.metadata.run.fragment_ids:
                for task in self._repeats.values():
                    task.cancel()
                self._repeats.clear()
            elif kind == "auto_rerun":
                known = self._repeats.get(message.auto_rerun.fragment_id)
                if not known or known.done():
                    self._repeats[message.auto_rerun.fragment_id] = asyncio.create_task(
                        self._repeat(message.auto_rerun.fragment_id, message.auto_rerun.interval)
                    )
            elif kind == "delta":
                self._changed = time.monotonic()
                self._look(message.delta)
            elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
                self.faults.append("the script could not be compiled")

    def _look(self, delta: object) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "chat_input":
            self._box = element.chat_input.id
        elif kind == "exception":
            self.faults.append(f"a traceback: {element.exception.type} {element.exception.message[:200]}")
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            self.faults.append(f"an error line: {element.alert.body[:300]}")
        text = str(element)
        for tag in set(TAG.findall(text)):
            if not tag.startswith(self.name):
                self.faults.append(f"saw what {tag[:3]} asked")
        if kind == "markdown" and self.asked:
            body, question = element.markdown.body, self.asked[-1]
            if f"heard-{question.tag}" in body:
                question.seen = question.seen or time.monotonic()
                if "end-of-answer" in body and "▍" not in body:
                    question.whole = question.whole or time.monotonic()


# -- what it takes


@dataclass(frozen=True)
class Sample:
    """What the server's process holds at one time."""

    memory: float  # MB, resident
    threads: int
    handles: int
    files: int  # in the data folder and in the folder for temporary files
    cpu: float  # s, so far


def sample(pid: int, folders: list[Path]) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(
        int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        int(re.search(r"Threads:\s+(\d+)", status)[1]),
        len(os.listdir(f"/proc/{pid}/fd")),
        sum(len(files) for folder in folders for _, _, files in os.walk(folder)),
        (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
    )


async def watch(pid: int, folders: list[Path], until: float, samples: list[Sample]) -> None:
    while time.monotonic() < until:
        samples.append(sample(pid, folders))
        await asyncio.sleep(5)


async def read_all_the_time(video: Path, environment: dict[str, str], until: float, counts: list[int]) -> None:
    """Read a video anew, again and again, in the same library."""
    while time.monotonic() < until:
        reading = await asyncio.create_subprocess_exec(
            # as the worker of a page is: who is answered goes first
            *("nice", "-n", "10", sys.executable, "-m", "pipeline", "ingest", "--again", str(video)),
            cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.wait_for(reading.wait(), max(0.1, until - time.monotonic()))
            counts.append(reading.returncode)
        except TimeoutError:
            reading.terminate()
            await reading.wait()


def told(name: str, values: list[float], form: Callable[[float], str] = "{:.2f} s".format) -> None:
    if not values:
        return
    cuts = statistics.quantiles(values, n=20) if len(values) > 1 else values * 19
    three = {"median": statistics.median(values), "95 %": cuts[18], "worst": max(values)}
    print(f"{name:<34}", "   ".join(f"{which} {form(value):>9}" for which, value in three.items()))


async def run(options: argparse.Namespace, folder: Path) -> int:
    from served import Server

    from pipeline import build
    from pipeline.settings import Settings

    model = Model()
    await model.start()
    data, scratch = folder / "data", folder / "tmp"
    scratch.mkdir()
    films = [Path(one) for one in options.video] or [made(folder, number) for number in range(2)]
    roots = os.pathsep.join(str(one.resolve().parent) for one in films)
    settings = Settings(data_dir=data, media_roots=tuple({one.resolve().parent for one in films}))
    library = build(settings)
    media = await asyncio.to_thread(library.ingest, films[0])
    library.close()
    told_to = {
        "DATA_DIR": str(data), "MEDIA_ROOTS": roots, "TMPDIR": str(scratch),
        "VLLM_BASE_URL": model.url, "VLLM_MODEL": "simulated",
    }  # fmt: skip
    server = Server(
        **{"data_dir": data, "APP_PASSWORD": PASSWORD} | {k: v for k, v in told_to.items() if k != "DATA_DIR"}
    )
    await asyncio.to_thread(server.start)
    pid = server._process.pid
    first = Person(99, server.address, media.id, model, options.seed)  # what it loads, it loads for all
    await first.chat(time.monotonic() + WAIT, 0, once=True)
    people = [Person(n, server.address, media.id, model, options.seed) for n in range(options.people)]
    until = time.monotonic() + 60 * options.minutes
    samples: list[Sample] = []
    readings: list[int] = []
    beginning, own = time.monotonic(), time.process_time()
    watching = asyncio.create_task(watch(pid, [data, scratch], until, samples))
    reading = asyncio.create_task(read_all_the_time(films[-1], os.environ | told_to, until, readings))
    try:
        ended = await asyncio.gather(*(one.chat(until, options.think) for one in people), return_exceptions=True)
        await asyncio.gather(watching, reading)
    finally:
        await asyncio.to_thread(server.stop)
    faults = [fault for one in [first, *people] for fault in dict.fromkeys(one.faults)]
    faults += [f"{one.name}: {error!r}" for one, error in zip(people, ended, strict=True) if error]
    faults += [f"a reading ended with {code}" for code in readings if code]
    faults += [f"{one.name} asked nothing" for one in people if not one.asked]
    answered = [question for one in people for question in one.asked if question.whole]
    minutes = (time.monotonic() - beginning) / 60
    print(
        f"{len(people)} people, {minutes:.1f} minutes, {sum(len(one.asked) for one in people)} questions, "
        f"{len(answered)} answered; {len(readings)} videos read meanwhile ({sum(map(bool, readings))} failed)"
    )
    cpu = samples[-1].cpu - samples[0].cpu
    theirs = time.process_time() - own
    print(f"CPU: the page {cpu / 60 / minutes:.0%} of a core, these people {theirs / 60 / minutes:.0%}")
    if first.asked and first.asked[0].seen:
        print(f"{'the first question after the start':<34} {first.asked[0].share:.2f} s to the first word")
    if answered:
        told("the app's share to the first word", [one.share for one in answered])
        print(f"{'  asked: at most':<34} {ASKED_SHARE:.2f} s at 95 %")
        told(
            "  until the model is asked", [(one.decide[0] if one.decide else one.asked) - one.sent for one in answered]
        )
        told("  finding, looking closer", [one.asked - one.decide[1] for one in answered if one.decide])
        told("  from its first word to the page", [one.seen - one.begun for one in answered])
    third = max(1, len(samples) // 3)
    for name in ("memory", "threads", "handles", "files"):
        then, now = (max(getattr(one, name) for one in part) for part in (samples[third:-third], samples[-third:]))
        print(f"{name:<34} most in the second third {then:.0f}, in the last {now:.0f}: {now / then:.2f}")
    print(f"{'pages that stood still, drawn anew':<34} {sum(one.stood_still for one in people)}")
    print(f"{'faults':<34} {len(faults)}")
    for fault in faults[:20]:
        print("  ", fault)
    return int(bool(faults) or len(answered) < sum(len(one.asked) for one in people))


def made(folder: Path, number: int) -> Path:
    from make_film import make_film

    film = make_film(folder / f"film{number}.mp4", seconds=60 + 60 * number)
    said = (f"Here {topic} is shown, and number {n} explains how {topic} works." for n, topic in enumerate(TOPICS))
    lines = (f"{n + 1}\n00:00:{7 * n:02d},000 --> 00:00:{7 * n + 6:02d},000\n{text}\n\n" for n, text in enumerate(said))
    film.with_suffix(".srt").write_text("".join(lines))
    return film


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--think", type=float, default=20, help="s between an answer and the next question, on average")
    parser.add_argument("--video", action="append", default=[], help="the first is asked about, the last is being read")
    parser.add_argument("--seed", type=int, default=1)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
