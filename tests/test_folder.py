"""The library on the disk: whole or not at all, whatever happens in between."""

import errno
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import disk
from pipeline.errors import BeingRead, MediaNotFound, StorageError
from pipeline.media import folder, uploads
from pipeline.media.folder import install, list_media, load, media_folders, remove, save, staging, sweep
from pipeline.types import Chapter, Coverage, Frame, Media, Passage

ID, OTHER = "0123456789abcdef" * 2, "f" * 32
MEDIA = Media(
    id=ID,
    title="Biology — первый урок",
    source="/films/biology.mp4",
    unit="second",
    length=20.04,
    language="en",
    frames=(Frame(0.0, 7.0, "frames/000000.000.jpg"), Frame(7.0, 20.04, "frames/000007.000.jpg")),
    passages=(
        Passage(0.5, 6.0, "Plants make sugar --> from <light>", "subtitle"),
        Passage(0.0, 7.0, "Photosynthesis", "screen"),
    ),
    coverage={"speech": Coverage("read", "talk.srt"), "screen": Coverage("partly", "rapidocr", "Two were missing.")},
)


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def begun(data_dir, media_id: str, source: Path = Path(__file__)) -> Path:
    """A folder into which a source is read anew."""
    anew = staging(data_dir, media_id)
    anew.mkdir(parents=True, exist_ok=True)
    folder.begin(anew, source, "0.2")
    return anew


def keep(data_dir, media_id: str = ID, title: str = MEDIA.title) -> Media:
    """Read a media into the library as the worker does."""
    media = replace(MEDIA, id=media_id, title=title)
    anew = begun(data_dir, media_id)
    (anew / "frames").mkdir()
    (anew / "frames" / "000000.000.jpg").write_bytes(os.fsencode(title))
    save(media, anew)
    install(anew, data_dir, media_id)
    return media


def test_what_is_saved_is_loaded(data_dir):
    keep(data_dir)
    assert load(data_dir / ID) == MEDIA
    assert list_media(data_dir) == ([MEDIA], [])


def test_the_transcript_is_for_players_and_people_and_holds_what_is_said(data_dir):
    keep(data_dir)
    assert (data_dir / ID / "transcript.txt").read_text() == "[0:00] Plants make sugar --> from <light>\n"
    assert "Plants make sugar --&gt; from &lt;light&gt;" in (data_dir / ID / "transcript.vtt").read_text()
    anew = begun(data_dir, OTHER)
    folder.write_transcript([(3661.0, 3662.0, "late"), (1.0, 2.0, "early")], anew)
    save(replace(MEDIA, id=OTHER), anew)
    assert (anew / "transcript.txt").read_text() == "[0:01] early\n[1:01:01] late\n"


def test_chapters_and_captions_are_kept(data_dir):
    keep(data_dir)
    caption = Passage(0.0, 7.0, "A green leaf", "caption", "frames/000000.000.jpg")
    media = replace(
        MEDIA, passages=(*MEDIA.passages, caption), chapters=(Chapter(0, 7.0, "Leaves"), Chapter(7.0, 20.04, "Roots"))
    )
    save(media, data_dir / ID)
    assert load(data_dir / ID) == media
    assert "green leaf" not in (data_dir / ID / "transcript.txt").read_text()


def keep_format_1(data_dir) -> tuple[Path, list[dict]]:
    """A folder as the version before wrote it: passages of half a minute that overlap. (folder, its passages)"""
    keep(data_dir)
    folder.write_transcript(
        [(n * 5.0, n * 5.0 + 5.0, f"This is the sentence number {n}.") for n in range(8)], data_dir / ID
    )
    passages = [
        {
            "start": 0.0,
            "end": 30.0,
            "text": " ".join(f"This is the sentence number {n}." for n in range(6)),
            "kind": "speech",
        },
        {"start": 0.0, "end": 7.0, "text": "Photosynthesis", "kind": "screen"},
        {
            "start": 25.0,
            "end": 40.0,
            "text": " ".join(f"This is the sentence number {n}." for n in (5, 6, 7)),
            "kind": "speech",
        },
    ]
    record = data_dir / ID / "media.json"
    media = json.loads(record.read_text()) | {"format": 1, "passages": passages}
    del media["chapters"]
    record.write_text(json.dumps(media))
    return data_dir / ID, passages


