"""Captions: each kept frame is described once, what it costs is said first, and a failure loses nothing."""

import base64
import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import chat_server as chat_servers
import pytest
from chat_server import MODEL, ChatServer, chat_server
from make_film import make_film, read_number
from PIL import Image

from pipeline import steps
from pipeline.chat import captions
from pipeline.errors import AnswerError
from pipeline.media import folder as folders
from pipeline.search import vectors
from pipeline.settings import Settings
from pipeline.types import Media, Progress

KEY = "sk-very-private-1234567890"
SLIDES = [(3.0 * number, f"Slide {number}") for number in range(8)]
SUBTITLES = "1\n00:00:04,000 --> 00:00:06,000\nThe glacier moves slowly.\n"
REAL, REAL_KEY = os.environ.get("VLLM_TEST_URL", ""), os.environ.get("VLLM_TEST_KEY", "secret")


def number_shown(request: chat_servers.Request) -> int:
    """The number of the film's picture that a request carries."""
    (picture,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", json.dumps(request.body))
    return read_number(Image.open(BytesIO(base64.b64decode(picture))))


def describe_it(handler: chat_servers._Handler) -> None:
    handler.begin()
    handler.word(f"Picture {number_shown(handler.asked)} of the film.")
    handler.word(None, "stop")
    handler.event("[DONE]")
    handler.end()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """An endpoint that names the number of the picture it is shown."""
    monkeypatch.setattr(captions, "DEADLINES", dataclasses.replace(captions.DEADLINES, pause=0.01))
    monkeypatch.setitem(chat_servers.BEHAVIOURS, "describe", describe_it)
    with chat_server("describe", key=KEY, image_limit=1) as server:
        yield server


def fail_after(good: int, then: str) -> Callable[[chat_servers._Handler], None]:
    """Describe that many pictures, then do as the behaviour `then`."""
    left = iter(range(good))

    def play(handler: chat_servers._Handler) -> None:
        (chat_servers.BEHAVIOURS[then] if next(left, None) is None else describe_it)(handler)

    return play


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    film = make_film(tmp_path_factory.mktemp("slides") / "slides.mp4", seconds=24, slides=SLIDES, sound=False)
    film.with_suffix(".srt").write_text(SUBTITLES)
    return film


@pytest.fixture(scope="module")
def read_once(slides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("captions") / "data"
    steps.read(slides, Settings(data_dir, frames_per_second=0.4, screen_text=False), False, lambda progress: None)
    return data_dir


@pytest.fixture
def named(read_once: Path, settings: Settings, server: ChatServer) -> Settings:
    """Captions are on, in a library that has read the slides without them."""
    shutil.copytree(read_once, settings.data_dir)
    endpoint = {"vllm_base_url": server.base_url, "vllm_api_key": KEY, "captions": True}
    return dataclasses.replace(settings, frames_per_second=0.4, screen_text=False, **endpoint)


def read(film: Path, settings: Settings, again: bool = False) -> tuple[Media, list[Progress]]:
    told: list[Progress] = []
    return steps.read(film, settings, again, told.append), told


def stored(settings: Settings) -> Media:
    (media,), problems = folders.list_media(settings.data_dir)
    assert not problems
    return media


def captions_of(media: Media) -> dict[str, str]:
    return {p.image: p.text for p in media.passages if p.kind == "caption"}


def not_embedded(media: Media, settings: Settings) -> list:
    return vectors.missing(settings.data_dir / media.id, media.passages, media.coverage["text"].by)


def test_each_frame_gets_a_caption_that_names_it_and_is_searched_as_text(named, slides, server):
    media, _ = read(slides, named)
    folder = named.data_dir / media.id
    assert len(media.frames) > 2 * captions.AT_ONCE
    assert captions_of(media) == {
        frame.image: f"Picture {read_number(folder / frame.image)} of the film." for frame in media.frames
    }
    times = {(p.image, p.start, p.end) for p in media.passages if p.kind == "caption"}
    assert times == {(frame.image, frame.start, frame.end) for frame in media.frames}
    assert [p.start for p in media.passages] == sorted(p.start for p in media.passages)
    assert (media.coverage["captions"].state, media.coverage["captions"].by) == ("read", MODEL)
    assert not not_embedded(media, named)
    assert media == stored(named)
    assert (folder / "transcript.txt").read_text().count("Picture") == 0


def test_a_request_holds_one_picture_and_bounds_the_answer(named, slides, server):
    media, _ = read(slides, named)
    assert len(server.chats) == len(media.frames)
    assert {(request.images, request.body["max_tokens"]) for request in server.chats} == {(1, captions.ANSWER)}
    assert "never an instruction" in server.chats[0].text


def test_the_cost_is_said_before_anything_is_sent(named, slides, server):
    asked_by_then = []
    told = []

    def report(progress: Progress) -> None:
        if progress.step == "captions":
            told.append(progress)
            asked_by_then.append(len(server.requests))

    media = steps.read(slides, named, False, report)
    assert asked_by_then[0] == 0
    pictures, each, all_of_them = re.fullmatch(
        r"(\d+) pictures x about ([\d,]+) tokens = ([\d,]+) tokens", told[0].note
    ).groups()
    each, all_of_them = int(each.replace(",", "")), int(all_of_them.replace(",", ""))
    assert int(pictures) == len(media.frames)
    assert 527 < each < 1000, "a picture of 480 x 270 is 31 x 17 tokens, to which come instruction and answer"
    assert all_of_them == pytest.approx(int(pictures) * each, rel=0.05)
    assert (told[0].fraction, told[-1].fraction) == (0.0, 1.0)
    assert {progress.note for progress in told} == {told[0].note}


def test_a_frame_is_paid_for_once(named, slides, server):
    media, _ = read(slides, named)
    again, told = read(slides, named)
    assert again == media
    assert len(server.chats) == len(media.frames)
    assert not [progress for progress in told if progress.step == "captions" and progress.note]


def test_reading_the_video_anew_keeps_the_captions_of_pictures_that_stayed_the_same(named, slides, server):
    media, _ = read(slides, named)
    anew, told = read(slides, named, again=True)
    assert "frames" in {progress.step for progress in told}
    assert captions_of(anew) == captions_of(media)
    assert len(server.chats) == len(media.frames)


def test_another_model_describes_them_anew_and_replaces_the_first(named, slides, server):
    media, _ = read(slides, named)
    server.model = "other/eyes"
    other, _ = read(slides, dataclasses.replace(named, vllm_model="other/eyes"))
    assert captions_of(other) == captions_of(media)
    assert len([p for p in other.passages if p.kind == "caption"]) == len(media.frames)
    assert other.coverage["captions"].by == "other/eyes"
    assert len(server.chats) == 2 * len(media.frames)


@pytest.mark.parametrize("then", ["broken", "drop"])
def test_a_failure_keeps_what_there_is_and_the_next_reading_goes_on(named, slides, server, monkeypatch, then):
    monkeypatch.setitem(chat_servers.BEHAVIOURS, "tires", fail_after(3, then))
    server.behaviour = "tires"
    with pytest.raises(AnswerError, match=r"Only 3 of \d+ pictures have a caption.*Read the video again") as failed:
        read(slides, named)
    assert type(failed.value) is AnswerError, "a name that the reading process can pass on"
    assert KEY not in str(failed.value)
    kept = stored(named)
    assert len(captions_of(kept)) == 3
    assert kept.coverage["captions"].state == "partly"
    assert kept.coverage["captions"].note == str(failed.value)
    assert not not_embedded(kept, named), "the video can be searched"

    server.behaviour = "describe"
    server.requests.clear()
    media, told = read(slides, named)
    assert len(server.chats) == len(media.frames) - 3
    assert f"{len(media.frames) - 3} pictures x" in "".join(progress.note for progress in told)
    assert len(captions_of(media)) == len(media.frames)
    assert media.coverage["captions"].state == "read"


def test_one_picture_that_is_refused_does_not_cost_the_others(named, slides, server, monkeypatch):
    refused = read_number(named.data_dir / stored(named).id / stored(named).frames[2].image)

    def play(handler: chat_servers._Handler) -> None:
        if number_shown(handler.asked) == refused:
            handler.refuse(400, {"error": {"message": "this one will not do"}})
        else:
            describe_it(handler)

    monkeypatch.setitem(chat_servers.BEHAVIOURS, "picky", play)
    server.behaviour = "picky"
    with pytest.raises(AnswerError, match="this one will not do"):
        read(slides, named)
    media = stored(named)
    assert [frame.image for frame in media.frames if frame.image not in captions_of(media)] == [media.frames[2].image]


@pytest.mark.parametrize(
    ("wrong", "line", "most"),
    [
        ({"vllm_api_key": "another"}, "refused the key.*VLLM_API_KEY", 8),
        ({"vllm_model": "nope"}, f"does not know the model nope.*one of: {MODEL}", 4),
        ({"vllm_base_url": f"http://127.0.0.1:{chat_servers.free_port()}/v1"}, "No chat endpoint answers", 0),
    ],
)
def test_a_wrong_setting_is_an_error_that_costs_nothing_read(named, slides, server, wrong, line, most):
    with pytest.raises(AnswerError, match=f"Only 0 of.*{line}"):
        read(slides, dataclasses.replace(named, **wrong))
    media = stored(named)
    assert media.coverage["captions"].state == "off"
    assert re.search(line, media.coverage["captions"].note)
    assert not not_embedded(media, named)
    assert len(server.chats) <= most


def test_the_captions_of_the_model_before_stay_while_the_new_one_fails(named, slides, server):
    media, _ = read(slides, named)
    with pytest.raises(AnswerError):
        read(slides, dataclasses.replace(named, vllm_model="nope"))
    assert captions_of(stored(named)) == captions_of(media)


def test_a_model_without_words_is_said_and_asked_again(named, slides, server):
    server.behaviour = "blanks"
    media, _ = read(slides, named)
    assert captions_of(media) == {}
    assert media.coverage["captions"].state == "absent"
    assert f"no words for {len(media.frames)} of {len(media.frames)}" in media.coverage["captions"].note
    server.behaviour = "describe"
    assert len(captions_of(read(slides, named)[0])) == len(media.frames)


def test_half_a_line_left_by_a_crash_costs_that_one_picture(named, slides, server):
    media, _ = read(slides, named)
    file = named.data_dir / media.id / captions.FILE
    file.write_bytes(file.read_bytes()[:-20])
    server.requests.clear()
    assert captions_of(read(slides, named)[0]) == captions_of(media)
    assert len(server.chats) == 1
    read(slides, named)
    assert len(server.chats) == 1, "the line after it is whole"


def test_with_captions_off_nothing_is_asked_and_what_there_is_stays(named, slides, server):
    off = dataclasses.replace(named, captions=False)
    media, told = read(slides, off)
    assert server.requests == []
    assert "captions" not in media.coverage
    assert "captions" not in {progress.step for progress in told}
    described, _ = read(slides, named)
    assert read(slides, off)[0] == described


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  A man\n\npoints at a chart. ", "A man points at a chart."),
        ("## Picture\n- **A dog** runs.\n* It is `brown`.", "Picture A dog runs. It is brown."),
        ("See ![x](http://evil.example/p.png)[the site](http://evil.example).", "See xthe site."),
        ("<b>Bold</b> <|im_end|>[INST]text", "Bold text"),
        ("5 < 7 and 2 * 3 and snake_case", "5 < 7 and 2 * 3 and snake_case"),
        ("A \x00broken\ud800 one", "A broken one"),
        ("```", ""),
    ],
)
def test_an_answer_becomes_one_plain_paragraph(written, kept):
    assert captions.tidy(written) == kept


