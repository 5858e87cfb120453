"""Word by word: a moment is found by what its words mean where they stand, and only where all can be compared."""

from dataclasses import replace

import pytest

from pipeline.search import vectors
from pipeline.search.embeddings import text_embedding
from pipeline.search.late import comparer
from pipeline.settings import Settings
from pipeline.types import Frame, Media, Moment, Passage

A, B = "a" * 32, "b" * 32
BOAT = ["We moor at the river bank.", "The keel is iron.", "Okay, and so on."]
MONEY = ["She opened an account at the bank.", "The annual budget is spent."]


def media_of(media_id, texts):
    passages = tuple(Passage(60.0 * n, 60.0 * n + 40, text, "speech") for n, text in enumerate(texts))
    return Media(media_id, "talk", "/talk.mp4", "second", 60.0 * len(texts), "en", (), passages)


def moments_of(media):
    return [Moment(media.id, one.start, one.end, 0.0, (one,), ()) for one in media.passages]


def embed(settings, *media):
    for one in media:
        folder = settings.data_dir / one.id
        folder.mkdir(parents=True)
        vectors.embed_words(folder, one, text_embedding(settings), lambda done: None)


@pytest.fixture
def talks(settings):
    """A talk about a boat and one about money, their words embedded."""
    talks = media_of(A, BOAT), media_of(B, MONEY)
    embed(settings, *talks)
    return [moment for one in talks for moment in moments_of(one)]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("What is the keel made of?", "The keel is iron."),
        ("How is the yearly finance plan?", "The annual budget is spent."),  # no word in common
        ("Where at the bank is the ship tied up?", "We moor at the river bank."),  # not the other bank
        ("At which bank is her money?", "She opened an account at the bank."),
    ],
)
def test_words_are_compared_by_what_they_mean_where_they_stand(settings, talks, question, best):
    ordered = comparer(settings)(question, talks, 0.8)
    assert ordered[0].passages[0].text == best
    assert ordered[0].score == pytest.approx(0.8)
    assert [one.score for one in ordered] == sorted((one.score for one in ordered), reverse=True)
    assert {(one.media, one.start) for one in ordered} == {(one.media, one.start) for one in talks}


def test_what_was_found_before_counts_too(settings, talks):
    before = [replace(one, score=1.0 - number / 10) for number, one in enumerate(talks)]
    compare = comparer(settings)
    assert compare("What is the keel made of?", before, 0.01)[0].passages == before[0].passages
    assert compare("What is the keel made of?", before, 1.0)[0].passages == before[1].passages


def test_each_word_counts_where_it_fits_best_in_the_whole_moment(settings, talks):
    river, iron, *_ = talks
    both = Moment(A, river.start, iron.end, 0.0, river.passages + iron.passages, ())
    assert comparer(settings)("iron on the river", [river, iron, both], 1.0)[0].passages == both.passages


def test_moments_without_content_words_earn_nothing(settings, talks):
    silent = Moment(A, 300.0, 310.0, 0.5, (), (Frame(300.0, 310.0, "frames/300.jpg"),))
    ordered = comparer(settings)("What is the keel made of?", [silent, *talks], 1.0)
    assert [one.passages[0].text for one in ordered if one.score == 1.0] == ["The keel is iron."]
    assert silent in ordered
    assert talks[2] in ordered
    assert comparer(settings)("What is the keel made of?", [silent], 1.0) == [silent]
    assert comparer(settings)("What is the keel made of?", [], 1.0) == []


def test_nothing_is_compared_while_the_words_of_one_media_have_no_vectors(settings, talks):
    old = media_of("c" * 32, ["The keel is oak."])
    every = [*talks, *moments_of(old)]
    compare = comparer(settings)
    assert compare("What is the oak keel made of?", every, 1.0) == every
    embed(settings, old)
    assert compare("What is the oak keel made of?", every, 1.0)[0].media == old.id


@pytest.mark.parametrize("question", ["", "And what is that?", "?"])
def test_a_question_without_content_words_compares_nothing(settings, talks, question):
    assert comparer(settings)(question, talks, 1.0) == talks


def test_an_embedding_of_whole_texts_alone_compares_nothing(tmp_path):
    assert comparer(Settings(data_dir=tmp_path, embedding_base_url="http://x/v1", embedding_model="m")) is None
