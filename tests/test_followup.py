"""Follow-up questions: what they borrow, where along the video they point, and which questions are none."""

import pytest

from pipeline.chat.followup import Query, resolve
from pipeline.types import Evidence, Frame, Moment, Passage, Turn

MEDIA = "c" * 32
BEST = Moment(
    MEDIA,
    120.0,
    150.0,
    1.0,
    (Passage(120, 150, "Dropout switches neurons off. Dropout makes the network robust.", "speech"),),
    (Frame(125, 130, "frames/125.jpg"),),
)


def turn(question: str, *moments: Moment) -> Turn:
    return Turn(question, "They say this and that [2:05].", Evidence(question, moments))


BEFORE = [turn("How does the learning rate change?", BEST)]


@pytest.mark.parametrize(
    "question",
    [
        "What does he say about overfitting?",
        "Why?",
        "And what comes after that?",
        "What is it?",
    ],
)
def test_a_first_question_is_looked_for_as_it_is(question: str) -> None:
    assert resolve(question, []) == Query(question)


@pytest.mark.parametrize(
    "question",
    [
        "What does he say about overfitting?",
        "Which optimiser do they use for training?",
        "What is a transformer?",
        "Where does she say that CLIP was trained on 400 million pairs?",
        "How many layers has the network?",
        "What is this video about?",
        "Summarise the talk",
        "When is gradient clipping shown?",
        "What colour is the car in the garden?",
        "What does the next-token loss measure?",
        "What did earlier work by Hinton find?",
        "Who wrote the paper on attention?",
        "If the batch is small, then what happens to gradient noise?",
        "Which company presented before Twilio?",
        "What happens after the training of the encoder?",
        "Is the code of the tokenizer published?",
        "Andrew Ng appears when?",
        "What do you see on the slide with the pyramid diagram?",
        "What is CLIP?",
        "What does the WHO say?",
        "How often does he say “okay”?",
        "What is this tutorial about?",
        "Summarize the whole meeting",
    ],
)
def test_a_full_new_question_borrows_nothing(question: str) -> None:
    assert resolve(question, BEFORE) == Query(question)


@pytest.mark.parametrize(
    "question",
    [
        "Why?",
        "Why is that?",
        "How does it work?",
        "Tell me more.",
        "What about dropout?",
        "And dropout?",
        "and for small batches?",
        "But what if the batch is small?",
        "What does that mean?",
        "Can you explain this in simpler terms?",
        "Who said that?",
        "What else does he say?",
        "How does it differ from weight decay?",
        "Is that shown on a slide?",
        "Which of them is better?",
        "Can you give an example?",
        "When does she mention it?",
        "Does this method need labels?",
        "So how large is the effect?",
        "Are those numbers for ImageNet?",
        "go on",
        "Summarise what she says about it",
        "Where in this video is that shown?",
    ],
)
def test_a_follow_up_borrows_what_the_last_question_was_about(question: str) -> None:
    query = resolve(question, BEFORE)
    assert query.text.startswith(question)
    assert "learning rate" in query.text.removeprefix(question)
    assert (query.media, query.after, query.before) == (None, None, None)


@pytest.mark.parametrize(
    "question",
    [
        "And what does he say after that?",
        "What happens next?",
        "What comes then?",
        "And then?",
        "What is on the next slide?",
        "What does she do afterwards?",
        "Right after this?",
        "What comes after that part?",
        "What follows?",
        "then what?",
        "What is said later on?",
    ],
)
def test_a_question_may_point_on_from_the_last_answer(question: str) -> None:
    query = resolve(question, BEFORE)
    assert (query.media, query.after, query.before) == (MEDIA, 150.0, None)


@pytest.mark.parametrize(
    "question",
    [
        "What did he say before that?",
        "What was on the previous slide?",
        "And earlier?",
        "What happened right before this?",
        "What does she say before this slide?",
        "What did he say earlier about dropout?",
    ],
)
def test_a_question_may_point_back_from_the_last_answer(question: str) -> None:
    query = resolve(question, BEFORE)
    assert (query.media, query.after, query.before) == (MEDIA, None, 120.0)


def test_the_start_of_the_video_is_a_time_too() -> None:
    first = Moment(MEDIA, 0.0, 0.0, 1.0, (), (Frame(0, 0, "frames/0.jpg"),))
    assert resolve("and before that?", [turn("What is CLIP?", first)]).before == 0.0
    assert resolve("and after that?", [turn("What is CLIP?", first)]).after == 0.0


def test_a_question_without_words_of_its_own_borrows_from_the_evidence_too() -> None:
    text = resolve("Tell me more", BEFORE).text
    assert "dropout" in text
    assert "dropout" not in resolve("And what about momentum?", BEFORE).text


def test_a_place_is_looked_for_without_the_words_around_it():
    assert resolve("it", BEFORE, narrow=True).text == "it learning rate change"
    assert "dropout" in resolve("it", [turn("What is that?", BEST)], narrow=True).text


def test_a_chain_of_follow_ups_keeps_its_subject() -> None:
    history = [
        turn("What is a volcano?", BEST),
        turn("How does the learning rate change?", BEST),
        turn("And during warmup?", BEST),
        turn("Why?", BEST),
    ]
    text = resolve("What does that mean?", history).text
    assert "warmup" in text
    assert "learning rate" in text
    assert "volcano" not in text


def test_a_word_is_not_borrowed_twice() -> None:
    text = resolve("And how is the learning rate chosen?", BEFORE).text
    assert text.count("learning") == text.count("rate") == 1


def test_nothing_found_before_points_nowhere() -> None:
    query = resolve("What comes after that?", [turn("What is dropout?")])
    assert (query.media, query.after) == (None, None)
    assert "dropout" in query.text
