"""Kill -9 at every durable step, and at random moments, of everything that writes; then look at what is left.

    python tests/faults/kills.py [--random 200] [--points 40] [--seed 1] [--only read,remove] [--short]

Real processes on a real library: a film and a transcript that were read, a conversation, an upload, a Milvus Lite
file. Victims are forked from this process, which has everything imported and no threads; nothing in the library knows
of it: Python's audit hook sees each file that is opened for writing, renamed or deleted, and fsync and Milvus' calls
are wrapped. After each kill a fresh process opens the library and looks: whether all that was complete still is, and
equal; whether anything is there half or twice; whether the same operation, asked for once more, comes to the same end;
whether a vector that lay in the folder was paid for again; whether the collections hold exactly what the folders do.
"""

# ruff: noqa: E402 - the environment and the path come first
import argparse
import contextlib
import dataclasses
import faulthandler
import functools
import hashlib
import io
import json
import logging
import multiprocessing
import os
import random
import shutil
import signal
import ssl
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HF_HUB_OFFLINE"):
    os.environ.setdefault(_name, "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["XDG_CACHE_HOME"] = "/dev/null/cache"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from embedding_servers import serve_embeddings
from make_film import make_film

from pipeline import build, part_status, steps
from pipeline.chat import quotes
from pipeline.errors import PipelineError
from pipeline.media import folder as folders
from pipeline.media import uploads
from pipeline.media.video import identify
from pipeline.readings import Readings
from pipeline.search import embeddings, vectors
from pipeline.settings import Settings
from pipeline.talks import Talk
from pipeline.types import Evidence, Passage
from pipeline.waiting import Waiting

LIMIT = 45  # s after which a victim, or a look at what it left, is given up
CAPTIONS = """1
00:00:00,500 --> 00:00:03,000
Harbour cranes lift {0} containers from the ship.

2
00:00:04,000 --> 00:00:07,000
The crew of {0} sailors sleeps below the deck.

3
00:00:08,000 --> 00:00:11,000
Tomorrow the {0} tugs will pull it out to sea.
"""


# -- the library that is fought over


@dataclass(frozen=True)
class Stage:
    """Where a trial takes place."""

    settings: Settings
    film: Path
    talk: Path
    new_film: Path
    new_talk: Path
    upload: Path


def on(data_dir: Path, sources: Path, url: str) -> Stage:
    settings = Settings(
        data_dir=data_dir,
        media_roots=(sources,),
        screen_text=False,
        frames_per_second=1,
        text_embedding="openai",
        embedding_base_url=f"{url}/v1",
        embedding_api_key="key",
        embedding_model="bag-of-words",
    )
    names = ("film.mp4", "talk.srt", "new.mp4", "new.srt", "upload.mp4")
    return Stage(settings, *(sources / name for name in names))


def make_sources(folder: Path) -> None:
    colours = [(0.0, "One"), (2.0, "Two"), (4.0, "Three"), (6.0, "Four")]
    for number, name in enumerate(("film", "new")):
        words = [(0.5 + 2 * n, 2.2 + 2 * n, f"Slide {n} of {name} shows a lighthouse.") for n in range(4)]
        make_film(
            folder / f"{name}.mp4", seconds=8, fps=5, size=(160, 96), slides=colours, sound=False, subtitles=words
        )
        (folder / f"{'talk' if number == 0 else name}.srt").write_text(CAPTIONS.format(7 + number))
    shutil.copyfile(folder / "new.mp4", folder / "upload.mp4")


def make_base(stage: Stage) -> None:
    """What is there before each kill."""
    stage.settings.data_dir.mkdir()
    kept = uploads.store(stage.settings.data_dir, "film.mp4", io.BytesIO(stage.film.read_bytes()))
    for source in (kept, stage.talk):
        steps.read(source, stage.settings, False, lambda progress: None)
    talk = Talk(stage.settings.data_dir / identify(stage.film), answer)
    talk.ask("What is on the first slide?", picture=picture(stage))
    talk.wait()
    app = build(stage.settings)
    app.index()
    app.close()


def picture(stage: Stage) -> bytes:
    return next((stage.settings.data_dir / identify(stage.film) / "frames").iterdir()).read_bytes()


def answer(question, history, at, picture, found):
    return quotes.answer(Evidence(question), {})


# -- what is killed. Each is armed once what is killed begins.


def read_film(stage: Stage, arm: Callable[[], None]) -> None:
    arm()
    steps.read(stage.new_film, stage.settings, False, lambda progress: None)


def read_anew(stage: Stage, arm: Callable[[], None]) -> None:
    arm()
    steps.read(stage.film, stage.settings, True, lambda progress: None)


def read_talk(stage: Stage, arm: Callable[[], None]) -> None:
    arm()
    steps.read(stage.new_talk, stage.settings, False, lambda progress: None)


def remove(stage: Stage, arm: Callable[[], None]) -> None:
    arm()
    if (stage.settings.data_dir / identify(stage.film)).exists():
        folders.remove(stage.settings.data_dir, identify(stage.film))


def upload(stage: Stage, arm: Callable[[], None]) -> None:
    arm()
    uploads.store(stage.settings.data_dir, "upload.mp4", io.BytesIO(stage.upload.read_bytes()))


def ask(stage: Stage, arm: Callable[[], None]) -> None:
    jpeg = picture(stage)
    talk = Talk(stage.settings.data_dir / identify(stage.film), answer)
    arm()
    if len(talk.exchanges) < 2:
        talk.ask("And on the second?", picture=jpeg)
        talk.wait()


def queue(stage: Stage, arm: Callable[[], None]) -> None:
    """A page that reads: what it was asked for is the next page's, however it ends."""
    waiting = Readings(lambda reading: time.sleep(0.01), lambda reading: None, Waiting(stage.settings.data_dir))
    arm()
    waiting.take_up(lambda path, again: None)
    for path in (stage.new_film, stage.new_talk):
        waiting.add(path, False, None)
    while waiting._thread:
        time.sleep(0.005)
    waiting.close()


def export(stage: Stage, arm: Callable[[], None]) -> None:
    app = build(stage.settings)
    media = app.get(identify(stage.film))
    arm()
    for form, end in (("jpg", 1.0), ("mp4", 2.0)):
        app.moment_file(media, 1.0, end, form)


def index(stage: Stage, arm: Callable[[], None]) -> None:
    if not (stage.settings.data_dir / identify(stage.new_talk)).exists():
        steps.read(stage.new_talk, stage.settings, False, lambda progress: None)
    app = build(stage.settings)
    arm()
    app.index()
    app.close()


def remove_and_index(stage: Stage, arm: Callable[[], None]) -> None:
    app = build(stage.settings)
    app.index()
    arm()
    if any(one.id == identify(stage.film) for one in app.list()[0]):
        app.remove(identify(stage.film))
    app.index()
    app.close()


def reindex(stage: Stage, arm: Callable[[], None]) -> None:
    app = build(stage.settings)
    arm()
    app.reindex()
    app.close()


def ask_all(stage: Stage, arm: Callable[[], None]) -> None:
    app = build(stage.settings)
    app.index()
    arm()
    talk = app.talk(identify(stage.talk))
    if not talk.exchanges:
        talk.ask("Who sleeps below the deck?")
        talk.wait()
    app.close()


@dataclass(frozen=True)
class Operation:
    """Something that writes."""

    run: Callable[[Stage, Callable[[], None]], None]
    indexed: bool = False  # whether Milvus has a part in it
    milvus_dies: bool = False  # whether it is Milvus Lite's process that is killed, and the operation goes on

    @property
    def name(self) -> str:
        return self.run.__name__ + (" (Milvus killed)" if self.milvus_dies else "")


OPERATIONS = [
    *map(Operation, (read_film, read_anew, read_talk, remove, upload, ask, queue, export)),
    *(Operation(run, indexed=True) for run in (index, remove_and_index, reindex, ask_all)),
    *(Operation(run, indexed=True, milvus_dies=True) for run in (index, reindex)),
]


# -- killing


class Killer:
    """In the victim: counts the durable steps, and kills at the n-th, before or after it is done."""

    def __init__(self, data_dir: Path, at: int | None, milvus: bool) -> None:
        self.data_dir, self.at, self.milvus = str(data_dir), at, milvus
        self.armed, self.names = False, []
        sys.addaudithook(self._hear)
        os.fsync = self._around(os.fsync, "fsync")

    def wrap_milvus(self) -> None:
        from pymilvus import MilvusClient

        for name in ("insert", "upsert", "delete", "drop_collection", "create_collection"):
            setattr(MilvusClient, name, self._around(getattr(MilvusClient, name), f"milvus {name}"))

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.armed or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes:
                return
        if path.startswith(self.data_dir) or (not os.path.isabs(path) and event != "open"):
            self.step(f"{event} {self._kind(path)}")

    def _kind(self, path: str) -> str:
        """A name without what is another in each run."""
        return "".join(c for c in os.path.basename(path) if not c.isdigit())[-24:]

    def _around(self, real: Callable, name: str) -> Callable:
        @functools.wraps(real)
        def act(*arguments: object, **options: object) -> object:
            self.step(f"before {name}")
            done = real(*arguments, **options)
            self.step(f"after {name}")
            return done

        return act

    def step(self, name: str) -> None:
        if not self.armed:
            return
        self.names.append(name)
        if self.at is not None and len(self.names) > self.at:
            self.armed = False
            if self.milvus:
                kill_milvus()
            else:
                os.kill(os.getpid(), signal.SIGKILL)


def kill_milvus() -> None:
    from milvus_lite.server_manager import server_manager_instance

    for server in server_manager_instance._servers.values():
        if server._p:
            server._p.kill()


def forked(work: Callable[[Callable[[dict], None]], None], limit: float = LIMIT) -> tuple[int, list[dict]]:
    """Run in a process of its own: (its wait status, what it told). Killed with all it started after `limit` s."""
    get, put = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(get)
        faulthandler.enable()
        code = 1
        try:
            work(lambda value: os.write(put, json.dumps(value).encode() + b"\n"))
            code = 0
        except BaseException:
            os.write(put, json.dumps({"crash": traceback.format_exc()}).encode() + b"\n")
        finally:
            os._exit(code)
    os.close(put)
    with os.fdopen(get) as told:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGABRT))  # which says where it hangs
        signal.setitimer(signal.ITIMER_REAL, limit)
        lines = told.read().splitlines()
        _, status = os.waitpid(pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what a kill left running, such as an encoder; Milvus Lite ends by itself
    return status, [json.loads(line) for line in lines if line.endswith("}")]


def victim(operation: Operation, stage: Stage, at: int | None, say: Callable[[dict], None], after: float = 0) -> None:
    killer = Killer(stage.settings.data_dir, at, operation.milvus_dies)
    if operation.indexed:
        killer.wrap_milvus()
    began = 0.0

    def arm() -> None:
        nonlocal began
        began = time.monotonic()
        killer.armed = True
        if after:
            signal.signal(signal.SIGALRM, (lambda *_: kill_milvus()) if operation.milvus_dies else signal.SIG_DFL)
            if not operation.milvus_dies:  # a timer of this very process: no signal is as exact from outside
                signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, after)

    try:
        operation.run(stage, arm)
    except PipelineError as error:
        if not operation.milvus_dies:
            raise
        killer.armed = False
        app = build(stage.settings)
        app.index()  # in the same process: it is started again
        app.close()
        say({"said": str(error)})
    say({"steps": killer.names, "seconds": time.monotonic() - began})


