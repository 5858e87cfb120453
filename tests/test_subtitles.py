"""Subtitle files: everything a player would show is read, whatever is wrong with the rest."""

import os
import re
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.media import subtitles
from pipeline.media.subtitles import find_beside, read, srt, vtt

SRT = """1
00:00:01,000 --> 00:00:02,500
One line
and <i>another</i>

2
00:01:00.000 --> 00:01:02,5 X1:10 X2:20
{\\an8}Sugar &amp; salt, 3 < 4
"""


def texts(path) -> list[str]:
    return [text for _, _, text in read(path).segments]


def write(path, content: str | bytes):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_subrip(tmp_path):
    found = read(write(tmp_path / "talk.srt", SRT))
    assert found.segments == ((1.0, 2.5, "One line\nand another"), (60.0, 62.5, "Sugar & salt, 3 < 4"))
    assert found.notes == ()


def test_webvtt_notes_styles_names_and_tags_are_not_words(tmp_path):
    file = write(
        tmp_path / "talk.vtt",
        "WEBVTT - a title\nKind: captions\nLanguage: de\n\nSTYLE\n::cue { color: red }\n\nintro\n"
        "00:01.000 --> 00:02.000 align:start line:80%\nHello <c.yellow>there</c> <00:01.500><v Bob>you\n\n"
        "NOTE nobody sees\nthis\n\nchapter two\n00:00:02.000 --> 00:00:03.000\n&lt;b&gt; is a tag&nbsp;here\n",
    )
    found = read(file)
    assert found.segments == ((1.0, 2.0, "Hello there you"), (2.0, 3.0, "<b> is a tag here"))
    assert found.language == "de"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"], ids=lambda name: name
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_encodings_and_line_ends(tmp_path, encoding, newline):
    said = "L'été dernier, où étiez-vous ? À la plage, près du château."
    file = write(tmp_path / "talk.srt", SRT.replace("One line", said).replace("\n", newline).encode(encoding))
    assert read(file).segments[0] == (1.0, 2.5, f"{said}\nand another")


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("cp1251", "Привет, как дела? Уже поздно."), ("shift_jis", "これは字幕の例です。"), ("gb18030", "这是一个例子。")],
)
def test_an_older_encoding_is_recognised_and_said(tmp_path, encoding, said):
    found = read(write(tmp_path / "talk.srt", SRT.replace("One line", said).encode(encoding)))
    assert found.segments[0][2].startswith(said)
    assert "not UTF-8" in found.notes[0]


def test_broken_utf8_is_read_as_far_as_it_goes(tmp_path):
    found = read(write(tmp_path / "talk.srt", SRT.replace("One", "Schöne Grüße").encode().replace(b"line", b"l\xffne")))
    assert "Schöne Grüße l\ufffdne" in found.segments[0][2]
    assert "damaged" in found.notes[0]


def test_damage_costs_only_what_is_damaged(tmp_path):
    file = write(
        tmp_path / "talk.srt",
        "00:01,000 --> 00:02,000\nno number, no hours\n"
        "2\n00:00:03,000 -> 00:00:04,000\nno empty line before, thin arrow\nIn the year\n1984\n\n"
        "3\n\n00:00:05,000 --> 00:00:06,000\nan empty line\n\ninside\n\n"
        "4\n00:00:09,000 --> 00:00:08,000\nends before it starts\n\n"
        "5\n-00:00:09,000 --> 00:00:08,000\nnegative\n\n"
        "6\n99999:00:00,000 --> 99999:00:01,000\nin eleven years\n\n"
        "7\nnot a time\nlost\n\n"
        "8\n00:00:10,000 --> 00:00:11,000\n\n"
        "9\n00:00:12,000 --> 00:00:13,000\nlast, and no line end",
    )
    found = read(file)
    assert found.segments == (
        (1.0, 2.0, "no number, no hours"),
        (3.0, 4.0, "no empty line before, thin arrow\nIn the year\n1984"),
        (5.0, 6.0, "an empty line\ninside"),
        (12.0, 13.0, "last, and no line end"),
    )
    assert found.notes == ("talk.srt: 4 captions without a possible time left out.",)


def test_overlapping_captions_are_all_kept(tmp_path):
    file = write(tmp_path / "a.srt", "1\n0:00:01,0 --> 0:00:09,0\nlong\n\n2\n0:00:02,0 --> 0:00:03,0\nshort\n")
    assert texts(file) == ["long", "short"]


