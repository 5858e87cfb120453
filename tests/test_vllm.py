"""A real vLLM server, where one is named: VLLM_TEST_URL=http://127.0.0.1:8123/v1 (key in VLLM_TEST_KEY).

It is expected to serve mistralai/Pixtral-12B-2409 with 4 images a prompt; the words may be noise.
"""

import dataclasses
import json
import os
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from injections import CALL, INJECTIONS
from PIL import Image, ImageDraw

from pipeline.chat import vision
from pipeline.chat.prompt import Room, write
from pipeline.errors import AnswerError
from pipeline.settings import Settings
from pipeline.types import Evidence, Frame, Moment, Passage, Turn

URL, KEY = os.environ.get("VLLM_TEST_URL", ""), os.environ.get("VLLM_TEST_KEY", "secret")
pytestmark = pytest.mark.skipif(not URL, reason="needs a vLLM server: set VLLM_TEST_URL")

TITLES = {"f" * 32: "How CLIP learns"}
SAID = (
    "In this part we look at how the two encoders are trained together. The image encoder turns the picture into a "
    "vector, and the text encoder turns the caption into another one. For every pair in the batch, the cosine of the "
    "right pair is made large and that of all wrong pairs small; 400 million pairs were used, about 32,768 at a time. "
)


@pytest.fixture
def server(settings: Settings) -> Settings:
    vision._rooms.clear()  # what other tests have learned of it
    return dataclasses.replace(settings, vllm_base_url=URL, vllm_api_key=KEY)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for number in range(6):
        picture = Image.new("RGB", (512, 288), (20, 40 * number, 90))
        ImageDraw.Draw(picture).text((40, 120), f"slide {number}", fill="white")
        picture.save(tmp_path / f"{number}.jpg")
    return tmp_path


def found(moments: int = 6, repeat: int = 1, question: str = "How are the two encoders trained?") -> Evidence:
    return Evidence(
        question,
        tuple(
            Moment(
                "f" * 32,
                40.0 * i,
                40.0 * i + 30,
                1 / (i + 1),
                (Passage(40.0 * i, 40.0 * i + 30, f"Part {i}. {SAID * repeat}", "speech"),),
                (Frame(40.0 * i, 40.0 * i + 20, f"{i % 6}.jpg"),),
            )
            for i in range(moments)
        ),
    )


def ask(server: Settings, films: Path, evidence: Evidence, history: tuple[Turn, ...] = ()):
    return vision.answer(server, evidence, TITLES, history, lambda _, frame: films / frame.image)


