"""Moments: lists agree or not, what is found in a stretch counts for it, and a moment says why it was found."""

import random

import pytest

from pipeline.search.moments import FUSION, Fusion, fuse, same_place
from pipeline.search.windows import pieces, windows
from pipeline.types import Frame, Hit, Media, Passage

A, B = "a" * 32, "b" * 32
SENTENCE = 10.0  # s


def said(start, end, text="words"):
    return Passage(float(start), float(end), text, "speech")


def shown(start, end, text="slide"):
    return Passage(float(start), float(end), text, "screen")


def described(start, end, image):
    return Passage(float(start), float(end), "a bird on a branch", "caption", image)


def frame(start, end):
    return Frame(float(start), float(end), f"frames/{start}.jpg")


def media_of(*passages, frames=(), media_id=A, length=600.0):
    return Media(media_id, "talk", "/talk.mp4", "second", length, "en", tuple(frames), tuple(passages))


def talk(seconds=300, media_id=A, apart=(), frames=()):
    """Someone speaks, a sentence every ten seconds."""
    sentences = [said(at, at + SENTENCE, f"Sentence at {at}.") for at in range(0, seconds, int(SENTENCE))]
    return media_of(*sentences, *apart, frames=frames, media_id=media_id)


def window_at(media, start):
    """The window of a talk in which a sentence begins at `start`, as far from both ends of it as can be."""
    around = [one for one in windows(media.passages) if one.start <= start and start + SENTENCE <= one.end]
    return min(around, key=lambda one: abs((one.start + one.end) / 2 - start))


def hits(name, *items, media=A, scores=None):
    """A list as the index gives it: its best hit first."""
    scores = scores or [1 / (rank + 1) for rank in range(len(items))]
    return {name: [Hit(media, item, score, name) for item, score in zip(items, scores, strict=True)]}


def found(lists, *media, limit=5, fusion=FUSION):
    return fuse(lists, {one.id: one for one in media}, limit, fusion)


def test_only_media_that_may_hold_one_of_the_best_are_asked_for():
    asked = []

    class Noted(dict):
        def __missing__(self, media_id):
            asked.append(media_id)
            return talk(media_id=media_id)

    ids = [f"{number:032x}" for number in range(60)]
    item = said(0, 10, "Sentence at 0.")
    lists = {
        name: [Hit(one, item, 1 / (rank + 1), name) for rank, one in enumerate(ids)]
        for name in ("sentence words", "sentence meaning", "meaning")
    }
    best = fuse(lists, Noted(), 5)
    assert [one.media for one in best] == ids[:5]
    assert len(asked) < 15
    assert best == fuse(lists, {one: talk(media_id=one) for one in ids}, 5)