def test_a_library_of_the_version_before_needs_no_reading_again(data_dir):
    kept, _ = keep_format_1(data_dir)
    media = load(kept)
    spoken = [p for p in media.passages if p.kind == "speech"]
    assert [(p.start, p.end, p.text) for p in spoken] == [
        (n * 5.0, n * 5.0 + 5.0, f"This is the sentence number {n}.") for n in range(8)
    ]
    assert [p for p in media.passages if p.kind == "screen"] == [Passage(0.0, 7.0, "Photosynthesis", "screen")]
    assert [p.start for p in media.passages] == sorted(p.start for p in media.passages)
    assert media == replace(MEDIA, passages=media.passages)
    save(media, kept)
    assert json.loads((kept / "media.json").read_text())["format"] == 2
    assert load(kept) == media


@pytest.mark.parametrize("transcript", [None, b"", b"\xff\x00" * 99, b"WEBVTT\n\n00:00.000 --> 00:05.000\nThe first\n"])
def test_without_its_whole_transcript_it_keeps_the_passages_it_had(data_dir, transcript):
    kept, passages = keep_format_1(data_dir)
    (kept / "transcript.vtt").unlink()
    if transcript is not None:
        (kept / "transcript.vtt").write_bytes(transcript)
    assert load(kept).passages == tuple(Passage(p["start"], p["end"], p["text"], p["kind"]) for p in passages)


def test_a_film_whose_name_is_no_text_is_kept(data_dir):
    odd = os.fsdecode(b"caf\xe9")
    assert load(data_dir / keep(data_dir, title=odd).id).title == odd


def test_the_newest_comes_first_and_what_is_not_complete_is_not_there(data_dir):
    with pytest.raises(StorageError, match="gone"):  # an empty library would be a lie
        list_media(data_dir)
    keep(data_dir, OTHER)
    keep(data_dir)
    os.utime(data_dir / OTHER / "media.json", (1, 1))
    begun(data_dir, "a" * 32)
    (data_dir / ("b" * 32)).mkdir()
    (data_dir / "uploads").mkdir()
    (data_dir / ("c" * 32)).touch()
    assert [media.id for media in list_media(data_dir)[0]] == [ID, OTHER]
    assert [path.name for path in media_folders(data_dir)] == [ID, OTHER]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"format": None},
        {"id": "../../etc"},
        {"id": OTHER},
        {"length": "long"},
        {"length": float("nan")},
        {"frames": [{"start": 0, "end": 1, "image": "../secret.jpg"}]},
        {"frames": [{"start": 0, "end": 1, "image": "frames/../../x.jpg"}]},
        {"frames": [{"start": 0, "end": 1, "image": "/etc/passwd"}]},
        {"frames": [{"start": True, "end": 1, "image": "frames/1.jpg"}]},
        {"frames": 3},
        {"passages": [{"start": 0, "end": 10**400, "text": "x", "kind": "speech"}]},
        {"passages": [{"start": 0, "end": 1, "text": "x", "kind": "gossip"}]},
        {"passages": [{"start": 0, "end": 1, "kind": "speech"}]},
        {"coverage": {"speech": {"state": "great", "by": "", "note": ""}}},
        {"passages": [{"start": 0, "end": 1, "text": "x", "kind": "caption", "image": "../secret.jpg"}]},
        {"chapters": [{"start": 0, "end": 1}]},
        {"coverage": None},
    ],
    ids=str,
)
def test_a_damaged_record_says_what_to_do_and_hides_no_other(data_dir, change):
    other = keep(data_dir, OTHER)
    keep(data_dir)
    record = data_dir / ID / "media.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    media, (problem,) = list_media(data_dir)
    assert media == [other]
    assert str(record) in problem
    assert "\n" not in problem


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000], ids=lambda c: repr(c[:9]))
def test_a_record_that_is_no_record_is_an_error_with_a_next_step(data_dir, content):
    keep(data_dir)
    (data_dir / ID / "media.json").write_bytes(content)
    with pytest.raises(StorageError, match=f"remove {ID}"):
        load(data_dir / ID)
    remove(data_dir, ID)
    assert list_media(data_dir) == ([], [])


