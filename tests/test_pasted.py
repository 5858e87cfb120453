"""A path is understood as people paste it, and what is none is told what to give instead."""

import os
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline import build
from pipeline.chat.markup import neutralise
from pipeline.errors import SourceError
from pipeline.media.pasted import to_path

NAME = "my talk (final) 100% déjà &t & it's #1.mp4"


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def escaped(path: object) -> str:
    """As terminals write it."""
    return "".join(sign if sign.isalnum() or sign in "/._-" else f"\\{sign}" for sign in str(path))


FORMS = {
    "as it is": str,
    "double quotes": '"{}"'.format,
    "single quotes": "'{}'".format,
    "single quotes of a shell": lambda path: "'{}'".format(str(path).replace("'", "'\\''")),
    "one quote": '"{}'.format,
    "quotes of a word processor": "“{}”".format,
    "single ones": "‘{}’".format,
    "angle brackets": "<{}>".format,
    "copied from the page": lambda path: neutralise(str(path)).replace("\\", ""),  # what a browser shows of it
    "quotes in spaces in quotes": " “ '{}' ” ".format,
    "a newline": "{}\n".format,
    "spaces": "  {} ".format,
    "a no-break space": "\u00a0{}\u202f".format,
    "direction marks": "\u202a{}\u200f".format,
    "escaped": escaped,
    "escaped in quotes": lambda path: f'"{escaped(path)}"',
    "percent-encoded": lambda path: quote(str(path)),
    "file URL": lambda path: "file://" + quote(str(path)),
    "file URL, in capitals": lambda path: "FILE://" + quote(str(path)),
    "file URL, localhost": lambda path: "file://localhost" + quote(str(path)),
    "file URL, one slash": lambda path: "file:" + quote(str(path)),
    "file URL, not encoded": "file://{}".format,
    "file URL in quotes and spaces": lambda path: f'"file://{quote(str(path))}" ',
    "file URL in angle brackets": lambda path: f"<file://{quote(str(path))}>",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_path_is_understood_in_every_form_that_people_paste(tmp_path, form):
    path = make(tmp_path / NAME)
    assert to_path(form(path)) == path


def test_the_home_folder_is_understood_in_quotes_and_escaped_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = make(tmp_path / "my talk.mp4")
    for text in ("~/my talk.mp4", '"~/my talk.mp4"', "~/my\\ talk.mp4", "~/my%20talk.mp4"):
        assert to_path(text) == path
    assert to_path(Path("~/my talk.mp4")) == path


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("a%20b.mp4", "a b.mp4"),
        ("100%.mp4", ""),
        ("a\\ b.mp4", "a b.mp4"),
        ("talk.mp4 ", "talk.mp4"),
        ("talk.mp4\n", "talk.mp4"),
        ("'talk.mp4'", "talk.mp4"),
        ("“talk.mp4”", "talk.mp4"),
        (" talk.mp4", "talk.mp4"),
        ("~talk.mp4", ""),
        ("http:talk.mp4", ""),
    ],
)
def test_a_file_that_is_really_named_so_wins(tmp_path, name, other):
    path = make(tmp_path / name)
    if other:
        make(tmp_path / other)
    assert to_path(str(path)) == path
    assert to_path(name) == path  # the tests run in this folder
    assert to_path(f'"{path}"') == path
    assert to_path(f"file://{quote(str(path))}") == path
    path.unlink()
    if other:  # what is read where there is no such file
        assert to_path(name) == tmp_path / other


def test_a_path_that_a_program_gives_is_taken_as_it_is(tmp_path):
    make(tmp_path / "a b.mp4")
    assert to_path(tmp_path / "a%20b.mp4") == tmp_path / "a%20b.mp4"
    assert to_path(Path("a%20b.mp4")) == tmp_path / "a%20b.mp4"


def test_a_name_that_is_no_valid_text_is_found_by_its_address(tmp_path):
    path = make(tmp_path / os.fsdecode(b"caf\xe9.mp4"))
    assert to_path(f"file://{tmp_path}/caf%E9.mp4") == path


def test_a_relative_path_is_looked_for_here_and_then_in_the_folders_given(tmp_path):
    here, first = make(tmp_path / "one.mp4"), make(tmp_path / "talks/one.mp4")
    second = make(tmp_path / "films/my talk.mp4")
    folders = (tmp_path / "talks", tmp_path / "films")
    assert to_path("one.mp4", folders) == here
    here.unlink()
    assert to_path("one.mp4", folders) == first
    assert to_path('"my%20talk.mp4"', folders) == second
    with pytest.raises(SourceError, match=r"no file gone\.mp4 in .*whole path"):
        to_path("gone.mp4", folders)


