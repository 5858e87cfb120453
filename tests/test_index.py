"""The index: what the folders hold can be found, in the right media, and in nothing else, on a real Milvus Lite."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from embedding_servers import serve_embeddings
from tiny_clip import make_clip

from pipeline.errors import EmbeddingError, LibraryBusy, LibraryError, ModelError, StorageError
from pipeline.search import index as index_module
from pipeline.search import vectors
from pipeline.search.embeddings import image_embedding, text_embedding
from pipeline.search.index import LISTS, Index
from pipeline.search.stores import collection_name, open_stores
from pipeline.settings import Settings
from pipeline.types import Frame, Media, Passage

ROOT = Path(__file__).resolve().parents[1]
HOLD = """
import sys
from pathlib import Path
from pipeline.settings import Settings
from pipeline.search.stores import open_stores
stores = open_stores(Settings(data_dir=Path(sys.argv[1])), "words", "pictures")
print("open", flush=True)
sys.stdin.read()
"""


def id_of(name):
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def write(settings, name, texts, frames=(), kind="speech", language="en", captions=()):
    """A media folder as reading leaves it: media.json, pictures, vectors. Each text is far from the others."""
    media_id = id_of(name)
    folder = settings.data_dir / media_id
    passages = (*(Passage(100.0 * n, 100.0 * n + 12, text, kind) for n, text in enumerate(texts)), *captions)
    media = Media(media_id, name, f"/{name}.mp4", "second", 600.0, language, tuple(frames), passages)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "media.json").write_text(repr(media))
    vectors.embed_text(folder, media, text_embedding(settings), lambda done: None)
    if settings.clip_model and frames:
        draw(folder, frames)
        vectors.embed_frames(folder, media, image_embedding(settings), lambda done: None)
    return media_id, (folder, lambda: media)


def draw(folder, frames):
    from PIL import Image

    (folder / "frames").mkdir(exist_ok=True)
    for number, frame in enumerate(frames):
        Image.new("RGB", (64, 36), (80 * number % 256, 120, 200)).save(folder / frame.image)


def found(lists, by):
    hits = lists.get(by, [])
    assert {hit.found_by for hit in hits} <= {by}
    return hits


def everything(lists):
    return [hit for hits in lists.values() for hit in hits]


def texts_of(hits):
    return [hit.item.text for hit in hits]


def hold(data_dir):
    """Another process that has the library open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )
    assert process.stdout.readline().strip() == "open"
    return process


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(make_clip(tmp_path_factory.mktemp("models") / "clip"))