@pytest.mark.parametrize("seed", range(30))
def test_no_bytes_can_crash_it(tmp_path, seed):
    import random

    dice = random.Random(seed)
    content = bytearray(SRT.encode(dice.choice(("utf-8", "utf-16"))) * 3)
    for _ in range(dice.randrange(1, 60)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    for suffix in (".srt", ".vtt"):
        for start, end, text in read(write(tmp_path / f"talk{suffix}", bytes(content))).segments:
            assert 0 <= start <= end
            assert text.strip()


def test_what_cannot_be_read_says_why(tmp_path):
    os.mkfifo(tmp_path / "pipe.srt")
    large = tmp_path / "large.srt"
    with open(large, "wb") as file:
        file.truncate(subtitles.LARGEST + 1)
    for path in (tmp_path / "missing.srt", tmp_path / "pipe.srt", tmp_path, large):
        with pytest.raises(SourceError, match=re.escape(path.name)):
            read(path)


def test_files_beside_a_video_best_first(tmp_path):
    names = ["talk.de.srt", "talk.en.vtt", "talk.SRT", "talk.en-US.srt", "talk.vtt", "talk.eng.forced.srt"]
    others = ["talk.part2.srt", "talks.srt", "talk.txt", "other.srt"]
    for name in names + others:
        (tmp_path / name).touch()
    (tmp_path / "talk.fr.srt").mkdir()
    assert [path.name for path in find_beside(tmp_path / "talk.mp4")] == [
        "talk.vtt",
        "talk.SRT",
        "talk.en.vtt",
        "talk.en-US.srt",
        "talk.de.srt",
        "talk.eng.forced.srt",
    ]
    assert find_beside(tmp_path / "part2.mp4") == []


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("talk.en.vtt", "en"),
        ("talk.pt-BR.srt", "pt"),
        ("talk.ger.sdh.srt", "de"),
        ("my.talk.v2.fr.srt", "fr"),
        ("talk.srt", ""),
    ],
)
def test_the_language_is_in_the_name(tmp_path, name, language):
    assert read(write(tmp_path / name, SRT)).language == language


def test_subrip_that_is_written_reads_back(tmp_path):
    segments = [(0.0, 1.25, "Tom & Jerry <laugh>"), (3661.5, 3662.5, "two\n\nlines")]
    file = write(tmp_path / "talk.srt", srt(segments))
    assert file.read_text().startswith("1\n00:00:00,000 --> 00:00:01,250\n")
    assert [(start, end) for start, end, _ in read(file).segments] == [(0.0, 1.25), (3661.5, 3662.5)]
    assert read(file).segments[1][2] == "two\nlines"


def test_webvtt_that_is_written_reads_back_whatever_is_said(tmp_path):
    segments = [
        (0.0, 1.25, "Tom & Jerry <laugh> --> exit"),
        (3661.5, 3661.5, "two\n\nlines"),
        (400000 / 3, 400000.0, "NOTE this is said"),
    ]
    file = write(tmp_path / "talk.vtt", vtt(segments))
    assert file.read_text().startswith("WEBVTT\n\n")
    assert file.read_text().count("-->") == 3
    got = read(file)
    assert [text for _, _, text in got.segments] == ["Tom & Jerry <laugh> --> exit", "two\nlines", "NOTE this is said"][
        :2
    ]
    assert got.segments[0][:2] == (0.0, 1.25)


def test_what_is_named_as_subtitles_and_what_the_title_in_it_is():
    names = {"talk.en.srt": "talk", "TALK.VTT": "TALK", "a.b.pt-BR.sdh.srt": "a.b", "Dr. No.srt": "Dr. No"}
    for name, title in names.items():
        assert subtitles.is_subtitles(Path(name))
        assert subtitles.stem(Path(name)) == title
    assert not subtitles.is_subtitles(Path("talk.srt.mp4"))


def test_real_files(shared):
    media = shared / "media"
    assert len(read(media / "video" / "friday.vtt").segments) == 5
    popeye = read(media / "video" / "popeye_vobsub_no_audio.srt")
    assert len(popeye.segments) == 16
    assert popeye.segments[1] == (4.124, 8.824, "Who's the most phenominal\nExtra ordinary fellow?")
    bad = read(media / "broken" / "gen_bad_utf8.srt")
    assert len(bad.segments) == 1
    assert len(bad.notes) == 2
    assert [p.name for p in find_beside(media / "video" / "friday.mp4")] == ["friday.vtt"]
    for file in sorted((shared / "qa" / "hf_course_srt").glob("*.srt"))[:20]:
        found = read(file)
        assert len(found.segments) == len(re.findall("-->", file.read_text()))
        assert found.notes == ()
