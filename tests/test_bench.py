"""What a developer may rely on who measures: every step is there, a number or why there is none, nothing is touched."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chat_server import chat_server

from pipeline import bench, tables
from pipeline.__main__ import main
from pipeline.bench.cost import Cost, Fault, measure
from pipeline.bench.talk import talk
from pipeline.errors import SourceError
from pipeline.search.windows import units

WAYS = ("ours", "plain", "floor")


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(out: str) -> dict[str, dict]:
    return {row["step"]: row for row in map(json.loads, out.splitlines())}


def check(row: dict) -> None:
    """It is whole, and its ratios are those of its CPU seconds."""
    assert not row["off"], row
    assert not row["note"], row
    costs = [row[way] for way in WAYS]
    assert all(cost[name] > 0 for cost in costs for name in ("cpu", "wall", "memory", "done"))
    assert min(row[name] for name in ("cpu", "wall", "memory")) > 0
    assert row["to_plain"] == pytest.approx(row["plain"]["cpu"] / row["ours"]["cpu"])
    assert row["to_floor"] == pytest.approx(row["ours"]["cpu"] / row["floor"]["cpu"])


def test_a_step_is_measured_three_ways_or_says_why_not_and_the_library_stays(
    capsys, settings, film, monkeypatch, tmp_path
):
    monkeypatch.setenv("WHISPER_MODEL", "/nonexistent/tiny.pt")
    monkeypatch.setenv("CLIP_MODEL", "/nonexistent/clip")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    settings.data_dir.mkdir()
    (settings.data_dir / "library.db").write_bytes(b"somebody's")
    before = listing(settings.data_dir), listing(film.parent)
    steps = "first-word,probe,audio,speech,image-embedding"
    code = main(["bench", "--json", "--steps", steps, str(film)])
    found = rows(capsys.readouterr().out)
    assert code == 0
    assert list(found) == ["probe", "audio", "speech", "image-embedding", "first-word"]
    check(found["probe"])
    check(found["audio"])
    assert found["audio"]["speed"] == pytest.approx(found["audio"]["ours"]["done"] / found["audio"]["wall"])
    assert found["audio"]["sample"] == "24 s"
    assert found["probe"]["speed"] is None
    for step, what in (("speech", "tiny.pt"), ("image-embedding", "CLIP_MODEL"), ("first-word", "VLLM_BASE_URL")):
        assert what in found[step]["off"]
        assert found[step]["cpu"] is None
    assert (listing(settings.data_dir), listing(film.parent)) == before
    assert not list((tmp_path / "temporary").iterdir())


def test_an_unknown_step_names_the_known_ones(capsys, film):
    assert main(["bench", str(film), "--steps", "frames,decoding"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "decoding" in said
    assert all(step in said for step in bench.STEPS)


def test_the_help_says_what_every_step_is_measured_against(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    said = capsys.readouterr().out
    for step in bench.STEPS.values():
        assert step.plain_is in said
        assert step.floor_is in said


def test_stopped_it_leaves_nothing_behind(film, monkeypatch, tmp_path):
    def stop(*_: object, **__: object) -> None:
        assert list(tmp_path.glob("bench-*"))
        raise KeyboardInterrupt

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(bench, "measure", stop)
    assert main(["bench", str(film), "--steps", "probe"]) == 130
    assert not list(tmp_path.glob("bench-*"))


def test_a_plain_way_that_fails_costs_its_numbers_alone(film, settings, monkeypatch):
    def fails(way: object, *_: object, **__: object) -> Cost:
        if way is bench.STEPS["probe"].plain:
            raise Fault("Traceback\nno ffmpeg")
        return Cost(2.0, 3.0, 50.0, 1)

    monkeypatch.setattr(bench, "measure", fails)
    (row,) = bench.run(film, settings, bench.choose(["probe"]))
    assert (row.cpu, row.to_plain, row.to_floor) == (2.0, None, 1.0)
    assert row.note == "the plain way failed: no ffmpeg"


def test_the_best_of_several_times_counts_in_turn(film, settings, monkeypatch):
    step, turns = bench.STEPS["probe"], []

    def cost(way: object, *_: object, **__: object) -> Cost:
        turns.append(way)
        return Cost(10.0 - len(turns), 1.0, 50.0, 1)

    monkeypatch.setattr(bench, "measure", cost)
    (row,) = bench.run(film, settings, [step], repeat=2)
    assert turns == [step.ours, step.plain, step.floor] * 2
    assert [row.ours.cpu, row.plain.cpu, row.floor.cpu] == [6.0, 5.0, 4.0]


def test_of_a_long_video_a_sample_is_told_for_all_of_it(film, settings, monkeypatch):
    facts = replace(bench.guard.run(bench.video.probe, film, limits=settings.limits), length=3600.0)
    monkeypatch.setattr(bench.guard, "run", lambda *_, **__: facts)
    monkeypatch.setattr(bench, "measure", lambda way, work, *_, **__: Cost(4.0, 5.0, 90.0, 256))
    (row,) = bench.run(film, settings, bench.choose(["text-embedding"]))
    many = len(units(talk(3600.0)))
    assert row.sample == f"256 of {many:,} texts"
    assert row.ours == Cost(4.0 * many / 256, 5.0 * many / 256, 90.0, many)
    assert row.speed == pytest.approx(3600.0 / row.wall)


def test_the_table_is_a_line_a_step_and_fits_a_terminal():
    cost = Cost(12.345, 20.0, 250.0, 122.7)
    sample, figures = "64 of 12,345 pictures", (12345.6, 0.0123, 48.7, 1234.5, 9.34, 0.97)
    measured = bench.Row("image-embedding", "", sample, *figures, cost, cost, cost)
    lines = tables.costs([measured, bench.Row("speech", off="No weights. Set WHISPER_MODEL.")])
    assert lines[1].split("  ")[-1] == sample
    assert "x 9.34   0.97" in lines[1]
    assert lines[2].split() == ["speech", "off", *"-----"]
    assert lines[-1] == "speech is off: No weights. Set WHISPER_MODEL."
    assert max(map(len, lines)) <= 110


# -- a process of its own


def child_that_holds(mib: int) -> Iterator[float | None]:
    yield
    subprocess.run([sys.executable, "-c", f"bytearray(range(256)) * ({mib} * 4096)"], check=True)
    yield 3


def refuses(name: str) -> Iterator[float | None]:
    yield
    raise SourceError(f"{name} is no video. Try another.")


def dies(number: int) -> Iterator[float | None]:
    yield
    os.kill(os.getpid(), number)
    yield 1


def test_what_a_process_started_counts_too(tmp_path):
    cost = measure(child_that_holds, 300, folder=tmp_path)
    assert cost.done == 3
    assert cost.cpu > 0
    assert cost.memory > 300


def test_an_error_in_the_process_is_raised_here(tmp_path):
    with pytest.raises(SourceError, match=r"x\.mp4 is no video\. Try another\."):
        measure(refuses, "x.mp4", folder=tmp_path)
    with pytest.raises(Fault, match="died"):
        measure(dies, signal.SIGKILL, folder=tmp_path)


def test_the_talk_says_no_sentence_twice():
    said = [one.text for one in talk(36 * 3600.0)]
    assert len(set(said)) == len(said) == 36 * 720
    assert len(talk(0.5)) == 1


@pytest.mark.long
def test_every_step_can_be_measured(film, settings, tmp_path):
    from make_film import make_film
    from tiny_clip import make_clip
    from tiny_whisper import make_checkpoint

    spoken = make_film(tmp_path / "spoken.mp4", seconds=170)
    with chat_server() as server:
        configured = replace(
            settings,
            whisper_model=str(make_checkpoint(tmp_path / "tiny.pt")),
            clip_model=str(make_clip(tmp_path / "clip")),
            vllm_base_url=server.base_url,
        )
        found = {row.step: row for row in bench.run(spoken, configured, bench.choose([]))}
    assert list(found) == list(bench.STEPS)
    for row in found.values():
        assert not row.off, row
        assert not row.note, row
        assert row.to_plain == pytest.approx(row.plain.cpu / row.ours.cpu)
    assert found["frames"].sample == "120 of 170 s"
    assert found["find"].sample == "8 questions"
