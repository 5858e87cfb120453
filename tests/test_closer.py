"""A closer look finds the pictures between those of the index, at their true times, and from this file only."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from make_film import make_film, read_number
from PIL import Image

from pipeline.errors import SourceError, StorageError
from pipeline.media import closer, video
from pipeline.types import Frame, Media

SMALL = {"size": (240, 136), "sound": False}
UNEVEN = [0.0, 0.3, 0.4, 1.0, 1.1, 2.9, 3.0, 5.2, 5.3, 5.4, 8.8, 9.0, 9.1, 12.4, 12.5, 17.0]  # s


def read(path: Path, folder: Path) -> Media:
    """The media as the library has it."""
    frames, _ = video.read_frames(path, folder, 0.2, lambda done: None, exact=True)
    facts = video.probe(path)
    return Media(video.identify(path), "film", str(path), "second", facts.length, "", tuple(frames))


def look(media: Media, folder: Path, *stretches: tuple[float, float]) -> list[Frame]:
    """What the stretches show, looked at to the end."""
    looked, notes = closer.look(media, stretches, folder, seconds=60, most=500)
    assert not notes
    return [frame for frames in looked for frame in frames]


def new(frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.image.startswith("closer/")]


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "closer").iterdir()}


@pytest.fixture(scope="module")
def read_once(tmp_path_factory) -> tuple[Path, Media]:
    folder = tmp_path_factory.mktemp("closer")
    return folder, read(make_film(folder / "a.mp4", seconds=24, **SMALL), folder / "media")


@pytest.fixture
def film(read_once, tmp_path) -> tuple[Media, Path]:
    """24 s at 10 Hz, each picture another: a media and its folder, both of one's own."""
    folder, media = read_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "media" / "frames").iterdir():
        os.utime(path)  # read after the file came here
    return Media(**{**vars(media), "source": str(tmp_path / "a.mp4")}), tmp_path / "media"


# -- what is found


@pytest.mark.parametrize(
    ("name", "like"),
    {
        "one keyframe only": ("a.mp4", {"gop": 1000, "codec_options": {"x264-params": "keyint=1000:scenecut=0"}}),
        "open groups": ("a.mkv", {"gop": 20, "codec_options": {"x264-params": "open-gop=1:bframes=3"}}),
        "starts late": ("a.mkv", {"start": 37.5}),
        "without an index": ("a.ts", {}),
        "keyframes only": ("a.mov", {"codec": "mjpeg"}),
        "without times": ("a.h264", {"fps": 25}),
    }.values(),
)
def test_every_picture_is_the_one_shown_then(name, like, tmp_path):
    rate = like.get("fps", 10)
    media = read(make_film(tmp_path / name, seconds=12, **SMALL, **like), tmp_path)
    frames = look(media, tmp_path, (8.2, 11.0), (3.0, 6.6))
    assert [round(frame.start * rate) for frame in frames] == [read_number(tmp_path / frame.image) for frame in frames]
    quarters = [8 + n / 4 for n in range(12)] + [3 + n / 4 for n in range(16)]
    assert {int(time * rate + 0.001) for time in quarters} <= {round(frame.start * rate) for frame in frames}


def test_a_variable_frame_rate_keeps_every_time_true_and_finds_what_stands_at_the_start(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=len(UNEVEN) / 10, when=UNEVEN.__getitem__, **SMALL)
    media = read(film, tmp_path)
    frames = look(media, tmp_path, (2.0, 9.0))
    assert [frame.start for frame in frames] == pytest.approx([1.1, 3.0, 5.2, 5.4], abs=0.001)
    assert [UNEVEN[read_number(tmp_path / frame.image)] for frame in frames] == [1.1, 3.0, 5.2, 5.4]


def test_pictures_stand_upright(tmp_path):
    media = read(make_film(tmp_path / "a.mp4", seconds=4, rotation=90, **SMALL), tmp_path)
    for frame in look(media, tmp_path, (1, 3)):
        with Image.open(tmp_path / frame.image) as picture:
            assert picture.size == (136, 240)
            assert read_number(picture.rotate(-90, expand=True)) == round(frame.start * 10)


