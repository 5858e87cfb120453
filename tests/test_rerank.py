"""A cross-encoder that is named orders what was found; without one nothing of it is loaded."""

import contextlib
from dataclasses import replace

import pytest
from tiny_clip import make_clip
from tiny_cross_encoder import TOKENS, make_cross_encoder

from pipeline import build
from pipeline.doctor import check_all
from pipeline.errors import ModelError
from pipeline.search.rerank import reranker
from pipeline.settings import Settings
from pipeline.types import Frame, Moment, Passage

QUESTION = "How is the boat steered?"
TEXTS = [
    "The keel is iron.", "A tiller moves the rudder.", "Fog", "The mast is made of spruce and eleven metres tall.",
    *(f"Rope number {n} is {n * 37 % 11} metres long and coiled {'on the deck ' * (n % 5)}" for n in range(16)),
]  # fmt: skip


def moment(number, *texts, frames=()):
    start = 60.0 * number
    said = tuple(Passage(start + n, start + n + 1, text, "speech") for n, text in enumerate(texts))
    return Moment("a" * 32, start, start + 45, 1 / (number + 1), said, frames)


def scores(folder, question, texts):
    """The model's own scores, one text at a time."""
    from transformers import BertForSequenceClassification, BertTokenizerFast

    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    found = []
    for text in texts:
        pair = tokenizer(question, text, truncation="only_second", max_length=TOKENS, return_tensors="pt")
        logits = model(**pair).logits[0].tolist()
        found.append(logits[0] if len(logits) == 1 else logits[1] - logits[0])
    return found


def best_first(items, scores):
    return [item for _, item in sorted(zip(scores, items, strict=True), key=lambda pair: -pair[0])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "one")


@pytest.mark.parametrize("labels", [1, 2])
def test_moments_stand_in_the_order_of_the_models_scores(tmp_path, labels):
    folder = make_cross_encoder(tmp_path / "model", labels)
    moments = [moment(n, text) for n, text in enumerate(TEXTS)]
    ordered = reranker(Settings(reranker=str(folder)))(QUESTION, moments)
    assert ordered == best_first(moments, scores(folder, QUESTION, TEXTS))
    assert ordered != moments


def test_all_that_is_said_in_a_moment_counts(folder):
    moments = [moment(0, "The keel", "is iron"), moment(1, "A tiller", "moves", "the rudder"), moment(2, "Fog")]
    ordered = reranker(Settings(reranker=str(folder)))(QUESTION, moments)
    whole = ["The keel is iron", "A tiller moves the rudder", "Fog"]
    assert ordered == best_first(moments, scores(folder, QUESTION, whole))


def test_a_moment_without_words_keeps_its_place(folder):
    silent = moment(1, frames=(Frame(60.0, 70.0, "frames/000060.000.jpg"),))
    moments = [moment(0, TEXTS[0]), silent, moment(2, TEXTS[1]), moment(3, TEXTS[3])]
    rank = reranker(Settings(reranker=str(folder)))
    ordered = rank(QUESTION, moments)
    assert ordered[1] == silent
    assert [one for one in ordered if one != silent] == rank(QUESTION, [one for one in moments if one != silent])
    assert rank(QUESTION, [silent]) == [silent]
    assert rank(QUESTION, []) == []


@pytest.mark.parametrize("question", ["", "why " * 500, "a lone \ud800 surrogate"])
def test_any_question_and_text_can_be_read(folder, question):
    moments = [moment(0, "word " * 2000), moment(1, "\ud800"), moment(2, "日本語")]
    assert len(reranker(Settings(reranker=str(folder)))(question, moments)) == 3


def test_none_is_named_and_none_is_loaded(settings):
    assert reranker(settings) is None
    assert reranker(replace(settings, reranker="/nowhere/model"))  # until a question is asked


@pytest.mark.parametrize("name", ["/nowhere/model", "no such model", "./here"])
def test_what_is_no_model_is_an_error(name):
    with pytest.raises(ModelError, match=r"RERANKER is .*Give a folder, or a name such as cross-encoder/"):
        reranker(Settings(reranker=name))(QUESTION, [moment(0, "Fog")])


def test_weights_that_cannot_be_fetched_are_an_error():
    with pytest.raises(ModelError, match=r"could not be fetched\. Connect to the internet, or set RERANKER"):
        reranker(Settings(reranker="nobody/nothing"))(QUESTION, [moment(0, "Fog")])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "vocab.txt")], "lacks tokenizer.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "lacks model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"half"), "cannot be loaded"),
        (lambda folder: make_cross_encoder(folder, labels=3), "one or two labels"),
    ],
)
def test_a_folder_that_cannot_rank_says_why(tmp_path, spoil, said):
    folder = make_cross_encoder(tmp_path / "model")
    spoil(folder)
    with pytest.raises(ModelError, match=said):
        reranker(Settings(reranker=str(folder)))(QUESTION, [moment(0, "Fog")])


def test_a_model_that_was_never_trained_to_rank_is_refused(tmp_path):
    from transformers import BertModel

    folder = make_cross_encoder(tmp_path / "model")
    BertModel.from_pretrained(folder).save_pretrained(folder)  # an embedding model: no classifier
    with pytest.raises(ModelError, match="does not score a question and a text"):
        reranker(Settings(reranker=str(folder)))(QUESTION, [moment(0, "Fog")])
    with pytest.raises(ModelError):
        reranker(Settings(reranker=str(make_clip(tmp_path / "clip"))))(QUESTION, [moment(0, "Fog")])


@pytest.fixture(scope="module")
def ranking(folder, tmp_path_factory):
    """A library of one transcript, half an hour long, that ranks. Only read from."""
    data = tmp_path_factory.mktemp("ranking")
    (data / "boat.srt").write_text(
        "\n".join(f"{n}\n00:{n:02}:00,000 --> 00:{n:02}:08,000\n{text}\n" for n, text in enumerate(TEXTS, 1))
    )
    with contextlib.closing(build(Settings(data_dir=data / "data", reranker=str(folder)))) as pipeline:
        pipeline.ingest(data / "boat.srt")
        yield pipeline


def test_a_question_gets_the_best_of_all_that_was_found(ranking, folder):
    wide = ranking.find(QUESTION, limit=20).moments
    texts = [" ".join(passage.text for passage in one.passages) for one in wide]
    assert len(wide) > 10
    assert list(wide) == best_first(wide, scores(folder, QUESTION, texts))
    fused = sorted(wide, key=lambda one: -one.score)
    few = ranking.find(QUESTION, limit=3).moments
    assert few == wide[:3]
    assert not {*few} <= {*fused[:3]}


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("", "off", "RERANKER names a cross-encoder"),
        ("/nowhere/model", "broken", "RERANKER is '/nowhere/model'"),
        ("nobody/nothing", "broken", "fetched by the first question"),
    ],
)
def test_the_doctor_says_what_to_do(ranking, monkeypatch, name, state, said):
    monkeypatch.setattr(ranking, "settings", replace(ranking.settings, reranker=name))
    check = {check.part: check for check in check_all(ranking)}["reranker"]
    assert check.state == state
    assert said in check.next


def test_the_doctor_knows_a_model_that_works(ranking, folder):
    check = {check.part: check for check in check_all(ranking)}["reranker"]
    assert (check.state, check.next) == ("ok", "")
    assert str(folder) in check.found