# -- looking at what is left


def snapshot(data_dir: Path) -> dict[str, str]:
    """What is complete, by media id: a digest of all that was read."""
    found, problems = folders.list_media(data_dir)
    if problems:
        raise AssertionError(f"half: {problems}")
    return {one.id: digest(data_dir / one.id, one) for one in found}


def digest(folder: Path, media) -> str:
    content = hashlib.sha256(repr(replace(media, coverage=dict(sorted(media.coverage.items())))).encode())
    for frame in media.frames:
        content.update((folder / frame.image).read_bytes())
    for name in ("transcript.vtt", "transcript.txt"):
        content.update((folder / name).read_bytes())
    for file in sorted((folder / "vectors").glob("[!.]*.npz")):
        content.update(repr(sorted(vectors.load_vectors(folder, file.stem))).encode())
    return content.hexdigest()[:16]


def chats(data_dir: Path) -> dict[str, list[str]]:
    """Questions by folder, of exchanges that have ended."""
    return {
        str(file.parent.relative_to(data_dir)): [one.question for one in Talk(file.parent, answer).exchanges]
        for file in data_dir.rglob("chat.json")
    }


def left_over(data_dir: Path) -> list[str]:
    marks = (".unfinished-", ".trash-", ".old-")
    every = (path for path in data_dir.rglob("*") if path.name.startswith(marks))
    return [str(path.relative_to(data_dir)) for path in every if not path.parent.name.startswith(".queue-")]