def test_a_short_stretch_is_looked_at_more_densely_than_a_long_one(film):
    media, folder = film
    for end, step in ((6, 0.25), (15, 0.5), (23, 1.0)):
        frames = look(media, folder, (1, end))
        assert len(frames) == pytest.approx((end - 1) / step, abs=1)


def test_a_picture_stands_until_the_next_and_the_last_to_the_end(film):
    frames = new(look(*film, (16, 19.5)))
    assert all(one.end == other.start > one.start for one, other in pairwise(frames))
    assert frames[-1].end == 20


def test_what_the_index_has_is_not_made_again(film):
    media, folder = film
    frames = look(media, folder, (4, 7))
    assert [frame for frame in media.frames if 4 <= frame.start < 7] == [f for f in frames if f not in new(frames)]
    assert files(folder) == {Path(f.image).name for f in new(frames)} | {"000004.000-000007.000.json"}


def test_a_screen_that_stands_is_the_one_of_the_index_and_nothing_else(tmp_path):
    slides = [(0, "Introduction"), (6.3, "Energy"), (9, "Introduction")]
    media = read(make_film(tmp_path / "a.mp4", seconds=14, slides=slides, counter=False), tmp_path)
    first, second, third = media.frames
    assert look(media, tmp_path, (2, 5)) == [first]
    assert look(media, tmp_path, (5, 8)) == [first, second]
    assert look(media, tmp_path, (10, 13)) == [third]


def test_a_blank_picture_is_not_worth_a_look(tmp_path):
    slides = [(0, "Introduction"), (6.2, ""), (7.8, "Energy")]
    media = read(make_film(tmp_path / "a.mp4", seconds=10, slides=slides, counter=False), tmp_path)
    assert not new(look(media, tmp_path, (6, 8)))


def test_a_single_time_is_looked_at_and_what_lies_behind_the_end_is_not(film):
    frames = look(*film, (12, 12))
    assert frames[0].start == 12
    assert frames[-1].end == 13
    assert look(*film, (30, 40)) == []
    assert look(*film, (23.5, 40))[-1].end == pytest.approx(24, abs=0.1)


# -- asked again


def test_what_was_looked_at_needs_the_file_no_more(film):
    media, folder = film
    before = look(media, folder, (3.2, 6.9))
    Path(media.source).unlink()
    assert look(media, folder, (3.4, 6.5)) == before
    with pytest.raises(SourceError, match="Looked no closer: the file is no longer at"):
        closer.look(media, [(3.2, 6.9), (12, 14)], folder)


@pytest.mark.parametrize("damage", [b"", b"[[1, 2", b'[[1, 2, "../secret.jpg"]]', b"[[1, 2]]"])
def test_a_damaged_record_is_looked_at_anew(film, damage):
    before = look(*film, (3, 5))
    (film[1] / "closer" / "000003.000-000005.000.json").write_bytes(damage)
    assert look(*film, (3, 5)) == before


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(film):
    media, folder = film
    look(media, folder, (3, 5))
    old = folder / "closer" / "000000.100.jpg"
    with old.open("wb") as file:
        file.truncate(closer.LARGEST)  # takes no room on the disk
    os.utime(old, (0, 0))
    frames = look(media, folder, (3, 5), (8, 9))
    assert not old.exists()
    assert all((folder / frame.image).is_file() for frame in frames)


def test_two_questions_at_once_do_not_disturb_each_other(film):
    with ThreadPoolExecutor(3) as threads:
        one, *others = threads.map(lambda _: look(*film, (3, 6)), range(3))
    assert others == [one, one]
    assert files(film[1]) == {Path(f.image).name for f in new(one)} | {"000003.000-000006.000.json"}


# -- limits


def test_without_time_nothing_is_decoded_and_that_is_said(film):
    looked, notes = closer.look(film[0], [(1, 4), (62 / 3, 22)], film[1], seconds=0)
    assert not new(looked[0] + looked[1])
    assert notes == [
        "Looked no closer at 0:01 to 0:04: it would take too long.",
        "Looked no closer at 0:20 to 0:22: it would take too long.",
    ]
    assert new(look(*film, (1, 4)))