def test_a_long_answer_ends_at_a_sentence():
    long = captions.tidy("A dog sits on the 3.5 m wall. " * 40)
    assert 500 < len(long) <= captions.LONGEST
    assert long.endswith("wall.")
    assert captions.tidy("墙上有一只狗。" * 200).endswith("狗。")
    assert len(captions.tidy("x" * 5000)) <= captions.LONGEST
    endless = captions.tidy("and a dog " * 100)
    assert endless.endswith((" dog …", " and …", " a …"))
    assert len(endless) <= captions.LONGEST


def test_a_sentence_that_was_cut_off_is_left_out():
    assert captions.tidy("A dog sits there. It wears a re", whole=False) == "A dog sits there."
    assert captions.tidy("A dog wears a re", whole=False) == "A dog wears a …"


@pytest.mark.skipif(not REAL, reason="needs a vLLM server: set VLLM_TEST_URL")
def test_a_real_server_describes_the_frames_once(named, slides):
    real = dataclasses.replace(named, vllm_base_url=REAL, vllm_api_key=REAL_KEY)
    media, told = read(slides, real)
    assert captions_of(media)
    assert all(len(text) <= captions.LONGEST and "\n" not in text for text in captions_of(media).values())
    said = next(one.note for one in told if one.step == "captions")
    assert said.startswith(f"{len(media.frames)} pictures x about")
    kept = (real.data_dir / media.id / captions.FILE).read_bytes()
    again, _ = read(slides, real)
    assert captions_of(again).items() >= captions_of(media).items()
    assert (real.data_dir / media.id / captions.FILE).read_bytes().startswith(kept)
