"""What a question asks for, with a model: asked once and shortly, and never in the way of an answer."""

import dataclasses
import logging
import math

import openai  # noqa: F401 (loaded here, so that the short deadline below measures the endpoint alone)
import pytest
from chat_server import ChatServer, chat_server, free_port

from pipeline.chat import decide as decide_
from pipeline.chat.call import Deadlines
from pipeline.chat.decide import decide
from pipeline.chat.intent import LONGEST, Intent
from pipeline.settings import Settings

KEY = "sk-very-private-1234567890"
QUESTION = "I was late, so what did I miss?"  # the rules see a matter in it
RULED = Intent("local", QUESTION)
PATIENT = Deadlines(pause=math.inf)
IMPATIENT = Deadlines(first_word=1.5, whole=1.5, pause=math.inf)  # only where nothing will come


@pytest.fixture(autouse=True)
def _all_rested() -> None:
    decide_._resting.clear()  # of a server of another test, whose port may come again


@pytest.fixture
def ask(settings: Settings):
    def ask(server: ChatServer, question: str = QUESTION, follows: bool = False, deadlines: Deadlines = PATIENT):
        chosen = dataclasses.replace(settings, vllm_base_url=server.base_url, vllm_api_key=KEY)
        return decide(chosen, question, follows, deadlines)

    return ask


def test_the_model_decides_where_the_rules_see_only_a_matter(ask) -> None:
    with chat_server(words=("whole", ": -")) as server:
        assert ask(server) == Intent("whole", "")
        (request,) = server.requests
    assert QUESTION in request.text
    assert request.images == 0
    assert request.body["max_tokens"] <= 50


def test_what_to_look_for_comes_out_of_the_question(ask) -> None:
    question = "Which thing did she pick up once the box was open?"
    with chat_server(words=("after: the box was open",)) as server:
        assert ask(server, question) == Intent("after", "the box was open")
        server.words = ("after: the lid came off",)
        assert ask(server, question) == Intent("local", question)


@pytest.mark.parametrize(
    ("question", "follows", "kind"),
    [
        ("What is this video about?", False, "whole"),
        ("How many times does she mention dropout?", False, "count"),
        ("And why is that?", True, "local"),
        ("why " * LONGEST, False, "local"),
    ],
)
def test_the_rules_alone_decide_what_is_clear_long_or_leans_on_the_conversation(
    ask, question: str, follows: bool, kind: str
) -> None:
    with chat_server(words=("now: -",)) as server:
        assert ask(server, question, follows).kind == kind
        assert server.requests == []


def test_without_a_model_the_rules_decide(settings: Settings) -> None:
    assert decide(settings, QUESTION) == RULED
    assert decide(settings, "Summarise the talk.").kind == "whole"


@pytest.mark.parametrize("words", [("I think it is about the whole.",), ("every: all the cats",), ("whole\nlocal: -",)])
def test_an_odd_answer_leaves_it_to_the_rules_and_the_log(ask, words: tuple[str, ...], caplog) -> None:
    caplog.set_level(logging.DEBUG, "pipeline.chat.decide")
    with chat_server(words=words) as server:
        assert ask(server) == RULED
        assert words[0][:5] in caplog.text
        server.words = ("whole: -",)
        assert ask(server).kind == "whole", "it may be asked the next time"


@pytest.mark.parametrize(
    "behaviour", ["hang", "drip", "busy", "broken", "html", "blanks", "drop", "forbidden", "echo key"]
)
def test_an_endpoint_that_fails_is_asked_once_and_then_left_in_peace(ask, behaviour: str, caplog) -> None:
    caplog.set_level(logging.DEBUG, "pipeline.chat.decide")
    with chat_server(behaviour) as server:
        for _ in range(3):
            assert ask(server, deadlines=IMPATIENT if behaviour in ("hang", "drip") else PATIENT) == RULED
        assert len(server.requests) == 1
    assert "by the rules" in caplog.text
    assert KEY not in caplog.text


def test_another_endpoint_is_asked_while_one_rests(ask) -> None:
    with chat_server("broken") as broken, chat_server(words=("whole: -",)) as server:
        assert ask(broken) == RULED
        assert ask(server).kind == "whole"


def test_a_server_that_is_not_there_leaves_it_to_the_rules(ask) -> None:
    for address in (f"http://127.0.0.1:{free_port()}/v1", "http://[broken:1/v1"):
        assert ask(ChatServer(base_url=address)) == RULED