def test_a_relative_path_is_found_beside_the_videos_of_the_library(library, film, tmp_path):
    beside = shutil.copy(film, film.parent / "another talk.mp4")
    try:
        assert library.sources('"another talk.mp4"') == [Path(beside)]
    finally:
        Path(beside).unlink()


@pytest.mark.parametrize("wrap", ["{}", '"{}"', " <{}>\n"])
@pytest.mark.parametrize(
    "address", ["https://www.example.org/watch?v=a%20b&t=1//2", "HTTP://localhost:8000/talk.mp4", "http://[::1]/x"]
)
def test_a_web_address_is_told_to_be_downloaded_and_repeated_as_it_is(address, wrap):
    with pytest.raises(SourceError, match="Download") as caught:
        to_path(wrap.format(address))
    assert str(caught.value).startswith(f"{address} is a web address")


def test_the_slash_that_a_path_takes_from_an_address_is_put_back():
    with pytest.raises(SourceError, match=r"^https://example\.org/talk\.mp4 is a web address"):
        to_path(Path("https://example.org/talk.mp4"))


@pytest.mark.parametrize("address", ["smb://nas/films/a.mp4", "sftp://me@host/a.mp4", "rtsp://cam/1", "file://nas/a"])
def test_any_other_address_is_told_to_be_saved_as_a_file(address):
    with pytest.raises(SourceError, match="Save the video on this machine") as caught:
        to_path(address)
    assert str(caught.value).startswith(f"{address} is an address")


@pytest.mark.parametrize(
    "text",
    [
        "C:\\Users\\me\\my talk.mp4",
        '"C:\\Users\\me\\my talk.mp4"',
        "c:/Users/me/my talk.mp4",
        "file:///C:/Users/me/my%20talk.mp4",
        "\u202aC:\\Users\\me\\my talk.mp4",
    ],
)
def test_a_path_of_windows_is_told_what_to_give_and_used_where_wsl_has_the_file(text, monkeypatch):
    with pytest.raises(SourceError, match=r"/mnt/c/Users/me/my talk\.mp4, is not there"):
        to_path(text)
    monkeypatch.setattr("os.path.exists", lambda path: str(path) == "/mnt/c/Users/me/my talk.mp4")
    assert to_path(text) == Path("/mnt/c/Users/me/my talk.mp4")


def test_a_path_of_windows_into_wsl_and_a_share_are_understood(tmp_path):
    path = make(tmp_path / "my talk.mp4")
    for host in ("wsl$", "wsl.localhost"):
        assert to_path(f'"\\\\{host}\\Ubuntu' + str(path).replace("/", "\\") + '"') == path
    with pytest.raises(SourceError, match="mount"):
        to_path("\\\\nas\\films\\talk.mp4")


@pytest.mark.parametrize("text", ["", "  ", '""', " “” \n"])
def test_nothing_is_told_to_be_no_path(text):
    with pytest.raises(SourceError, match=r"no path\. Give"):
        to_path(text)


def test_what_is_not_there_is_named_as_it_was_meant(tmp_path):
    for text in (f'"{tmp_path}/a b.mp4"', f"file://{tmp_path}/a%20b.mp4", f"'file://{tmp_path}/a%20b.mp4' "):
        assert to_path(text) == tmp_path / "a b.mp4"
    assert to_path(f'{tmp_path}/say "hi"') == tmp_path / 'say "hi"'


def test_every_way_into_the_library_understands_it(settings, tmp_path):
    words = tmp_path / "my talk.srt"
    words.write_text("1\n00:00:00,500 --> 00:00:03,000\nWelcome.\n")
    pasted = f'"file://{quote(str(words))}" '
    pipeline = build(settings)
    assert pipeline.sources(pasted) == [words]
    assert pipeline.estimate(pasted).disk > 0
    assert pipeline.start(pasted).path == words
    assert pipeline.read(pasted).source == pipeline.ingest(pasted).source == str(words)
    for way in (pipeline.sources, pipeline.estimate, pipeline.start, pipeline.read, pipeline.ingest):
        with pytest.raises(SourceError, match="web address"):
            way("https://example.org/talk.mp4")
    pipeline.close()