@pytest.fixture(scope="module")
def talk_and_zoo(tmp_path_factory, clip):
    """An index of two videos with pictures, in a data folder with an awkward name. Only read from."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("a") / "my vidéos; 1'2", clip_model=clip)
    frames = [Frame(100.0 * n, 100.0 * n + 100, f"frames/{n}.jpg") for n in range(3)]
    folders = dict(
        [
            write(
                settings, "talk", ["networks have many layers", "the budget grew", "questions from the hall"], frames
            ),
            write(settings, "zoo", ["the cat sleeps", "dogs bark at night"], frames[:1], kind="screen"),
        ]
    )
    index = Index(settings)
    index.sync(folders)
    yield index, folders
    index.close()


class TestSearching:
    def test_words_are_found_in_another_form(self, talk_and_zoo):
        index, _ = talk_and_zoo
        words = found(index.search("Which LAYER is it?"), "words")
        assert texts_of(words) == ["networks have many layers"]
        assert words[0].item == Passage(0.0, 12.0, "networks have many layers", "speech")
        assert words[0].media == id_of("talk")

    def test_meaning_is_found_without_a_common_word(self, talk_and_zoo):
        index, _ = talk_and_zoo
        meaning = found(index.search("kitten nap"), "meaning")
        assert meaning[0].item == Passage(0.0, 12.0, "the cat sleeps", "screen")
        assert [hit.score for hit in meaning] == sorted((hit.score for hit in meaning), reverse=True)
        assert len(meaning) == 5

    def test_pictures_are_ranked_apart(self, talk_and_zoo):
        index, folders = talk_and_zoo
        pictures = found(index.search("a blue picture"), "picture")
        assert {(hit.media, hit.item) for hit in pictures} == {
            (media_id, frame) for media_id, (_, load) in folders.items() for frame in load().frames
        }

    def test_only_the_named_media_are_searched(self, talk_and_zoo):
        index, _ = talk_and_zoo
        for question in ("cat", "layers"):
            assert {hit.media for hit in everything(index.search(question, [id_of("zoo")]))} == {id_of("zoo")}
        assert index.search("cat", []) == {}
        assert index.search("cat", [id_of("nobody")]) == {}

    def test_no_list_is_longer_than_asked(self, talk_and_zoo):
        index, _ = talk_and_zoo
        assert max(len(hits) for hits in index.search("cat", limit=2).values()) == 2

    def test_no_list_is_asked_for_that_is_not_wanted(self, talk_and_zoo):
        index, _ = talk_and_zoo
        assert index.search("the cat sleeps").keys() == set(LISTS)
        assert index.search("the cat sleeps", wanted=["sentence words", "picture"]).keys() == {
            "sentence words",
            "picture",
        }

    def test_a_window_of_time_is_kept(self, talk_and_zoo):
        index, _ = talk_and_zoo
        lists = index.search("layers budget hall", [id_of("talk")], after=105, before=111)
        assert {hit.item.start for hit in everything(lists)} == {100.0}
        assert lists.keys() == set(LISTS)

    @pytest.mark.parametrize(
        "question",
        ["the of and", "?!…", "x" * 10_000, "cat " * 3000, "' \" \\ ) or 1==1 -- %", "日本語", "\ud800", "a\x00b"],
    )
    def test_no_question_breaks_it(self, talk_and_zoo, question):
        index, _ = talk_and_zoo
        assert found(index.search(question), "meaning")

    @pytest.mark.parametrize("question", ["", "  \n "])
    def test_nothing_asked_is_nothing_found(self, talk_and_zoo, question):
        index, _ = talk_and_zoo
        assert index.search(question) == {}

    @pytest.mark.parametrize("media_id", ['x"] or id != ""', "A" * 32, "", "0" * 31, "../" + "0" * 29])
    def test_only_ids_of_ours_enter_a_filter(self, talk_and_zoo, media_id):
        index, _ = talk_and_zoo
        with pytest.raises(ValueError, match="no id of ours"):
            index.search("cat", [media_id])

    def test_many_threads_may_search_at_once(self, talk_and_zoo):
        index, folders = talk_and_zoo
        results = []

        def ask():
            index.sync(folders)
            results.append(texts_of(found(index.search("cat"), "words")))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [["the cat sleeps"]] * 8


def test_the_collections_follow_the_folders(settings, monkeypatch):
    index = Index(settings)
    folders = dict([write(settings, "talk", ["alpha speech", "beta speech"]), write(settings, "zoo", ["gamma speech"])])
    told = []
    index.sync(folders, told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
    index.sync(folders)
    assert texts_of(found(index.search("speech"), "words")).count("alpha speech") == 1  # nothing double

    # Read again: other passages under the same id.
    folders |= dict([write(settings, "talk", ["beta speech", "delta speech"])])
    index.sync(folders)
    assert sorted(texts_of(found(index.search("speech"), "words"))) == ["beta speech", "delta speech", "gamma speech"]

    # Removed while nobody had the library open.
    index.close()
    del folders[id_of("zoo")]
    shutil.rmtree(settings.data_dir / id_of("zoo"))
    index = Index(settings)
    index.sync(folders)
    assert sorted(texts_of(found(index.search("speech"), "words"))) == ["beta speech", "delta speech"]

    # Made anew from the folders, without embedding a passage.
    embedded = []
    monkeypatch.setattr("pipeline.search.minilm.text_vectors", embedded.append)
    index.rebuild(folders)
    assert not embedded
    monkeypatch.undo()
    assert sorted(texts_of(found(index.search("speech"), "meaning"))) == ["beta speech", "delta speech"]

    index.sync({})
    assert index.search("speech") == {}
    assert "0 texts" in index.describe()
    index.close()


def test_windows_and_sentences_are_lists_of_their_own_and_what_is_shown_is_in_both(settings):
    picture = Frame(0.0, 60.0, "frames/0.jpg")
    said = tuple(
        Passage(10.0 * n, 10.0 * n + 8, text, "speech")
        for n, text in enumerate(["The otter swims.", "It eats a fish.", "Then the otter sleeps."])
    )
    apart = (
        Passage(0.0, 60.0, "Otters of the north", "screen"),
        Passage(0.0, 60.0, "An otter on its back.", "caption", picture.image),
    )
    folders = dict([write(settings, "river", [], [picture], captions=(*said, *apart))])
    index = Index(settings)
    index.sync(folders)
    lists = index.search("otter")
    window = Passage(0.0, 28.0, " ".join(one.text for one in said), "speech")
    assert {hit.item for hit in lists["words"]} == {hit.item for hit in lists["meaning"]} == {window, *apart}
    pairs = {Passage(one.start, other.end, f"{one.text} {other.text}", "speech") for one, other in pairwise(said)}
    assert {hit.item for hit in lists["sentence meaning"]} == {*said, *pairs, *apart}
    assert {hit.item for hit in lists["sentence words"]} == {said[0], said[2], *pairs, *apart}
    assert lists["meaning"][0].media == id_of("river")
    index.close()


def test_a_library_without_anything_answers_with_nothing(settings):
    index = Index(settings)
    index.sync({})
    assert index.search("anything") == {}
    assert "0 texts" in index.describe()
    index.close()


def test_embeddings_are_never_mixed(settings):
    with serve_embeddings(64) as server:
        other = Settings(settings.data_dir, embedding_base_url=f"{server.url}/v1", embedding_model="org/other model")
        media_id, local = write(settings, "talk", ["alpha speech"])
        for one in (settings, other):
            index = Index(one)
            index.sync({media_id: local})
            hits = index.search("alpha")
            assert len(found(hits, "words")) == (1 if one is settings else 0)  # not embedded by the other yet
            index.close()
        folders = dict([write(other, "talk", ["alpha speech"])])
        index = Index(other)
        index.sync(folders)
        assert found(index.search("alpha"), "meaning")
        server.faults = ["401"]
        with pytest.raises(EmbeddingError, match="EMBEDDING_API_KEY"):
            index.search("alpha")
        assert found(index.search("alpha"), "meaning")
        index.close()


def test_a_picture_finds_the_frames_that_show_it(talk_and_zoo):
    index, folders = talk_and_zoo
    talk, zoo = id_of("talk"), id_of("zoo")
    folder, media = folders[talk][0], folders[talk][1]()
    picture = (folder / media.frames[2].image).read_bytes()
    hits = index.search_by_picture(picture)
    assert (hits[0].media, hits[0].item) == (talk, media.frames[2])
    assert hits[0].score == pytest.approx(1.0, abs=1e-3)
    assert {hit.found_by for hit in hits} == {"picture"}
    assert {hit.media for hit in hits} == {talk, zoo}
    assert {hit.media for hit in index.search_by_picture(picture, [zoo])} == {zoo}
    assert len(index.search_by_picture(picture, limit=2)) == 2
    assert index.search_by_picture(picture, []) == []


def test_pictures_without_their_model_are_left_out_unless_it_is_named(settings, clip, caplog):
    named = Settings(settings.data_dir, clip_model=clip)
    folders = dict([write(named, "talk", ["alpha speech"], [Frame(0.0, 5.0, "frames/0.jpg")])])
    index = Index(settings)
    folder, _ = folders[id_of("talk")]
    # Vectors that an earlier run made with weights that are gone now.
    shutil.copy(
        vectors.vectors_path(folder, image_embedding(named).name),
        vectors.vectors_path(folder, image_embedding(settings).name),
    )
    index.sync(folders)
    assert found(index.search("alpha"), "words")
    assert not found(index.search("alpha"), "picture")
    assert "Pictures were not searched" in caplog.text
    index.close()

    gone = Settings(settings.data_dir, clip_model="nobody/nothing")
    shutil.copy(
        vectors.vectors_path(folder, image_embedding(named).name),
        vectors.vectors_path(folder, image_embedding(gone).name),
    )
    index = Index(gone)
    index.sync(folders)
    with pytest.raises(ModelError):
        index.search("alpha")
    index.close()


@pytest.fixture(scope="module")
def languages(tmp_path_factory):
    """An index of a German, a Chinese and an English video, and one whose language is not known."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("languages") / "data")
    folders = dict(
        [
            write(settings, "de", ["Die alten Häuser am Fluss.", "Docker läuft im Keller."], language="de"),
            write(settings, "zh", ["今天我们讨论神经网络的训练方法", "明天是星期六"], language="zh"),
            write(settings, "en", ["Old houses by the river.", "We run Docker in production."], language="en"),
            write(settings, "?", ["Docker ga hanno.", "Zwykle po obiedzie."], language=""),
        ]
    )
    index = Index(settings)
    index.sync(folders)
    yield index, folders, settings
    index.close()


