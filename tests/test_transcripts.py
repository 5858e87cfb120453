"""Transcripts: a subtitle file alone is a source, and the language of words is told when nobody names it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.media import folder as folders
from pipeline.media import subtitles
from pipeline.media.language import tell
from pipeline.media.reading import begin_media
from pipeline.media.video import identify
from pipeline.settings import Settings
from pipeline.types import Media

TALK = """1
00:00:01,000 --> 00:00:04,000
Today we look at how a picture

2
00:00:04,000 --> 00:00:06,500
is cropped. First we open the file.

3
00:01:01,250 --> 00:01:05,750
Then we click on the tool and drag the frame.
"""
SENTENCES = {
    "en": "Today we look at how to crop a picture. First we open the file, then we click on the tool. ",
    "de": "Heute schauen wir uns an, wie man ein Bild zuschneidet. Zuerst öffnen wir die Datei, dann das Werkzeug. ",
    "es": "Hoy vamos a ver cómo recortar una imagen. Primero abrimos el archivo y luego la herramienta. ",
    "ru": "Сегодня мы посмотрим, как обрезать изображение. Сначала откроем файл, а затем нажмём на инструмент. ",
    "ja": "今日はこのプログラムを使って画像を切り抜く方法を見てみましょう。まずファイルを開きます。",
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Path], Media]:
    """Read a source as the worker does, in this process."""

    def read_one(path: Path) -> Media:
        staging = folders.staging(tmp_path / "data", identify(path))
        staging.mkdir(parents=True)
        media = begin_media(path, None, identify(path), staging, Settings(), lambda progress: None)
        folders.save(media, staging)
        kept = folders.load(folders.install(staging, tmp_path / "data", media.id))
        assert kept == media
        return kept

    return read_one


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_subtitle_file_alone_is_a_source(read, tmp_path):
    media = read(write(tmp_path / "How to crop.srt", TALK))
    assert (media.title, media.length, media.unit, media.frames) == ("How to crop", 65.75, "second", ())
    assert [(p.start, p.end, p.text, p.kind) for p in media.passages] == [
        (1.0, pytest.approx(4.79, abs=0.05), "Today we look at how a picture is cropped.", "subtitle"),
        (pytest.approx(4.79, abs=0.05), 6.5, "First we open the file.", "subtitle"),
        (61.25, 65.75, "Then we click on the tool and drag the frame.", "subtitle"),
    ]
    assert {part: c.state for part, c in media.coverage.items()} == {
        "frames": "absent",
        "speech": "read",
        "screen": "absent",
    }
    assert media.coverage["speech"].by == "How to crop.srt"
    assert "no pictures" in media.coverage["frames"].note


def test_its_transcript_is_kept_as_it_was_written(read, tmp_path):
    read(write(tmp_path / "talk.srt", TALK))
    (kept,) = (tmp_path / "data").glob("*/transcript.vtt")
    assert subtitles.read(kept).segments == subtitles.read(tmp_path / "talk.srt").segments


@pytest.mark.parametrize(
    ("name", "title", "language"),
    [
        ("talk.srt", "talk", ""),
        ("TALK.SRT", "TALK", ""),
        ("talk.en.srt", "talk", "en"),
        ("my.talk.v2.pt-BR.sdh.srt", "my.talk.v2", "pt"),
        ("talk.part2.srt", "talk.part2", ""),
        (".de.srt", "untitled", "de"),
    ],
)
def test_the_title_is_the_name_without_the_language(read, tmp_path, name, title, language):
    media = read(write(tmp_path / name, TALK))
    assert (media.title, media.language) == (title, language)


def test_a_webvtt_file_is_one_too_and_its_header_names_the_language(read, tmp_path):
    content = "WEBVTT\nLanguage: fr\n\n00:01.000 --> 00:02.000\nBonjour <b>tout</b> le monde.\n"
    media = read(write(tmp_path / "talk.vtt", content))
    assert ([p.text for p in media.passages], media.language) == (["Bonjour tout le monde."], "fr")


def test_what_is_damaged_is_said_and_the_rest_is_read(read, shared):
    media = read(shared / "media/broken/gen_bad_utf8.srt")
    assert len(media.passages) == 1
    assert media.coverage["speech"].state == "partly"
    assert "2 captions without a possible time" in media.coverage["speech"].note


def test_orders_to_a_machine_are_words_like_all_others(read, shared):
    media = read(shared / "media/broken/gen_prompt_injection.srt")
    assert media.passages[0].text.startswith("Ignore all previous instructions.")
    assert media.coverage["speech"].state == "read"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"Just a letter to a friend.\nNo times in it.\n", "no captions"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\n", "no captions"),
        (bytes(range(256)) * 2000, "no captions"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(100_000), "no captions"),
        (b"x" * (subtitles.LARGEST + 1), "larger than"),
    ],
    ids=["empty", "a letter", "no words", "binary", "a film", "too large"],
)
@pytest.mark.parametrize("suffix", [".srt", ".VTT"])
def test_where_nothing_can_be_read_it_is_refused_in_one_line(read, tmp_path, content, why, suffix):
    path = write(tmp_path / f"talk{suffix}", content)
    with pytest.raises(SourceError, match=why) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_before_it_is_opened(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.srt")
    (tmp_path / "folder.srt").mkdir()
    for name in ("pipe.srt", "folder.srt", "missing.srt"):
        with pytest.raises(SourceError, match=re.escape(name)):
            begin_media(tmp_path / name, None, "a" * 32, tmp_path, Settings(), lambda p: None)


@pytest.mark.parametrize("language", SENTENCES)
def test_the_language_is_told_from_enough_words(language):
    assert tell(SENTENCES[language] * 3) == language
    assert tell((SENTENCES[language] * 3).upper()) == language
    assert tell(SENTENCES[language][:20]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[music] [applause] " * 20,
        "♪ la la la ♪ na na na hey hey ♪ " * 10,
        "1 2 3 4 5 6 7 8 9 " * 20,
        "\udce9 " * 300,
    ],
    ids=ascii,
)
def test_what_is_in_no_language_has_none(text):
    assert tell(text) == ""


def test_a_language_that_no_name_tells_is_told_from_the_words(read, tmp_path):
    cues = [f"00:00:{n:02},000 --> 00:00:{n + 5:02},000\n{SENTENCES['de']}\n" for n in range(0, 50, 5)]
    assert read(write(tmp_path / "vortrag.srt", "\n".join(cues))).language == "de"
    assert read(write(tmp_path / "vortrag.en.srt", "\n".join(cues))).language == "en"


def test_the_language_of_every_real_course_is_told(shared):
    for file in sorted((shared / "qa/hf_course_srt").glob("*.srt"))[:5]:
        assert tell(" ".join(text for _, _, text in subtitles.read(file).segments)) == "en"
