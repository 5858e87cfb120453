"""The list of a library: right after every change, and without looking at the folders while there is none."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from pipeline import part_status
from pipeline.media import catalogue as catalogue_module
from pipeline.media import folder as folders
from pipeline.media import record
from pipeline.media.catalogue import Catalogue
from pipeline.search import vectors
from pipeline.types import Chapter, Coverage, Frame, Media, Passage

FRAMES = tuple(Frame(5.0 * n, 5.0 * n + 5, f"frames/{n}.jpg") for n in range(9))
MEDIA = Media(
    "0" * 32, 'A title\n "chapters": [', "/talk.mp4", "second", 45.0, "en", FRAMES,
    (Passage(0.0, 5.0, "words", "speech"),), (Chapter(0.0, 45.0, "All"),), {"speech": Coverage("read", "whisper")},
)  # fmt: skip


def media_id(number):
    return f"{number:032x}"


def keep(data_dir, number, **changes):
    media = replace(MEDIA, id=media_id(number), **changes)
    (data_dir / media.id).mkdir(parents=True, exist_ok=True)
    folders.save(media, data_dir / media.id)
    return media


@pytest.fixture
def data_dir(settings):
    for number in range(4):
        keep(settings.data_dir, number)
    return settings.data_dir


@pytest.fixture
def looked(monkeypatch):
    """The names of the folders whose records are looked at, or read."""
    names, stat, glance = [], os.stat, catalogue_module._glance

    def noted_stat(path, *arguments, **options):
        if str(path).endswith(record.FILE):
            names.append(str(path))
        return stat(path, *arguments, **options)

    def noted_glance(file):
        names.append(f"read {file.parent.name}")
        return glance(file)

    monkeypatch.setattr(catalogue_module.os, "stat", noted_stat)
    monkeypatch.setattr(catalogue_module, "_glance", noted_glance)
    return names


def rest(data_dir):
    """Let all that was written be long ago."""
    os.utime(data_dir, (1_000_000_000, 1_000_000_000))


def test_what_is_listed_is_what_was_read(data_dir):
    listing = Catalogue(data_dir).look()
    assert set(listing.by_id) == {media_id(n) for n in range(4)}
    for one in listing.media:
        assert one == record.listed(folders.load(data_dir / one.id))
    assert listing.media[0].frames == (FRAMES[3],)
    assert listing.media[0].title == MEDIA.title
    assert not listing.problems


def test_a_record_whose_head_was_written_otherwise_is_read_whole(data_dir):
    file = data_dir / media_id(1) / record.FILE
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(dict(sorted(facts.items())), indent=1))
    assert Catalogue(data_dir).look().by_id[media_id(1)] == record.listed(folders.load(file.parent))


def test_nothing_is_looked_at_again_while_nothing_changes(data_dir, looked):
    catalogue = Catalogue(data_dir)
    rest(data_dir)
    first = catalogue.look()
    looked.clear()
    assert all(catalogue.look() is first for _ in range(5))
    assert not looked


def test_of_what_changed_only_that_is_read(data_dir, looked):
    catalogue = Catalogue(data_dir)
    catalogue.look()
    rest(data_dir)
    catalogue.look()
    looked.clear()
    keep(data_dir, 2, title="renamed")
    assert catalogue.look().by_id[media_id(2)].title == "renamed"
    assert [one for one in looked if one.startswith("read")] == [f"read {media_id(2)}"]


@pytest.mark.parametrize("how", ["saved", "removed", "deleted by hand", "replaced", "new vectors"])
def test_every_change_is_seen_at_once(data_dir, tmp_path, how):
    catalogue = Catalogue(data_dir)
    rest(data_dir)
    first = catalogue.look()
    if how == "saved":
        keep(data_dir, 9)
    elif how == "removed":
        folders.remove(data_dir, media_id(0))
    elif how == "deleted by hand":
        shutil.rmtree(data_dir / media_id(0))
    elif how == "replaced":
        anew = folders.staging(data_dir, media_id(0))
        anew.mkdir()
        folders.save(replace(MEDIA, title="anew"), anew)
        folders.install(anew, data_dir, media_id(0))
    else:
        vectors._save_vectors(vectors.vectors_path(data_dir / media_id(0), "model"), {"a" * 32: vectors_of_one()})
    again = catalogue.look()
    assert again is not first
    assert {one.id: one.title for one in again.media} == {one.id: one.title for one in folders.list_media(data_dir)[0]}


def vectors_of_one():
    import numpy as np

    return np.ones(4, dtype=np.float32)


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(data_dir):
    catalogue = Catalogue(data_dir)
    keep(data_dir, 8)
    tick = data_dir.stat().st_mtime_ns
    assert media_id(8) in catalogue.look().by_id
    keep(data_dir, 9)
    os.utime(data_dir, ns=(tick, tick))  # as a disk that tells times coarsely
    assert media_id(9) in catalogue.look().by_id


def test_who_reads_and_dies_without_a_word_is_no_longer_said_to_read(data_dir):
    reading = {"speech": Coverage("reading", "whisper", "Heard 0:10 of 0:45 so far.", 10.0)}
    catalogue = Catalogue(data_dir)
    with folders.hold(data_dir / media_id(0)):
        keep(data_dir, 0, coverage=reading)
        rest(data_dir)
        assert catalogue.look().by_id[media_id(0)].coverage["speech"].state == "reading"
        assert [one.id for one in catalogue.look().media if part_status.parts(one)] == [media_id(0)]
    assert catalogue.look().by_id[media_id(0)].coverage["speech"].state == "partly"


def test_a_folder_that_cannot_be_read_is_named_and_hides_no_other(data_dir):
    (data_dir / media_id(1) / record.FILE).write_text("{")
    shutil.copytree(data_dir / media_id(2), data_dir / media_id(7))
    listing = Catalogue(data_dir).look()
    assert set(listing.by_id) == {media_id(n) for n in (0, 2, 3)}
    assert len(listing.problems) == 2


def test_a_question_looks_at_no_folder_but_those_it_needs(library, looked, monkeypatch):
    (film,), _ = library.list()
    for number in range(3):
        keep(library.settings.data_dir, number, passages=())
    library.find("Which light does the pigment swallow?")
    rest(library.settings.data_dir)
    library.find("Which light does the pigment swallow?")
    looked.clear()
    stamped = []
    monkeypatch.setattr(type(library._opened()), "_stamp", lambda self, folder: stamped.append(folder) or ())
    assert {one.media for one in library.find("What about volcanoes?").moments} == {film.id}
    assert len(library.list()[0]) == 4
    assert all(film.id in one for one in looked)
    assert not stamped
