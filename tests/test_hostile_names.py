"""File names, titles, cues and metadata are data: they reach no shell, no filter, no other path and no markup."""

import os
import shutil
from pathlib import Path

import pytest
from make_film import make_film

from pipeline.errors import SourceError
from pipeline.media import folder as folders
from pipeline.media import guard, reading, subtitles, video
from pipeline.playing import Player
from pipeline.settings import Settings
from pipeline.types import Media

NAMES = [
    b"two\nlines.mp4",
    b"-i -rf --.mp4",
    b"concat:a|b.mp4",
    b"$(touch pwned) `touch pwned`; touch pwned #.mp4",
    b"'quotes\" and \\ back.mp4",
    b"<img src=http://127.0.0.1:9/x onerror=alert(1)>.mp4".replace(b"/", b"\xe2\x81\x84"),
    b"%s%d%n{0}{settings}[in]scale=1:1,drawtext=textfile=x.mp4",
    b"\xff\xfe\x80.mp4",
    b"\x1b[31mred\x07.mp4",
    b"x" * 250 + b".mp4",
]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    words = [(0.2, 1.5, "Welcome")]
    return make_film(tmp_path_factory.mktemp("small") / "a.mp4", seconds=2, size=(160, 90), subtitles=words)


def begun(path: Path, folder: Path, settings: Settings) -> Media:
    facts = guard.run(video.probe, path, limits=settings.limits)
    return reading.begin_media(path, facts, "0" * 32, folder, settings, lambda progress: None)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_file_may_have_any_name(name, small, settings, tmp_path):
    place, home = tmp_path / "films", settings.data_dir / ("0" * 32)
    place.mkdir()
    home.mkdir(parents=True)
    path = Path(os.fsdecode(os.path.join(os.fsencode(place), name)))
    shutil.copy(small, path)
    media = begun(path, home, settings)
    assert media.title
    assert media.title.isprintable()
    assert [one.text for one in media.passages] == ["Welcome"]
    folders.save(media, home)
    assert folders.load(home).frames == media.frames
    path.write_bytes(b"no video at all")
    with pytest.raises(SourceError) as caught:
        begun(path, home, settings)
    assert str(caught.value).isprintable()
    assert not [one for one in (*tmp_path.rglob("pwned"), Path("pwned")) if one.exists()]
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize("name", [NAMES[0], NAMES[3], NAMES[7]], ids=range(3))
def test_a_clip_is_cut_from_a_file_of_any_name(name, small, tmp_path):
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    shutil.copy(small, path)
    media = Media("0" * 32, "a", str(path), "second", 2.0, "")
    clip = Player().moment_file(media, tmp_path, 0.0, 1.0, "mp4")
    assert video.probe(clip).length == pytest.approx(1, abs=0.2)
    assert {one.name for one in tmp_path.iterdir()} == {path.name, "clips"}


CUES = [
    "<script>alert(1)</script>",
    "<img src=http://127.0.0.1:9/x>",
    "$(touch pwned) `touch pwned`",
    "{\\an8}{\\p1}m 0 0 l 9 9{\\p0}",
    "../../../../etc/passwd",
    "00:00:09,000 --> 00:00:10,000 injected",
    "NOTE -->\tSTYLE",
    "subtitles=x.srt:force_style='Fontsize=9',movie=/etc/passwd",
    "\u202eright to left\u2066",
]


def test_words_of_a_caption_stay_words(tmp_path):
    path = tmp_path / "talk.srt"
    path.write_text("".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{cue}\n\n" for n, cue in enumerate(CUES, 1)))
    read = subtitles.read(path)
    for written in (subtitles.vtt(read.segments), subtitles.srt(read.segments)):
        again = tmp_path / ("again.vtt" if written.startswith("WEBVTT") else "again.srt")
        again.write_text(written)
        assert [words for _, _, words in subtitles.read(again).segments] == [words for _, _, words in read.segments]
    assert "<script" not in subtitles.vtt(read.segments)
    assert "\u202e" not in subtitles.vtt(read.segments)


def test_words_inside_a_film_and_its_metadata_stay_words(settings, tmp_path):
    words = [(n / 4, n / 4 + 0.2, cue) for n, cue in enumerate(CUES)]
    path = make_film(tmp_path / "a.mkv", seconds=3, size=(160, 90), subtitles=words)
    import av

    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as out:
        out.metadata.update(title="<script>alert(1)</script>", comment="$(touch pwned)", artist="../../etc")
        kept = [out.add_stream_from_template(stream) for stream in source.streams]
        for stream in kept:
            stream.metadata.update(title="<img src=x>", language="../../x")
        for packet in source.demux():
            if packet.size and packet.dts is not None:
                packet.stream = kept[packet.stream.index]
                out.mux(packet)
    home = tmp_path / "home"
    home.mkdir()
    media = begun(tmp_path / "b.mkv", home, settings)
    assert media.title == "b"
    assert "script" not in (home / "transcript.vtt").read_text().replace("&lt;script", "")
    folders.save(media, home)
    stored = (home / "media.json").read_text()
    assert "../../x" not in stored
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()
