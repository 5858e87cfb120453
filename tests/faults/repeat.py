"""Read one file many times, each time into a library of its own, on busy cores; then compare what was kept.

    python tests/faults/repeat.py FILE 12 [--busy 2] [--together 2]

Each reading is the command that a person gives, `python -m pipeline ingest`, with the settings of the environment and
a new DATA_DIR. Compared are the times and the bytes of the pictures, the times and words of the passages, the chapters,
the state of each part, and how the command ended. Those that are equal to most others count as equal; of the others it
is said what differs. Exit code 1 when not all are equal, or one of them was an error.
"""

# ruff: noqa: E402 - the path comes first
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from pipeline.media import folder as folders

GOOD = ("exit code 0",)
# As nice as the process that reads, which would else get a tenth of a core.
SPIN = "import os; os.nice(10); parent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


@dataclass(frozen=True)
class Kept:
    """What is there after a reading: lines that compare. Times as they are stored, in s."""

    ended: tuple[str, ...]  # how the command ended: GOOD, or its exit code and its error
    frames: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    chapters: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("times", type=int, metavar="N", help="readings")
    parser.add_argument("--busy", type=int, default=2, metavar="K", help="processes that only take time (default 2)")
    parser.add_argument("--together", type=int, default=1, metavar="M", help="readings at a time (default 1)")
    options = parser.parse_args()
    if options.times < 2:
        parser.error("give 2 readings or more: one has nothing to be compared with")
    path = options.file.expanduser().absolute()
    with (
        tempfile.TemporaryDirectory(prefix="repeat-") as folder,
        busy(options.busy),
        ThreadPoolExecutor(options.together) as pool,
    ):
        data_dirs = [Path(folder) / str(number) for number in range(1, options.times + 1)]
        print(f"{'reading':>7} {'s':>6} {'end':>5} {'frames':>6} {'passages':>8}  parts", flush=True)
        found = []
        for data_dir, (seconds, kept) in zip(data_dirs, pool.map(lambda one: read(path, one), data_dirs), strict=True):
            found.append(kept)
            counts = f"{len(kept.frames):>6} {len(kept.passages):>8}"
            states = ", ".join(" ".join(part.split()[:2]) for part in kept.parts)
            end = "ok" if kept.ended == GOOD else "error"
            print(f"{data_dir.name:>7} {seconds:6.1f} {end:>5} {counts}  {states}", flush=True)
    ((usual, many),) = Counter(found).most_common(1)
    print(f"\n{many} of {len(found)} equal, beside {options.busy} busy processes, {options.together} at a time")
    for number, kept in enumerate(found, 1):
        for line in differences(kept, usual):
            print(f"{number:>7} {line}")
    failed = {kept.ended for kept in found} - {GOOD}
    for (error,) in sorted(failed):
        print(f"error: {error}")
    return int(many < len(found) or bool(failed))


@contextmanager
def busy(many: int) -> Iterator[None]:
    """So many processes that take all the time they get; they end with the block, or with this process."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(many)]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()


def read(path: Path, data_dir: Path) -> tuple[float, Kept]:
    """(s that it took, what was kept). The output of a command that says nothing useful is its error."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "ingest", "--json", str(path)],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    error = rows[0]["error"] if rows else (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return seconds, kept_of(data_dir, (f"exit code {done.returncode}" + f": {error}" * bool(error),))


def kept_of(data_dir: Path, ended: tuple[str, ...]) -> Kept:
    media = folders.list_media(data_dir)[0] if data_dir.is_dir() else []
    if not media:
        return Kept(ended)
    (one,) = media
    return Kept(
        ended,
        tuple(f"{f.start!r} to {f.end!r} {digest(data_dir / one.id / f.image)}" for f in one.frames),
        tuple(f"{p.start!r} to {p.end!r} {p.kind} {p.text!r}" for p in one.passages),
        tuple(f"{c.start!r} to {c.end!r} {c.title!r}" for c in one.chapters),
        tuple(f"{part} {c.state} by {c.by!r}: {c.note!r}, until {c.until}" for part, c in one.coverage.items()),
    )


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]


def differences(kept: Kept, usual: Kept) -> list[str]:
    """What differs, a line for each kind: how many lines of it, and the first of them; [] where all is equal."""
    lines = []
    for field in fields(Kept):
        here, there = getattr(kept, field.name), getattr(usual, field.name)
        if here == there:
            continue
        more, less = [one for one in here if one not in there], [one for one in there if one not in here]
        first = f"{(more or ['nothing'])[0]} instead of {(less or ['nothing'])[0]}" if more or less else "their order"
        lines.append(f"{field.name}: {len(here)} instead of {len(there)}, {max(len(more), len(less))} differ; {first}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
