"""A path that a person gave -> the files to read: one, or all of a folder."""

import pytest

from pipeline.errors import SourceError
from pipeline.media.sources import MOST, sources


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def names(folder, found):
    return [str(one.relative_to(folder)) for one in found]


def test_a_file_is_itself(tmp_path):
    (path,) = [make(tmp_path, "talk.mp4") / "talk.mp4"]
    assert sources(path) == [path]


def test_a_file_may_have_any_name(tmp_path):
    path = make(tmp_path, "recording") / "recording"
    assert sources(path) == [path]


def test_a_folder_is_all_its_videos_and_those_of_the_folders_in_it(tmp_path):
    make(tmp_path, "b.MP4", "a.mkv", "notes.txt", "week 2/c.webm", "week 2/d.m4a", ".hidden.mp4", ".trash/e.mp4")
    assert names(tmp_path, sources(tmp_path)) == ["a.mkv", "b.MP4", "week 2/c.webm", "week 2/d.m4a"]


def test_subtitles_beside_a_video_belong_to_it_and_others_are_read_alone(tmp_path):
    make(tmp_path, "talk.mp4", "talk.srt", "talk.de.vtt", "lesson.srt")
    assert names(tmp_path, sources(tmp_path)) == ["lesson.srt", "talk.mp4"]


@pytest.mark.parametrize("held", [(), ("notes.txt", "slides.pdf")])
def test_a_folder_without_videos_is_refused(tmp_path, held):
    with pytest.raises(SourceError, match="holds no videos"):
        sources(make(tmp_path, *held))


def test_a_folder_of_too_many_is_refused(tmp_path):
    make(tmp_path, *(f"{number}.mp4" for number in range(MOST + 1)))
    with pytest.raises(SourceError, match="more than"):
        sources(tmp_path)


def test_what_can_be_no_path_is_said(tmp_path):
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(SourceError, match="no path that can be opened"):
            sources(tmp_path / name)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(SourceError, match="no file"):
        sources(tmp_path / "gone.mp4")