class TestLanguages:
    @pytest.mark.parametrize(
        ("question", "language", "text"),
        [
            ("Haus", "de", "Die alten Häuser am Fluss."),
            ("Wo steht das alte Haus?", "de", "Die alten Häuser am Fluss."),
            ("house", "en", "Old houses by the river."),
            ("神经网络", "zh", "今天我们讨论神经网络的训练方法"),
            ("训练", "zh", "今天我们讨论神经网络的训练方法"),
            ("OBIEDZIE", "?", "Zwykle po obiedzie."),
        ],
    )
    def test_words_are_found_in_the_forms_of_their_language(self, languages, question, language, text):
        index, _, _ = languages
        for name in ("words", "sentence words"):
            best = found(index.search(question), name)[0]
            assert (best.media, best.item.text) == (id_of(language), text)

    def test_videos_of_several_languages_are_one_list_best_first(self, languages):
        index, folders, _ = languages
        for name in ("words", "meaning"):
            hits = found(index.search("Docker"), name)
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert {id_of("de"), id_of("en"), id_of("?")} <= {hit.media for hit in hits}
        assert {hit.media for hit in found(index.search("Docker"), "meaning")} == folders.keys()
        assert max(len(hits) for hits in index.search("Docker", limit=2).values()) == 2

    def test_one_of_them_alone_can_be_asked(self, languages):
        index, _, _ = languages
        assert {hit.media for hit in everything(index.search("Docker", [id_of("de")]))} == {id_of("de")}
        assert "words" not in index.search("神经网络", [id_of("en")])

    def test_a_video_whose_language_is_told_anew_moves_and_leaves_nothing_behind(self, languages):
        index, folders, settings = languages
        facts = index.describe()
        folders = folders | dict([write(settings, "?", ["Docker ga hanno.", "Zwykle po obiedzie."], language="pt")])
        index.sync(folders)
        assert index.describe() == facts  # as many rows as before
        hits = found(index.search("hanno"), "words")
        assert [(hit.media, hit.item.text) for hit in hits] == [(id_of("?"), "Docker ga hanno.")]
        del folders[id_of("?")]
        index.sync(folders)
        index.close()  # what it believes is forgotten, and the rows are counted anew
        assert id_of("?") not in {hit.media for hit in everything(index.search("Docker hanno"))}
        assert index.describe() != facts


