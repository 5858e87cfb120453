"""Moments: ranks are fused, what is near in time is one moment, and a moment says why it was found."""

import pytest

from pipeline.search.moments import following, fuse, preceding
from pipeline.types import Frame, Hit, Media, Passage

A, B = "a" * 32, "b" * 32


def said(start, end, text="words"):
    return Passage(float(start), float(end), text, "speech")


def shown(start, end, text="slide"):
    return Passage(float(start), float(end), text, "screen")


def frame(start, end):
    return Frame(float(start), float(end), f"frames/{start}.jpg")


def hits(found_by, *items, media=A):
    return [Hit(media, item, 1.0 / (rank + 1), found_by) for rank, item in enumerate(items)]


class TestFusing:
    def test_what_two_lists_agree_on_comes_first(self):
        both, words_only, meaning_only = said(0, 30), said(100, 130), said(200, 230)
        found = fuse([hits("words", words_only, both), hits("meaning", meaning_only, both)], {})
        assert found[0].passages == (both,)
        assert [moment.score for moment in found] == sorted((m.score for m in found), reverse=True)

    def test_scores_of_different_lists_are_not_compared(self):
        loud = [Hit(A, said(0, 30), 900.0, "words")]
        quiet = [Hit(A, said(100, 130), 0.1, "meaning")]
        one, two = fuse([loud, quiet], {})
        assert one.score == two.score

    def test_a_picture_alone_weighs_less_than_words_alone(self):
        found = fuse([hits("picture", frame(0, 5)), hits("words", said(100, 110))], {})
        assert found[0].start == 100

    def test_no_more_moments_than_asked(self):
        assert len(fuse([hits("words", *(said(100 * n, 100 * n + 10) for n in range(9)))], {}, limit=4)) == 4

    def test_nothing_found_is_no_moment(self):
        assert fuse([], {}) == []
        assert fuse([[], []], {A: [frame(0, 5)]}) == []

    def test_the_order_does_not_depend_on_the_order_of_the_lists(self):
        words, meaning = hits("words", said(0, 9), said(100, 109)), hits("meaning", said(200, 209), said(100, 109))
        assert {m.start: m.score for m in fuse([words, meaning], {})} == {
            m.start: m.score for m in fuse([meaning, words], {})
        }


class TestTime:
    def test_neighbours_become_one_moment(self):
        (moment,) = fuse([hits("words", said(10, 20), said(22, 30))], {})
        assert (moment.start, moment.end) == (10, 30)
        assert moment.passages == (said(10, 20), said(22, 30))

    def test_different_media_stay_apart(self):
        found = fuse([[*hits("words", said(0, 10)), *hits("words", said(0, 10), media=B)]], {})
        assert {moment.media for moment in found} == {A, B}

    def test_far_apart_stays_apart(self):
        assert len(fuse([hits("words", said(0, 10), said(60, 70))], {})) == 2

    def test_no_moment_is_longer_than_45_seconds(self):
        chain = [said(20 * n, 20 * n + 19) for n in range(20)]
        found = fuse([hits("words", *chain), hits("meaning", shown(0, 3000), *chain)], {}, limit=50)
        assert max(moment.end - moment.start for moment in found) <= 45
        assert {p for moment in found for p in moment.passages} == {*chain, shown(0, 3000)}

    def test_a_slide_that_stands_for_minutes_does_not_swallow_what_is_said(self):
        first, second, slide = said(120, 140, "first"), said(220, 240, "second"), shown(0, 300)
        found = fuse([hits("words", first, second, slide), hits("meaning", first, slide, second)], {})
        assert [(m.start, m.end) for m in found] == [(120, 140), (220, 240)]
        assert slide in found[0].passages  # it stands there too
        assert found[0].why == ("the words match", "close in meaning", "on screen")

    def test_a_slide_alone_is_a_moment_where_it_appears(self):
        (moment,) = fuse([hits("words", shown(50.8, 300))], {})
        assert (moment.start, moment.end) == (50.8, pytest.approx(95.8))


class TestReasons:
    def test_each_moment_says_why_it_was_found(self):
        lists = [
            hits("words", said(0, 10)),
            hits("meaning", shown(100, 110)),
            hits("picture", frame(200, 210)),
        ]
        assert {moment.start: moment.why for moment in fuse(lists, {})} == {
            0: ("the words match",),
            100: ("close in meaning", "on screen"),
            200: ("looks like the question",),
        }


class TestFrames:
    frames = (frame(0, 30), frame(30, 60), frame(60, 90))

    def test_the_picture_that_was_found_comes_first(self):
        lists = [hits("words", said(20, 40)), hits("picture", frame(30, 60))]
        (moment,) = fuse(lists, {A: self.frames})
        assert moment.frames[0] == frame(30, 60)

    def test_without_it_the_picture_that_stands_longest_at_the_passage(self):
        (moment,) = fuse([hits("words", said(25, 50))], {A: self.frames})
        assert moment.frames == (frame(30, 60), frame(0, 30))

    def test_a_slides_text_shows_that_slide(self):
        (moment,) = fuse([hits("words", shown(60, 90))], {A: self.frames})
        assert moment.frames == (frame(60, 90),)

    @pytest.mark.parametrize("passage", [said(500, 510), said(90, 91)])
    def test_every_moment_has_a_frame_where_the_media_has_one(self, passage):
        (moment,) = fuse([hits("words", passage)], {A: self.frames})
        assert moment.frames == (frame(60, 90),)

    def test_sound_without_pictures_has_none(self):
        (moment,) = fuse([hits("words", said(0, 10))], {A: ()})
        assert moment.frames == ()


class TestBeside:
    media = Media(
        A, "talk", "/talk.mp4", "second", 300.0, "en",
        frames=(frame(0, 150), frame(150, 300)),
        passages=(said(0, 28, "one"), said(25, 55, "two"), shown(0, 150), said(52, 80, "three"), said(200, 230, "far")),
    )  # fmt: skip

    def test_what_is_said_next_follows(self):
        moment = following(self.media, 28.0, 45.0)
        assert [p.text for p in moment.passages] == ["two", "three"]
        assert 28 <= moment.start < moment.end <= 80
        assert moment.frames == (frame(0, 150),)

    def test_a_silence_is_passed_over(self):
        moment = following(self.media, 90.0, 45.0)
        assert [p.text for p in moment.passages] == ["far"]
        assert (moment.start, moment.end) == (200, 230)
        assert moment.frames[0] == frame(150, 300)

    def test_what_was_said_before_precedes(self):
        moment = preceding(self.media, 200.0, 20.0)
        assert [p.text for p in moment.passages if p.kind == "speech"] == ["three"]
        assert moment.end <= 200
        assert moment.end - moment.start <= 45

    def test_at_the_ends_there_is_nothing(self):
        assert following(self.media, 300.0, 45.0) is None
        assert preceding(self.media, 0.0, 45.0) is None

    def test_without_words_the_pictures_follow(self):
        silent = Media(A, "film", "/film.mp4", "second", 300.0, "", frames=(frame(0, 150), frame(150, 300)))
        assert following(silent, 140.0, 45.0).frames == (frame(150, 300), frame(0, 150))
        assert preceding(silent, 30.0, 45.0).frames == (frame(0, 150),)