def saved_vectors(data_dir: Path, name: str) -> set[str]:
    every = [path for path in data_dir.iterdir() if path.is_dir() and (path / "vectors").is_dir()]
    return {key for folder in every for key in vectors.load_vectors(folder, name)}


def rows_as_the_folders(app) -> list[str]:
    """What is wrong with the collections, after they were brought in step."""
    from pipeline.search.nodes import node_id
    from pipeline.search.stores import text_kind
    from pipeline.search.windows import units

    known = {media_id: app.get(media_id) for media_id in app.index()}
    stores, wrong = app._opened()._stores, []
    held = {kind: stores.rows(kind) for kind in stores._open}
    for kind, rows in held.items():
        if rows is None:
            wrong.append(f"doubled in {kind}")
            continue
        wanted = {
            media_id: {node_id(media_id, *unit) for unit in units(media.passages)}
            for media_id, media in known.items()
            if text_kind(media.language) == kind
        }
        for media_id in rows.keys() | wanted.keys():
            if set(rows.get(media_id, ())) != wanted.get(media_id, set()):
                wrong.append(f"lost or doubled: rows of {media_id[:8]} in {kind}")
    return wrong


def look(operation: Operation, stage: Stage, before: dict, after: dict, paid, say: Callable[[dict], None]) -> None:
    """In a fresh process: say what was lost, doubled, half, left over or paid again, and how long it took to mend."""
    data_dir, faults = stage.settings.data_dir, []
    saved = saved_vectors(data_dir, embedding_name(stage))
    paid("take")
    began = time.monotonic()
    app = build(stage.settings)
    there = snapshot(data_dir)
    for media_id in before["media"].keys() | there.keys():
        was, becomes, now = (one.get(media_id) for one in (before["media"], after["media"], there))
        if now is None and becomes is not None:
            faults.append(f"lost: {media_id[:8]}")
        elif now not in (was, becomes) and (was is not None or not is_unfinished(app.get(media_id))):
            faults.append(f"half: {media_id[:8]}")
    for folder, asked in before["chats"].items():
        if folder in after["chats"] and chats(data_dir).get(folder, [])[: len(asked)] != asked:
            faults.append(f"lost: chat of {folder[:8]}")
    faults += [f"left: {path}" for path in left_over(data_dir)]
    if operation.indexed:
        faults += rows_as_the_folders(app)
    app.close()
    operation.run(stage, lambda: None)  # once more: the same end
    if operation.indexed:
        app = build(stage.settings)
        faults += rows_as_the_folders(app)
        app.close()
    seconds = time.monotonic() - began
    again = {vectors.key_of(Passage(0, 0, text, "speech")) for text in paid("take")} & saved
    faults += [f"paid again: {len(again)}"] if again else []
    build(stage.settings).close()
    end = {"media": snapshot(data_dir), "chats": chats(data_dir), "files": files(data_dir)}
    faults += [f"another end: {part}" for part in end if end[part] != after[part]]
    if operation.run is queue:
        faults += [
            f"left: {path}" for path in data_dir.glob(".queue-*") if json.loads((path / "readings.json").read_bytes())
        ]
    say({"faults": faults, "seconds": seconds})


