"""Answers from an endpoint: words as they come, and a clear line for everything that can go wrong."""

import dataclasses
import math
import threading
import time
from pathlib import Path

import openai  # noqa: F401 (loaded here, so that the short deadlines below measure the endpoint alone)
import pytest
from chat_server import BEHAVIOURS, MODEL, ChatServer, chat_server, free_port
from PIL import Image

from pipeline.chat import vision
from pipeline.chat.call import Deadlines
from pipeline.chat.reply import Reply
from pipeline.chat.short import complete
from pipeline.errors import AnswerError
from pipeline.settings import Settings
from pipeline.types import Evidence, Frame, Moment, Passage, Turn

KEY = "sk-very-private-1234567890"
PATIENT = Deadlines(pause=0.01)
# Only where nothing more will come, so that a slow machine changes no outcome.
WAITING_IN_VAIN = {
    "hang": Deadlines(first_word=0.4),
    "drip": Deadlines(first_word=0.4),
    "drip midway": Deadlines(read=1.2),
    "silent midway": Deadlines(read=1.2),
}


@pytest.fixture(autouse=True)
def _nothing_learned() -> None:
    vision._rooms.clear()  # of a server of another test, whose port may come again


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(6):
        Image.new("RGB", (320, 180), (40 * number, 90, 120)).save(tmp_path / f"{number}.jpg")
    return tmp_path


@pytest.fixture
def evidence() -> Evidence:
    moments = tuple(
        Moment(
            "a" * 32,
            60.0 * i,
            60.0 * i + 30,
            1 / (i + 1),
            (Passage(60.0 * i, 60.0 * i + 30, f"words of part {i}", "speech"),),
            (Frame(60.0 * i + 5, 60.0 * i + 10, f"{i}.jpg"),),
        )
        for i in range(6)
    )
    return Evidence("What does the diagram show?", moments)


def settings_for(settings: Settings, server: ChatServer, model: str = MODEL) -> Settings:
    return dataclasses.replace(settings, vllm_base_url=server.base_url, vllm_api_key=KEY, vllm_model=model)


@pytest.fixture
def ask(settings: Settings, pictures: Path, evidence: Evidence):
    """Ask a server the one question; returns the reply, not yet iterated."""

    def ask(server: ChatServer, deadlines: Deadlines = PATIENT, history: tuple[Turn, ...] = (), **other: str) -> Reply:
        chosen = dataclasses.replace(settings_for(settings, server), **other)
        titles = {"a" * 32: "A talk"}
        return vision.answer(chosen, evidence, titles, history, lambda _, f: pictures / f.image, deadlines)

    return ask


def test_words_come_as_they_are_written(ask) -> None:
    with chat_server("gated") as server:
        reply = ask(server, PATIENT)
        words = iter(reply)
        assert [next(words) for _ in range(3)] == ["The", " diagram", " shows"]
        assert (reply.text, reply.finish) == ("The diagram shows", None)
        server.gate.set()
        assert list(words) == [" two", " encoders", " [0:05]."]
    assert reply.finish == "stop"
    assert reply.answered_by == MODEL
    assert [(c.time, c.supported) for c in reply.citations] == [(5.0, True)]


def test_the_request_carries_key_model_evidence_and_pictures(ask, evidence: Evidence) -> None:
    with chat_server(key=KEY) as server:
        list(ask(server, history=(Turn("Who speaks?", "A woman [0:10].", evidence),)))
        (request,) = server.chats
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == MODEL
    assert request.body["stream"] is True
    assert request.images == 4
    assert "words of part 0" in request.text
    assert "A woman [0:10]." in request.text
    assert '"image_url": {"url": "data:image/jpeg;base64,/9j/' in str(request.body).replace("'", '"')


def test_nothing_is_sent_before_the_reply_is_read(ask) -> None:
    with chat_server() as server:
        ask(server)
        assert server.requests == []


def test_one_connection_carries_one_question_after_another_and_what_else_is_asked(ask, settings) -> None:
    with chat_server(key=KEY) as server:
        for _ in range(3):
            assert "".join(ask(server)) == "The diagram shows two encoders [0:05]."
        assert complete(settings_for(settings, server), [{"role": "user", "content": "Say yes."}], 5)
        assert (len(server.chats), server.connections) == (4, 1)


def test_a_connection_that_was_cut_is_not_used_again(ask) -> None:
    with chat_server("gated") as server:
        stopped = ask(server)
        assert next(iter(stopped)) == "The"
        stopped.stop()
        server.behaviour = "answer"
        assert "".join(ask(server)) == "The diagram shows two encoders [0:05]."
        assert server.connections == 2