class TestStarting:
    """A start costs what changed, not what the library holds."""

    def loads(self, folders):
        """(the same folders, the ids of those that are loaded)."""
        loaded = []
        noted = {one: (folder, lambda one=one, load=load: loaded.append(one) or load())
                 for one, (folder, load) in folders.items()}  # fmt: skip
        return noted, loaded

    def test_what_stayed_as_it_was_is_neither_loaded_nor_are_its_vectors_read(self, settings, monkeypatch):
        folders = dict([write(settings, "talk", ["alpha speech"]), write(settings, "zoo", ["gamma"])])
        index = Index(settings)
        index.sync(folders)
        index.close()
        noted, loaded = self.loads(folders)
        read = []
        monkeypatch.setattr(index_module, "load_vectors", lambda folder, name: read.append(folder) or {})
        index.sync(noted)
        assert not loaded
        assert not read
        monkeypatch.undo()
        folders |= dict([write(settings, "zoo", ["gamma", "delta"])])
        index.close()
        noted, loaded = self.loads(folders)
        index.sync(noted)
        assert loaded == [id_of("zoo")]
        assert found(index.search("delta"), "words")
        index.close()

    def test_what_the_collections_lost_meanwhile_is_looked_into(self, settings):
        folders = dict([write(settings, "talk", ["alpha speech", "beta"]), write(settings, "zoo", ["gamma"])])
        index = Index(settings)
        index.sync(folders)
        store = index._stores.get("text")
        row, *_ = store.client.query(store.collection_name, filter=f'doc_id == "{id_of("talk")}"', limit=1)
        store.client.delete(store.collection_name, ids=[row["id"]])
        index.close()
        noted, loaded = self.loads(folders)
        index.sync(noted)
        assert loaded == [id_of("talk")]
        index.close()

    @pytest.mark.parametrize("content", ["", "[]", '{"texts": 1}', '{"media": {"x": 3}}'])
    def test_without_what_was_written_down_all_is_looked_into(self, settings, content):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        index = Index(settings)
        index.sync(folders)
        facts = index.describe()
        index.close()
        (settings.data_dir / "index.json").write_text(content)
        noted, loaded = self.loads(folders)
        index.sync(noted)
        assert loaded == [id_of("talk")]
        assert index.describe() == facts
        index.close()


