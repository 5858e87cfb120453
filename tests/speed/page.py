"""How fast the page is: until it can be used, to open a video, to be drawn again.

    python tests/speed/page.py [--data LIBRARY] [--runs 5]

Start: from the start of `streamlit run` until the page's first field can be used, in a real Chromium that has fetched
nothing yet, beside the same of a page of one line. Drawing: the CPU time that the script itself takes, in this process.
Runs alternate, and medians are told. LIBRARY is a data folder that has read something; it is copied.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from served import Server, chromium  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # Streamlit's own code is compiled, and after the first start ours

ONE_LINE = "__import__('streamlit').text_input('Path')\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data folder that has read something")
    parser.add_argument("--runs", type=int, default=5, help="of each")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        if args.data:
            shutil.copytree(args.data, library)
        starts(Path(folder), library if args.data else None, args.runs)
        if args.data:
            drawings(library, args.runs)


# -- until it can be used


def starts(folder: Path, library: Path | None, runs: int) -> None:
    line = folder / "line.py"
    line.write_text(ONE_LINE)
    field, question = "[data-testid=stTextInput] input", "[data-testid=stChatInputTextArea]"
    kinds: dict[str, tuple[Server, str, str]] = {
        "a page of one line": (Server(folder / "none", line), "", field),
        "empty library": (Server(folder / "empty"), "", field),
    }
    if library:
        video = sorted(library.glob("*/media.json"), key=lambda one: len(one.read_bytes()))[-1].parent.name
        kinds["library"] = (Server(library), "", field)
        kinds["library, at a video"] = (Server(library), f"/?video={video}", question)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    with chromium() as browser:
        for _ in range(runs + 1):
            for name, (server, address, first) in kinds.items():
                taken[name].append(start(browser, server, address, first))
    wall, cpu = (
        {name: statistics.median(one[n] for one in times[1:]) for name, times in taken.items()} for n in (0, 1)
    )
    print(f"{'start until it can be used':30} {'wall s':>8} {'ratio':>6} {'server CPU s':>13} {'ratio':>6}")
    plain = next(iter(kinds))
    for name in kinds:
        ratios = wall[name] / wall[plain], cpu[name] / cpu[plain]
        print(f"{name:30} {wall[name]:8.2f} {ratios[0]:6.2f} {cpu[name]:13.2f} {ratios[1]:6.2f}")


def start(browser: "Browser", server: Server, address: str, first: str) -> tuple[float, float]:
    """(s from the start until the field can be used, CPU s that the server took until then)."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    begun = time.monotonic()
    server.start()
    try:
        page.goto(server.address + address)
        page.locator(f"{first}:enabled").first.wait_for()
        return time.monotonic() - begun, server.cpu_seconds()
    finally:
        server.stop()
        context.close()


# -- drawing


def drawings(library: Path, runs: int) -> None:
    """CPU time of the script, on the page alone: the browser, and what a page loads once it is drawn, are left out."""
    os.environ |= {"DATA_DIR": str(library), "MEDIA_ROOTS": "/"}
    from streamlit.testing.v1 import AppTest

    from pipeline.ui import screen
    from pipeline.workflow import Pipeline

    Pipeline.warm = lambda app, after: None
    taken: list[float] = []
    turn = screen.in_turn

    @contextlib.contextmanager
    def timed() -> Iterator[None]:
        begun = time.thread_time()
        with turn():
            yield
        taken.append(1000 * (time.thread_time() - begun))

    screen.in_turn = timed
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)

    def draw(video: str) -> float:
        page.query_params.clear()
        page.query_params.update({"video": video} if video else {})
        assert not page.run().exception
        return taken[-1]

    draw("")
    every = [one.parent.name for one in sorted(library.glob("*/media.json"))]
    first = [draw(video) for video in every]
    times: dict[str, list[float]] = {"the start page, again": [], "a video, again": [], "a video, opened": []}
    for _ in range(runs):
        times["the start page, again"].append((draw(""), draw(""))[1])
        for one, other in zip(every, [*every[1:], every[0]], strict=True):
            draw(one)
            times["a video, opened"].append(draw(other))
            times["a video, again"].append(draw(other))
    times |= {"a video, opened for the first time": first[1:], "the first video of all": first[:1]}
    again = statistics.median(times["a video, again"])
    print(f"\n{'drawing the page':36} {'CPU ms':>8} {'ratio':>6}")
    for name, all_of_it in times.items():
        middle = statistics.median(all_of_it)
        print(f"{name:36} {middle:8.1f} {middle / again:6.2f}")


if __name__ == "__main__":
    main()
