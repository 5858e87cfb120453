"""Passages: a sentence each, every word in exactly one of them, with the times it was said."""

import json
import random
from collections import Counter
from itertools import pairwise

import pytest

from pipeline.media import subtitles
from pipeline.media.passages import FEW, LONGEST, MOST, SILENCE, cut, tidy

Cues = list[tuple[float, float, str]]


def talk(seed: int) -> Cues:
    """Segments as they come in the wild: gaps, overlaps, no length, no order, no text, no full stops, far too long."""
    dice = random.Random(seed)
    time, segments, number = dice.choice((0.0, 37.5)), [], 0
    for _ in range(dice.randrange(60)):
        length = dice.choice((0.0, 0.4, 2.0, 5.5, 12.0, 31.0, 400.0))
        count = dice.choice((0, 1, 6, 15, 15, 600))
        said = []
        for _ in range(count):
            number += 1
            said.append(f"w{number}" + dice.choice(("", "", "", "", ".", "?", ",", "...")))
        segments.append((time, time + length, dice.choice((" ", "  ", "\n", "\n- ", " >> ")).join(said)))
        time += dice.choice((length, length / 2, length + 0.2, length + 9.0))
    if dice.random() < 0.3:
        dice.shuffle(segments)
    return segments


def said(cues: Cues) -> list[tuple[float, float, str]]:
    return [(p.start, p.end, p.text) for p in cut(cues, "speech")]


def texts(cues: Cues) -> list[str]:
    return [text for _, _, text in said(cues)]


@pytest.mark.parametrize("seed", range(60))
def test_every_word_is_in_exactly_one_passage_and_none_is_too_long(seed):
    cues = talk(seed)
    passages = cut(cues, "speech")
    assert Counter(w for p in passages for w in p.text.split()) == Counter(w for c in cues for w in c[2].split())
    for p in passages:
        assert p.text.strip()
        assert len(p.text) <= MOST
        assert p.start <= p.end
        assert p.end - p.start <= LONGEST or len(p.text) <= FEW
        assert (p.kind, p.image) == ("speech", "")
    assert [p.start for p in passages] == sorted(p.start for p in passages)


def test_cues_that_each_are_a_sentence_stay_as_they_are():
    cues = [
        (t + 0.04, t + 4.56, f"This is sentence number {t}{stop}")
        for t, stop in zip(range(0, 90, 5), "." * 10 + "?!" * 4, strict=True)
    ]
    assert said(cues) == cues


def test_a_sentence_over_several_cues_is_one_passage_with_their_times():
    cues = [
        (8.55, 10.32, "This course has been designed"),
        (10.32, 12.75, "to teach you\nall about it."),
        (13, 16, "Let us begin now."),
    ]
    assert said(cues) == [
        (8.55, 12.75, "This course has been designed to teach you all about it."),
        (13, 16, "Let us begin now."),
    ]


def test_a_cue_with_the_end_of_one_sentence_and_the_start_of_the_next_is_cut_in_proportion_to_its_letters():
    cues = [
        (10.0, 14.0, "Now we open the file"),
        (14.0, 18.0, "in here. Then we"),
        (18.0, 22.0, "close it once again."),
    ]
    assert said(cues) == [
        (10.0, 16.0, "Now we open the file in here."),
        (16.0, 22.0, "Then we close it once again."),
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Smith met J. R. Ewing in the U.S. embassy, e.g. for tea.",
        "Set it to 3.5 and save it as .PSD with Node.js or fast.ai.",
        "It costs approx. 5 dollars, i.e. Mrs. Miller pays vs. Mr. Jones.",
        "Well... Let us see what comes of it.",
        "Das ist z.B. Frau Prof. Meier bzw. ihr Mann.",
    ],
)
def test_a_full_stop_within_a_sentence_does_not_end_it(sentence):
    assert texts([(0, 6, sentence), (6, 9, "And this is another sentence.")]) == [
        sentence,
        "And this is another sentence.",
    ]
    assert texts([(0, 6, f"{sentence} And this is another sentence.")])[0] == sentence


def test_a_very_short_sentence_joins_the_one_that_follows_at_once_or_else_the_one_before():
    next_ = (4.5, 8.0, "We shall open the file now.")
    assert texts([(4.0, 4.5, "OK, so."), next_]) == ["OK, so. We shall open the file now."]
    assert texts([next_, (8.0, 8.4, "Right?"), (10.5, 14, "Here is something else.")]) == [
        "We shall open the file now. Right?",
        "Here is something else.",
    ]
    assert texts([next_, (9.5, 9.9, "Right?"), (12.5, 14, "Here is something else.")])[1] == "Right?"


def test_without_punctuation_a_passage_is_some_ten_seconds_of_whole_cues():
    cues = [(t, t + 2.5, f"and number {t} goes on and on") for t in (n * 2.5 for n in range(200))]
    passages = cut(cues, "subtitle")
    assert all(7 <= p.end - p.start <= 12 for p in passages)
    starts, ends = {c[0] for c in cues}, {c[1] for c in cues}
    assert all(p.start in starts and p.end in ends for p in passages)
    assert (passages[0].start, passages[-1].end) == (0, 500)


