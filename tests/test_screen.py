"""Text on the screen: real rapidocr on pictures whose text is known."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import StorageError
from pipeline.media import screen
from pipeline.media.layout import Line, arrange
from pipeline.media.screen import available, read_screen, to_passages
from pipeline.types import Frame, Passage


def on_screen(folder: Path, frames: list[Frame]) -> list[Passage]:
    return to_passages(frames, list(read_screen(folder, frames)))


def picture(path, *lines: tuple[int, int, str], points: int = 28, size=(1024, 576)) -> str:
    """Draw (left, top, text) lines; return the name of the picture."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for left, top, text in lines:
        draw.text((left, top), text, fill="black", font=ImageFont.load_default(points))
    path.parent.mkdir(exist_ok=True)
    image.save(path, quality=85)
    return f"frames/{path.name}"


def test_slides_are_read_with_their_times(tmp_path):
    frames = tmp_path / "frames"
    slide = picture(
        frames / "a.jpg", (80, 60, "Photosynthesis"), (80, 200, "Plants make sugar"), (80, 300, "from sunlight")
    )
    blank = picture(frames / "b.jpg")
    letter = picture(frames / "c.jpg", (500, 300, "X"))
    found = on_screen(tmp_path, [Frame(0.0, 7.5, slide), Frame(7.5, 9.0, blank), Frame(9.0, 9.5, letter)])
    assert [(p.start, p.end, p.kind, p.text) for p in found] == [
        (0.0, 7.5, "screen", "Photosynthesis\nPlants make sugar\nfrom sunlight")
    ]


def test_frames_in_a_row_with_the_same_text_make_one_passage(tmp_path):
    frames = tmp_path / "frames"
    body = "Gradient descent walks downhill in small steps"
    names = [
        picture(frames / "a.jpg", (60, 60, body)),
        picture(frames / "b.jpg", (60, 64, body), (900, 520, "12:01")),
    ]
    (found,) = on_screen(tmp_path, [Frame(5.0 * n, 5.0 * n + 5, name) for n, name in enumerate(names)])
    assert (found.start, found.end) == (0, 10)
    assert body in found.text


def test_frames_with_other_words_or_numbers_are_passages_of_their_own():
    texts = [
        "Momentum remembers the way",
        "Question 1 of 9: what is a loss?",
        "Question 2 of 9: what is a loss?",
        "Question 2 of 9: what is a loss?",
    ]
    frames = [Frame(5.0 * n, 5.0 * n + 5, f"frames/{n}.jpg") for n in range(len(texts))]
    assert [(p.start, p.end) for p in to_passages(frames, texts)] == [(0, 5), (5, 10), (10, 20)]


@pytest.fixture
def work(monkeypatch):
    """What the models are asked: the pixels that the detector sees and the lines that are read, a picture each."""
    engine, asked = screen._load(), []

    class Counted:
        def __call__(self, picture, **how):
            asked.append([picture.shape[0] * picture.shape[1], 0])
            return engine(picture, **how)

        def crop_text_regions(self, picture, boxes):
            asked[-1][1] = len(boxes)
            return engine.crop_text_regions(picture, boxes)

        recognize_txt = staticmethod(engine.recognize_txt)

    monkeypatch.setattr(screen, "_load", lambda: Counted())
    return asked


def screens(folder: Path, *shown: list[tuple[int, int, str]]) -> list[Frame]:
    """A frame for each list of lines that it shows."""
    names = [picture(folder / "frames" / f"{n}.jpg", *lines, size=(512, 288)) for n, lines in enumerate(shown)]
    return [Frame(5.0 * n, 5.0 * n + 5, name) for n, name in enumerate(names)]


def test_only_what_changed_is_read_again(tmp_path, work):
    title, second = (40, 30, "Momentum"), (40, 220, "It remembers")
    first, other = (40, 100, "Question 1 of 9"), (40, 100, "Question 2 of 9")
    frames = screens(tmp_path, [title, first], [title, other], [title, other], [title, other, second], [second])
    assert list(read_screen(tmp_path, frames)) == [
        "Momentum\nQuestion 1 of 9",
        "Momentum\nQuestion 2 of 9",
        "Momentum\nQuestion 2 of 9",
        "Momentum\nQuestion 2 of 9\nIt remembers",
        "It remembers",
    ]
    assert [lines for _, lines in work] == [2, 1, 1, 0]  # nothing was asked of the third
    assert work[1][0] < work[0][0] / 2
    assert work[2][0] < work[0][0] / 2


def test_a_line_that_grows_is_read_whole(tmp_path, work):
    frames = screens(tmp_path, [(40, 60, "import numpy")], [(40, 60, "import numpy as np")])
    assert list(read_screen(tmp_path, frames)) == ["import numpy", "import numpy as np"]


def test_a_reading_that_is_gone_on_with_reads_the_same(tmp_path, work, monkeypatch):
    monkeypatch.setattr(screen, "ANEW", 3)
    shown = [[(40, 40, "Gradients")], [(40, 40, "Gradients"), (40, 150, "point uphill")], [(40, 150, "point uphill")]]
    frames = screens(tmp_path, *shown, *shown)
    whole = list(read_screen(tmp_path, frames))
    for done in (1, 5, 6):
        assert list(read_screen(tmp_path, frames, done)) == whole[done:]


def test_no_frames_no_passages(tmp_path):
    assert on_screen(tmp_path, []) == []


def test_a_picture_that_is_gone_says_what_to_do(tmp_path):
    with pytest.raises(StorageError, match="Read the video again"):
        on_screen(tmp_path, [Frame(0.0, 1.0, "frames/gone.jpg")])


def test_the_models_are_in_the_package():
    assert available() == (True, "rapidocr")


def test_reading_tells_nobody(tmp_path):
    """onnxruntime keeps a device id and a queue of events in the cache folder when it sends usage data."""
    picture(tmp_path / "frames" / "a.jpg", (80, 60, "Private"))
    code = """if True:
        from pathlib import Path
        from pipeline.media.screen import read_screen
        from pipeline.types import Frame
        assert list(read_screen(Path("."), [Frame(0.0, 1.0, "frames/a.jpg")])) == ["Private"]
    """
    root = str(Path(__file__).resolve().parents[1])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ORT_") and k != "CI"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path / "home"), "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def line(left: float, top: float, text: str, opens: bool = False) -> Line:
    return Line(left, top, left + 10 * len(text), top + 20, text, opens)


def test_columns_are_read_one_after_the_other():
    left = [line(50, 100, "Attention looks at"), line(50, 124, "every other word.")]
    right = [line(500, 104, "Recurrence looks at"), line(500, 128, "one after another.")]
    title = line(200, 20, "Two ways to read")
    mixed = [right[0], left[1], title, right[1], left[0]]
    assert arrange(mixed) == (
        "Two ways to read\nAttention looks at every other word.\nRecurrence looks at one after another."
    )


def test_each_bullet_is_a_line_of_its_own():
    assert arrange([line(50, 100, "first", True), line(50, 124, "second", True), line(50, 148, "goes on")]) == (
        "first\nsecond goes on"
    )


def test_real_slides(shared):
    images = shared / "media" / "images"
    (found,) = on_screen(images, [Frame(0.0, 1.0, "easyocr_english.png")])
    assert len(found.text.split()) > 10