def test_an_open_connection_that_the_server_hung_up_costs_nothing(ask) -> None:
    with chat_server() as server:
        list(ask(server))
        server.behaviour = "hangs up once"
        assert "".join(ask(server, Deadlines(pause=math.inf)))  # so long a pause: else there would be no second try
        assert server.connections == 2


def test_an_answer_cut_off_at_its_length_says_so(ask) -> None:
    with chat_server("cut off") as server:
        reply = ask(server)
        assert "".join(reply) == reply.text == "The diagram shows two encoders [0:05]."
    assert reply.finish == "length"


def test_thinking_is_a_sign_of_life_and_no_part_of_the_answer(ask) -> None:
    with chat_server("thinks") as server:
        assert list(ask(server)) == ["Two encoders."]


MIDWAY = {
    "drip midway": "went silent in mid-answer for 1.2 s",
    "silent midway": "went silent in mid-answer for 1.2 s",
    "drop": "broke off in mid-answer",
    "close midway": "broke off in mid-answer",
    "done midway": "broke off in mid-answer",
    "malformed": "no chat answer",
    "not text": "no chat answer",
    "error object": "CUDA out of memory",
    "error event": "engine died",
    "aborted": "'abort'",
}
WORDLESS = {
    "hang": "sent no word within 0.4 s",
    "drip": "sent no word within 0.4 s",
    "hang up": "hung up without an answer",
    "odd events": "without a word",
    "empty choices": "without a word",
    "only done": "without a word",
    "no text": "without a word",
    "blanks": "without a word",
    "html": "web page",
    "redirect": "redirects to another address.*elsewhere.example",
    "document": "streaming is switched off",
    "text only": "cannot see pictures.*Set VLLM_MODEL",
    "forbidden": "does not allow this.*not for you",
    "busy": "busy.*slow down",
    "broken": r"failed \(HTTP 500\).*engine core died",
    "echo key": r"refused the question \(HTTP 400\)",
    "too long always": "too long.*even after a smaller try.*--max-model-len",
}


def test_every_misbehaviour_has_its_test() -> None:
    fine = {"answer", "gated", "waits", "cut off", "thinks", "fails once", "busy once", "chatter", "hangs up once"}
    assert set(BEHAVIOURS) == fine | set(MIDWAY) | set(WORDLESS)


@pytest.mark.parametrize(("behaviour", "line"), [*MIDWAY.items(), *WORDLESS.items()])
def test_a_fault_gets_one_clear_line_and_keeps_what_had_arrived(ask, behaviour: str, line: str) -> None:
    with chat_server(behaviour) as server:
        reply = ask(server, WAITING_IN_VAIN.get(behaviour, PATIENT))
        with pytest.raises(AnswerError, match=line) as fault:
            list(reply)
    message = str(fault.value)
    assert reply.finish == "interrupted"
    assert reply.text.strip() == ("The diagram shows" if behaviour in MIDWAY else "")
    assert "\n" not in message
    assert len(message) < 700
    assert KEY not in message + repr(fault.value.__cause__)


@pytest.mark.parametrize("behaviour", ["drop", "broken"])
def test_the_question_can_be_asked_again(ask, behaviour: str) -> None:
    with chat_server(behaviour) as server:
        with pytest.raises(AnswerError):
            list(ask(server))
        server.behaviour = "answer"
        assert "".join(ask(server)).startswith("The diagram")


@pytest.mark.parametrize("behaviour", ["fails once", "busy once"])
def test_a_failure_before_the_first_word_is_tried_once_more(ask, behaviour: str) -> None:
    with chat_server(behaviour) as server:
        assert "".join(ask(server)).startswith("The diagram")
        assert len(server.chats) == 2


def test_what_is_worth_no_second_try_gets_none(ask) -> None:
    for behaviour in ("busy", "forbidden", "drop"):
        with chat_server(behaviour) as server:
            with pytest.raises(AnswerError):
                list(ask(server))
            assert len(server.chats) == 1, behaviour


def test_an_answer_without_end_is_ended(ask) -> None:
    with chat_server("chatter") as server:
        reply = ask(server, Deadlines(whole=1.5))
        with pytest.raises(AnswerError, match=r"not done after 1\.5 s"):
            list(reply)
        assert reply.text.startswith("la la")
        assert server.hung_up.wait(5)


def test_a_redirect_is_not_followed_with_the_key(ask) -> None:
    with chat_server() as elsewhere, chat_server("redirect") as server:
        with pytest.raises(AnswerError, match="Set VLLM_BASE_URL"):
            list(ask(server))
        assert elsewhere.requests == []