def test_what_is_not_there_is_not_found(data_dir):
    for media_id in (ID, "../data", "", "x" * 32):
        with pytest.raises(MediaNotFound):
            load(data_dir / (media_id or "nothing"))
        with pytest.raises(MediaNotFound):
            remove(data_dir, media_id)


def test_reading_again_replaces_the_whole_folder(data_dir):
    keep(data_dir, title="first")
    (data_dir / ID / "stray").touch()
    keep(data_dir, title="second")
    assert load(data_dir / ID).title == "second"
    assert (data_dir / ID / "frames" / "000000.000.jpg").read_bytes() == b"second"
    assert sorted(path.name for path in data_dir.iterdir()) == [ID]
    assert not (data_dir / ID / "stray").exists()


def test_what_was_asked_about_a_media_stays_when_it_is_read_again(data_dir):
    keep(data_dir, title="first")
    (data_dir / ID / "chat.json").write_text("asked")
    (data_dir / ID / "chat-pictures").mkdir()
    (data_dir / ID / "chat-pictures" / "a.jpg").write_bytes(b"picture")
    keep(data_dir, title="second")
    assert (data_dir / ID / "chat.json").read_text() == "asked"
    assert (data_dir / ID / "chat-pictures" / "a.jpg").read_bytes() == b"picture"


def test_removing_leaves_nothing(data_dir):
    stored = uploads.store(data_dir, "a.mp4", io.BytesIO(b"film"))
    keep(data_dir, stored.parent.name)
    keep(data_dir, OTHER)
    remove(data_dir, stored.parent.name)
    assert sorted(str(path.relative_to(data_dir)) for path in data_dir.iterdir()) == [OTHER, "uploads"]
    assert list((data_dir / "uploads").iterdir()) == []


def test_what_is_removed_does_not_come_back_from_a_reading_anew(data_dir):
    keep(data_dir)
    anew = staging(data_dir, ID)
    (anew / "frames").mkdir(parents=True)
    remove(data_dir, ID)
    assert not list(data_dir.glob(f"*{ID}*"))


def test_one_name_of_an_upload_is_discarded_and_the_other_stays(data_dir):
    one, other = (uploads.store(data_dir, name, io.BytesIO(b"film")) for name in ("one.mp4", "other.mp4"))
    uploads.discard(data_dir, one)
    assert (one.exists(), other.exists()) == (False, True)
    uploads.discard(data_dir, other)
    assert not other.parent.exists()


def test_a_path_that_leads_out_of_the_uploads_is_no_upload_and_stays(data_dir):
    (data_dir / "uploads").mkdir(parents=True)
    (data_dir / "chat.json").write_text("[]")
    uploads.discard(data_dir, data_dir / "uploads" / ".." / "chat.json")
    assert (data_dir / "chat.json").exists()


def test_what_another_process_reads_is_not_discarded(data_dir):
    stored = uploads.store(data_dir, "one.mp4", io.BytesIO(b"film"))
    home = begun(data_dir, stored.parent.name, stored)
    with disk.hold(home):
        uploads.discard(data_dir, stored)
        assert home.exists()


