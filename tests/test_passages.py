"""Passages: about half a minute, cut where a sentence ends, nothing lost, nothing made up."""

import itertools
import random
from collections import Counter

import pytest

from pipeline.media.passages import FEW, LONGEST, SECONDS, cut, tidy


def words(text: str) -> list[str]:
    return text.split()


def talk(seed: int) -> list[tuple[float, float, str]]:
    """Segments as they come in the wild: gaps, overlaps, no length, no order, no text, no full stops, far too long."""
    dice = random.Random(seed)
    time, segments, number = dice.choice((0.0, 37.5)), [], 0
    for _ in range(dice.randrange(60)):
        length = dice.choice((0.0, 0.4, 2.0, 5.5, 12.0, 31.0, 400.0))
        count = dice.choice((0, 1, 6, 15, 15, 600))
        said = []
        for _ in range(count):
            number += 1
            said.append(f"w{number}" + dice.choice(("", "", "", "", ".", "?", ",")))
        segments.append((time, time + length, dice.choice((" ", "  ", "\n")).join(said)))
        time += dice.choice((length, length / 2, length + 0.2, length + 9.0))
    if dice.random() < 0.3:
        dice.shuffle(segments)
    return segments


@pytest.mark.parametrize("seed", range(60))
def test_every_word_is_in_a_passage_and_no_passage_is_empty(seed):
    segments = talk(seed)
    passages = cut(segments, "speech")
    given = Counter(word for _, _, text in segments for word in words(text))
    found = Counter(word for p in passages for word in words(p.text))
    assert given.keys() == found.keys()
    assert max(found.values(), default=0) <= 3  # a little overlap, not a copy in every passage
    for p in passages:
        assert p.text.strip()
        assert p.start <= p.end
        assert p.end - p.start <= LONGEST or len(p.text) <= FEW
        assert p.kind == "speech"
    assert [p.start for p in passages] == sorted(p.start for p in passages)


def test_a_passage_starts_and_ends_with_its_segments_at_sentence_ends():
    segments = [(t, t + 5, f"Sentence {t} begins," if t % 2 == 0 else f"and {t} ends.") for t in range(0, 100, 5)]
    passages = cut(segments, "subtitle")
    for p in passages[:-1]:
        assert p.text.endswith("ends.")
        assert SECONDS / 2 <= p.end - p.start <= SECONDS
    starts, ends = {s for s, _, _ in segments}, {e for _, e, _ in segments}
    assert all(p.start in starts and p.end in ends for p in passages)
    assert (passages[0].start, passages[-1].end) == (0, 100)


def test_the_end_of_a_passage_opens_the_next_one():
    passages = cut([(t, t + 5, f"Number {t}.") for t in range(0, 90, 5)], "speech")
    for before, after in itertools.pairwise(passages):
        assert 0 < before.end - after.start <= 8


def test_a_silence_ends_a_passage_and_nothing_is_repeated_after_it():
    first, second = cut([(0, 4, "Before the break."), (14, 18, "After the break.")], "speech")
    assert (first.start, first.end, first.text) == (0, 4, "Before the break.")
    assert (second.start, second.end, second.text) == (14, 18, "After the break.")


def test_a_long_segment_is_split_at_its_sentences_in_proportion_to_its_letters():
    text = " ".join(f"This is sentence number {n:02}." for n in range(20))
    passages = cut([(100.0, 300.0, text)], "subtitle", overlap=0)
    assert (passages[0].start, passages[-1].end) == (100.0, pytest.approx(300.0))
    assert all(p.text.startswith("This is") and p.text.endswith(".") for p in passages)
    for p in passages:
        expected = 100 + 200 * text.index(p.text) / len(text)
        assert p.start == pytest.approx(expected, abs=0.01)


def test_writing_without_spaces_is_split_too():
    text = "これは長い文です。" * 60
    passages = cut([(0.0, 120.0, text)], "subtitle", overlap=0)
    assert len(passages) >= 4
    assert "".join("".join(p.text.split()) for p in passages) == text


def test_rolling_captions_say_each_line_once():
    rolling = [
        (0.16, 2.55, "hello and welcome"),
        (2.55, 2.56, "hello and welcome"),
        (2.56, 4.71, "hello and welcome\nto the show"),
        (4.71, 4.72, "to the show"),
        (4.72, 6.0, "to the show\ntoday"),
    ]
    assert tidy(rolling) == [(0.16, 2.56, "hello and welcome"), (2.56, 4.72, "to the show"), (4.72, 6.0, "today")]


def test_words_that_come_back_later_are_kept():
    assert [p.text for p in cut([(0, 1, "No."), (3, 4, "No.")], "speech")] == ["No. No."]


def test_nothing_in_nothing_out():
    assert cut([], "speech") == []
    assert cut([(0, 1, " \n ")], "speech") == []