def test_a_server_that_is_not_there(ask) -> None:
    with pytest.raises(AnswerError, match=r"No chat endpoint answers at http://127\.0\.0\.1:.*Start the server"):
        list(ask(ChatServer(base_url=f"http://127.0.0.1:{free_port()}/v1")))


def test_a_name_that_is_not_known(ask) -> None:
    with pytest.raises(AnswerError, match="not known to this network"):
        list(ask(ChatServer(base_url="http://no-such-host.invalid/v1")))


def test_plain_http_spoken_to_as_https(ask) -> None:
    with chat_server() as server:
        secure = ChatServer(base_url=server.base_url.replace("http", "https"))
        with pytest.raises(AnswerError, match="https or http"):
            list(ask(secure))


def test_a_base_url_without_v1(ask) -> None:
    with chat_server() as server:
        server.base_url = server.base_url.removesuffix("/v1")
        with pytest.raises(AnswerError, match="ends in /v1"):
            list(ask(server))


def test_a_base_url_that_is_none(ask) -> None:
    with pytest.raises(AnswerError, match="no web address"):
        list(ask(ChatServer(base_url="http://[broken:1/v1")))


def test_a_wrong_key(ask) -> None:
    with chat_server(key="another") as server, pytest.raises(AnswerError, match=r"refused the key.*Check VLLM_API_KEY"):
        list(ask(server))


def test_a_key_that_no_request_can_carry(ask) -> None:
    with chat_server() as server:
        for key in ("ключ", "two words", "line\nbreak"):
            with pytest.raises(AnswerError, match="Copy the key again") as fault:
                list(ask(server, vllm_api_key=key))
            assert key not in str(fault.value)
        assert server.requests == []


def test_no_key_where_one_is_wanted(settings: Settings, evidence: Evidence, pictures: Path) -> None:
    with chat_server(key=KEY) as server:
        plain = dataclasses.replace(settings, vllm_base_url=server.base_url)
        reply = vision.answer(plain, evidence, {}, (), lambda _, f: pictures / f.image, PATIENT)
        with pytest.raises(AnswerError, match=r"wants a key.*Set VLLM_API_KEY"):
            list(reply)


def test_an_unknown_model_names_the_known_ones(ask) -> None:
    with chat_server() as server, pytest.raises(AnswerError, match=f"does not know the model nope.*one of: {MODEL}"):
        list(ask(server, vllm_model="nope"))


def test_too_many_images_lead_to_one_smaller_try_that_is_remembered(ask) -> None:
    with chat_server(image_limit=2) as server:
        reply = ask(server)
        assert "".join(reply).startswith("The diagram")
        assert [request.images for request in server.chats] == [4, 2]
        assert sum(len(moment.frames) for moment in reply.evidence.moments) == 2, "evidence is what was sent"
        list(ask(server))
        assert [request.images for request in server.chats] == [4, 2, 2]


def test_a_context_that_is_smaller_than_thought_leads_to_one_smaller_try(ask) -> None:
    with chat_server(lists_models=False, context_length=1200) as server:
        assert "".join(ask(server)).startswith("The diagram")
        assert len(server.chats) == 2
        assert server.chats[1].images < server.chats[0].images


def test_pictures_that_cost_more_than_pixtrals_lead_to_one_smaller_try(ask) -> None:
    with chat_server(image_tokens=1500, context_length=4096) as server:
        assert "".join(ask(server)).startswith("The diagram")
        assert server.chats[0].images > server.chats[1].images > 0


def test_the_context_that_the_endpoint_names_is_kept_to(ask) -> None:
    with chat_server(context_length=1600) as server:
        list(ask(server))
        (request,) = server.chats
    assert request.images < 4
    assert request.body["max_tokens"] == 400


def test_stop_ends_a_silent_answer_at_once_and_hangs_up(ask) -> None:
    with chat_server("drip midway") as server:
        reply = ask(server)
        words = iter(reply)
        next(words)
        threading.Timer(0.1, reply.stop).start()
        begin = time.monotonic()
        rest = list(words)
        assert time.monotonic() - begin < 20, "far below every deadline"
        assert server.hung_up.wait(5)
    assert reply.finish == "stopped"
    assert reply.text == "The" + "".join(rest)


def test_stop_before_the_first_word(ask) -> None:
    with chat_server("hang") as server:
        reply = ask(server)
        threading.Timer(0.1, reply.stop).start()
        assert list(reply) == []
    assert reply.finish == "stopped"


def test_a_reply_that_is_no_longer_read_hangs_up(ask) -> None:
    with chat_server("drip midway") as server:
        reply = ask(server)
        words = iter(reply)
        next(words)
        words.close()
        assert reply.finish == "stopped"
        assert server.hung_up.wait(5)