class TestFusing:
    def test_words_and_meaning_that_agree_come_before_the_best_of_either(self):
        media = talk()
        one, both, other, last = (window_at(media, at) for at in (20, 100, 180, 260))
        lists = hits("words", one, both, scores=[10.0, 9.0])
        lists |= hits("sentence meaning", other, both, last, scores=[0.6, 0.58, 0.1])
        best, *rest = found(lists, media)
        assert best.start <= 100 <= best.end
        assert [moment.score for moment in rest] == sorted((m.score for m in rest), reverse=True)
        assert best.score > rest[0].score

    def test_scores_of_different_lists_are_not_compared(self):
        media = talk()
        items = [window_at(media, at) for at in (20, 100, 180, 260)]

        def of(words, meaning):
            lists = hits("words", *items, scores=[4 * words, 3 * words, 2 * words, words])
            lists |= hits("meaning", *reversed(items), scores=[meaning(cosine) for cosine in (0.9, 0.7, 0.5, 0.3)])
            return [(moment.start, pytest.approx(moment.score)) for moment in found(lists, media)]

        assert of(words=1, meaning=lambda cosine: cosine) == of(words=250, meaning=lambda cosine: cosine / 9 + 0.1)

    def test_a_list_whose_weight_is_0_counts_nothing(self):
        media = talk()
        words = hits("words", window_at(media, 20), window_at(media, 100))
        more = hits("meaning", window_at(media, 180)) | hits("sentence words", window_at(media, 100))
        only = Fusion({"words": 1.0, "meaning": 0.0})
        assert found(words | more, media, fusion=only) == found(words, media, fusion=only)
        assert len(found(words, media, fusion=only)) == 2
        assert found(words, media, fusion=Fusion({"words": 0.0})) == []

    def test_without_the_screen_texts_and_captions_count_nothing_and_pictures_do_not_either(self):
        picture = frame(0, 20)
        slide, caption = shown(100, 130), described(0, 20, picture.image)
        media = talk(apart=(slide, caption), frames=(picture,))
        lists = hits("words", slide, window_at(media, 180), caption)
        assert found(lists, media)[0].start < 120
        (moment,) = found(lists, media, fusion=Fusion(FUSION.weights, screen=False))
        assert moment.start <= 180 <= moment.end
        assert not [p for p in moment.passages if p.kind in ("screen", "caption")]

    def test_a_picture_alone_weighs_less_than_words_alone(self):
        media = talk(frames=(frame(0, 5), frame(5, 300)))
        lists = hits("picture", frame(0, 5), frame(5, 300)) | hits("words", window_at(media, 180))
        assert found(lists, media)[0].start > 100

    def test_a_window_needs_two_good_sentences_to_earn_as_much_as_one_screen_that_fits(self):
        slide = shown(200, 220)
        media = talk(150, apart=(slide,))
        one = said(20, 30, "Sentence at 20.")
        sentences = hits("sentence words", one, slide, scores=[5.0, 5.0])
        assert found(sentences, media)[0].start == 200
        more = hits("sentence words", one, slide, said(30, 40, "Sentence at 30."), scores=[5.0, 5.0, 5.0])
        first, second, *_ = found(more, media)
        assert first.score == second.score

    def test_no_more_moments_than_asked(self):
        media = talk(1000)
        assert len(found(hits("words", *windows(media.passages)), media, limit=4)) == 4

    def test_nothing_found_is_no_moment(self):
        assert fuse({}, {}) == []
        assert found({"words": [], "picture": []}, talk()) == []

    def test_the_order_does_not_depend_on_the_order_of_the_lists(self):
        media = talk()
        words = hits("words", window_at(media, 20), window_at(media, 100))
        meaning = hits("meaning", window_at(media, 180), window_at(media, 100), window_at(media, 260))
        assert found(words | meaning, media) == found(meaning | words, media)

    def test_equals_come_in_the_order_of_the_media_and_of_time_however_the_list_has_them(self):
        one, other = talk(), talk(media_id=B)
        equals = [
            hit for media in (one, other) for hit in hits("words", *windows(media.passages), media=media.id)["words"]
        ]
        equals = [Hit(hit.media, hit.item, 3.0, "words") for hit in equals]
        expected = found({"words": equals}, one, other, limit=9)
        assert [(m.media, m.start) for m in expected] == sorted((m.media, m.start) for m in expected)
        for seed in range(5):
            random.Random(seed).shuffle(equals)
            assert found({"words": equals}, one, other, limit=9) == expected

    @pytest.mark.parametrize("name", FUSION.weights)
    def test_a_list_of_a_single_hit_finds_it_and_says_why(self, name):
        media = talk(frames=(frame(0, 300),))
        item = frame(0, 300) if name == "picture" else window_at(media, 100)
        (moment, *_) = found(hits(name, item), media)
        assert moment.start <= 100 or name == "picture"
        assert moment.score > 0
        assert moment.why


class TestTime:
    def test_no_moment_is_longer_than_45_seconds(self):
        media = media_of(*(said(at, at + 13) for at in range(0, 600, 13)), shown(0, 3000))
        lists = hits("words", *windows(media.passages)) | hits("meaning", shown(0, 3000), *windows(media.passages))
        lists |= hits("sentence words", *pieces(media.passages))
        moments = found(lists, media, limit=50)
        assert len(moments) > 10
        assert max(moment.end - moment.start for moment in moments) <= 45

    def test_five_moments_are_five_places(self):
        media = talk(200)
        everything = hits("words", *windows(media.passages)) | hits("sentence meaning", *pieces(media.passages))
        everything |= hits("meaning", *windows(media.passages)[::-1])
        moments = found(everything, media)
        assert len(moments) == 5
        assert not [1 for n, one in enumerate(moments) for other in moments[:n] if same_place(one, other)]

    def test_the_same_times_of_different_media_are_different_places(self):
        one, other = talk(), talk(media_id=B)
        lists = {
            "words": [
                *hits("words", window_at(one, 20))["words"],
                *hits("words", window_at(other, 20), media=B)["words"],
            ]
        }
        assert {moment.media for moment in found(lists, one, other)} == {A, B}

    def test_its_passages_are_the_sentences_inside_it_in_order(self):
        media = talk()
        (moment,) = found(hits("words", window_at(media, 100)), media)
        assert 3 <= len(moment.passages) <= 5
        assert {*moment.passages} <= {*media.passages}
        assert list(moment.passages) == sorted(moment.passages, key=lambda one: one.start)
        for one in media.passages:
            assert (one in moment.passages) == (moment.start <= (one.start + one.end) / 2 <= moment.end)

    @pytest.mark.parametrize(("best", "start", "end"), [(0, 0, 45), (40, 5, 50)])
    def test_a_window_that_is_too_long_is_trimmed_to_where_most_was_found(self, best, start, end):
        media = talk()
        window = windows(media.passages)[0]
        assert (window.start, window.end) == (0, 50)
        sentences = hits("sentence meaning", said(best, best + 10), said(200, 210), scores=[0.7, 0.1])
        (moment, *_) = found(hits("words", window) | sentences, media)
        assert (moment.start, moment.end) == (start, end)

    def test_a_sentence_counts_for_the_windows_it_is_in(self):
        media = talk()
        moments = found(hits("sentence words", media.passages[17]), media)
        assert moments
        assert all(media.passages[17] in moment.passages for moment in moments)

    def test_a_slide_that_stands_for_minutes_does_not_lift_all_that_is_said_meanwhile(self):
        slide = shown(0, 300)
        media = talk(apart=(slide,))
        (moment,) = found(hits("words", slide), media)
        assert (moment.start, moment.end) == (0, 45)
        assert slide in moment.passages
        assert moment.why == ("the words match", "on screen")

    def test_a_slide_and_what_is_said_as_it_appears_are_one_moment(self):
        slide = shown(100, 300)
        media = talk(apart=(slide,))
        best, *rest = found(hits("words", slide, window_at(media, 110), window_at(media, 30)), media)
        assert best.start <= 120 <= best.end
        assert slide in best.passages
        assert [one for one in best.passages if one.kind == "speech"]
        assert not [moment for moment in rest if same_place(moment, best)]

    def test_a_slide_alone_is_a_moment_where_it_appears(self):
        (moment,) = found(hits("words", shown(50.8, 300)), media_of(shown(50.8, 300)))
        assert (moment.start, moment.end) == (50.8, pytest.approx(95.8))
        assert moment.passages == (shown(50.8, 300),)