def is_unfinished(media) -> bool:
    """Whether the media itself says that there is more to come, or that it is not searched yet."""
    return (
        bool(part_status.parts(media))
        or "chapters" not in media.coverage
        or any(one.note == steps.UNSEARCHABLE for one in media.coverage.values())
    )


def embedding_name(stage: Stage) -> str:
    from pipeline.search.embeddings import text_embedding

    return text_embedding(stage.settings).name


def files(data_dir: Path) -> list[str]:
    """The names of all files, but for those of Milvus and of what is told by other means."""
    skipped = ("library.", ".library.", "speeds.json", "readings.json")
    every = (path for path in data_dir.rglob("[!.]*") if path.is_file() and not path.name.startswith(skipped))
    return sorted(str(path.relative_to(data_dir)) for path in every)


# -- trials


@dataclass
class Tally:
    """What came of the kills of one operation."""

    points: int = 0  # durable steps it has
    kills: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    other: int = 0  # half, left over, paid again, another end, a look that failed
    worst: float = 0.0  # s until all was as it should be
    faults: list[str] = field(default_factory=list)


class Ring:
    """The base library, and a fresh copy of it for each trial."""

    def __init__(self, folder: Path, url: str, paid) -> None:
        self.folder, self.url, self.paid = folder, url, paid
        (folder / "sources").mkdir()
        done, told = forked(lambda say: (make_sources(folder / "sources"), make_base(self.stage("base"))), 180)
        if done:
            raise SystemExit(told[-1]["crash"] if told else "the base could not be made")
        self.before = self.state(self.stage("base"))

    def stage(self, name: str) -> Stage:
        return on(
            self.folder / name / "data" if name != "base" else self.folder / "base", self.folder / "sources", self.url
        )

    def fresh(self) -> Stage:
        shutil.rmtree(self.folder / "trial", ignore_errors=True)
        stage = self.stage("trial")
        shutil.copytree(self.folder / "base", stage.settings.data_dir, ignore=shutil.ignore_patterns("*.lock"))
        for record in stage.settings.data_dir.glob("*/media.json"):  # the upload is where this library has it
            was = record.stat()
            record.write_text(record.read_text().replace(str(self.folder / "base"), str(stage.settings.data_dir)))
            os.utime(record, ns=(was.st_atime_ns, was.st_mtime_ns))
        return stage

    def state(self, stage: Stage) -> dict:
        data_dir = stage.settings.data_dir
        return told_by(
            lambda say: say({"media": snapshot(data_dir), "chats": chats(data_dir), "files": files(data_dir)})
        )

    def reference(self, operation: Operation) -> tuple[dict, dict]:
        """(what is there after an undisturbed run, its steps and seconds)."""
        quiet = replace(operation, milvus_dies=False)
        stage = self.fresh()
        self.before = self.state(stage)
        facts = told_by(lambda say: victim(quiet, stage, None, say))
        told_by(lambda say: (build(stage.settings).close(), say({})))
        return self.state(stage), facts

    def trial(self, operation: Operation, after: dict, tally: Tally, at: int | None, delay: float, what: str) -> None:
        stage = self.fresh()
        status, told = forked(lambda say: victim(operation, stage, at, say, delay))
        if os.WIFSIGNALED(status) or operation.milvus_dies:
            tally.kills += 1
        elif status:
            tally.faults.append(f"{what}: {told[-1]['crash'][-600:] if told else 'no word'}")
            tally.other += 1
            return
        else:
            return  # it was done before its time had come
        if operation.milvus_dies and status:
            tally.faults.append(f"{what}: {told[-1]['crash'][-600:] if told else 'no word'}")
            tally.other += 1
            return
        status, told = forked(lambda say: look(operation, stage, self.before, after, self.paid, say))
        found = (
            told[-1] if told and not status else {"faults": [told[-1]["crash"][-900:] if told else f"look: {status}"]}
        )
        tally.worst = max(tally.worst, found.get("seconds", LIMIT))
        faults = found["faults"]
        tally.survived += not faults
        tally.lost += any("lost" in one for one in faults)
        tally.doubled += any("doubled" in one for one in faults)
        tally.other += bool(faults) and not any("lost" in one or "doubled" in one for one in faults)
        tally.faults += [f"{what}: {one}" for one in faults]