def test_stop_after_the_end_changes_nothing(ask) -> None:
    with chat_server() as server:
        reply = ask(server)
        list(reply)
        reply.stop()
    assert reply.finish == "stop"


def test_a_picture_that_is_gone_is_passed_over_and_that_is_said(ask, pictures: Path) -> None:
    (pictures / "0.jpg").unlink()
    with chat_server() as server:
        reply = ask(server)
        assert "".join(reply).startswith("The diagram")
        assert server.chats[0].images == 4, "the next ones take its place"
    assert [frame.image for moment in reply.evidence.moments for frame in moment.frames] == [
        f"{number}.jpg" for number in (1, 2, 3, 4)
    ]
    assert reply.evidence.moments[0].passages, "its words stay"
    assert [note for note in reply.evidence.notes if note.startswith("1 picture that fit could not be read")]


def test_without_any_picture_left_the_words_answer(ask, pictures: Path) -> None:
    for picture in pictures.glob("*.jpg"):
        picture.unlink()
    with chat_server() as server:
        reply = ask(server)
        assert "".join(reply).startswith("The diagram")
        assert server.chats[0].images == 0
        assert "words of part 0" in server.chats[0].text
    assert len(reply.evidence.notes) == 1


def test_sentences_without_a_time_are_named_once_the_answer_has_ended(ask) -> None:
    with chat_server("gated", words=("It falls.", " It", " rises [0:05].", " It stays.", " Why?")) as server:
        reply = ask(server)
        words = iter(reply)
        next(words)
        assert reply.uncited == ()
        server.gate.set()
        list(words)
    assert reply.uncited == ("It falls.", "It stays.")


def test_the_sentence_in_which_an_answer_was_cut_off_is_not_held_against_it(ask) -> None:
    with chat_server("cut off", words=("It falls.", " It rises [0:05].", " It then di")) as server:
        reply = ask(server)
        list(reply)
    assert (reply.finish, reply.uncited) == ("length", ("It falls.",))


def test_probe_learns_models_context_and_image_limit(settings: Settings) -> None:
    with chat_server(key=KEY, image_limit=4, context_length=32_768) as server:
        facts = vision.probe(settings_for(settings, server), PATIENT)
    assert facts == vision.EndpointFacts((MODEL,), True, 32_768, 4)


def test_probe_of_an_endpoint_that_takes_many_images_and_lists_nothing(settings: Settings) -> None:
    with chat_server(image_limit=99, lists_models=False) as server:
        facts = vision.probe(settings_for(settings, server), PATIENT)
    assert facts == vision.EndpointFacts((), True, None, vision.IMAGES_PROBED, image_limit_is_floor=True)


def test_probe_of_a_model_without_eyes(settings: Settings) -> None:
    with chat_server("text only", image_limit=99) as server:
        assert vision.probe(settings_for(settings, server), PATIENT).image_limit == 0


def test_probe_of_an_unknown_model(settings: Settings) -> None:
    with chat_server() as server:
        facts = vision.probe(settings_for(settings, server, "nope"), PATIENT)
    assert (facts.model_known, facts.models) == (False, (MODEL,))


@pytest.mark.parametrize("behaviour", ["hang", "html", "broken"])
def test_probe_of_a_broken_endpoint_raises(settings: Settings, behaviour: str) -> None:
    with chat_server(behaviour, image_limit=99) as server, pytest.raises(AnswerError):
        vision.probe(settings_for(settings, server), WAITING_IN_VAIN.get(behaviour, PATIENT))


def test_what_was_sent_is_named_picture_by_picture(ask) -> None:
    with chat_server() as server:
        reply = ask(server)
        assert reply.sent == ()
        list(reply)
        (request,) = server.chats
    assert [message["role"] for message in reply.sent] == [message["role"] for message in request.body["messages"]]
    named = [part for part in reply.sent[-1]["content"] if part["type"] == "picture"]
    assert len(named) == request.images
    assert {part["media"] for part in named} == {"a" * 32}
    assert {(part["time"], part["file"]) for part in named} <= {(60.0 * n + 5, f"{n}.jpg") for n in range(6)}
    words = [part["text"] for part in reply.sent[-1]["content"] if part["type"] == "text"]
    assert words == [part["text"] for part in request.body["messages"][-1]["content"] if part["type"] == "text"]


def test_what_was_sent_is_what_the_smaller_try_sent(ask) -> None:
    with chat_server(image_limit=2) as server:
        reply = ask(server)
        list(reply)
        assert [request.images for request in server.chats] == [4, 2]
    assert str(reply.sent).count("'type': 'picture'") == 2
