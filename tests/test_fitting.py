"""Of the pictures of a stretch those are chosen that fit the question, repeat nothing, and fit in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_clip import make_clip

from pipeline.errors import ModelError
from pipeline.search import fitting, vectors
from pipeline.search.embeddings import image_embedding
from pipeline.settings import Settings
from pipeline.types import Frame, Media

QUESTION = "Does he pick it up?"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Settings:
    return Settings(clip_model=str(make_clip(tmp_path_factory.mktemp("models") / "clip")))


@pytest.fixture
def frames(tmp_path) -> list[Frame]:
    """Sixteen pictures of noise, one every half second, in tmp_path."""
    (tmp_path / "closer").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (16, 9, 16, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).resize((160, 90)).save(tmp_path / "closer" / f"{number}.jpg")
    return [Frame(10 + n / 2, 10.5 + n / 2, f"closer/{n}.jpg") for n in range(16)]


def paint(folder: Path, frame: Frame, colour: str) -> None:
    Image.new("RGB", (160, 90), colour).save(folder / frame.image)


def test_times_are_spread_over_the_whole():
    assert fitting.spread([0, 1, 2, 3, 4, 5, 6, 7, 8], 3) == [1, 4, 7]
    assert fitting.spread([0, 0.1, 0.2, 0.3, 10], 2) == [3, 4]
    assert fitting.spread([3, 1, 2], 5) == [1, 2, 0]
    assert fitting.spread([5, 5, 5], 2) == [0, 1]
    assert fitting.spread([1, 2], 0) == []


def test_the_best_comes_first_and_its_double_not_at_all():
    fit = [0.20, 0.30, 0.29, 0.26]
    alike = np.eye(4)
    alike[1, 2] = alike[2, 1] = 0.99  # the second best shows the same as the best
    assert fitting.pick(fit, alike, 2) == [1, 3]
    assert fitting.pick(fit, np.eye(4), 2) == [1, 2]


def test_what_is_shown_already_counts_and_is_not_chosen():
    alike = np.eye(3)
    alike[0, 1] = alike[1, 0] = 0.99
    assert fitting.pick([0.3, 0.3, 0.3], alike, 2, taken=[0]) == [2, 1]
    assert fitting.pick([0.3], np.eye(1), 2, taken=[0]) == []


def test_with_clip_the_one_that_fits_best_is_chosen(clip, frames, tmp_path):
    model = image_embedding(clip)
    few = frames[:8]
    seen = np.array(model.get_image_embedding_batch([str(tmp_path / frame.image) for frame in few]))
    wanted = few[int(np.argmax(seen @ model.get_query_embedding(QUESTION)))]
    assert fitting.best(QUESTION, few, tmp_path, clip, 1) == ([wanted], fitting.BY_CONTENT)


def test_those_chosen_come_in_the_order_of_time_without_the_top_frame(clip, settings, frames, tmp_path):
    for with_clip in (clip, settings):
        chosen, _ = fitting.best(QUESTION, frames[::-1], tmp_path, with_clip, 4, top=frames[3])
        assert len(chosen) == 4
        assert chosen == sorted(chosen, key=lambda frame: frame.start)
        assert frames[3] not in chosen


def test_what_the_library_embedded_is_not_embedded_again(clip, frames, tmp_path):
    few = frames[:4]
    media = Media("a" * 32, "film", "/film.mp4", "second", 100.0, "", tuple(few))
    vectors.embed_frames(tmp_path, media, image_embedding(clip), lambda done: None)
    before = fitting.best(QUESTION, few, tmp_path, clip, 2)
    for frame in few:
        (tmp_path / frame.image).write_bytes(b"no picture")
    assert fitting.best(QUESTION, few, tmp_path, clip, 2) == before


def test_without_clip_those_that_look_different_are_chosen_and_that_is_said(settings, frames, tmp_path):
    few = frames[:6]
    for frame, colour in zip(few, ["navy", "navy", "navy", "yellow", "navy", "navy"], strict=True):
        paint(tmp_path, frame, colour)
    chosen, how = fitting.best(QUESTION, few, tmp_path, settings, 2, top=few[0])
    assert few[3] in chosen
    assert few[1] not in chosen
    assert "CLIP is off" in how


def test_without_clip_alike_pictures_are_far_apart_in_time(settings, frames, tmp_path):
    for frame in frames:
        paint(tmp_path, frame, "navy")
    chosen, _ = fitting.best(QUESTION, frames, tmp_path, settings, 2, top=frames[0])
    assert chosen[0].start - frames[0].start > 2
    assert chosen[1].start - chosen[0].start > 2


def test_motion_is_shown_in_even_steps(clip, frames, tmp_path):
    chosen, how = fitting.best(QUESTION, frames, tmp_path, clip, 4, motion=True)
    assert np.diff([frame.start for frame in chosen]).tolist() == pytest.approx([2, 2, 2], abs=0.5)
    assert how == fitting.IN_STEPS


def test_where_all_fit_in_there_is_nothing_to_choose(clip, frames, tmp_path):
    assert fitting.best(QUESTION, frames[:3], tmp_path, clip, 3) == (frames[:3], fitting.ALL)
    assert fitting.best(QUESTION, frames[:3], tmp_path, clip, 0) == ([], fitting.ALL)
    assert fitting.best(QUESTION, [], tmp_path, clip, 3) == ([], fitting.ALL)


def test_pictures_that_are_gone_are_passed_over(settings, frames, tmp_path):
    for frame in frames[2:]:
        (tmp_path / frame.image).unlink()
    assert fitting.best(QUESTION, frames, tmp_path, settings, 3)[0] == frames[:2]
    assert fitting.best(QUESTION, frames, tmp_path, settings, 1, top=frames[9])[0][0] in frames[:2]


def test_damaged_pictures_cost_no_answer(settings, frames, tmp_path):
    for frame in frames[:10]:
        (tmp_path / frame.image).write_bytes(b"garbage")
    chosen, _ = fitting.best(QUESTION, frames, tmp_path, settings, 3)
    assert chosen
    assert not {*chosen} & {*frames[:10]}
    for frame in frames:
        (tmp_path / frame.image).write_bytes(b"garbage")
    assert fitting.best(QUESTION, frames, tmp_path, settings, 3)[0] == []


def test_a_clip_model_that_is_named_and_missing_is_an_error(frames, tmp_path):
    named = Settings(clip_model=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="CLIP_MODEL"):
        fitting.best(QUESTION, frames, tmp_path, named, 2)
