"""Measuring: the figures by hand, the questions file, and a collection of transcripts from file to table."""

import json
from collections import Counter
from pathlib import Path

import pytest
from chat_server import chat_server
from questions import courses, qmsum, tutorialvqa, unanswerable

from pipeline import build, evaluate, metrics
from pipeline.__main__ import main
from pipeline.chat import judge
from pipeline.errors import SettingsError, SourceError
from pipeline.media.video import identify
from pipeline.metrics import Answered, Outcome
from pipeline.questions import load, sample
from pipeline.search.moments import FUSION
from pipeline.settings import Settings
from pipeline.types import Coverage, Media, Moment, Passage

TALKS = {
    "bread": ["Mix the flour with water and salt.", "Let the dough rest for an hour.", "Bake the bread in a hot oven."],
    "bicycle": ["Turn the bicycle upside down.", "Take the wheel off the frame.", "Patch the hole in the tube."],
    "garden": ["Dig the soil in spring.", "Sow the carrots in rows.", "Water the seedlings every evening."],
}
SENTENCE = 40.0  # s


def quiet(*_: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="session")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three transcripts of two minutes."""
    folder = tmp_path_factory.mktemp("talks")
    for name, sentences in TALKS.items():
        times = ["00:00.000", "00:40.000", "01:20.000", "02:00.000"]
        cues = [f"{start} --> {end}\n{text}" for start, end, text in zip(times, times[1:], sentences, strict=False)]
        (folder / f"{name}.en.vtt").write_text("WEBVTT\n\n" + "\n\n".join(cues) + "\n")
    return folder


def ask(talk: str, question: str, sentence: int | None = None, **more: object) -> dict:
    times = {} if sentence is None else {"start": sentence * SENTENCE, "end": (sentence + 1) * SENTENCE}
    return {"transcript": f"{talk}.en.vtt", "question": question} | times | more


def write(file: Path, *lines: dict | str) -> Path:
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return file


@pytest.fixture(scope="session")
def asked(talks: Path) -> Path:
    """Questions about the three transcripts: five with an answer, one without."""
    return write(
        talks / "questions.jsonl",
        ask("bread", "How long does the dough rest?", 1, answer="an hour"),
        ask("bread", "Where is the bread baked?", 2, answer="in a hot oven"),
        ask("bicycle", "Where is the hole patched?", 2, answer="in the tube"),
        ask("garden", "When are the seedlings watered?", 2, answer="every evening", kind="time"),
        ask("garden", "When is the soil dug?", 0, kind="time"),
        ask("bicycle", "Which stocks did the pension fund sell?"),
    )


@pytest.fixture(scope="session")
def collection(talks: Path, asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a library that has read the three transcripts."""
    pipeline = build(Settings(data_dir=tmp_path_factory.mktemp("collection")))
    load([asked], pipeline, quiet)
    pipeline.index()
    pipeline.close()
    return pipeline.settings.data_dir


# -- figures


@pytest.mark.parametrize(
    ("moment", "is_hit", "iou"),
    [
        ((10.0, 20.0), True, 1.0),
        ((15.0, 25.0), True, 5 / 15),  # exactly half of both
        ((15.5, 25.5), False, 4.5 / 15.5),
        ((0.0, 100.0), True, 10 / 100),  # all of the shorter
        ((12.0, 13.0), True, 1 / 10),
        ((9.0, 11.0), True, 1 / 11),  # exactly half of the shorter
        ((20.0, 30.0), False, 0.0),  # they only touch
        ((20.0, 20.0), False, 0.0),
        ((0.0, 5.0), False, 0.0),
    ],
)
def test_a_hit_overlaps_the_answer_by_half_of_the_shorter(moment, is_hit, iou):
    one = Moment("a", *moment, 0.0)
    assert metrics.is_hit(one, ("a", 10.0, 20.0)) is is_hit
    assert metrics.iou(one, ("a", 10.0, 20.0)) == pytest.approx(iou)
    assert metrics.rank_and_iou([one], ("b", 10.0, 20.0)) == (None, 0.0)


