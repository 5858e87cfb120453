"""The answer without a model: quotes, said to be quotes, each with a time that the evidence bears out."""

import pytest

from pipeline.chat import quotes
from pipeline.chat.markup import JOINER
from pipeline.types import Evidence, Frame, Gap, Moment, Passage

TITLES = {"a": "First talk", "b": "Second talk"}


def moment(start: float, *passages: Passage, media: str = "a", frames: int = 0) -> Moment:
    pictures = tuple(Frame(start + i, start + i + 1, f"{i}.jpg") for i in range(frames))
    return Moment(media, start, start + 30, 1.0, passages, pictures)


def said(start: float, text: str, kind: str = "speech") -> Passage:
    return Passage(start, start + 30, text, kind)


def speech(start: float, *sentences: str, media: str = "a", seconds: float = 6.0, title: str = "") -> Moment:
    """A moment of sentences that follow on one another."""
    passages = tuple(
        Passage(start + seconds * i, start + seconds * (i + 1), text, "speech") for i, text in enumerate(sentences)
    )
    return Moment(media, start, start + seconds * len(sentences), 1.0, passages, title=title)


def answer(question: str, *moments: Moment, kind: str = "local", near: bool = True, gaps: tuple = ()):
    looked_at = ("speech", "text on the screen")
    evidence = Evidence(question, moments, kind=kind, near=near, looked_at=looked_at, not_looked_at=gaps)
    reply = quotes.answer(evidence, TITLES)
    list(reply)
    return reply


def lines(reply) -> list[str]:
    return [line for line in reply.text.splitlines() if line.startswith("- ")]


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


@pytest.mark.parametrize("kind", ["screen", "caption"])
@pytest.mark.parametrize("place", [0, 3, 9])
def test_a_long_screen_or_caption_is_shortened_around_what_was_asked(kind: str, place: int) -> None:
    sentences = [f"Sentence number {i} tells of many other matters that are long to hear." for i in range(10)]
    sentences[place] = "The encoders are trained with a contrastive loss."
    reply = answer("How was the encoder trained?", moment(99.2, said(99.2, " ".join(sentences), kind)))
    assert sentences[place] in reply.text
    assert len(reply.text) < 500
    assert (" …”" in reply.text) == (place < 9)
    assert ("“… " in reply.text) == (place > 0)
    assert "[1:40]" in reply.text, "what is shown is not moved, however much of it is left out"
    assert all(citation.supported for citation in reply.citations)


@pytest.mark.parametrize("text", ["word " * 400 + "encoder " + "word " * 400, "x" * 2000, "学習率が高い" * 200])
def test_a_passage_without_sentences_is_shortened_too(text: str) -> None:
    reply = answer("encoder?", moment(100, said(100, text, "screen")))
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
    assert reply.text == "This does not seem to be in the video. Try it in other words."
    assert reply.citations == ()


def test_a_quote_begins_where_it_answers_and_goes_on_with_what_follows() -> None:
    filler = [f"Here are many other words, number {i}, that nobody has asked for at all." for i in range(4)]
    told = ["We set a threshold for the images.", "It is 0.3.", "Below it they are dropped."]
    reply = answer("What threshold did they use?", speech(60, *filler, *told, *filler))
    assert lines(reply)[0].startswith("- [1:24] said: “We set a threshold for the images. It is 0.3. Below it they are")
    assert "[1:24]" in reply.text
    assert len(lines(reply)) == 3, "then what is before and after it in the moment"
    assert len(max(lines(reply), key=len)) < 360


def test_what_is_left_out_between_two_sentences_is_shown() -> None:
    parts = (Passage(60, 64, "It begins.", "speech"), Passage(70, 95, "It is over.", "speech"))
    assert "It begins. … It is over." in answer("x?", Moment("a", 60, 95, 1.0, parts)).text


def test_times_that_are_shown_in_the_video_are_no_citations() -> None:
    reply = answer("When?", moment(60, said(60, "See [9:59] for the end", "screen")))
    assert [citation.time for citation in reply.citations] == [60]


def test_quotes_have_no_uncited_sentences() -> None:
    assert answer("x?", speech(60, "It falls.", "It rises.")).uncited == ()


def test_a_caption_is_quoted_as_what_the_picture_shows() -> None:
    caption = Passage(7.1, 30, "A red car on a road.", "caption", "frames/7.jpg")
    reply = answer("A red car?", Moment("a", 7.1, 30, 1.0, (caption,)))
    assert lines(reply) == ["- [0:08] the picture shows: “A red car on a road.”"]