def told_by(work: Callable[[Callable[[dict], None]], None]) -> dict:
    status, told = forked(work)
    if status:
        raise SystemExit(told[-1]["crash"] if told else f"a process ended with {status}")
    return told[-1]


def embedding_server(pipe) -> None:
    """In a process of its own: tells its address, and what it was asked since it told last."""
    with serve_embeddings() as server:
        pipe.send(server.url)
        while pipe.recv() == "take":
            asked, server.inputs = server.inputs, []
            pipe.send(asked)


def preload(indexed: bool) -> None:
    """Import here what victims need, so that none of them has to."""
    import av  # noqa: F401
    import llama_index.embeddings.openai
    import numpy  # noqa: F401
    import PIL.Image  # noqa: F401

    from pipeline.media import language

    ssl.create_default_context = functools.cache(ssl.create_default_context)  # 0.1 s each
    embeddings.text_embedding(on(Path("/nonexistent"), Path("/nonexistent"), "http://127.0.0.1:1").settings)
    with contextlib.suppress(PipelineError):  # there are no weights here; what it imports to find that out stays
        embeddings.image_embedding(Settings()).get_image_embedding_batch([str(ROOT / ".readme" / "page.png")])
    language.tell("The crew sleeps below the deck, and tomorrow the tugs will pull it out to sea.")
    if indexed:
        import llama_index.core.indices
        import llama_index.vector_stores.milvus  # noqa: F401
        import milvus_lite.server_manager  # noqa: F401
        import pymilvus  # noqa: F401
        import transformers  # noqa: F401


