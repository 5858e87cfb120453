"""How fast the page is: until it can be used, to open a video, to be drawn again.

    python tests/speed/page.py [--data LIBRARY] [--runs 5]

Start: from the start of `streamlit run` until the page's first field can be used, in a real Chromium that has fetched
nothing yet, beside the same of a page of one line. Drawing: the CPU time that the script itself takes, in this process.
Runs alternate, and medians are told. LIBRARY is a data folder that has read something; it is copied.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from served import Server, chromium  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ONE_LINE = "__import__('streamlit').text_input('Path')\n"
ALLOWED = {"start": 1.3, "open": 1.5}  # times the page of one line; times the page's own redraw


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


if __name__ == "__main__":
    main()
