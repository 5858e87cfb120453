"""What programs may rely on: the command line, its JSON, its exit codes, its errors in one line."""

import json

import hostile
import pytest
from conftest import SUBTITLES, in_this_process, read_here

from pipeline.__main__ import main
from pipeline.media import video
from pipeline.worker import Worker


def run(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def read(library) -> str:
    """The id of the film in a library that the command line opens by DATA_DIR."""
    return library.list()[0][0].id


def test_ingest_says_one_line_a_video_and_fails_if_any_failed(capsys, read, film, tmp_path):
    missing = tmp_path / "missing.mp4"
    code, out, _ = run(capsys, "ingest", "--json", str(film), str(missing))
    good, bad = lines(out)
    assert code == 1
    facts = ["id", "title", "source", "length", "frames", "passages", "coverage", "looked_at", "not_looked_at", "error"]
    assert list(good) == facts == list(bad)
    assert (good["title"], good["source"], good["error"]) == ("biology", str(film), None)
    assert good["frames"] >= 3
    assert isinstance(good["length"], float)
    assert good["coverage"]["speech"]["state"] == "read"
    assert (bad["id"], bad["source"]) == (None, str(missing))
    assert "missing.mp4" in bad["error"]
    assert "\n" not in bad["error"]


def test_ingest_says_first_what_it_will_take_and_stopped_how_to_go_on(capsys, film, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "run", stop)
    code, out, err = run(capsys, "ingest", str(film))
    assert (code, out) == (130, "")
    expected, stopped = err.splitlines()
    assert expected.startswith(f"note: {film}: Reading it takes less than a minute")
    assert "Run the same command to go on" in stopped


def test_a_part_that_a_crash_cost_is_an_error_until_it_was_read(capsys, film, monkeypatch):
    monkeypatch.setattr(Worker, "run", in_this_process)
    with monkeypatch.context() as broken:
        broken.setattr(video, "read_frames", hostile.pictures_then_crash)
        code, out, err = run(capsys, "ingest", "--json", str(film))
        (row,) = lines(out)
        assert code == 1
        assert row["frames"] > 0
        assert row["coverage"]["frames"]["lost"]
        assert "The pictures after 0:07" in row["error"]
        assert "Read it again to go on." in row["error"]
        code, out, err = run(capsys, "ingest", str(film))
        assert code == 1
        assert out.startswith(row["id"])  # what was read is shown
        assert err.splitlines()[-1] == f"error: {film}: {row['error']}"
    code, out, err = run(capsys, "ingest", "--json", str(film))
    (row,) = lines(out)
    assert (code, row["error"], row["coverage"]["frames"]["state"]) == (0, None, "read")
    assert not row["coverage"]["frames"]["lost"]


def test_search_gives_moments_best_first_with_their_passages_and_frames(capsys, read):
    code, out, err = run(capsys, "search", "--json", "--limit", "2", read, "green pigment")
    (found,) = lines(out)
    assert (code, err) == (0, "")
    assert list(found) == ["question", "kind", "near", "nearness", "notes", "looked_at", "not_looked_at", "moments"]
    assert 1 <= len(found["moments"]) <= 2
    first = found["moments"][0]
    assert list(first) == ["media", "start", "end", "title", "score", "why", "passages", "frames"]
    assert first["media"] == read
    assert first["score"] == max(moment["score"] for moment in found["moments"])
    assert set(first["passages"][0]) == {"start", "end", "kind", "text"}
    assert set(first["frames"][0]) == {"start", "image"}
    with open(first["frames"][0]["image"], "rb") as image:
        assert image.read(2) == b"\xff\xd8"  # a JPEG


def test_search_without_an_id_looks_everywhere(capsys, read):
    code, out, _ = run(capsys, "search", "--json", "added", "volcanoes", "week")
    assert code == 0
    assert lines(out)[0]["question"] == "added volcanoes week"
    assert lines(out)[0]["moments"][0]["media"] == read


def test_ask_gives_the_same_and_the_answer(capsys, read):
    code, out, err = run(capsys, "ask", "--json", read, "What comes next week?")
    assert code == 0, err
    (said,) = lines(out)
    asked = ["question", "kind", "near", "nearness", "notes", "looked_at", "not_looked_at", "moments"]
    assert list(said) == [*asked, "answer", "answered_by", "citations", "uncited", "finish"]
    assert said["answered_by"] == "quotes"
    assert said["finish"] == "stop"
    assert "volcanoes" in said["answer"]
    assert all(set(citation) == {"time", "media", "supported"} for citation in said["citations"])


def test_list_and_show_say_what_is_there(capsys, read):
    assert lines(run(capsys, "list", "--json")[1])[0]["id"] == read
    assert "biology" in run(capsys, "list")[1]
    assert "biology.srt" in run(capsys, "show", read[:8])[1]


def test_remove_takes_it_out(capsys, read):
    assert run(capsys, "remove", read[:10])[0] == 0
    assert run(capsys, "list", "--json")[1] == ""


def test_doctor_names_the_next_step_for_what_is_off(capsys, read):
    code, out, _ = run(capsys, "doctor", "--json")
    checks = {check["part"]: check for check in lines(out)}
    assert code == 0
    assert {check["state"] for check in checks.values()} == {"ok", "off"}
    assert checks["vector store"]["state"] == "ok"
    assert "texts (384-d)" in checks["vector store"]["found"]
    assert "384" in checks["text embedding"]["found"]
    assert "VLLM_BASE_URL" in checks["answers"]["next"]
    assert "WHISPER_MODEL" in checks["speech"]["next"]
    assert "CLIP_MODEL" in checks["image embedding"]["next"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "ffff", "why?"),
        ("show", "ffff"),
        ("remove", "ffff"),
        ("search", "ffffffff", "why?"),
        ("ingest", "missing.mp4"),
        ("evaluate", "missing.jsonl"),
    ],
)
def test_errors_are_one_line_and_exit_1(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_wrong_setting_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("FRAMES_PER_SECOND", "often")
    code, _, err = run(capsys, "list")
    assert (code, err.count("\n")) == (1, 1)
    assert "FRAMES_PER_SECOND" in err


@pytest.mark.parametrize(
    "arguments",
    [("ask",), ("evaluate",), ("evaluate", "a.jsonl", "--limit", "0"), ("evaluate", "a", "--curve", "--answers")],
)
def test_wrong_usage_exits_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_odd_names_cost_no_traceback_and_no_second_line(capsys, tmp_path):
    for name in ("no\nfile.mp4", "bad\udcff.mp4", "~nobody.mp4", ""):
        code, out, err = run(capsys, "ingest", name)
        assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_damaged_record_is_said_and_the_source_can_be_read_again(capsys, settings, tmp_path):
    transcript = tmp_path / "lesson.srt"
    transcript.write_text(SUBTITLES)
    media_id = read_here(transcript, settings).id
    (settings.data_dir / media_id / "media.json").write_text("{")
    code, _, err = run(capsys, "search", media_id, "volcanoes")
    assert (code, err.count("\n")) == (1, 1)
    assert "media.json" in err
    assert run(capsys, "reindex")[0] == 1
    assert run(capsys, "ingest", str(transcript))[0] == 0
    assert run(capsys, "search", media_id, "volcanoes")[0] == 0


def test_titles_and_words_of_others_do_not_speak_to_the_terminal(capsys, tmp_path):
    words = "plants \x1b]0;owned\x07 make\x9b31m sugar \u202eragus"
    source = tmp_path / "talk\x1b[2J\x1b]52;c;cm0gLXJm\x07\u202e4pm.srt"
    source.write_text(f"1\n00:00:01,000 --> 00:00:05,000\n{words}\n")
    obeyed = set("\x1b\x07\x9b\r\u202e")
    for arguments in (
        ["ingest", str(source)],
        ["list"],
        ["search", "plants"],
        ["ingest", str(tmp_path / "no\x1b[2J.mp4")],
    ):
        _, out, err = run(capsys, *arguments)
        assert out + err
        assert not obeyed & set(out + err), arguments
    _, out, err = run(capsys, "list", "--json")
    assert not obeyed & set(out + err)
    assert lines(out)[0]["source"] == str(source)  # a program reads it as it is