class TestHolding:
    def test_the_second_process_is_told_who_holds_it(self, settings):
        index = Index(settings)
        holder = hold(settings.data_dir)
        try:
            for _ in range(2):  # Milvus Lite's own lock is gone after the first refusal
                with pytest.raises(LibraryBusy, match=rf"open in `python -c .*process {holder.pid}\).*close that"):
                    index.sync({})
        finally:
            holder.stdin.close()
            holder.wait()
        index.sync({})  # released late is waited for
        index.close()

    def test_a_killed_holder_leaves_it_open_to_the_next(self, settings):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        holder = hold(settings.data_dir)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        index = Index(settings)
        index.sync(folders)
        assert found(index.search("alpha"), "words")
        index.close()

    def test_two_in_one_process_share_it(self, settings):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        one, two = Index(settings), Index(settings)
        one.sync(folders)
        two.sync(folders)
        one.close()
        assert found(two.search("alpha"), "words")
        two.close()
        hold(settings.data_dir).communicate("")  # another process gets it at once

    @pytest.mark.parametrize(
        "how", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)], ids=["dies", "hangs"]
    )
    def test_a_milvus_that_dies_or_hangs_is_started_again(self, settings, how):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        index = Index(settings)
        index.sync(folders)
        children = subprocess.run(
            ["ps", "-ww", "-A", "-o", "pid=,command="], capture_output=True, text=True, check=True
        )
        for line in children.stdout.splitlines():
            if str(settings.data_dir) in line:  # Milvus Lite's own process
                os.kill(int(line.split()[0]), how)
        with pytest.raises(LibraryError):
            index.search("alpha")
        index.sync(folders)
        assert found(index.search("alpha"), "words")
        index.close()

    def test_a_search_whose_index_another_thread_closes_says_so_and_the_next_one_finds(self, settings, monkeypatch):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        index = Index(settings)
        index.sync(folders)
        real, closed = index_module.content_words, []

        def close_once(text):
            if not closed:
                closed.append(True)
                index.close()  # as after another one's fault
                index.sync(folders)  # which a third has opened anew
            return real(text)

        monkeypatch.setattr(index_module, "content_words", close_once)
        with pytest.raises(LibraryError, match="was closed while it was searched"):
            index.search("alpha")
        opened = index._stores
        assert found(index.search("alpha"), "words")
        assert index._stores is opened
        index.close()


