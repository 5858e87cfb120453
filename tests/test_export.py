"""A conversation taken along: all of it, readable anywhere, with its pictures, and harmless."""

import io
import json
import re
import zipfile

import pytest

from pipeline.chat import exchange, export
from pipeline.chat.exchange import Exchange
from pipeline.types import Evidence, Frame, Moment, Passage

A, B = "a" * 32, "b" * 32


def moment(media=A, start=65.0, text="Planks are glued.", kind="speech", frames=("frames/000065.000.jpg",)):
    passage = Passage(start, start + 10, text, kind)
    return Moment(media, start, start + 10, 0.5, (passage,), tuple(Frame(start, start + 9, one) for one in frames))


def answered(*moments, text="They are **glued** [1:05].", **fields):
    evidence = Evidence("How are planks joined?", moments or (moment(),), notes=fields.pop("notes", ()))
    fields = {"asked": 1_700_000_000.0, "answered_by": "a-model", "finish": "stop"} | fields
    return Exchange("How are planks joined?", text=text, evidence=evidence, **fields)


@pytest.fixture
def export_all(tmp_path):
    (tmp_path / "frames").mkdir()
    for name in ("000065.000.jpg", "000090.000.jpg"):
        (tmp_path / "frames" / name).write_bytes(b"\xff\xd8" + name.encode())
    (tmp_path / "asked.jpg").write_bytes(b"\xff\xd8 asked")

    def export_all(*exchanges, titles=None, page=""):
        content = export.to_markdown(
            exchanges,
            titles or {A: "Boats"},
            lambda media, one: tmp_path / one.image,
            lambda one: tmp_path / one.picture,
            page,
        )
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            return archive.read("chat.md").decode(), set(archive.namelist())

    return export_all


def test_questions_answers_and_evidence_with_links_and_pictures(export_all):
    text, names = export_all(answered(at=12.0, notes=("One part was not searched.",)))
    assert names == {"chat.md", "frames/aaaaaaaa-000065.000.jpg"}
    for part in (
        "# Questions about Boats",
        "## How are planks joined?",
        f"They are **glued** [[1:05](?video={A}&t=65)].",
        "at 0:12 of the video, answered by a-model",
        "> One part was not searched.",
        f"[1:05](?video={A}&t=65) Planks are glued.",
        "![1:05](frames/aaaaaaaa-000065.000.jpg)",
    ):
        assert part in text


def test_every_picture_that_is_shown_is_in_it_once_and_what_is_gone_is_left_out(export_all):
    frames = ("frames/000065.000.jpg", "frames/gone.jpg")
    text, names = export_all(answered(moment(frames=frames)), answered(moment(), moment(start=90.0)))
    shown = set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text))
    assert shown == names - {"chat.md"}
    assert "gone" not in text


def test_the_picture_of_a_question_is_in_it(export_all):
    text, names = export_all(Exchange("", picture="asked.jpg", finish="stop", evidence=Evidence("", (moment(),))))
    assert "## Where is this shown?" in text
    assert "(pictures/asked.jpg)" in text
    assert "pictures/asked.jpg" in names


def test_times_lead_to_the_video_that_they_are_of(export_all):
    one = answered(moment(A), moment(B, start=300.0, frames=()), text="Glued [1:05], then nailed [5:01], and [9:59].")
    text, _ = export_all(one, titles={A: "Boats", B: "Nails"})
    assert f"[[1:05](?video={A}&t=65)], then nailed [[5:01](?video={B}&t=301)], and [9:59]." in text
    assert "in Nails" in text


def test_words_of_videos_and_models_stay_words(export_all):
    evil = "![x](http://evil.example/a.png) <img src=x> # no heading"
    text, _ = export_all(answered(moment(text=evil), text=f"{evil} [more](http://evil.example)"), titles={A: evil})
    drawn = re.findall(r"(?<!\\)\]\(([^)]*)\)", text)
    assert not [one for one in drawn if "evil" in one]
    assert not re.search(r"(?<!\\)<img", text)


def test_a_picture_that_hides_behind_a_backslash_is_not_fetched(export_all):
    text, _ = export_all(answered(text=r"Look: ![x\](http://evil.example/a.png)"))
    assert "](http" not in text


def test_times_lead_to_the_page_that_it_was_taken_from(export_all):
    text, _ = export_all(answered(moment(A), text="Glued [1:05]."), titles={A: "Boats"}, page="http://here:8501/")
    assert f"[1:05](http://here:8501/?video={A}&t=65)" in text


def test_what_broke_off_says_so(export_all):
    text, _ = export_all(
        answered(text="They are", finish="interrupted", error="The endpoint broke off. Ask again."),
        answered(text="They", finish="stopped"),
        Exchange("And why?", finish="interrupted", error="No video has this id."),
    )
    assert "**The endpoint broke off. Ask again.**" in text
    assert "The answer was stopped." in text
    assert "No video has this id." in text


def test_json_holds_all_of_it():
    exchanges = (answered(sent=({"role": "user", "content": "x"},)), Exchange("And why?", finish="stopped"))
    record = json.loads(export.to_json(exchanges, {A: "Boats"}))
    assert record["titles"] == {A: "Boats"}
    assert exchange.parse(json.dumps({key: record[key] for key in ("format", "exchanges")})) == exchanges
