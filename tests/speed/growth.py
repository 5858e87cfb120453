"""What a library of 1, 10, 100, 1,000 hours costs: inserting, opening, finding, listing, memory and disk.

    python tests/speed/growth.py FOLDER [--hours 1,10,100] [--questions 20]

In: nothing but the transcripts in ../shared. Out: one table, a line for each size; FOLDER keeps the library, and goes
on growing at the next call. An hour is made as a reading leaves it: some 700 sentences with their pairs and windows
(halves of real sentences put together, so that no two are alike and words are as frequent as they are), 384-d vectors
around the real ones of those halves, 720 frames with 512-d vectors in scenes, the vectors of its words. Each size is
measured in processes of its own. "floor" is the bare embedding of the question and the bare Milvus searches that the
library made for it, sent again through pymilvus alone.
"""

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

HOUR = 3600.0  # s
FRAME = 5.0  # s
SENTENCES = 1200  # of which hours are made: any half beside any other of its neighbourhood
SCENE = 12  # frames that look alike
SHARED = ROOT.parent / "shared" / "qa" / "tutorialvqa"


class Words:
    """Real sentences, their vectors and those of their words: what hours are made of."""

    def __init__(self) -> None:
        import numpy as np

        from pipeline.search.embeddings import text_embedding
        from pipeline.settings import Settings

        videos = json.loads((SHARED / "sentence_times.json").read_text())
        said = [one for video in videos for one in video["sentences"] if one["text"].strip()][:SENTENCES]
        self.sentences = [one["text"].strip() for one in said]
        self.seconds = [max(one["end"] - one["start"], 1.0) for one in said]
        embedding = text_embedding(Settings())
        cached = Path(tempfile.gettempdir()) / "growth-sentences.npz"
        if not cached.exists():
            vectors, words = [], []
            for one in self.sentences:  # one after the other: its tokens are read once for both
                vectors.append(embedding.get_text_embedding(one))
                words += [np.rint(127 * each).astype(np.int8) for each in embedding.word_vectors([one])]
            vectors = np.array(vectors, dtype=np.float32)
            np.savez(cached, vectors=vectors, words=np.concatenate(words), ends=np.cumsum([len(one) for one in words]))
        with np.load(cached) as file:
            self.vectors = file["vectors"]
            self.words = np.split(file["words"], file["ends"][:-1])


