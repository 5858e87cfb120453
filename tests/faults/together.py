"""A page, a worker and two commands on one library at the same time; then look whether it is whole.

    python tests/faults/together.py [--rounds 12] [--processes 4] [--seed 1]

Real processes, each of which reads, reads anew, removes, asks, searches, uploads and makes the index anew, at random.
What they may be told is that another reads the same source, that another holds the index (with its name), or that what
they ask for was removed. Everything else is a fault, and so is a process that has not ended in time.
"""

import argparse
import ast
import collections
import io
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import kills
from kills import Ring, Stage, build, forked, identify

from pipeline import steps
from pipeline.errors import BeingRead, LibraryBusy, MediaNotFound, PipelineError

LIMIT = 240  # s for all rounds of one process
EXPECTED = (BeingRead, LibraryBusy, MediaNotFound)


def turn(app, stage: Stage, chance: random.Random, what: str) -> None:
    """One thing that a person, or the queue, may do at any time."""
    if what == "read":
        steps.read(chance.choice([stage.new_film, stage.new_talk]), stage.settings, False, lambda progress: None)
    elif what == "read anew":
        source = chance.choice([stage.film, stage.talk])
        steps.read(source, stage.settings, True, lambda progress: None)
    elif what == "remove":
        app.remove(identify(chance.choice([stage.new_film, stage.new_talk])))
    elif what == "ask":
        talk = app.talk(identify(stage.talk))
        talk.ask("Who sleeps below the deck?")
        talk.wait()
        last = talk.exchanges[-1] if talk.exchanges else None
        if last and last.finish == "interrupted" and "open in" not in last.error and "No video" not in last.error:
            raise AssertionError(last.error)
    elif what == "search":
        app.find("Which slide shows the lighthouse?")
    elif what == "upload":
        app.upload("upload.mp4", io.BytesIO(stage.upload.read_bytes()))
    elif what == "reindex":
        _, problems = app.reindex()
        if problems:
            raise AssertionError(problems)
    elif what == "close":
        app.close()


def process(number: int, stage: Stage, rounds: int, seed: int, say: Callable[[dict], None]) -> None:
    chance = random.Random(seed * 100 + number)
    todo = ["read", "read", "read anew", "remove", "ask", "search", "search", "upload", "reindex", "close"]
    counts: collections.Counter = collections.Counter()
    slowest = (0.0, "")
    app = build(stage.settings)
    for _ in range(rounds):
        what = chance.choice(todo)
        began = time.monotonic()
        try:
            turn(app, stage, chance, what)
            counts[what] += 1
        except EXPECTED as told:
            counts[f"{what}: {type(told).__name__}"] += 1
            if isinstance(told, LibraryBusy) and "(process " not in str(told):
                raise
        except PipelineError as told:
            raise AssertionError(f"{what}: {type(told).__name__}: {told}") from told
        slowest = max(slowest, (time.monotonic() - began, what))
    app.close()
    say({"counts": counts, "slowest": slowest})


def end(stage: Stage, before: dict, say: Callable[[dict], None]) -> None:
    """In a fresh process: what is wrong with what they left."""
    app = build(stage.settings)
    there = kills.snapshot(stage.settings.data_dir)
    faults = [f"lost: {media_id}" for media_id in before if media_id not in there]
    faults += [f"unfinished: {one.id}" for one in app.everything()[0] if kills.is_unfinished(one)]
    faults += [f"left: {path}" for path in kills.left_over(stage.settings.data_dir)]
    faults += kills.rows_as_the_folders(app)
    app.close()
    say({"faults": faults})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="turns of each process")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=kills.embedding_server, args=(there,), daemon=True)
    server.start()
    url = here.recv()
    kills.preload(indexed=True)
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="together-") as folder:
        ring = Ring(Path(folder), url, None)
        stage = ring.fresh()
        children = []
        for number in range(options.processes):
            get, put = os.pipe()
            pid = os.fork()
            if pid == 0:  # forks once more, which gives it the limit
                status, told = forked(
                    lambda say, number=number: process(number, stage, options.rounds, options.seed, say), LIMIT
                )
                os.write(put, repr((status, told)).encode())
                os._exit(0)
            os.close(put)
            children.append((pid, get))
        for number, (pid, get) in enumerate(children):
            with os.fdopen(get) as told:
                status, said = ast.literal_eval(told.read())
            os.waitpid(pid, 0)
            if status:
                why = said[-1].get("crash", "")[-700:] if said else signal.Signals(status & 127).name
                faults.append(f"process {number}: {why}")
            else:
                print(f"process {number}: slowest {said[-1]['slowest'][0]:.1f} s ({said[-1]['slowest'][1]}); "
                      + ", ".join(f"{name} {count}" for name, count in sorted(said[-1]["counts"].items())))  # fmt: skip
        faults += kills.told_by(lambda say: end(stage, ring.before["media"], say))["faults"]
    here.send("end")
    server.join(5)
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{options.processes} processes, {options.rounds} rounds each: {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