def test_the_first_hit_counts_and_the_first_moment_is_measured():
    moments = [Moment("b", 0, 10, 0.0), Moment("a", 15, 25, 0.0), Moment("a", 10, 20, 0.0)]
    assert metrics.rank_and_iou(moments, ("a", 10, 20)) == (2, 0.0)
    assert metrics.rank_and_iou(moments[1:], ("a", 10, 20)) == (1, pytest.approx(1 / 3))
    assert metrics.rank_and_iou([], ("a", 10, 20)) == (None, 0.0)


def outcome(
    rank: int | None = None, near: bool = True, kind: str = "local", answerable: bool = True, **more
) -> Outcome:
    given = {"iou": 0.0, "nearness": 1.0, "ms": 10.0} | more
    return Outcome(kind, answerable, rank, near=near, **given)


def test_figures_by_hand():
    outcomes = [
        outcome(1, iou=0.5, ms=10.0),
        outcome(4, near=False, ms=20.0),
        outcome(10, kind="whole", ms=90.0),
        outcome(None, kind="whole", iou=0.1, ms=30.0),
        outcome(answerable=False, near=False, ms=40.0),
        outcome(answerable=False, kind="whole", ms=50.0),
    ]
    every, local, whole = metrics.summarise("default", "all", outcomes)
    assert (every.kind, every.questions, every.unanswerable) == ("all", 4, 2)
    assert every.recall == (0.25, 0.5, 0.75)
    assert every.mrr == pytest.approx((1 + 1 / 4 + 1 / 10) / 4)
    assert every.iou == pytest.approx(0.15)
    assert (every.refused, every.wrongly_refused, every.ms) == (0.5, 0.25, 35.0)
    assert (local.kind, local.recall, local.refused, local.ms) == ("local", (0.5, 1.0, 1.0), 1.0, 20.0)
    assert (whole.kind, whole.recall, whole.refused, whole.ms) == ("whole", (0.0, 0.0, 0.5), 0.0, 50.0)


def test_what_was_not_asked_has_no_figure():
    (row,) = metrics.summarise("default", "all", [outcome(answerable=False, near=None, ms=None)])
    assert (row.recall, row.mrr, row.iou) == ((None, None, None), None, None)
    assert (row.refused, row.wrongly_refused, row.ms) == (None, None, None)


def test_the_curve_goes_from_nothing_refused_to_all():
    points = metrics.curve(
        "default",
        "all",
        [outcome(1, nearness=0.33), outcome(2, nearness=0.37), outcome(answerable=False, nearness=0.31)],
    )
    assert [(p.threshold, p.refused, p.wrongly_refused) for p in points] == [
        (0.3, 0.0, 0.0),
        (0.32, 1.0, 0.0),
        (0.34, 1.0, 0.5),
        (0.36, 1.0, 0.5),
        (0.38, 1.0, 1.0),
    ]


def test_answers_by_hand():
    every, _, _ = metrics.summarise_answers(
        [Answered("a", "right", (True, False)), Answered("b", "wrong", ()), Answered("b", None, (True, True))]
    )
    assert (every.right, every.partly, every.wrong, every.not_judged) == (1 / 3, 0.0, 1 / 3, 1 / 3)
    assert (every.cited, every.supported) == (4, 0.75)