def test_what_is_not_near_is_said_first_and_the_nearest_is_shown() -> None:
    reply = answer("How tall is the tower?", speech(60, "The tower is old."), kind="count", near=False)
    assert reply.text.splitlines()[0] == "This does not seem to be in the video."
    assert "The nearest that was found:" in reply.text
    assert lines(reply) == ["- [1:00] said: “The tower is old.”"]
    pictures = answer("A red car?", moment(65, frames=1), near=False)
    assert pictures.text.startswith("This does not seem to be in the video.")
    assert "[1:05]" in pictures.text


UNHEARD = Gap("speech", "off", "Speech was not heard", "[0:09].pt is not here.", "Then read the video again.")
UNSEEN = Gap("pictures", "off", "Pictures were not looked at", "Set CLIP_MODEL.", "")


def test_what_was_not_looked_at_is_never_said_not_to_be_in_the_video() -> None:
    near = speech(60, "The tower is old.")
    unheard = answer("How tall is the tower?", near, near=False, gaps=(UNHEARD, UNSEEN))
    assert unheard.text.replace(JOINER, "").split("\n\n")[:4] == [
        "I looked at speech and text on the screen only, and this does not seem to be there.",
        "Speech was not heard. (0:09).pt is not here. Then read the video again.",
        "Pictures were not looked at. Set CLIP_MODEL.",
        "The nearest that was found:",
    ]
    assert [one.time for one in unheard.citations] == [60], "a time in a reason is no citation"
    unseen = answer("How tall is the tower?", near, near=False, gaps=(UNSEEN,)).text
    assert unseen.startswith(
        "This does not seem to be in the words of the video (speech and text on the screen).\n\nPict"
    )
    for gaps in ((UNHEARD,), (UNSEEN,), (UNHEARD, UNSEEN)):
        nothing = answer("A unicorn?", gaps=gaps, near=False).text
        assert "not seem to be in the video" not in nothing
        assert "other words" not in nothing, "to ask otherwise is no help there"
        assert all(gap.what in nothing for gap in gaps)


def test_of_a_video_in_which_nothing_can_be_searched_pictures_of_all_are_given_and_not_called_near() -> None:
    pictures = [moment(100 * i, frames=1) for i in range(9)]
    evidence = Evidence("A dog?", tuple(pictures), "whole", 0.0, False, not_looked_at=(UNSEEN,))
    reply = quotes.answer(evidence, TITLES)
    list(reply)
    assert reply.text.split("\n\n") == [
        "No words of the video can be searched.",
        "Pictures were not looked at. Set CLIP_MODEL.",
        "Some pictures of all of it: [0:00], [6:40], [13:20].",
    ]


def test_what_was_heard_in_doubt_is_quoted_as_such_alone() -> None:
    told = (said(60, "It is a beautiful tower."), said(61, "It is tall, a beautiful tower.", "doubtful"))
    reply = answer("Is the tower tall?", moment(60, *told))
    assert lines(reply) == [
        "- [1:01] perhaps said (heard in doubt): “It is tall, a beautiful tower.”",
        "- [1:00] said: “It is a beautiful tower.”",
    ]


@pytest.mark.parametrize("sure", ["The tall tower.", "A tower."])
def test_what_is_sure_leads_where_it_is_about_as_good(sure: str) -> None:
    doubtful = moment(60, said(60, "A tall tower.", "doubtful"))
    assert "doubt" in lines(answer("tall tower?", doubtful))[0]
    assert "doubt" not in lines(answer("tall tower?", doubtful, moment(120, said(120, sure))))[0]
    far = Moment("a", 120, 150, 0.5, (said(120, "A house."),))
    assert "doubt" in lines(answer("tall tower?", doubtful, far))[0]


def test_what_comes_after_is_what_is_sure_where_anything_is() -> None:
    beside = moment(120, said(120, "He left.", "doubtful"), said(125, "HOUSE", "screen"))
    assert lines(answer("What comes after?", beside, kind="after")) == [
        "- [2:00] perhaps said (heard in doubt): “He left.”",
        "- [2:05] on screen: “HOUSE”",
    ]
    beside = moment(120, said(120, "He left.", "doubtful"), said(126, "He came back."))
    assert lines(answer("What comes after?", beside, kind="after")) == ["- [2:06] said: “He came back.”"]


def test_of_a_whole_video_every_chapter_is_named_with_a_quote() -> None:
    chapters = [speech(100.0 * i, f"This is part {i}.", "And more.", title=f"Part {i} [0:09]") for i in range(20)]
    reply = answer("What is it about?", *chapters, kind="whole")
    assert "Chapters:" in reply.text
    assert lines(reply)[1].replace(JOINER, "") == "- [1:40] Part 1 (0:09): [1:40] said: “This is part 1.”"
    assert len(lines(reply)) == 20
    assert all(citation.supported for citation in reply.citations)