def test_where_it_must_be_cut_a_comma_or_a_pause_is_taken_first():
    cues = [(t, t + 2.0, f"word {t} without end") for t in range(0, 16, 2)]
    assert texts(cues)[0].endswith("word 6 without end")
    comma = [(start, end, text + "," * (start == 4)) for start, end, text in cues]
    assert texts(comma)[0].endswith("word 4 without end,")
    pause = [(start + (start > 4), end + (start > 4), text) for start, end, text in cues]
    assert texts(pause)[0].endswith("word 4 without end")


def test_a_silence_ends_a_passage_whatever_the_punctuation_says():
    cues = [(0, 4, "Before the long break"), (4 + SILENCE + 0.1, 12, "and after the break.")]
    assert said(cues) == cues


def test_a_sentence_that_is_too_long_for_one_cue_is_cut_at_its_clauses():
    clause = "we turn to the next clause of this very long sentence number"
    text = ", ".join(f"{clause} {n:02}" for n in range(20)) + "."
    passages = said([(100.0, 180.0, text)])
    assert (passages[0][0], passages[-1][1]) == (100.0, 180.0)
    assert all(before[1] == after[0] for before, after in pairwise(passages))
    assert all(p[2].endswith((",", ".")) for p in passages)
    for start, _, words in passages:
        assert start == pytest.approx(100 + 80 * text.index(words) / len(text), abs=0.1)


def test_writing_without_spaces_has_sentences_too():
    cues = [(0.0, 4.0, "これは文です。次の文が"), (4.0, 8.0, "ここで終わります。もう一つの文です！")]
    assert texts(cues) == ["これは文です。", "次の文が ここで終わります。", "もう一つの文です！"]
    endless = "とても長い文です、" * 100
    assert "".join(texts([(0.0, 120.0, endless)])) == endless
    assert texts([(0, 5, "यह एक पूरा वाक्य है। यह दूसरा वाक्य है।")]) == ["यह एक पूरा वाक्य है।", "यह दूसरा वाक्य है।"]


def test_another_speaker_begins_another_passage():
    assert texts([(0, 4, ">> Hello there my dear friend >> And a good day to you too")]) == [
        ">> Hello there my dear friend",
        ">> And a good day to you too",
    ]
    assert texts([(0, 6, "- And how are you today\n- I am quite fine, thank you")]) == [
        "- And how are you today",
        "- I am quite fine, thank you",
    ]


def test_what_is_no_speech_and_what_stands_for_long_stay_alone():
    cues = [(0, 3, "[music playing]"), (3, 6, "So this is where"), (6, 9, "we begin.")]
    assert texts(cues) == ["[music playing]", "So this is where we begin."]
    assert texts([(0, 300, "A title"), (2, 5, "One sentence here,"), (5, 8, "which goes on.")]) == [
        "A title",
        "One sentence here, which goes on.",
    ]


def test_rolling_captions_say_each_line_once():
    rolling = [
        (0.16, 2.55, "hello and welcome"),
        (2.55, 2.56, "hello and welcome"),
        (2.56, 4.71, "hello and welcome\nto the show"),
        (4.71, 4.72, "to the show"),
        (4.72, 6.0, "to the show\ntoday"),
    ]
    assert tidy(rolling) == [(0.16, 2.56, "hello and welcome"), (2.56, 4.72, "to the show"), (4.72, 6.0, "today")]
    assert said(rolling) == [(0.16, 6.0, "hello and welcome to the show today")]


def test_words_that_come_back_later_are_kept():
    assert texts([(0, 1, "No."), (3, 4, "No.")]) == ["No.", "No."]


def test_nothing_in_nothing_out():
    assert cut([], "speech") == []
    assert cut([(0, 1, " \n ")], "speech") == []


def test_real_sentences_are_found_again(shared):
    """A tutorial's sentences are joined and broken into cues of five words: nearly all come back as they were."""
    talks = json.loads((shared / "qa/tutorialvqa/sentence_times.json").read_text())
    found = total = 0
    for talk in talks[:30]:
        sentences = [s["text"] for s in talk["sentences"] if 20 <= len(s["text"]) <= 200 and s["text"].endswith(".")]
        words = " ".join(sentences).split()
        cues = [(at * 0.4, (at + 5) * 0.4, " ".join(words[at : at + 5])) for at in range(0, len(words), 5)]
        got = Counter(texts(cues))
        found, total = found + sum((Counter(sentences) & got).values()), total + len(sentences)
    assert total > 500
    assert found / total > 0.9


def test_real_subtitles_give_sentences(shared):
    whole = total = 0
    for file in sorted((shared / "qa/hf_course_srt").glob("*.srt"))[:20]:
        passages = cut(subtitles.read(file).segments, "subtitle")
        whole, total = whole + sum(p.text[-1] in ".?!" for p in passages), total + len(passages)
    assert whole / total > 0.9