# -- the questions file


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "is not JSON"),
        ("[1]", "no JSON object"),
        (ask("bread", "When?", 1) | {"strat": 3}, "'strat' is not known"),
        ({"transcript": "bread.en.vtt"}, "there is no question"),
        (ask("bread", " ", 1), "question is ' '"),
        ({"question": "When?"}, "either media or transcript"),
        (ask("bread", "When?", 1, media="bread.en.vtt"), "either media or transcript"),
        (ask("bread", "When?", 1, end=None), "both start and end"),
        (ask("bread", "When?", 1, end=40), "end is not after start"),
        (ask("bread", "When?", 1, start="0:40"), "start is '0:40'"),
        (ask("bread", "When?", 1, start=True), "start is True"),
        (ask("bread", "When?", 1, start=-1), "start is -1"),
        ('{"transcript": "bread.en.vtt", "question": "When?", "start": 1, "end": NaN}', "end is nan"),
        (ask("bread", "When?", start=500, end=510), "after the end of the media, which is 120 s long"),
        (ask("toast", "When?"), "toast.en.vtt"),
        ({"media": "ffff", "question": "When?"}, "ffff"),
    ],
)
def test_a_bad_line_is_named_by_its_number(talks, collection, line, why):
    file = write(talks / "bad.jsonl", ask("bread", "Where is the bread baked?", 2), "", line)
    pipeline = build(Settings(data_dir=collection))
    with pytest.raises(SourceError, match=r"bad\.jsonl, line 3") as caught:
        load([file], pipeline, quiet)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe\x00{"])
def test_a_file_without_questions_is_refused(settings, tmp_path, content):
    if content is not None:
        (tmp_path / "questions.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match=r"questions\.jsonl"):
        load([tmp_path / "questions.jsonl"], build(settings), quiet)


def test_media_is_named_by_the_start_of_its_id_or_by_its_file(talks, collection):
    bread = identify(talks / "bread.en.vtt")
    file = write(
        talks / "named.jsonl",
        {"media": bread[:10], "question": "Which oven?"},
        {"media": "bread.en.vtt", "question": "Which oven?", "start": None, "end": None},
        {"transcript": str(talks / "bread.en.vtt"), "question": "What is this talk about?", "kind": "mine"},
    )
    found = load([file], build(Settings(data_dir=collection)), quiet)
    assert [one.media for one in found] == [bread] * 3
    assert [one.kind for one in found] == ["local", "local", "mine"]
    assert [one.answer for one in found] == [None] * 3


def test_nothing_is_read_into_a_library_that_holds_other_videos(talks, tmp_path, collection):
    (tmp_path / "news.vtt").write_text((talks / "bread.en.vtt").read_text() + "\n02:00.000 --> 02:05.000\nBye.\n")
    file = write(tmp_path / "questions.jsonl", {"transcript": "news.vtt", "question": "Who says bye?"})
    pipeline = build(Settings(data_dir=collection))
    with pytest.raises(SourceError, match=r"news\.vtt is not in the library .* such as .*DATA_DIR"):
        load([file], pipeline, quiet)
    assert {one.title for one in pipeline.list()[0]} == {*TALKS}


def test_a_sample_is_spread_evenly():
    assert sample(range(10), 3) == [0, 3, 6]
    assert sample(range(10), 10) == sample(range(10), None) == range(10)


# -- settings


def test_settings_that_cannot_differ_are_measured_once():
    said = Media("a" * 32, "talk", "talk.srt", "second", 60.0, "en", passages=(Passage(0, 9, "Hello.", "subtitle"),))
    names = [setting.name for setting in evaluate.choose((), [said])]
    default = evaluate.choose((), [said])[0]
    assert (default.name, default.find) == ("default", FUSION)
    assert default.equal == ("sentences", "screen", "picture-half", "picture-double")
    assert not {*default.equal} & {*names}
    assert {"bm25", "dense", "hybrid", "words-half", "sentence-meaning-double", "random", "middle"} <= {*names}

    shown = Media(
        "b" * 32,
        *("film", "film.mp4", "second", 60.0, "en"),
        passages=(Passage(0, 9, "Agenda", "screen"),),
        coverage={"pictures": Coverage("read")},
    )
    assert {one.name: one.equal for one in evaluate.choose((), [said, shown])} == dict.fromkeys(evaluate.settings(), ())


def test_a_setting_that_is_not_known_is_named():
    with pytest.raises(SettingsError, match=r"'bm26'.*bm25"):
        evaluate.choose(["default", "bm26"], ())


# -- all of it


def run(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.fixture
def here(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line opens the library of the three transcripts."""
    monkeypatch.setenv("DATA_DIR", str(collection))


def test_every_setting_in_json(capsys, here, asked):
    code, out, err = run(capsys, asked, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert "equal default" in err
    assert list(rows[0]) == [
        *("setting", "scope", "kind", "questions", "recall", "mrr", "iou"),
        *("unanswerable", "refused", "wrongly_refused", "ms", "equal"),
    ]
    assert {(row["scope"], row["kind"]) for row in rows} == {
        (s, k) for s in ("all", "right") for k in ("all", "local", "time")
    }
    by = {(row["setting"], row["scope"]): row for row in rows if row["kind"] == "all"}
    assert {(row["questions"], row["unanswerable"]) for row in by.values()} == {(5, 1)}
    for name in ("default", "bm25", "hybrid"):  # the words of the answer are in the question
        assert by[name, "all"]["recall"][0] == 1.0
        assert by[name, "all"]["ms"] > 0
    for name in ("random", "middle"):
        assert by[name, "all"]["recall"][0] < 1.0
        assert (by[name, "all"]["refused"], by[name, "all"]["ms"]) == (None, None)
    # The middle of a talk is its second sentence: the answer to one question of five.
    assert by["middle", "right"]["recall"] == [0.2, 0.2, 0.2]
    assert by["middle", "right"]["iou"] == pytest.approx(40 / 45 / 5 + 4 * (2.5 / 82.5) / 5, abs=0.001)


def test_a_table_for_each_scope_and_kind(capsys, here, asked):
    code, out, err = run(capsys, asked, "--settings", "default,random", "--limit", "5")
    assert code == 0
    assert "a sample of 5 of 6 questions" in err
    assert "all media at once, all questions: 5 with an answer, 0 without" in out
    assert "inside the right media, questions of kind time: 2 with an answer, 0 without" in out
    header, default, random = out.splitlines()[1:4]
    assert header.split() == ["setting", "R@1", "R@5", "R@10", "MRR", "IoU", "refused", "wrongly", "ms"]
    assert default.split()[:5] == ["default", "1.000", "1.000", "1.000", "1.000"]
    assert (random.split()[0], random.split()[-1]) == ("random", "-")
    assert len({len(header), len(default), len(random)}) == 1
    assert max(map(len, out.splitlines())) <= 80


def test_the_baselines_are_the_same_each_time(capsys, here, asked):
    first = run(capsys, asked, "--settings", "random,middle", "--json")
    assert run(capsys, asked, "--settings", "random,middle", "--json") == first


def test_the_refusal_curve_is_of_the_default_setting(capsys, here, asked):
    code, out, _ = run(capsys, asked, "--curve", "--json")
    points = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {(point["setting"], point["scope"]) for point in points} == {("default", "all"), ("default", "right")}
    one = [point for point in points if point["scope"] == "all"]
    assert (one[0]["refused"], one[0]["wrongly_refused"]) == (0.0, 0.0)
    assert (one[-1]["refused"], one[-1]["wrongly_refused"]) == (1.0, 1.0)
    assert one == sorted(one, key=lambda point: (point["threshold"], point["refused"], point["wrongly_refused"]))
    assert "nearness below" in run(capsys, asked, "--curve")[1]


# -- answers


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch):
    """A chat endpoint that the command line asks."""
    with chat_server(words=("right",)) as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.base_url)
        yield server


def test_answers_are_judged_against_the_expected_ones(capsys, here, asked, endpoint):
    code, out, err = run(capsys, asked, "--answers", "--json")
    every, local, time = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert "4 questions x at most about" in err
    assert (every["questions"], every["right"], every["not_judged"]) == (4, 1.0, 0.0)
    assert (local["kind"], local["questions"], time["kind"], time["questions"]) == ("local", 3, "time", 1)
    messages = [chat.body["messages"] for chat in endpoint.chats]
    verdicts = [json.loads(said[-1]["content"]) for said in messages if said[0]["content"] == judge.INSTRUCTIONS]
    assert len(verdicts) == 4
    assert verdicts[0] == {"question": "How long does the dough rest?", "expected": "an hour", "answer": "right"}


def test_a_verdict_that_is_none_is_counted_and_shown(capsys, here, asked, endpoint):
    endpoint.words = ("An hour", " [0:45],", " or two [9:00].")
    code, out, err = run(capsys, asked, "--answers", "--limit", "1")
    assert code == 0
    assert "not judged: How long does the dough rest? (the model said 'An hour [0:45], or two [9:00].')" in err
    assert out.splitlines()[1].split() == ["all", "questions", "1", "0.000", "0.000", "0.000", "1.000", "2", "0.500"]


def test_one_failure_is_shown_and_several_in_a_row_end_it(capsys, here, asked, endpoint, monkeypatch):
    endpoint.behaviour = "forbidden"
    code, out, err = run(capsys, asked, "--answers")
    assert (code, out) == (1, "")
    assert err.count("not judged") == evaluate.FAILURES - 1
    assert err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(("said", "verdict"), [("Right.", "right"), (" **partly**\n", "partly"), ("WRONG", "wrong")])
def test_one_word_is_a_verdict(said, verdict):
    assert judge.parse(said) == verdict


@pytest.mark.parametrize("said", ["", "not right", "right or wrong", "Rightly so", "It is right."])
def test_anything_else_is_none(said):
    assert judge.parse(said) is None


def test_answers_need_a_model_and_something_to_expect(capsys, here, asked, talks, monkeypatch):
    assert "VLLM_BASE_URL" in run(capsys, asked, "--answers")[2]
    with chat_server() as server:
        monkeypatch.setenv("VLLM_BASE_URL", server.base_url)
        file = write(talks / "without.jsonl", ask("bread", "Which oven?"))
        code, _, err = run(capsys, file, "--answers")
    assert (code, err.count("\n")) == (1, 1)
    assert "expected answer" in err
    assert not server.requests


# -- the sets


def test_the_question_sets_are_converted_whole(shared, tmp_path):
    tutorials, meetings = tutorialvqa(shared, tmp_path / "tutorials"), qmsum(shared, tmp_path / "meetings")
    others = courses(shared, tmp_path / "courses")
    counts = [len(list(folder.glob("*.srt"))) for folder in (tutorials.parent, meetings.parent, others)]
    assert counts == [76, 35, len(list((shared / "qa/hf_course_srt").glob("*.srt")))]

    lines = {file: [json.loads(line) for line in file.read_text().splitlines()] for file in (tutorials, meetings)}
    assert [len(found) for found in lines.values()] == [1238, 237]
    assert all(0 <= one["start"] < one["end"] and one["answer"] for found in lines.values() for one in found)
    first = lines[tutorials][0]
    assert (first["transcript"], first["start"], first["end"]) == ("19194.en.srt", 25.29, 70.11)
    assert first["answer"].startswith("Let's start with this image")
    assert first["answer"].endswith("more intense.")
    assert "00:00:25,290 --> " in (tutorials.parent / "19194.en.srt").read_text()

    foreign = unanswerable([meetings], tutorials.parent)
    asked = [json.loads(line) for line in foreign.read_text().splitlines()]
    assert {*asked[0]} == {"transcript", "question"}
    assert max(Counter(one["transcript"] for one in asked).values()) <= 4  # spread over all tutorials
    assert {one["question"] for one in asked} <= {one["question"] for one in lines[meetings]}