def test_the_best_stretch_comes_first_and_the_limit_is_said(film):
    (best, other), notes = closer.look(film[0], [(16, 19), (1, 4)], film[1], seconds=60, most=5)
    assert len(new(best)) == 5
    assert not new(other)
    assert notes == [
        "Looked closer at 0:16 to 0:17 only: the rest, to 0:19, would take too long.",
        "Looked no closer at 0:01 to 0:04: it would take too long.",
    ]


# -- bad input


def test_another_film_in_its_place_is_not_looked_at(film):
    media, folder = film
    make_film(Path(media.source), seconds=24, slides=[(0, "Another")], **SMALL)
    with pytest.raises(SourceError, match="has changed since it was read"):
        closer.look(media, [(3, 5)], folder)
    make_film(Path(media.source), seconds=9, **SMALL)
    with pytest.raises(SourceError, match="has changed since it was read"):
        closer.look(media, [(3, 5)], folder)


def test_the_same_film_copied_anew_is_looked_at(film, tmp_path):
    media, folder = film
    shutil.copy(media.source, tmp_path / "copy.mp4")
    os.replace(tmp_path / "copy.mp4", media.source)
    assert new(look(media, folder, (3, 5)))


def test_a_damaged_file_is_refused_in_one_line(film):
    Path(film[0].source).write_bytes(b"damaged")
    with pytest.raises(SourceError, match=r"^Looked no closer\. .*not a video") as caught:
        closer.look(film[0], [(3, 5)], film[1])
    assert "\n" not in str(caught.value)


def test_sound_alone_has_no_pictures(shared, tmp_path):
    path = shared / "media/video/audio_only_speech_and_silence.mp4"
    media = Media(video.identify(path), "a", str(path), "second", video.probe(path).length, "")
    with pytest.raises(SourceError, match="has no pictures"):
        closer.look(media, [(3, 5)], tmp_path)


def test_a_media_that_was_removed_stays_removed(film):
    shutil.rmtree(film[1])
    with pytest.raises(StorageError):
        closer.look(film[0], [(3, 5)], film[1])
    assert not film[1].exists()


# -- real files


@pytest.mark.parametrize(
    ("name", "start"), [("intel_one_by_one_no_audio.mp4", 12.3), ("popeye_vobsub_no_audio.mkv", 9.0)]
)
def test_pictures_of_real_films_are_those_that_are_shown_then(shared, tmp_path, name, start):
    path = shared / "media/video" / name
    media = Media(video.identify(path), "a", str(path), "second", video.probe(path).length, "")
    frames = look(media, tmp_path, (start, start + 3))
    assert len(frames) > 6
    wanted = {round(frame.start, 3): frame for frame in frames}
    distance = {}
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            if picture.time > frames[-1].start + 1:
                break
            if picture.time > frames[0].start - 1:
                small = picture.to_image().convert("L").resize((160, 90), Image.Resampling.BOX)
                distance[round(picture.time, 3)] = np.asarray(small, float)
    for time, frame in wanted.items():
        with Image.open(tmp_path / frame.image) as image:
            mine = np.asarray(image.convert("L").resize((160, 90), Image.Resampling.BOX), float)
        nearest = min(distance, key=lambda t: abs(distance[t] - mine).mean())
        assert abs(nearest - time) < 0.06  # a picture that stands is found in its neighbour too


def test_a_slide_that_stands_for_three_seconds_is_dated(shared, tmp_path):
    path = shared / "media/video/laion400m_slide_talk.mp4"
    media = Media(video.identify(path), "talk", str(path), "second", video.probe(path).length, "")
    before, slide, after = look(media, tmp_path, (88, 94))
    assert (before.start, before.end) == (pytest.approx(88, abs=0.05), pytest.approx(90, abs=0.3))
    assert (slide.start, slide.end) == (pytest.approx(90, abs=0.3), pytest.approx(93, abs=0.3))
    assert after.end == 94
