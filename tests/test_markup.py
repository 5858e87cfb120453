"""Times become links and words are marked, and nothing that a text holds becomes either."""

import pytest

from pipeline.chat.markup import linked, marked, neutralise

LINKS = {19.0: "[0:19](#t=19.00)"}


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("So it is [0:19].", "So it is [0:19](#t=19.00)."),
        ("So it is (0:19).", "So it is ([0:19](#t=19.00))."),
        ("[0:19, 0:40] Both.", "[[0:19](#t=19.00), 0:40] Both."),
        ("At 0:19 they met.", "At 0:19 they met."),  # a clock time that the video speaks of
    ],
)
def test_a_cited_time_becomes_the_link(text, drawn):
    assert linked(text, LINKS) == drawn


def test_a_text_cannot_make_a_link_of_its_own():
    drawn = linked("See [0:19](http://evil) and \ue0000\ue001 ![x](http://evil/p.png) [0:19].", LINKS)
    assert drawn.count("](") == drawn.count("](#t=19.00)")
    assert "\ue000" not in drawn


@pytest.mark.parametrize("text", ["[0:19", "[0:19] [0:1", "a [0:19](", "[0:19][0:19]"])
def test_every_beginning_of_an_answer_is_safe(text):
    for end in range(len(text) + 1):
        assert linked(text[:end], LINKS).count("](") == linked(text[:end], LINKS).count("](#t=19.00)")


def test_words_are_marked_in_any_form():
    assert marked("Layers of a layer.", {"layer"}) == (":primary-background[Layers] of a :primary-background[layer].")


def test_without_words_nothing_is_marked():
    text = "A $5 [x](http://evil) layer"
    assert marked(text, set()) == neutralise(text)