def prompt_tokens(messages: list[dict]) -> int:
    """What the server itself counts."""
    body = {"model": "mistralai/Pixtral-12B-2409", "messages": messages, "max_tokens": 1}
    request = urllib.request.Request(
        f"{URL}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)["usage"]["prompt_tokens"]


def test_a_conversation_in_streamed_words(server: Settings, films: Path) -> None:
    first = ask(server, films, found(2))
    pieces = list(first)
    assert len(pieces) > 5
    assert "".join(pieces) == first.text
    assert first.finish in ("stop", "length")
    turn = Turn(first.evidence.question, first.text, first.evidence)
    second = ask(server, films, found(2, question="And what comes after that?"), (turn,))
    assert "".join(second).strip()
    assert second.finish in ("stop", "length")
    assert second.answered_by == "mistralai/Pixtral-12B-2409"


def test_stop_in_mid_answer(server: Settings, films: Path) -> None:
    reply = ask(server, films, found(1))
    for count, _ in enumerate(reply):
        if count == 3:
            reply.stop()
    assert reply.finish == "stopped"
    assert reply.text


@pytest.mark.parametrize(("moments", "images", "repeat"), [(1, 1, 1), (4, 4, 1), (6, 0, 1), (8, 2, 4)])
def test_the_estimate_is_a_little_above_what_the_server_counts(
    server: Settings, films: Path, moments: int, images: int, repeat: int
) -> None:
    history = (Turn("Who speaks here?", "A researcher explains it [0:05].", found(1)),)
    prompt = write(found(moments, repeat), TITLES, history, Room(16_384, images), lambda *_: (512, 288))
    messages = vision._messages(prompt, lambda _, frame: (films / frame.image).read_bytes())
    counted = prompt_tokens(messages)
    print(f"\n{len(prompt.frames)} images: estimate {prompt.tokens}, counted {counted}")
    assert counted <= prompt.tokens <= 1.35 * counted


def test_more_images_than_allowed_lead_to_a_smaller_try(
    server: Settings, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vision._rooms, (URL, server.vllm_model), Room(images=6))
    reply = ask(server, films, found(6))
    next(iter(reply))
    assert sum(len(moment.frames) for moment in reply.evidence.moments) == 4


def test_a_prompt_that_is_too_long_leads_to_a_smaller_try(
    server: Settings, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = found(80, repeat=8)
    monkeypatch.setitem(vision._rooms, (URL, server.vllm_model), Room(context=200_000))
    reply = ask(server, films, evidence)
    next(iter(reply))
    assert 0 < len(reply.evidence.moments) < 80


def test_a_wrong_key(server: Settings, films: Path) -> None:
    with pytest.raises(AnswerError, match="refused the key"):
        list(ask(dataclasses.replace(server, vllm_api_key="wrong-key"), films, found(1)))


def test_a_wrong_model(server: Settings, films: Path) -> None:
    with pytest.raises(AnswerError, match=r"does not know the model nope.*mistralai/Pixtral-12B-2409"):
        list(ask(dataclasses.replace(server, vllm_model="nope"), films, found(1)))


def test_probe(server: Settings) -> None:
    facts = vision.probe(server)
    assert facts.models == ("mistralai/Pixtral-12B-2409",)
    assert facts.model_known
    assert facts.context_length > 1000
    assert (facts.image_limit, facts.image_limit_is_floor) == (4, False)


def test_a_picture_in_a_question(server: Settings, films: Path) -> None:
    added = (films / "5.jpg").read_bytes()
    found_by_it = dataclasses.replace(found(2, question="Where is this shown?"), kind="picture")
    reply = vision.answer(server, found_by_it, TITLES, (), lambda _, frame: films / frame.image, added=added)
    assert "".join(reply).strip()
    assert reply.sent[-1]["content"][1] == {"type": "picture", "added": True}
    prompt = write(found_by_it, TITLES, (), Room(), lambda *_: (512, 288), (512, 288))
    counted = prompt_tokens(vision._messages(prompt, lambda _, frame: (films / frame.image).read_bytes(), added))
    assert counted <= prompt.tokens <= 1.35 * counted


def test_a_picture_in_a_question_takes_one_of_the_images_allowed(
    server: Settings, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vision._rooms, (URL, server.vllm_model), Room(images=6))
    added = (films / "5.jpg").read_bytes()
    reply = vision.answer(server, found(6), TITLES, (), lambda _, frame: films / frame.image, added=added)
    next(iter(reply))
    assert sum(len(moment.frames) for moment in reply.evidence.moments) == 3


@pytest.mark.parametrize("name", INJECTIONS)
def test_words_that_try_to_be_more_go_through_and_nothing_is_fetched(
    server: Settings, films: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model says of them is printed: it may be noise, and obeying is the model's own failing."""
    reached: list[tuple] = []
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda line, to: (reached.append(to), connect(line, to))[1])
    text = INJECTIONS[name]
    said = Passage(0.0, 30.0, f"{SAID} {text}", "speech")
    moment = Moment("f" * 32, 0.0, 30.0, 1.0, (said,), (Frame(0.0, 5.0, "1.jpg"),))
    evidence = Evidence("How are they trained?", (moment,))
    reply = vision.answer(server, evidence, {"f" * 32: text}, (), lambda _, frame: films / frame.image)
    words = "".join(reply)
    print(f"\n{name}: {'OBEYED' if CALL in words.lower() else 'quoted'}: {words[:100]!r}")
    assert words.strip()
    assert reply.finish in ("stop", "length")
    assert {to[1] for to in reached if isinstance(to, tuple)} <= {urlsplit(URL).port}
    assert KEY not in json.dumps(reply.sent)


def special_tokens(content: str) -> list[int]:
    """The signs of the template in a message, as the server's own tokenizer reads it: the first thousand of Tekken."""
    body = {"model": "mistralai/Pixtral-12B-2409", "messages": [{"role": "user", "content": content}]}
    request = urllib.request.Request(
        f"{URL.removesuffix('/v1')}/tokenize",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return [token for token in json.load(answer)["tokens"] if token < 1000]


@pytest.mark.parametrize("name", INJECTIONS)
def test_the_servers_tokenizer_reads_no_sign_of_its_template_in_them(name: str) -> None:
    said = Passage(0.0, 30.0, INJECTIONS[name], "speech")
    evidence = Evidence("How are they trained?", (Moment("f" * 32, 0.0, 30.0, 1.0, (said,), (), (), INJECTIONS[name]),))
    content = write(evidence, {"f" * 32: INJECTIONS[name]}, (), Room(), lambda *_: (512, 288)).messages[-1]["content"]
    assert special_tokens(content) == special_tokens("Planks are glued.")
