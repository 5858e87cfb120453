"""Words of a video stay words: quoted within one fence, on lines of ours, with times of ours, and nothing else sent.

What a model makes of them is looked at in test_vllm.py, where there is one.
"""

import dataclasses
import re

import pytest
from chat_server import chat_server
from injections import CALL, INJECTIONS

from pipeline.chat.citations import find
from pipeline.chat.lines import IS_IT
from pipeline.chat.prompt import INSTRUCTIONS, Room, write
from pipeline.types import Evidence, Frame, Moment, Passage, Turn
from pipeline.workflow import Pipeline, build

A, B = "a" * 32, "b" * 32
TIMES = {5.0, 60.0, 65.0, 125.0}  # of the evidence below, s
KINDS = "said|subtitle|on screen|picture shows"
LINE = re.compile(rf"(?:Video(?: \d)?: .+|Chapter \[[\d:]+\]: .*|\[[\d:]+\] (?:{KINDS}): \".*\"|\[[\d:]+\] picture:)\Z")
# Signs of the chat templates of Mistral, ChatML, Llama, Gemma, DeepSeek, whole or with letters that are not seen.
SIGNS = re.compile(
    r"<\s*[|｜/!]|<[A-Za-z]|\[\s*/?\s*(?:INST|IMG|SYSTEM|AVAILABLE|TOOL|REF)|\[control_"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def hostile(text: str) -> tuple[Evidence, dict[str, str]]:
    """Evidence of two videos in which everything that others wrote is this text, and their titles."""
    said = [Passage(at, at + 5, text, kind) for at, kind in ((60.0, "speech"), (65.0, "screen"), (125.0, "caption"))]
    moments = (
        Moment(A, 60.0, 80.0, 0.9, tuple(said[:2]), (Frame(65.0, 70.0, "1.jpg"),), (IS_IT, text), text),
        Moment(B, 125.0, 130.0, 0.5, (said[2],), (), (text,), text),
    )
    return Evidence("What is it about?", moments, kind="picture", notes=(text,)), {A: text, B: text}


def told(text: str) -> tuple[str, str]:
    """(what stands within the fence, what stands outside of it) of the last message."""
    evidence, titles = hostile(text)
    history = (Turn("Before?", "An answer [1:00].", evidence),)
    messages = write(evidence, titles, history, Room(), lambda *_: (512, 288)).messages
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == INSTRUCTIONS
    content = messages[-1]["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    whole = "".join(part.get("text", "\n") for part in parts)
    assert whole.count("<evidence>") == whole.count("</evidence>") == 1
    before, _, rest = whole.partition("<evidence>")
    within, _, after = rest.partition("</evidence>")
    return within, before + after


@pytest.mark.parametrize("name", INJECTIONS)
def test_it_stays_within_the_fence_on_lines_of_ours(name):
    within, without = told(INJECTIONS[name])
    assert told("Planks are glued.")[1] == without  # nothing of it stands outside: not in the guide either
    lines = [line for line in within.split("\n") if line.strip()]
    for line in lines:
        assert LINE.match(line), line
    assert len(lines) == len([one for one in told("Planks are glued.")[0].split("\n") if one.strip()])


@pytest.mark.parametrize("name", INJECTIONS)
def test_no_time_but_those_of_the_evidence_can_be_cited(name):
    within, _ = told(INJECTIONS[name])
    assert {seconds for _, _, seconds in find(within)} <= TIMES


@pytest.mark.parametrize("name", INJECTIONS)
def test_no_sign_of_a_chat_template_is_left(name):
    within, without = told(INJECTIONS[name])
    assert not SIGNS.search(within), SIGNS.search(within)
    assert not SIGNS.search(without)


def test_words_in_other_alphabets_and_signs_of_several_parts_are_quoted_as_they_are():
    for text in ("«Bonjour», dit-elle", "می‌خواهم", "👩‍🔬 explains", "שלום", "x[1] and [MU]"):
        assert text in told(text)[0]


@pytest.fixture
def two(library: Pipeline, tmp_path):
    """A library of the film and of a transcript about something else."""
    other = tmp_path / "secret plans.srt"
    other.write_text("1\n00:00:01,000 --> 00:00:09,000\nThe treasure of plants lies below the old oak tree.\n")
    library.ingest(other)
    library.close()
    return library


@pytest.mark.long
def test_what_is_sent_is_of_the_video_that_is_asked_and_holds_no_key_and_no_tool(two: Pipeline):
    film = next(one for one in two.everything()[0] if one.frames)
    with chat_server(key="canary-chat-key") as model:
        settings = dataclasses.replace(
            two.settings, vllm_base_url=model.base_url, vllm_api_key="canary-chat-key", app_password="canary-password"
        )
        asking = build(settings)
        try:
            question = f"{INJECTIONS['other videos']} {INJECTIONS['keys']} What is said about plants?"
            "".join(asking.ask(question, [film.id]))
        finally:
            asking.close()
    assert model.chats
    for request in model.chats:
        assert "canary" not in str(request.body)
        assert "treasure" not in str(request.body)
        assert "secret plans" not in str(request.body)
        assert not {"tools", "functions", "tool_choice"} & set(request.body)
        assert set(request.body) <= {"model", "messages", "max_tokens", "temperature", "stream"}


def test_there_are_many_of_them():
    assert len(INJECTIONS) >= 30
    assert sum(CALL in text for text in INJECTIONS.values()) >= 20
