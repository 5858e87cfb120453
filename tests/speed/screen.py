"""What reading the screen costs, and how well it reads: pictures of known text, then a lecture that changes little.

    python tests/speed/screen.py [--sizes 640 800 960 1024] [--threads 1]

For each size that the detector sees, CPU seconds a picture and the words found of those that stand there; `plain` is
rapidocr as it comes. Then the lecture, read whole picture by whole picture and only where it changed.
"""

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline.media import screen  # noqa: E402
from pipeline.media.picture import LONG_SIDE, QUALITY  # noqa: E402
from pipeline.types import Frame  # noqa: E402

HD = (1920, 1080)
TEXT = (
    "Gradient descent walks downhill in small steps until the loss no longer falls. Each step follows the slope of the "
    "surface where the parameters stand, scaled by a learning rate between 0.001 and 0.1. Quarterly revenue grew 17.5 "
    "percent to $482 million, while the margin declined by 3 points. Plants turn carbon dioxide and water into sugar. "
    "The committee published its final report on 14 March 2024, signed by Dr. Evelyn Harper. A batch of 256 sequences "
    "with 2048 tokens needs roughly 38 gigabytes. pip install --upgrade numpy==1.26.4 exited with status 200"
)
WORDS = TEXT.split()
PAGES = ((20, "white", "#222"), (28, "#202028", "#eee"), (36, "white", "#123"), (16, "#101418", "#80d080"))


def page(chance: random.Random, points: int, ground: str, ink: str) -> tuple[Image.Image, list[str]]:
    """A picture full of lines of this height, and its words."""
    image, font, shown = Image.new("RGB", HD, ground), ImageFont.load_default(points), []
    for top in range(40, HD[1] - 2 * points, round(2.2 * points)):
        first = chance.randrange(len(WORDS) - 12)
        line = WORDS[first : first + chance.randint(3, 12)]
        ImageDraw.Draw(image).text((80, top), " ".join(line), ink, font)
        shown += line
    return image, shown


def lecture(chance: random.Random) -> list[Image.Image]:
    """Slides that are built line by line, while something moves in a corner."""
    shots = []
    for _ in range(2):
        slide = Image.new("RGB", HD, "white")
        for top in range(60, 760, 100):
            first = chance.randrange(len(WORDS) - 8)
            line = " ".join(WORDS[first : first + 8])
            ImageDraw.Draw(slide).text((80, top), line, "#222", ImageFont.load_default(40))
            shots.append(slide.copy())
            moving = Image.effect_noise((30, 20), chance.randint(40, 120)).resize((360, 240), Image.Resampling.BICUBIC)
            shots[-1].paste(moving, (1520, 800))
    return shots


def save(image: Image.Image, path: Path) -> Path:
    image.thumbnail((LONG_SIDE, LONG_SIDE))
    image.save(path, quality=QUALITY)
    return path


def words(text: str) -> Counter:
    return Counter(filter(None, (re.sub(r"\W", "", one).lower() for one in text.split())))


def timed(folder: Path, frames: list[Frame], threads: int) -> tuple[list[str], float]:
    """(the texts, CPU s a frame), without loading the models."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    texts = screen.read_screen(folder, [frames[-1], *frames])
    next(texts)
    begun = time.process_time()
    return list(texts), (time.process_time() - begun) / len(frames)


def plainly(folder: Path, frames: list[Frame]) -> tuple[list[str], float]:
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical"})
    engine(str(folder / frames[0].image))
    begun = time.process_time()
    texts = [" ".join(engine(str(folder / frame.image)).txts or ()) for frame in frames]
    return texts, (time.process_time() - begun) / len(frames)


def frames_of(paths: list[Path]) -> list[Frame]:
    return [Frame(float(number), number + 1.0, path.name) for number, path in enumerate(paths)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, 800, 960, 1024])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        made = [page(chance, *how) for how in PAGES]
        frames = frames_of([save(image, folder / f"page{n}.jpg") for n, (image, _) in enumerate(made)])
        known = words(" ".join(word for _, shown in made for word in shown))

        def row(name: str, texts: list[str], cost: float, against: float) -> None:
            found = (words(" ".join(texts)) & known).total() / known.total()
            print(f"{name:>8} {cost:10.2f} {against / cost:10.2f} {100 * found:10.1f} %", flush=True)

        print(f"{'detector':>8} {'CPU s':>10} {'times less':>10} {'words':>12}")
        texts, plain = plainly(folder, frames)
        row("plain", texts, plain, plain)
        usual, every = screen.SIDE, screen.ANEW
        screen.ANEW = 1
        for screen.SIDE in given.sizes:
            texts, cost = timed(folder, frames, given.threads)
            row(f"{screen.SIDE} px", texts, cost, plain)
        screen.SIDE = usual
        frames = frames_of([save(shot, folder / f"shot{n:02}.jpg") for n, shot in enumerate(lecture(chance))])
        whole, cost = timed(folder, frames, given.threads)
        screen.ANEW = every
        changed, less = timed(folder, frames, given.threads)
        same = (words(" ".join(whole)) & words(" ".join(changed))).total() / words(" ".join(whole)).total()
        print(
            f"\na lecture: whole {cost:.2f} CPU s a frame, only what changed {less:.2f}: {cost / less:.2f} times less"
        )
        print(f"{100 * same:.1f} % of the same words")


if __name__ == "__main__":
    main()
