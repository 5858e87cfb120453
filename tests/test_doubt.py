"""Doubt: what Whisper made up is left out, what it doubts is marked, and what was said stays."""

import pytest

from pipeline.media.doubt import is_loop, judged
from pipeline.media.heard import Heard, Word


def heard(text: str, seconds: float, probability: float = 0.9, logprob: float = -0.2, no_speech: float = 0.05) -> Heard:
    words = text.split()
    step = seconds / len(words)
    every = tuple(Word(n * step, (n + 1) * step, f" {word}", probability) for n, word in enumerate(words))
    return Heard(every, "en", logprob, no_speech)


def said(one: Heard) -> list[tuple[str, bool]]:
    seconds = one.words[-1].end if one.words else 0.0
    return [("".join(word.text for word in words).strip(), is_sure) for words, is_sure in judged(one, seconds)]


def test_what_the_model_is_sure_of_was_said_sentence_by_sentence():
    talk = heard("I have here a pendulum. Thank you for watching it swing.", 5)
    assert said(talk) == [("I have here a pendulum.", True), ("Thank you for watching it swing.", True)]


def test_a_quiet_lecture_is_not_silence():
    """On a real lecture the model gave a no-speech probability of 0.41, and was sure of every word."""
    assert said(heard("You lift up a very heavy object.", 3, no_speech=0.7)) == [
        ("You lift up a very heavy object.", True)
    ]


@pytest.mark.parametrize(
    ("why", "one"),
    [
        ("no speech and improbable", heard("This is an ancient quest for a new weapon.", 4, 0.6, -1.2, 0.8)),
        ("improbable words", heard("4ra.", 2, 0.2, -0.6)),
        ("faster than anyone speaks", heard("This is an ancient quest for a new weapon of the kings of old.", 1.0)),
        ("in circles", heard("and so on " * 30, 25)),
        ("packs too well", heard("137 p.m. " * 12, 25)),
        ("a line of other videos, in doubt", heard("Thanks for watching!", 2, 0.45, -0.7)),
        ("the same in Japanese", heard("ご視聴ありがとうございました", 2, 0.6, -0.9)),
        ("the same in Russian", heard("Продолжение следует...", 2, 0.7, -0.3, 0.8)),
        ("no word at all", heard("... ♪ !", 2)),
        ("nothing", Heard()),
    ],
)
def test_what_is_made_up_is_left_out(why, one):
    assert said(one) == []


def test_a_line_of_other_videos_stays_where_it_is_surely_said():
    assert said(heard("Thanks for watching!", 2, 0.95)) == [("Thanks for watching!", True)]


def test_what_is_doubted_is_marked():
    assert said(heard("The capture agent is a core studio.", 3, 0.7, -1.3)) == [
        ("The capture agent is a core studio.", False)
    ]
    mixed = heard("The capture agent is a core.", 3, 0.8, -0.9)
    unsure = tuple(Word(w.start + 4, w.end + 4, w.text, 0.4) for w in heard("Televigy is now.", 3).words)
    both = Heard(mixed.words + unsure, "en", -0.9, 0.1)
    assert said(both) == [("The capture agent is a core.", True), ("Televigy is now.", False)]


def test_long_sentences_of_chinese_are_not_too_fast():
    text = "我们今天讲讲光合作用它是植物把光能变成化学能的过程"
    words = tuple(Word(n * 0.25, (n + 1) * 0.25, sign, 0.9) for n, sign in enumerate(text))
    assert said(Heard(words, "zh", -0.3, 0.0)) == [(text, True)]
    fast = tuple(Word(n * 0.02, (n + 1) * 0.02, sign, 0.9) for n, sign in enumerate(text))
    assert said(Heard(fast, "zh", -0.3, 0.0)) == []


def test_what_people_repeat_is_no_loop():
    assert not is_loop(heard("Three, two, one, zero. No, no, no, I will not do that again.", 8))
    assert not is_loop(heard("Ask not what your country can do for you, ask what you can do for your country.", 8))