def test_what_dead_processes_left_is_swept_and_what_live_ones_do_is_not(data_dir):
    kept = keep(data_dir)
    mine = begun(data_dir, OTHER, source=Path("/gone.mp4"))
    for name in (f".reading-{'7' * 32}", f".trash-{'8' * 32}-5", f".old-{ID}-5", "9" * 32):
        (data_dir / name / "frames").mkdir(parents=True)
    (data_dir / "uploads" / ("d" * 32)).mkdir(parents=True)
    (data_dir / "uploads" / ("e" * 32)).mkdir()
    yesterday = time.time() - 2 * uploads.FORGOTTEN
    os.utime(data_dir / "uploads" / ("e" * 32), (yesterday, yesterday))
    for folder_of in (data_dir, data_dir / "uploads", data_dir / ID, data_dir / ID / "vectors"):
        folder_of.mkdir(exist_ok=True)
        (folder_of / ".unfinished-1-a.npz").touch()
    (data_dir / "someone's own file").touch()
    with disk.hold(mine), disk.scratch(data_dir / ID / "vectors" / "b.npz") as being_written:
        sweep(data_dir)
        assert being_written.exists()
    assert list((data_dir / ID / "vectors").iterdir()) == []
    assert {path.name for path in data_dir.iterdir()} == {ID, mine.name, "uploads", "someone's own file"}
    assert [path.name for path in (data_dir / "uploads").iterdir()] == ["d" * 32]
    assert list_media(data_dir) == ([kept], [])


def test_what_was_begun_waits_a_week_to_be_gone_on_with_while_its_source_is_there(data_dir, tmp_path):
    (tmp_path / "film.mp4").touch()
    waiting = begun(data_dir, OTHER, tmp_path / "film.mp4").rename(data_dir / OTHER)
    begun(data_dir, ID, tmp_path / "gone.mp4").rename(data_dir / ID)
    begun(data_dir, "d" * 32, tmp_path / "film.mp4")  # anew, and there is nothing any more that it would replace
    sweep(data_dir)
    assert list(data_dir.iterdir()) == [waiting]
    assert folder.broken_off(data_dir) == [(tmp_path / "film.mp4", False, "")]
    folder.put_off(data_dir, tmp_path / "film.mp4")
    assert folder.broken_off(data_dir) == []
    (waiting / "frames").mkdir()
    folder.begin(waiting, tmp_path / "film.mp4", "0.2")
    assert (waiting / "frames").exists()
    folder.begin(waiting, tmp_path / "film.mp4", "1")  # other pictures
    assert not (waiting / "frames").exists()
    for path in (waiting / folder.BEGUN, waiting):
        os.utime(path, (1, 1))
    sweep(data_dir)
    assert list(data_dir.iterdir()) == []


def test_a_part_that_nobody_reads_on_says_how_far_it_came_and_what_to_do(data_dir):
    coverage = {"speech": Coverage("reading", "whisper base", "Heard 0:12 of 0:20 so far.", 12.0)}
    media = replace(keep(data_dir), coverage=coverage)
    save(media, data_dir / ID)
    with disk.hold(data_dir / ID):
        assert load(data_dir / ID) == media
    broken_off = load(data_dir / ID).coverage["speech"]
    assert broken_off == Coverage(
        "partly", "whisper base", "Speech was heard to 0:12 of 0:20. Read it again to go on.", 12.0
    )


def test_one_process_at_a_time_writes_into_a_folder(data_dir, monkeypatch):
    monkeypatch.setattr(disk, "PATIENCE", 0.0)
    keep(data_dir)
    with disk.hold(data_dir / ID), pytest.raises(BeingRead), disk.hold(data_dir / ID):
        pass
    with disk.hold(data_dir / ID):
        pass


def test_killed_in_the_middle_of_replacing_the_old_one_comes_back(data_dir):
    kept = keep(data_dir)
    os.rename(data_dir / ID, data_dir / f".old-{ID}-7")
    assert list_media(data_dir)[0] == []
    sweep(data_dir)
    assert list_media(data_dir) == ([kept], [])


