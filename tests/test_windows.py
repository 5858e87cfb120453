"""What is searched: overlapping windows of what is said, its sentences alone and in pairs, and what is shown apart."""

from itertools import pairwise

import pytest

from pipeline.search.windows import OVERLAP, SECONDS, pieces, units, windows
from pipeline.types import Passage


def talk(*lengths, silence=0.0, start=0.0):
    """Sentences of these lengths (s), one after the other."""
    said = []
    for number, length in enumerate(lengths):
        said.append(Passage(start, start + length, f"Sentence {number}.", "speech"))
        start += length + silence
    return said


TALKS = {
    "even": talk(*[10.0] * 40),
    "short and long": talk(*[1.5, 19.0, 4.0, 2.0, 12.0, 7.5, 20.0, 3.0] * 8),
    "only just two windows": talk(*[12.0] * 5),
    "many words": talk(*[0.8] * 200),
    "with pauses": talk(*[6.0] * 30, silence=4.0),
    "hours of silence between": [*talk(5.0, 5.0), *talk(5.0, 5.0, start=7200.0), *talk(5.0, start=9000.0)],
}


@pytest.fixture(params=TALKS)
def said(request):
    return TALKS[request.param]


def inside(window, said):
    return [one for one in said if window.start <= one.start and one.end <= window.end]


def test_every_sentence_is_in_a_window_whole(said):
    assert {one for window in windows(said) for one in inside(window, said)} == {*said}


def test_a_window_says_what_its_sentences_say_in_their_order_and_nothing_else(said):
    for window in windows(said):
        sentences = inside(window, said)
        assert window.text == " ".join(one.text for one in sentences)
        assert (window.start, window.end) == (sentences[0].start, sentences[-1].end)
        assert window.kind == "speech"


def test_no_window_is_longer_than_its_seconds_and_half_a_sentence(said):
    for window in windows(said):
        last = inside(window, said)[-1]
        assert window.end - window.start <= SECONDS + (last.end - last.start) / 2


def test_they_come_in_the_order_of_the_source_each_with_something_new(said):
    for one, other in pairwise(windows(said)):
        assert one.start < other.start
        assert one.end < other.end


@pytest.mark.parametrize("name", ["even", "many words", "with pauses", "only just two windows"])
def test_no_thought_is_cut_in_half_since_each_window_begins_within_the_one_before(name):
    *found, last = windows(TALKS[name])
    for one, other in pairwise([*found, last]):
        assert other.start < one.end
    for one, other in pairwise(found):
        assert one.end - other.start <= OVERLAP


@pytest.mark.parametrize("name", ["even", "many words", "with pauses", "only just two windows"])
def test_the_last_window_is_as_long_as_the_others(name):
    said = TALKS[name]
    *_, last = windows(said)
    assert last.end == said[-1].end
    before = said[said.index(inside(last, said)[0]) - 1]
    assert last.end - before.start > SECONDS  # it goes back as far as it may


def test_a_silence_ends_a_window():
    assert [(one.start, one.end) for one in windows(TALKS["hours of silence between"])] == [
        (0.0, 10.0),
        (7200.0, 7210.0),
        (9000.0, 9005.0),
    ]


def test_what_is_short_is_one_window_and_nothing_said_is_none():
    (window,) = windows(talk(5.0, 8.0))
    assert (window.start, window.end, window.text) == (0.0, 13.0, "Sentence 0. Sentence 1.")
    assert windows([]) == []
    assert windows([Passage(0.0, 9.0, "A slide", "screen")]) == []


def test_captions_that_stand_over_one_another_end_with_the_last_of_them():
    long, short = Passage(0.0, 8.0, "A long one.", "subtitle"), Passage(2.0, 4.0, "A short one.", "subtitle")
    (window,) = windows([long, short])
    assert (window.start, window.end, window.kind) == (0.0, 8.0, "subtitle")


def test_pairs_are_made_of_neighbours_only_and_not_across_a_silence():
    one, two, far = [*talk(4.0, 4.0), *talk(4.0, start=60.0)]
    slide = Passage(1.0, 3.0, "A slide", "screen")
    assert pieces([one, slide, two, far]) == [one, two, far, Passage(0.0, 8.0, f"{one.text} {two.text}", "speech")]


def test_a_window_of_speech_holds_no_text_of_a_slide_and_the_slide_is_found_on_both_levels_by_itself():
    said = talk(4.0, 4.0)
    slide = Passage(0.0, 300.0, "Agenda", "screen")
    caption = Passage(0.0, 300.0, "A man points at a board.", "caption", "frames/0.jpg")
    found = units([said[0], slide, caption, said[1]])
    assert [one for one, level in found if level == "both"] == [slide, caption]
    (window,) = [one for one, level in found if level == "window"]
    assert window.text == "Sentence 0. Sentence 1."
    assert [one.text for one, level in found if level == "sentence"] == ["Sentence 0.", "Sentence 1.", window.text]
    assert len(found) == 6


def test_what_has_no_words_is_not_searched():
    assert units([Passage(0.0, 2.0, " \n", "screen"), Passage(0.0, 2.0, "", "speech")]) == []