def run(options: argparse.Namespace) -> dict[str, Tally]:
    chance = random.Random(options.seed)
    chosen = [one for one in OPERATIONS if not options.only or one.name in options.only.split(",")]
    if options.short:
        chosen = [one for one in chosen if not one.indexed and one.run is not export]
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=embedding_server, args=(there,), daemon=True)
    server.start()
    url = here.recv()

    def paid(word: str) -> list[str]:
        here.send(word)
        return here.recv()

    preload(any(one.indexed for one in chosen) or not options.short)
    threads = len(os.listdir("/proc/self/task"))
    print(f"{threads} thread(s) before the first fork", flush=True)
    tallies = {}
    os.fsync = lambda handle: None  # a kill takes nothing from the system's own memory, and a sync waits for the disk
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        ring = Ring(Path(folder), url, paid)
        for operation in chosen:
            tally = tallies[operation.name] = Tally()
            after, facts = ring.reference(operation)
            tally.points = len(facts["steps"])
            points = sorted(chance.sample(range(tally.points), min(options.points, tally.points)))
            for at in points:
                ring.trial(operation, after, tally, at, 0, f"{operation.name} at {at} {facts['steps'][at]}")
            share = (
                options.random * (2 if not operation.indexed else 1) // sum(1 if one.indexed else 2 for one in chosen)
            )
            for _ in range(share + 1 if options.random else 0):
                delay = max(0.001, chance.random() * facts["seconds"])
                ring.trial(operation, after, tally, None, delay, f"{operation.name} after {delay:.3f} s")
            print(row(operation.name, tally), flush=True)
            for fault in tally.faults[:6]:
                print(f"    {fault}", flush=True)
    here.send("end")
    server.join(5)
    return tallies


HEAD = ("operation", "points", "kills", "survived", "lost", "doubled", "other", "worst s")


def row(name: str, tally: Tally) -> str:
    cells = (tally.points, tally.kills, tally.survived, tally.lost, tally.doubled, tally.other, f"{tally.worst:.1f}")
    return f"{name:<24}" + "".join(f"{cell:>10}" for cell in cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=230, help="kills at random moments; some come too late")
    parser.add_argument("--points", type=int, default=1000, help="durable steps to kill at, of each operation at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of operations, with commas between")
    parser.add_argument("--short", action="store_true", help="without Milvus and clips")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"{HEAD[0]:<24}" + "".join(f"{name:>10}" for name in HEAD[1:]), flush=True)
    tallies = run(options)
    total = Tally()
    for one in dataclasses.fields(Tally):
        if one.name not in ("faults", "worst"):
            setattr(total, one.name, sum(getattr(tally, one.name) for tally in tallies.values()))
    total.worst = max((tally.worst for tally in tallies.values()), default=0.0)
    print(row("all", total))
    bad = total.kills != total.survived or any(tally.faults for tally in tallies.values())
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
