"""The whole path as a program uses it: ingest, find, ask, remove, reindex, on a real film and a real Milvus Lite."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SUBTITLES, read_here
from make_film import read_number

from pipeline import part_status
from pipeline.errors import MediaNotFound, ReadingStopped, SourceError, StorageError
from pipeline.steps import embed
from pipeline.workflow import Pipeline

ROOT = Path(__file__).resolve().parents[1]


def only(pipeline: Pipeline):
    (media,), problems = pipeline.everything()
    assert not problems
    return media


def test_a_film_is_read_into_a_folder_of_its_own_and_says_what_was_used(library, film):
    media = only(library)
    folder = library.folder(media.id)
    assert {p.name for p in folder.iterdir()} >= {"frames", "transcript.vtt", "transcript.txt", "media.json", "vectors"}
    assert media.source == str(film)
    assert media.length == pytest.approx(24, abs=0.2)
    assert {part: c.state for part, c in media.coverage.items()} == {
        "frames": "read",
        "speech": "read",
        "screen": "read",
        "text": "read",
        "pictures": "off",
        "chapters": "read",
    }
    assert media.coverage["speech"].by == "biology.srt"
    assert "CLIP_MODEL" in media.coverage["pictures"].note


def test_every_frame_shows_the_time_that_is_written_on_it(library):
    media = only(library)
    for frame in media.frames:
        assert read_number(library.picture(media.id, frame)) == round(frame.start * 10)


def test_the_right_moment_is_found_by_what_is_said_and_by_what_is_shown(library):
    said = library.find("Which light does the pigment swallow?").moments[0]
    assert said.start <= 11 <= said.end
    assert any("swallows red" in p.text and p.start <= 11 <= p.end for p in said.passages)
    shown = library.find("chlorophyll").moments[0]
    (slide,) = [p for p in shown.passages if p.kind == "screen" and "Chlorophyll" in p.text]
    assert 7 <= slide.start < slide.end <= 15
    assert "on screen" in shown.why
    assert 7 <= shown.frames[0].start < 14


def test_without_a_model_the_answer_is_the_evidence_itself_with_its_times(library):
    reply = library.ask("What about volcanoes?", [only(library).id])
    answer = "".join(reply)
    assert reply.answered_by == "quotes"
    assert reply.finish == "stop"
    assert "volcanoes" in answer
    assert reply.citations
    assert all(citation.supported for citation in reply.citations)


def test_a_film_has_chapters_from_its_start_to_its_end(library):
    chapters = only(library).chapters
    assert chapters[0].start == 0
    assert chapters[-1].end == only(library).length
    assert all(chapter.title for chapter in chapters)


def test_nothing_is_read_twice(library, film):
    record = library.folder(only(library).id) / "media.json"
    before = record.stat().st_mtime_ns
    steps = set()
    read_here(film, library.settings, lambda progress: steps.add(progress.step))
    assert record.stat().st_mtime_ns == before
    assert not steps & {"frames", "speech", "screen"}


def test_a_video_that_moved_still_answers_and_is_found_again_where_it_is(library, film, tmp_path):
    moved = tmp_path / "elsewhere.mp4"
    moved.write_bytes(film.read_bytes())
    read_here(moved, library.settings)
    assert only(library).source == str(moved)
    moved.unlink()
    assert "".join(library.ask("volcanoes", [only(library).id]))


def test_removing_a_video_removes_all_of_it_and_leaves_the_original(library, film):
    media_id = only(library).id
    library.find("volcanoes")
    library.remove(media_id[:8])
    assert not (library.settings.data_dir / media_id).exists()
    assert library.find("volcanoes").moments == ()
    assert film.exists()
    with pytest.raises(MediaNotFound):
        library.get(media_id)


def test_the_index_is_made_anew_from_the_folders(library):
    before = library.find("pigment").moments
    library.close()
    for file in library.settings.data_dir.glob("*library.db*"):
        file.unlink()
    assert library.reindex() == (1, ())
    assert library.find("pigment").moments == before


def test_one_damaged_folder_keeps_no_other_from_being_made_anew_and_is_named(library, tmp_path):
    transcript = tmp_path / "second.srt"
    transcript.write_text(SUBTITLES.replace("volcanoes", "glaciers"))
    second = library.ingest(transcript)
    for file in (library.folder(second.id) / "vectors").iterdir():
        file.unlink()
        file.symlink_to(file.name)  # a link that leads nowhere: it can be neither read nor written
    damaged = library.settings.data_dir / ("d" * 32)
    damaged.mkdir()
    (damaged / "media.json").write_text("{")
    count, problems = library.reindex()
    assert count == 1
    assert sorted("d" * 32 in one for one in problems) == [False, True]
    assert any(second.id in one for one in problems)
    evidence = library.find("volcanoes")
    assert evidence.moments
    (gap,) = [one for one in evidence.not_looked_at if one.part == "index"]
    assert second.id in gap.why
    assert part_status.say(gap) in evidence.notes


@pytest.mark.long
def test_a_second_process_reads_while_the_first_holds_the_index(library, tmp_path):
    first = only(library)
    library.find("volcanoes")  # this process holds Milvus Lite now
    transcript = tmp_path / "second.srt"  # read by the other process itself, not by a worker of its own
    transcript.write_text(SUBTITLES.replace("Welcome", "Volcanoes erupt"))
    environment = os.environ | {"DATA_DIR": str(library.settings.data_dir), "PYTHONPATH": str(ROOT)}

    def command(*arguments: str) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "pipeline", *arguments]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    reading = command("ingest", str(transcript))
    assert reading.returncode == 0, reading.stderr
    assert str(os.getpid()) in reading.stderr  # it says who holds the index

    # The holder takes in what the other has read, and keeps the two apart.
    (second,) = {media.id for media in library.everything()[0]} - {first.id}
    assert {moment.media for moment in library.find("volcanoes").moments} == {first.id, second}
    assert {moment.media for moment in library.find("volcanoes", [second]).moments} == {second}

    asked = command("search", "volcanoes")
    assert asked.returncode == 1
    assert str(os.getpid()) in asked.stderr
    assert asked.stderr.count("\n") == 1


def test_a_worker_that_dies_costs_an_error_line_and_nothing_stored(library, film, monkeypatch):
    from pipeline import worker

    before = only(library)
    start = worker.subprocess.Popen

    def start_and_kill(*arguments, **options):
        process = start(*arguments, **options)
        os.kill(process.pid, signal.SIGSEGV)
        return process

    monkeypatch.setattr(worker.subprocess, "Popen", start_and_kill)
    with pytest.raises(ReadingStopped, match="SIGSEGV"):
        library.ingest(film, again=True)
    assert only(library) == before


def test_bad_input_costs_nothing_stored(library, tmp_path):
    before = sorted(library.settings.data_dir.rglob("*"))
    bad = tmp_path / "bad.mp4"
    bad.write_text("<html>not a video</html>")
    for path in (bad, tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(SourceError):
            library.ingest(path)
    assert sorted(library.settings.data_dir.rglob("*")) == before


def test_a_video_read_again_replaces_what_was_read_and_doubles_nothing(library, film):
    before = only(library)
    rows = library.index_facts()
    steps = set()
    after = library.ingest(film, again=True, report=lambda progress: steps.add(progress.step))
    assert {"frames", "screen"} <= steps
    assert after == before
    assert library.index_facts() == rows


def test_a_video_removed_while_it_is_embedded_stays_removed(library):
    media = only(library)
    folder = library.folder(media.id)
    for file in (folder / "vectors").iterdir():
        file.unlink()

    def remove_at_once(progress):
        if folder.exists():
            library.remove(media.id)

    with pytest.raises((MediaNotFound, StorageError)):
        embed(media, folder, library.settings, remove_at_once)
    assert not folder.exists()
    assert library.everything() == ([], [])
