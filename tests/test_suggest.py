"""The first questions: each is in a form that is understood, and its evidence exists."""

import pytest

from pipeline.chat import intent
from pipeline.chat.suggest import suggest
from pipeline.types import Chapter, Frame, Media, Passage

SAID = (
    "The keel is cast iron and weighs a lot.",
    "Now the halyard pulls the large mainsail up.",
    "Fog is dangerous near rocks.",
    "The harbour fee is paid at the kiosk.",
)


def media(titles, said=SAID, screens=(), frames=()):
    chapters = tuple(Chapter(60.0 * n, 60.0 * (n + 1), title) for n, title in enumerate(titles))
    passages = [Passage(60.0 * n + 5, 60.0 * n + 15, text, "speech") for n, text in enumerate(said)]
    passages += [Passage(60.0 * n + 1, 60.0 * n + 50, text, "screen") for n, text in enumerate(screens) if text]
    return Media("a" * 32, "sailing", "/s.mp4", "second", 60.0 * len(titles), "en", frames, tuple(passages), chapters)


def test_each_is_of_another_chapter_and_its_words_are_there():
    found = suggest(
        media(["Cast iron keel", "Large mainsail", "Fog near rocks", "Harbour fee"], screens=["", "Mainsail"])
    )
    assert found == (
        "What is this about?",
        "What does it say about “Fog near rocks”?",
        "What comes after “Cast iron keel”?",
        "When is “Large mainsail” first mentioned?",
    )
    assert [intent.read(one).kind for one in found] == ["whole", "local", "after", "first"]


def test_what_is_shown_is_asked_for():
    shown = media(["Cast iron keel", "The LAION-400M: open data"], screens=["", "The LAION-400M is here"])
    assert "Where is “The LAION-400M” shown?" in suggest(shown)


@pytest.mark.parametrize(
    "title",
    [
        "Part 2",
        "The whole video",
        "What",
        "And so on",
        "We open a large common crawl of the web and then we…",
        "A title that goes on and on for much longer than any question should",
        "www.example.com/page",
        "“Cast iron",
        "42",
        "Hash hash",
    ],
)
def test_no_silly_question_is_made_of_a_title_that_is_none(title):
    assert suggest(media([title, title], said=[f"{title} is said here.", f"{title} is said here."])) == (
        "What is this about?",
    )


def test_nothing_is_asked_that_nobody_says():
    assert suggest(media(["Pasta sauce", "Wooden chairs"])) == ("What is this about?",)


def test_the_last_chapter_has_nothing_after_it():
    assert not [one for one in suggest(media(["Cast iron keel"], said=SAID[:1])) if "after" in one]


def test_without_words_and_pictures_there_is_nothing_to_ask():
    assert suggest(media(["Part 1"], said=())) == ()
    assert suggest(media([], said=())) == ()
    assert suggest(media(["Part 1"], said=(), frames=(Frame(0.0, 5.0, "frames/0.jpg"),))) == ("What is this about?",)


def test_of_a_list_of_words_one_is_taken():
    assert "What does it say about “single ID”?" in suggest(media(["Dog, single ID"], said=["A dog has a single ID."]))


def test_titles_are_quoted_as_they_stand():
    found = suggest(media(["ADAM optimizer", "London Bridge"], said=["The ADAM optimizer.", "London Bridge is down."]))
    assert "What does it say about “London Bridge”?" in found
    assert "What comes after “ADAM optimizer”?" in found
