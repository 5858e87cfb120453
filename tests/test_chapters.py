"""Chapters: where they are cut, what they are called, and which sentences stand for them."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from pipeline.media import look
from pipeline.search.chapters import cut, outline
from pipeline.search.vectors import key_of
from pipeline.types import Chapter, Frame, Media, Passage

TOPICS = {
    "bread": "The sourdough starter needs flour. Knead the dough on a table. The oven bakes a crust. Yeast eats sugar.",
    "ships": "A sailing ship has three masts. The captain reads the compass. Sailors pull ropes. Wind fills each sail.",
    "stars": "The telescope shows a galaxy. Astronomers measure starlight. A nebula glows red. The planet has a moon.",
}


def media(passages, length=None) -> Media:
    length = max((p.end for p in passages), default=0.0) if length is None else length
    return Media("0" * 32, "talk", "talk.mp4", "second", length, "en", passages=tuple(passages))


def sentences(*topics: str, each: int = 24, seconds: float = 6.0) -> list[Passage]:
    """`each` sentences on every topic, one after the other."""
    said = [s for topic in topics for s in (re.split(r"(?<=\.) ", TOPICS[topic]) * each)[:each]]
    return [Passage(i * seconds, (i + 1) * seconds - 0.5, text, "subtitle") for i, text in enumerate(said)]


def screen(start: float, end: float, text: str) -> Passage:
    return Passage(start, end, text, "screen")


def assert_covers(chapters, length):
    assert chapters[0].start == 0
    assert chapters[-1].end == length
    assert all(one.end == other.start for one, other in pairwise(chapters))
    assert all(c.start < c.end for c in chapters)


@pytest.mark.parametrize(
    ("minutes", "least", "most"), [(0.8, 1, 1), (3, 1, 4), (10, 4, 8), (60, 8, 16), (180, 16, 24), (600, 16, 24)]
)
def test_chapters_cover_all_of_a_talk_and_are_as_many_as_suit_its_length(minutes, least, most):
    talk = media(sentences(*TOPICS, each=max(2, int(minutes * 60 / 6 / 3))), minutes * 60)
    chapters = cut(talk, {})
    assert_covers(chapters, talk.length)
    assert least <= len(chapters) <= most
    assert len(chapters) == 1 or min(c.end - c.start for c in chapters) >= 20


def test_a_chapter_starts_with_the_sentence_where_the_words_change():
    talk = media(sentences(*TOPICS))
    starts = [c.start for c in cut(talk, {})]
    assert {24 * 6.0, 48 * 6.0} <= set(starts)
    assert set(starts) <= {p.start for p in talk.passages}


def test_vectors_find_a_change_that_words_do_not_show():
    passages = [Passage(i * 10.0, i * 10.0 + 9, f"Word{i} unlike{i} any{i} other{i}.", "speech") for i in range(18)]
    axis = np.eye(4, dtype=np.float32)
    vectors = {key_of(p): axis[0 if i < 11 else 1] for i, p in enumerate(passages)}
    del vectors[key_of(passages[3])]  # some may be missing
    assert 110.0 in [c.start for c in cut(media(passages), vectors)]


def test_a_start_snaps_to_a_new_slide_near_it_and_not_to_a_small_change():
    talk = media(sentences("bread", "ships"))
    near = cut(talk, {}, [(146.5, 0.3), (60.0, 0.01)])
    assert 146.5 in [c.start for c in near]
    assert 60.0 not in [c.start for c in near]
    far = cut(talk, {}, [(157.0, 0.01)])
    assert 144.0 in [c.start for c in far]


def test_without_words_big_changes_of_the_picture_make_numbered_parts():
    silent = media([], 180.0)
    chapters = cut(silent, {}, [(30.0, 0.02), (95.0, 0.6)])
    assert_covers(chapters, 180.0)
    assert [c.start for c in chapters][1:] == [95.0]
    assert [c.title for c in chapters] == ["Part 1", "Part 2"]


def test_silent_slides_are_chapters_called_by_their_headings():
    slides = [
        screen(0, 70, "ACME Research\nBaking of bread\nflour and yeast"),
        screen(70, 140, "ACME Research\nSailing ships\nmasts and ropes"),
        screen(140, 200, "ACME Research\nhttps://example.org/stars\nDistant galaxies\nstarlight"),
    ]
    chapters = cut(media(slides), {}, [(70.0, 0.3), (140.0, 0.3)])
    assert chapters[0].title == "Baking of bread"
    assert chapters[-1].title in ("Sailing ships", "Distant galaxies")
    assert_covers(chapters, 200)


def test_nothing_to_go_by_is_one_chapter():
    for passages in ([], [Passage(4.0, 7.0, "Welcome to the botanical garden.", "speech")]):
        chapters = cut(media(passages, 900.0), {})
        assert_covers(chapters, 900.0)
        assert len({c.title for c in chapters}) == len(chapters) <= 2
    assert cut(media([], 0.0), {}) == ()


def test_overlapping_windows_make_chapters_too():
    windows = [Passage(i * 22.0, i * 22.0 + 30, TOPICS["bread" if i < 8 else "stars"], "speech") for i in range(16)]
    chapters = cut(media(windows), {})
    assert_covers(chapters, media(windows).length)
    assert 176.0 in [c.start for c in chapters]


def test_titles_are_unlike_one_another_and_in_the_words_of_their_chapter():
    talk = media(sentences(*TOPICS, each=40))
    chapters = cut(talk, {})
    assert len({c.title.casefold() for c in chapters}) == len(chapters) > 3
    for chapter in chapters:
        said = " ".join(p.text for p in talk.passages if chapter.start <= p.start < chapter.end).casefold()
        for phrase in chapter.title.rstrip("…").casefold().split(", "):
            assert phrase in said


def test_a_title_has_no_markup_no_time_and_no_filler():
    talk = [Passage(i * 8.0, i * 8.0 + 7, "Um, <i>we</i> [music] you're going to fold the *paper crane*.", "speech")
            for i in range(6)]  # fmt: skip
    (chapter,) = cut(media(talk), {})
    assert chapter.title == "Paper crane"


def test_a_heading_on_the_screen_wins_over_what_is_said():
    slides = [screen(0, 144, "Lab 7\nHow Dough Rises\n3.5 g yeast"), screen(144, 288, "Lab 7\nRigging Plans\nropes")]
    titles = {c.start: c.title for c in cut(media(sentences("bread", "ships") + slides), {}, [(144.0, 0.3)])}
    assert titles[0.0] == "How Dough Rises"
    assert titles[144.0] == "Rigging Plans"


def test_a_long_heading_is_cut_between_words():
    slide = "Empirical studies concerning the fermentation of sourdough bread cultures in winter"
    (chapter,) = cut(media([screen(0, 50, slide)]), {})
    assert len(chapter.title) <= 61
    assert chapter.title.endswith("…")
    assert slide.startswith(chapter.title.rstrip("…") + " ")


def test_the_outline_is_what_stands_for_a_chapter_in_the_order_of_time():
    passages = [
        Passage(0, 5, "Hello.", "speech"),
        Passage(5, 12, "The telescope collects the faint light of a distant galaxy.", "speech"),
        Passage(12, 15, "Um, okay, right", "speech"),
        Passage(15, 22, "A larger telescope collects more light, so that a faint galaxy is seen.", "speech"),
        Passage(22, 29, "Bread rises because the yeast in the dough makes some gas.", "speech"),
    ]
    best = outline(media(passages), {}, Chapter(0, 22, ""))
    assert best == (passages[1], passages[3])
    assert outline(media(passages), {}, Chapter(0, 22, ""), most=1)[0] in best
    assert outline(media([], 60.0), {}, Chapter(0, 60, "")) == ()


def test_an_outline_does_not_say_the_same_twice():
    passages = [
        Passage(i * 5.0, i * 5.0 + 4, "The telescope collects the light of a galaxy.", "speech") for i in range(4)
    ]
    assert len(outline(media(passages), {}, Chapter(0, 20, ""))) == 1


def test_most_ends_of_real_videos_that_were_joined_are_found(shared):
    videos = json.loads((shared / "qa/tutorialvqa/sentence_times.json").read_text())
    found = by_even_spacing = bounds = 0
    for first in range(0, len(videos) - 6, 7):
        passages, ends, at = [], [], 0.0
        for video in videos[first : first + 7]:
            passages += [Passage(at + s["start"], at + s["end"], s["text"], "subtitle") for s in video["sentences"]]
            at = passages[-1].end + 1
            ends.append(at)
        chapters = cut(media(passages), {})
        even = [at * n / len(chapters) for n in range(1, len(chapters))]
        bounds += len(ends) - 1
        found += sum(any(abs(end - c.start) <= 20 for c in chapters) for end in ends[:-1])
        by_even_spacing += sum(any(abs(end - start) <= 20 for start in even) for end in ends[:-1])
    assert found > bounds / 2
    assert found > 2 * by_even_spacing


def test_how_strongly_pictures_change_is_read_from_the_folder(tmp_path):
    from PIL import Image

    pictures = {"white": (255, 255), "same": (255, 250), "half": (255, 0)}
    frames = []
    for n, (name, (left, right)) in enumerate(pictures.items()):
        image = Image.new("L", (320, 180), left)
        image.paste(right, (160, 0, 320, 180))
        image.save(tmp_path / f"{name}.jpg")
        frames.append(Frame(n * 5.0, n * 5.0 + 5, f"{name}.jpg"))
    (first, same), (second, half) = look.changes(tmp_path, frames)
    assert (first, second) == (5.0, 10.0)
    assert same == 0
    assert half == pytest.approx(0.5, abs=0.02)
    assert look.changes(tmp_path, frames[:1]) == []