class TestMending:
    """What the collections hold is made to be what the folders hold, whatever happened to them."""

    @pytest.mark.parametrize("fault", ["other", "doubled", "not of ours"])
    def test_rows_are_mended_on_opening(self, settings, fault):
        folders = dict([write(settings, "talk", ["alpha speech", "beta"]), write(settings, "zoo", ["gamma"])])
        index = Index(settings)
        index.sync(folders)
        facts = index.describe()
        store = index._stores.get("text")
        client, name = store.client, store.collection_name
        row, another, *_ = client.query(name, filter=f'doc_id == "{id_of("talk")}"', output_fields=["*"], limit=3)
        if fault == "other":
            client.delete(name, ids=[another["id"]])  # missing
            client.upsert(name, [row | {"doc_id": id_of("zoo")}])  # under another media
            client.insert(name, [row | {"id": "a" * 32}, row | {"id": "b" * 32, "doc_id": "c" * 32}])  # of nobody
        elif fault == "doubled":
            client.insert(name, [row])
        else:
            client.insert(name, [row | {"id": "1", "doc_id": "someone's"}])
        index.close()
        index = Index(settings)
        index.sync(folders)
        assert index.describe() == facts
        assert sorted(texts_of(found(index.search("alpha beta gamma"), "sentence words"))) == [
            "alpha speech",
            "beta",
            "gamma",
        ]
        counted = index._stores.get("text").client.query(name, filter="", output_fields=["count(*)"])
        assert f"{counted[0]['count(*)']} texts" in facts
        assert len(index.notes()) == (fault in ("doubled", "not of ours"))
        index.close()

    @pytest.mark.parametrize("damage", ["cut", "zeros", "gone"])
    def test_a_torn_file_is_made_anew_and_it_is_said(self, settings, damage):
        folders = dict([write(settings, "talk", [f"alpha number {n}" for n in range(40)])])
        index = Index(settings)
        index.sync(folders)
        facts = index.describe()
        file = settings.data_dir / "library.db"
        whole = file.stat().st_size
        if damage == "gone":  # while it is open
            file.unlink()
            (settings.data_dir / id_of("talk") / "media.json").touch()
            index.sync(folders)
        index.close()
        if damage != "gone":
            with open(file, "r+b") as torn:
                torn.seek(whole // 2)
                torn.truncate() if damage == "cut" else torn.write(
                    (b"\0" if damage == "zeros" else b"x") * (whole // 4)
                )
        index.sync(folders)
        assert index.describe() == facts
        assert len(found(index.search("alpha"), "sentence words")) == 40
        assert len(index.notes()) == (damage != "gone")
        assert index.notes() == []
        index.close()

    def test_a_folder_that_cannot_be_looked_into_keeps_no_other_from_being_searched(self, settings):
        folders = dict([write(settings, "talk", ["alpha speech"]), write(settings, "zoo", ["gamma"])])
        shutil.rmtree(settings.data_dir / id_of("zoo") / "vectors")
        (settings.data_dir / id_of("zoo") / "vectors").symlink_to("vectors")
        index = Index(settings)
        index.sync(folders)
        assert found(index.search("alpha"), "words")
        assert [*index.unread()] == [id_of("zoo")]
        (settings.data_dir / id_of("zoo") / "vectors").unlink()
        folders |= dict([write(settings, "zoo", ["gamma"])])
        index.sync(folders)
        assert found(index.search("gamma"), "words")
        assert not index.unread()
        index.close()


class TestStores:
    def test_every_row_of_a_media_goes_however_many(self, settings):
        opened = open_stores(settings, "words", "pictures")
        store = opened.open("text", 8)
        many, few = id_of("many"), id_of("few")
        rows = [
            {"id": f"{number:032x}", "doc_id": few if number < 3 else many, "text": "word", "embedding": [1.0] * 8}
            for number in range(17_003)
        ]
        for first in range(0, len(rows), 5000):
            store.client.upsert(store.collection_name, rows[first : first + 5000])
        assert {media_id: len(ids) for media_id, ids in opened.rows("text").items()} == {many: 17_000, few: 3}
        opened.delete(many)
        assert {media_id: len(ids) for media_id, ids in opened.rows("text").items()} == {few: 3}
        with pytest.raises(ValueError, match="no id of ours"):
            opened.delete('x"] or id != ""')
        opened.close()

    def test_a_collection_of_another_dimension_is_refused_and_can_be_made_anew(self, settings):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        wrong = collection_name("text", "local-all-minilm-l6-v2", 384)
        opened = open_stores(settings, "words", "pictures")
        opened._client.create_collection(wrong, dimension=8, vector_field_name="embedding")
        opened.close()
        index = Index(settings)
        with pytest.raises(LibraryError, match=r"vectors of 8 numbers.*python -m pipeline reindex"):
            index.sync(folders)
        index.rebuild(folders)
        assert found(index.search("alpha"), "words")
        index.close()

    @pytest.mark.parametrize("name", ["org/model:v1.5 (large)", "7b", "ünïcode", "x" * 300])
    def test_any_model_name_makes_a_name_that_milvus_takes(self, name):
        from pipeline.search.base import safe_name

        assert collection_name("text", safe_name(name), 1024).isascii()
        assert len(collection_name("text", safe_name(name), 1024)) < 255
        assert collection_name("text", safe_name(name), 1024).isidentifier()

    def test_a_file_that_cannot_be_opened_says_how_to_mend_it(self, settings):
        (settings.data_dir / "library.db").mkdir(parents=True)
        with pytest.raises(LibraryError, match=r"library\.db.*reindex"):
            open_stores(settings, "words", "pictures")

    def test_a_data_folder_that_cannot_be_made_says_so(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="DATA_DIR"):
            open_stores(Settings(data_dir=tmp_path / "file" / "data"), "words", "pictures")

    def test_a_full_disk_is_said_before_anything_is_lost(self, settings, monkeypatch):
        folders = dict([write(settings, "talk", ["alpha speech"])])
        index = Index(settings)
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
            with pytest.raises(StorageError, match=r"is full \(1 MB free\)"):
                index.sync(folders)
        index.sync(folders)
        assert found(index.search("alpha"), "words")
        index.close()

    def test_a_server_that_is_not_there_is_named(self, settings):
        with pytest.raises(LibraryError, match=r"http://127\.0\.0\.1:1 cannot be reached.*MILVUS_URI"):
            open_stores(Settings(settings.data_dir, milvus_uri="http://127.0.0.1:1"), "words", "pictures")

    def test_a_refused_token_is_said_and_not_shown(self, settings):
        import grpc

        class Refuses(grpc.GenericRpcHandler):
            def service(self, details):
                return grpc.unary_unary_rpc_method_handler(
                    lambda request, call: call.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure")
                )

        server = grpc.server(ThreadPoolExecutor(1), handlers=(Refuses(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        wrong = Settings(settings.data_dir, milvus_uri=f"http://127.0.0.1:{port}", milvus_token="root:secret")
        with pytest.raises(LibraryError, match=r"refused the token\. Check MILVUS_TOKEN") as caught:
            open_stores(wrong, "words", "pictures")
        assert "secret" not in f"{caught.value}{caught.value.__cause__}"
        server.stop(None)

    def test_a_server_that_is_no_milvus_is_named(self, settings):
        with serve_embeddings() as server, pytest.raises(LibraryError, match="MILVUS_URI"):
            open_stores(Settings(settings.data_dir, milvus_uri=server.url), "words", "pictures")
