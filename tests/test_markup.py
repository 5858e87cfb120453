"""Times become links and words are marked, and nothing that a text holds becomes either."""

import pytest

from pipeline.chat.markup import file_name, linked, marked, neutralise, printable

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


@pytest.mark.parametrize("text", ["A layer(//evil)", r"\layer(//evil)", "!layer(//evil)", "!layer[x]", "layer: //evil"])
def test_a_word_that_is_marked_makes_no_link_of_what_stands_beside_it(text):
    drawn = marked(text, {"layer"})
    assert ":primary-background[layer]" in drawn
    assert "](" not in drawn
    assert "][" not in drawn
    assert r"\:primary" not in drawn


@pytest.mark.parametrize("before", ["!", "\\", ":", ":red", "]", "[x]"])
def test_a_time_that_is_linked_is_no_picture_and_no_directive(before):
    assert f"{before}[0:19](" not in linked(f"{before}[0:19]", LINKS)


def test_what_a_terminal_would_obey_is_printed_as_a_sign():
    assert printable("a\x1b[2Jb\x9b1m\x07\r\u202eexe.mp4\nnext\tcolumn") == "a�[2Jb�1m���exe.mp4\nnext\tcolumn"


@pytest.mark.parametrize(
    "title", ["../../etc/passwd", "a\x00b\r\nSet-Cookie: x", "talk\u202egpj.exe", "..", "C:\\x", ""]
)
def test_a_title_names_one_file(title):
    name = file_name(title)
    assert name
    assert not set(name) & set('/\\:\r\n\0"\u202e')
    assert not name.startswith(".")