def test_a_folder_that_cannot_be_replaced_stays(data_dir, monkeypatch):
    kept = keep(data_dir)
    (data_dir / ID / "chat.json").write_text("asked")
    take_along, times = folder._take_along, []

    def full(old, new):
        times.append(old)
        if len(times) == 2:  # the old one is out of the way
            raise StorageError("The disk is full")
        take_along(old, new)

    monkeypatch.setattr(folder, "_take_along", full)
    with pytest.raises(StorageError, match="full"):
        keep(data_dir, title="second")
    assert list_media(data_dir) == ([kept], [])
    assert (data_dir / ID / "chat.json").read_text() == "asked"


def test_what_was_removed_is_not_put_back_from_what_a_killed_reading_left(data_dir):
    stored = uploads.store(data_dir, "a.mp4", io.BytesIO(b"film"))
    media_id = stored.parent.name
    keep(data_dir, media_id)
    (data_dir / f".old-{media_id}-7").mkdir()
    os.rename(data_dir / media_id, data_dir / f".trash-{media_id}-5")  # and the process that removes it is killed
    sweep(data_dir)
    assert sorted(path.name for path in data_dir.iterdir()) == ["uploads"]
    assert list((data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize("step", range(9))
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(data_dir, step):
    """A process replaces and then removes a media, and dies at its n-th change to the disk."""
    keep(data_dir, title="first")
    code = """if True:
        import os, shutil, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[3])
        from test_folder import ID, keep, remove
        left = int(sys.argv[1])
        def deadly(real):
            def act(*arguments, **options):
                global left
                left -= 1
                if left < 0:
                    os._exit(9)
                return real(*arguments, **options)
            return act
        for module, name in ((os, "rename"), (os, "replace"), (shutil, "rmtree")):
            setattr(module, name, deadly(getattr(module, name)))
        keep(Path(sys.argv[2]), title="second")
        remove(Path(sys.argv[2]), ID)
    """
    here = os.path.dirname(__file__)
    environment = os.environ | {"PYTHONPATH": os.path.dirname(here)}
    command = [sys.executable, "-c", code, str(step), str(data_dir), here]
    assert subprocess.run(command, env=environment, check=False).returncode == 9
    sweep(data_dir)
    media, problems = list_media(data_dir)
    assert problems == []
    for one in media:
        assert (data_dir / one.id / "frames" / "000000.000.jpg").read_bytes() == one.title.encode()
    if step < 8:  # the removal has not begun
        assert [one.title for one in media] in (["first"], ["second"])
    assert {path.name for path in data_dir.iterdir()} <= {ID, staging(data_dir, ID).name}  # which waits


def test_a_save_that_fails_leaves_what_was_there(data_dir, monkeypatch):
    keep(data_dir)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        save(replace(MEDIA, title="new"), data_dir / ID)
    assert load(data_dir / ID) == MEDIA
    assert not list((data_dir / ID).glob(".media*"))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "permission"),
        (errno.EIO, "DATA_DIR"),
    ],
)
def test_faults_of_the_disk_are_said_in_plain_words(tmp_path, number, words):
    with pytest.raises(StorageError, match=words) as caught, disk.storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("talk.mp4", "talk.mp4"),
        ("../../../etc/passwd", "passwd"),
        ("C:\\films\\talk.mkv", "talk.mkv"),
        ("..", "video"),
        ("", "video"),
        (".hidden.mp4", "hidden.mp4"),
        ("a\0b\nc.mp4", "abc.mp4"),
        ("день " * 100 + ".webm", None),
    ],
)
def test_an_upload_stays_where_it_belongs_whatever_its_name(data_dir, name, kept):
    stored = uploads.store(data_dir, name, io.BytesIO(b"film"))
    assert stored.read_bytes() == b"film"
    assert stored.resolve().parent.parent == (data_dir / "uploads").resolve()
    assert stored.name == kept or kept is None
    assert len(os.listdir(data_dir / "uploads")) == 1


def test_an_upload_that_breaks_off_leaves_nothing(data_dir):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError):
        uploads.store(data_dir, "talk.mp4", Broken())
    assert os.listdir(data_dir / "uploads") == []
