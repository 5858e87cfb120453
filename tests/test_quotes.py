"""The answer without a model: quotes, said to be quotes, each with a time that the evidence bears out."""

import pytest

from pipeline.chat import quotes
from pipeline.types import Evidence, Frame, Moment, Passage

TITLES = {"a": "First talk", "b": "Second talk"}


def moment(start: float, *passages: Passage, media: str = "a", frames: int = 0) -> Moment:
    pictures = tuple(Frame(start + i, start + i + 1, f"{i}.jpg") for i in range(frames))
    return Moment(media, start, start + 30, 1.0, passages, pictures)


def said(start: float, text: str, kind: str = "speech") -> Passage:
    return Passage(start, start + 30, text, kind)


def answer(question: str, *moments: Moment):
    reply = quotes.answer(Evidence(question, moments), TITLES)
    list(reply)
    return reply


def test_it_says_that_these_are_quotes_and_gives_the_best_first() -> None:
    reply = answer(
        "What is dropout?",
        moment(600, said(600, "Dropout switches neurons off at random.")),
        moment(62, said(62, "DROPOUT p = 0.5", "screen")),
        moment(3700, said(3700, "We come back to it.", "subtitle")),
        moment(5, said(5, "Welcome.")),
    )
    assert "quotes from the video, not a written answer" in reply.text
    assert reply.text.splitlines()[2:] == [
        "- [10:00] said: “Dropout switches neurons off at random.”",
        "- [1:02] on screen: “DROPOUT p = 0.5”",
        "- [1:01:40] in the subtitles: “We come back to it.”",
    ]
    assert (reply.answered_by, reply.finish) == ("quotes", "stop")


def test_several_videos_are_named() -> None:
    text = answer("x?", moment(5, said(5, "one")), moment(9, said(9, "two"), media="b")).text
    assert "[0:05] in “First talk” said: “one”" in text
    assert "[0:09] in “Second talk” said: “two”" in text
    assert "First talk" not in answer("x?", moment(5, said(5, "one"))).text


@pytest.mark.parametrize("kind", ["speech", "screen"])
@pytest.mark.parametrize("place", [0, 3, 9])
def test_a_long_passage_is_shortened_around_what_was_asked(kind: str, place: int) -> None:
    sentences = [f"Sentence number {i} tells of many other matters that are long to hear." for i in range(10)]
    sentences[place] = "The encoders are trained with a contrastive loss."
    reply = answer("How was the encoder trained?", moment(100, said(100, " ".join(sentences), kind)))
    assert sentences[place] in reply.text
    assert len(reply.text) < 500
    assert (" …”" in reply.text) == (place < 9)
    assert ("“… " in reply.text) == (place > 3)
    assert all(citation.supported for citation in reply.citations)
    assert "[1:40]" in reply.text or kind == "speech"


@pytest.mark.parametrize("text", ["word " * 400 + "encoder " + "word " * 400, "x" * 2000, "学習率が高い" * 200])
def test_a_passage_without_sentences_is_shortened_too(text: str) -> None:
    reply = answer("encoder?", moment(100, said(100, text)))
    assert len(reply.text) < 500
    assert ("encoder" in reply.text) == ("encoder" in text)
    assert [citation.supported for citation in reply.citations] == [True]


def test_the_same_words_are_quoted_once() -> None:
    words = "Gradient descent walks down the slope of the loss."
    text = answer(
        "gradient descent?",
        moment(50, said(50, words), said(52, words, "subtitle"), said(75, "The slope is steep near the start.")),
    ).text
    assert text.count("Gradient descent walks") == 1
    assert "The slope is steep" in text


def test_with_pictures_alone_it_gives_their_times() -> None:
    reply = answer("A red car?", moment(65, frames=2), moment(10, frames=1))
    assert "[1:05], [0:10]" in reply.text
    assert "not a written answer" in reply.text
    assert all(citation.supported for citation in reply.citations)


def test_nothing_found_is_said() -> None:
    reply = answer("A unicorn?")
    assert "Nothing in the video was found" in reply.text
    assert reply.citations == ()