def make_hour(data_dir: Path, number: int, words: Words) -> None:
    """One media of an hour in a data folder, unless it is there."""
    import numpy as np

    from pipeline.media import folder as folders
    from pipeline.search.vectors import key_of, vectors_path, words_path
    from pipeline.search.windows import units
    from pipeline.types import Chapter, Coverage, Frame, Media, Passage

    media_id = hashlib.sha256(f"hour {number}".encode()).hexdigest()[:32]
    folder = data_dir / media_id
    if (folder / "media.json").exists():
        return
    dice, noise = random.Random(number), np.random.default_rng(number)

    def near(vectors: Any) -> Any:
        mixed = np.sum(vectors, axis=0) / np.linalg.norm(np.sum(vectors, axis=0))
        mixed = mixed + 0.3 / np.sqrt(len(mixed)) * noise.standard_normal(len(mixed))
        return (mixed / np.linalg.norm(mixed)).astype(np.float32)

    passages, known, spoken, at, topic = [], {}, {}, 0.0, 0
    while at < HOUR:
        # As a talk stays with its subject, so do both halves for a while.
        topic = topic if passages and dice.random() < 0.95 else dice.randrange(len(words.sentences))
        one, other = (min(topic + dice.randrange(20), len(words.sentences) - 1) for _ in range(2))
        left, right = words.sentences[one].split(), words.sentences[other].split()
        text = " ".join([*left[: (len(left) + 1) // 2], *right[len(right) // 2 :]])
        seconds = (words.seconds[one] + words.seconds[other]) / 2
        passages.append(Passage(round(at, 3), round(min(at + seconds, HOUR), 3), text, "speech"))
        known[text] = near([words.vectors[one], words.vectors[other]])
        spoken[text] = np.concatenate([words.words[one][::2], words.words[other][1::2]])
        at += seconds
    frames = [
        Frame(n * FRAME, (n + 1) * FRAME, f"frames/{int(n * FRAME):06}.000.jpg") for n in range(int(HOUR / FRAME))
    ]
    chapters = tuple(Chapter(n * 600.0, n * 600.0 + 600, f"Part {n + 1}") for n in range(6))
    coverage = {part: Coverage("read", "growth") for part in ("frames", "speech", "text", "pictures", "chapters")}
    media = Media(
        media_id, f"Hour {number}", f"/hour{number}.mp4", "second", HOUR, "en",
        tuple(frames), tuple(passages), chapters, coverage,
    )  # fmt: skip
    (folder / "vectors").mkdir(parents=True, exist_ok=True)
    found = {}
    for unit, _ in units(passages):
        inside = [known[one.text] for one in passages if unit.start <= one.start and one.end <= unit.end]
        found[key_of(unit)] = known.get(unit.text) if unit.text in known else near(inside)
    np.savez(
        vectors_path(folder, "local-all-minilm-l6-v2"), keys=np.array(list(found)), vectors=np.stack([*found.values()])
    )
    held = {key_of(one): spoken[one.text] for one in passages}
    ends = np.cumsum([len(one) for one in held.values()])
    np.savez(
        words_path(folder, "local-all-minilm-l6-v2"),
        keys=np.array(list(held)), ends=ends, vectors=np.concatenate([*held.values()]),
    )  # fmt: skip
    scenes = 0.6 * np.random.default_rng(7).standard_normal(512) + noise.standard_normal(
        (len(frames) // SCENE + 1, 512)
    )
    pictures = scenes.repeat(SCENE, 0)[: len(frames)] + 0.4 * noise.standard_normal((len(frames), 512))
    pictures = (pictures / np.linalg.norm(pictures, axis=1, keepdims=True)).astype(np.float32)
    np.savez(
        vectors_path(folder, clip_name(data_dir)), keys=np.array([key_of(one) for one in frames]), vectors=pictures
    )
    folders.save(media, folder)


def clip_name(data_dir: Path) -> str:
    from pipeline.search.embeddings import image_embedding

    return image_embedding(settings(data_dir)).name


def settings(data_dir: Path) -> Any:
    from pipeline.settings import Settings

    return Settings(data_dir=data_dir, clip_model=str(data_dir.parent / "clip"))


def make(data_dir: Path, hours: int) -> None:
    """A library of so many hours, and a CLIP of the real shape with random weights to ask its pictures."""
    from tiny_clip import make_clip

    if not (data_dir.parent / "clip").exists():
        make_clip(data_dir.parent / "clip")
    data_dir.mkdir(parents=True, exist_ok=True)
    words = Words()
    for number in range(hours):
        make_hour(data_dir, number, words)


# -- measuring, each in a process of its own


@functools.cache
def milvus() -> int:
    """The process of Milvus Lite, which is a child of this one."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{name}/stat").read_text()
            if int(stat.rsplit(")", 1)[1].split()[1]) == os.getpid() and "(milvus" in stat:
                return int(name)
    return 0


def cpu() -> float:
    """s that this process and Milvus Lite have worked."""
    seconds = time.process_time()
    if process := milvus():
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    else:
        milvus.cache_clear()
    return seconds


def memory(process: int) -> int:
    """MB resident."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


@contextlib.contextmanager
def taking(into: dict[str, float], name: str, times: int = 1, scale: float = 1.0) -> Iterator[None]:
    wall, work = time.perf_counter(), cpu()
    yield
    into[f"{name} wall"] = scale * (time.perf_counter() - wall) / times
    into[f"{name} cpu"] = scale * (cpu() - work) / times


def inserted(data_dir: Path) -> dict[str, float]:
    """Bring the new hours into the index."""
    from pipeline import build

    library, took = build(settings(data_dir)), {}
    library.index_facts()
    before = rows(library.index_facts())
    with taking(took, "insert"):
        library.index()
    took["rows"] = rows(library.index_facts())
    took["inserted"] = took["rows"] - before
    took["insert MB"] = memory(milvus())
    library.close()
    took["file MB"] = (data_dir / "library.db").stat().st_size // 2**20
    return took


def rows(facts: str) -> int:
    return sum(int(count) for count in re.findall(r"(\d+) (?:texts|pictures)", facts))


def asked(data_dir: Path, count: int) -> dict[str, float]:
    """Open the library, ask it and each one video of it, and do the same searches bare."""
    from pymilvus import MilvusClient

    from pipeline import build
    from pipeline.search.embeddings import image_embedding, text_embedding

    took: dict[str, float] = {}
    configured = settings(data_dir)
    text, image = text_embedding(configured), image_embedding(configured)
    text.get_query_embedding("warm"), image.get_query_embedding("warm")
    questions = [one["question"].strip() for one in json.loads((SHARED / "dev.json").read_text())]
    questions = random.Random(0).sample(questions, count)
    sent, search = [[]], MilvusClient.search

    def noted(client: Any, *arguments: Any, **options: Any) -> Any:
        sent[-1].append((client, arguments, options))
        return search(client, *arguments, **options)

    MilvusClient.search = noted  # before the library takes it
    with taking(took, "open"):
        library = build(configured)
        library.index()
    with taking(took, "again", 5, 1000):
        for _ in range(5):
            library.index()
    with taking(took, "list", 5, 1000):
        for _ in range(5):
            media = library.list()[0]
    with taking(took, "first find", 1, 1000):
        library.find("How is the pilot light lit?")
    for name, scope in (("all", lambda n: None), ("one", lambda n: [media[n % len(media)].id])):
        for n, question in enumerate(questions[:3]):
            library.find(question, scope(n))
        sent.clear()
        for n, question in enumerate(questions):  # what is searched is taken down before anything is timed
            sent.append([])
            library.find(question, scope(n))
        searched = [list(one) for one in sent]
        finds: list[dict] = [{} for _ in range(3)]
        floors: list[dict] = [{} for _ in range(3)]
        for find, floor in zip(finds, floors, strict=True):
            with taking(find, name, count, 1000):
                for n, question in enumerate(questions):
                    library.find(question, scope(n))
            with taking(floor, name, count, 1000):
                for question, searches in zip(questions, searched, strict=True):
                    text.get_query_embedding(question)
                    image.get_query_embedding(question)
                    for client, arguments, options in searches:
                        search(client, *arguments, **options)
        for measure in ("wall", "cpu"):
            took[f"find {name} {measure}"] = sorted(one[f"{name} {measure}"] for one in finds)[1]
            took[f"floor {name} {measure}"] = sorted(one[f"{name} {measure}"] for one in floors)[1]
        took[f"searches {name}"] = sum(map(len, searched)) / len(searched)
    took["MB"], took["milvus MB"] = memory(os.getpid()), memory(milvus())
    library.close()
    return took


def apart(step: Callable, *arguments: object) -> dict[str, float]:
    """Run one of the functions above in a process of its own."""
    line = [sys.executable, __file__, "--step", step.__name__, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


COLUMNS = {
    "rows": ("rows", "{:.0f}"),
    "rows/s": ("rate", "{:.0f}"),
    "file MB": ("file MB", "{:.0f}"),
    "open s": ("open wall", "{:.1f}"),
    "its CPU": ("open cpu", "{:.1f}"),
    "app MB": ("MB", "{:.0f}"),
    "Milvus MB": ("milvus MB", "{:.0f}"),
    "sync ms": ("again cpu", "{:.1f}"),
    "list ms": ("list cpu", "{:.1f}"),
    "find all ms": ("find all wall", "{:.0f}"),
    "CPU": ("find all cpu", "{:.0f}"),
    "x floor": ("all wall", "{:.2f}"),
    "x its CPU": ("all cpu", "{:.2f}"),
    "find one ms": ("find one wall", "{:.0f}"),
    "one CPU": ("find one cpu", "{:.0f}"),
    "one x floor": ("one wall", "{:.2f}"),
    "one x its CPU": ("one cpu", "{:.2f}"),
}


def main() -> None:
    """Make and measure each size in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the library is made, 7 MB an hour and as much for Milvus")
    parser.add_argument("--hours", default="1,10,100", help="sizes, rising")
    parser.add_argument("--questions", type=int, default=20, help="asked at each size")
    parser.add_argument("--json", action="store_true", help="all figures")
    options = parser.parse_args()
    data_dir = options.folder.resolve() / "data"
    print(" | ".join(["hours", *COLUMNS]), flush=True)
    for hours in map(int, options.hours.split(",")):
        make(data_dir, hours)
        took = apart(inserted, data_dir) | apart(asked, data_dir, options.questions)
        took["rate"] = took["inserted"] / max(took["insert wall"], 0.001)
        for name in ("all wall", "all cpu", "one wall", "one cpu"):
            took[name] = took[f"find {name}"] / took[f"floor {name}"]
        print(" | ".join([str(hours), *(form.format(took[key]) for key, form in COLUMNS.values())]), flush=True)
        if options.json:
            print(json.dumps({key: round(value, 2) for key, value in took.items()}), flush=True)


def step(name: str, data_dir: str, *numbers: str) -> None:
    print(json.dumps({"inserted": inserted, "asked": asked}[name](Path(data_dir), *map(int, numbers))))


if __name__ == "__main__":
    step(*sys.argv[2:]) if sys.argv[1:2] == ["--step"] else main()