def test_of_very_many_chapters_some_are_named_from_the_first_to_the_last() -> None:
    chapters = [speech(100.0 * i, f"This is part {i}.", title=f"Part {i}") for i in range(60)]
    reply = answer("What is it about?", *chapters, kind="whole")
    assert "24 of 60" in reply.text
    assert len(lines(reply)) == 24
    assert "Part 0:" in lines(reply)[0]
    assert "Part 59:" in lines(reply)[-1]


def test_chapters_without_words_are_named_too() -> None:
    silent = Moment("a", 100, 200, 1.0, (), (Frame(120, 140, "f.jpg"),), title="Pictures alone")
    reply = answer("What is it about?", speech(0, "Hello.", title="Hello"), silent, kind="whole")
    assert lines(reply)[1] == "- [1:40] Pictures alone"
    assert all(citation.supported for citation in reply.citations)


@pytest.mark.parametrize(
    ("kind", "beside"), [("after", (120, "He takes out a book.")), ("before", (102, "He takes out a book."))]
)
def test_what_comes_right_beside_something_comes_first(kind: str, beside: tuple[float, str]) -> None:
    long = [f"Then there is a good deal of talk, number {i}, that does not matter to anybody." for i in range(6)]
    told = [beside[1], *long] if kind == "after" else [*long, beside[1]]
    start = 120 if kind == "after" else 102 - 36
    reply = answer("What happens?", speech(start, *told), speech(108, "He opens the box.", "Look."), kind=kind)
    opening, anchor = reply.text.split("It comes right")
    assert f"What comes right {kind}:" in opening
    assert beside[1] in opening
    assert len(opening) < 600, "no more than leads up to it or follows"
    assert anchor.startswith(f" {kind} this:\n\n- [1:48] said: “He opens the box.")
    if kind == "after":
        assert lines(reply)[0].startswith("- [2:00] said: “He takes out a book.")
    else:
        assert lines(reply)[0].endswith("He takes out a book.”")


def test_places_are_listed_in_order_and_counted_with_caution() -> None:
    places = [speech(60.0 * i, f"Dropout, for the {i}th time.", "x" * 200) for i in (1, 4, 9)]
    reply = answer("How many times is dropout mentioned?", *places, kind="count")
    assert "Found 3 places where words or pictures are near to the question; there may be more" in reply.text
    assert [line[:8] for line in lines(reply)] == ["- [1:00]", "- [4:00]", "- [9:00]"]
    assert max(map(len, lines(reply))) < 200
    assert "Found 1 place where" in answer("Every place?", places[0], kind="every").text


@pytest.mark.parametrize(("kind", "time"), [("first", "1:06"), ("last", "9:06")])
def test_the_first_or_last_place_is_named_by_its_exact_time(kind: str, time: str) -> None:
    places = [speech(60.0 * i, "x" * 150, "Dropout is mentioned.") for i in (1, 4, 9)]
    reply = answer("When is dropout mentioned?", *places, kind=kind)
    assert f"The {kind} place that was found is at [{time}]. All that were found, in order:" in reply.text
    assert [line[:8] for line in lines(reply)] == ["- [1:06]", "- [4:06]", "- [9:06]"]
    assert all(citation.supported for citation in reply.citations)


@pytest.mark.parametrize(("kind", "rest"), [("every", "- and 6 later"), ("last", "- and 6 earlier")])
def test_a_very_long_list_of_places_says_how_many_it_leaves_out(kind: str, rest: str) -> None:
    places = [speech(60.0 * i, f"Dropout {i}.") for i in range(30)]
    listed = lines(answer("Where is dropout?", *places, kind=kind))
    assert listed[-1] == rest
    assert ("Dropout 29" in "".join(listed)) == (kind == "last")


def test_a_place_found_by_its_picture_alone_is_listed() -> None:
    reply = answer("Every car?", speech(60, "A car."), moment(99.5, frames=1), kind="every")
    assert lines(reply)[1] == "- [1:40] a picture, no words found there"


def test_now_tells_what_is_said_and_shown_where_the_player_stands() -> None:
    spoken = speech(60, "This is the encoder.", "It has two layers.")
    screen = Passage(50.5, 90, "ENCODER 2 layers", "screen")
    stands = Moment("a", 58, 75, 1.0, (*spoken.passages, screen), (Frame(50.5, 90, "f.jpg"),))
    reply = answer("What is this?", stands, kind="now")
    assert "What is said and shown from 0:58 to 1:15, where the player stands:" in reply.text
    assert lines(reply) == [
        "- [1:00] said: “This is the encoder. It has two layers.”",
        "- [0:51] on screen: “ENCODER 2 layers”",
    ]
    silent = answer("What is this?", Moment("a", 58, 75, 1.0, (), (Frame(50.5, 90, "f.jpg"),)), kind="now")
    assert lines(silent) == ["- [0:51] a picture, no words found there"]
    assert all(citation.supported for citation in (*reply.citations, *silent.citations))