class TestReasons:
    def test_each_moment_says_why_it_was_found(self):
        slide, picture = shown(400, 410), frame(500, 510)
        media = talk(apart=(slide,), frames=(picture,))
        lists = hits("words", window_at(media, 20))
        lists |= hits("sentence meaning", slide, window_at(media, 200), scores=[0.6, 0.1])
        lists |= hits("picture", picture, frame(0, 5), scores=[0.3, 0.2])
        why = {moment.start: moment.why for moment in found(lists, media)}
        assert why[400] == ("close in meaning", "on screen")
        assert why[500] == ("looks like the question",)
        assert ("the words match",) in why.values()


class TestFrames:
    frames = (frame(0, 30), frame(30, 60), frame(60, 90))

    @pytest.mark.parametrize("picture", [frame(0, 20), frame(20, 36), frame(36, 60)])
    def test_the_picture_that_was_found_comes_first(self, picture):
        sentence = said(5, 50)
        media = media_of(sentence, frames=[frame(0, 20), frame(20, 36), frame(36, 60), frame(60, 90)])
        lists = hits("words", sentence) | hits("picture", picture, frame(60, 90))
        assert found(lists, media)[0].frames[0] == picture

    def test_the_picture_that_a_caption_describes_comes_first_and_the_reason_says_so(self):
        caption = described(30, 36, "frames/30.jpg")
        frames = (frame(0, 30), frame(30, 36), frame(36, 90))
        media = media_of(said(0, 20), said(20, 40), caption, frames=frames)
        (moment,) = found(hits("words", caption), media)
        assert moment.frames[0] == frame(30, 36)
        assert caption in moment.passages
        assert "the picture shows it" in moment.why

    def test_without_it_the_picture_that_stands_longest_at_the_passage(self):
        (moment,) = found(hits("words", said(25, 47)), media_of(said(25, 47), frames=self.frames))
        assert moment.frames == (frame(30, 60), frame(0, 30))

    def test_in_a_window_the_sentence_that_fits_best_says_which_picture_stands_for_it(self):
        frames = [frame(at, at + 10) for at in range(0, 300, 10)]
        media = talk(frames=frames)
        sentences = hits("sentence meaning", said(110, 120), said(250, 260), scores=[0.8, 0.1])
        best = found(hits("words", window_at(media, 110)) | sentences, media)[0]
        assert best.frames[0] == frame(110, 120)

    def test_a_slides_text_shows_that_slide(self):
        (moment,) = found(hits("words", shown(60, 90)), media_of(shown(60, 90), frames=self.frames))
        assert moment.frames == (frame(60, 90),)

    @pytest.mark.parametrize("passage", [said(500, 510), said(90, 91)])
    def test_every_moment_has_a_frame_where_the_media_has_one(self, passage):
        (moment,) = found(hits("words", passage), media_of(passage, frames=self.frames))
        assert moment.frames == (frame(60, 90),)

    def test_sound_without_pictures_has_none(self):
        (moment,) = found(hits("words", said(0, 10)), media_of(said(0, 10)))
        assert moment.frames == ()
