"""Looking closer: the frames to send are the top frame and what the video itself shows around it."""

from dataclasses import replace
from pathlib import Path

import pytest
from make_film import read_number

from pipeline.looking import CROWDED, look_closer
from pipeline.types import Evidence, Media, Moment
from pipeline.workflow import Pipeline

MOST = 4  # pictures sent
TRANSCRIPT = Media("f" * 32, "words alone", "/words.srt", "second", 60.0, "en")


@pytest.fixture
def film_media(library: Pipeline) -> Media:
    ((media,), _) = library.everything()
    return media


def look(library: Pipeline, evidence: Evidence, source: str = "") -> Evidence:
    def get(media_id: str) -> Media:
        media = TRANSCRIPT if media_id == TRANSCRIPT.id else library.get(media_id)
        return replace(media, source=source) if source else media

    settings = replace(library.settings, vllm_base_url="http://127.0.0.1:9/v1")  # nobody is asked
    return look_closer(evidence, get, library.folder, settings, seconds=60)  # a busy machine is not what is tested


def frames_of(evidence: Evidence) -> list:
    return [frame for moment in evidence.moments for frame in moment.frames]


def moments_of(media: Media, *stretches: tuple[float, float]) -> tuple[Moment, ...]:
    """A moment for each stretch, with the frames of the index in it, best first."""
    found = []
    for start, end in stretches:
        inside = [frame for frame in media.frames if frame.start < end and frame.end > start]
        found.append(Moment(media.id, start, end, 1.0, frames=tuple(inside[::-1])))
    return tuple(found)


def closer(evidence: Evidence) -> list:
    return [frame for frame in frames_of(evidence) if frame.image.startswith("closer/")]


def test_the_top_frame_stays_first_and_closer_ones_follow_at_most_four_in_all(library, film_media):
    evidence = library.find("chlorophyll")
    looked = look(library, evidence)
    assert looked.top_frame == evidence.top_frame
    assert closer(looked)
    assert len(frames_of(looked)) == len({*frames_of(looked)}) <= MOST
    best, before = looked.moments[0], evidence.moments[0]
    assert replace(best, frames=()) == replace(before, frames=())
    for frame in closer(looked):
        assert before.start - 1 <= frame.start <= before.end + 1
        shown = read_number(library.folder(film_media.id) / frame.image)
        assert shown == pytest.approx(frame.start * 10, abs=1)  # the picture of that very time
    assert library.get(film_media.id) == film_media  # what was read stays as it is


def test_of_several_moments_the_best_gets_most_and_the_next_one_more(library, film_media):
    stretches = ((8.0, 13.0), (16.0, 20.0), (0.0, 4.0))
    evidence = Evidence("Which colour is it?", moments_of(film_media, *stretches))
    looked = look(library, evidence)
    assert [len(moment.frames) for moment in looked.moments] == [3, 1, 0]
    assert looked.top_frame == evidence.top_frame
    for moment in looked.moments:
        assert all(moment.start - 1 <= f.start <= moment.end + 1 for f in moment.frames if f in closer(looked))
    assert [(m.start, m.end) for m in looked.moments] == [*stretches]


def test_what_happens_is_looked_at_in_steps_of_the_best_moment_alone(library, film_media):
    evidence = Evidence("Does he pick it up?", moments_of(film_media, (8.0, 13.0), (16.0, 20.0)))
    looked = look(library, evidence)
    best, other = looked.moments
    assert best.frames[0] == evidence.moments[0].frames[0]
    steps = [frame.start for frame in best.frames[1:]]
    assert len(steps) == 3
    assert steps == sorted(steps)
    assert steps[-1] - steps[0] > 2  # spread over the moment
    assert other.frames == ()


def test_where_many_ask_at_once_only_what_was_looked_at_before_is_taken_and_that_is_said(library, film_media):
    first, other = moments_of(film_media, (8.0, 13.0), (16.0, 20.0))
    before = look(library, Evidence("Which colour is it?", (first,)))
    settings = replace(library.settings, vllm_base_url="http://127.0.0.1:9/v1")
    known, new = (
        look_closer(Evidence("Which colour is it?", (one,)), library.get, library.folder, settings, seconds=0)
        for one in (first, other)
    )
    assert closer(known) == closer(before) != []
    assert CROWDED not in known.notes
    assert closer(new) == []
    assert CROWDED in new.notes
    assert new.top_frame == (other.media, other.frames[0])


@pytest.mark.parametrize("question", ["Which colour is it?", "Does he pick it up?"])
@pytest.mark.parametrize("without", [1, 2])
def test_where_the_best_moments_have_no_picture_the_top_frame_is_still_the_first(
    library, film_media, question, without
):
    words = tuple(Moment(TRANSCRIPT.id, 10.0 * n, 10.0 * n + 9, 2.0) for n in range(without))
    evidence = Evidence(question, (*words, *moments_of(film_media, (8.0, 13.0))))
    looked = look(library, evidence)
    assert looked.top_frame == evidence.top_frame
    assert closer(looked)
    assert len(frames_of(looked)) <= MOST


@pytest.mark.parametrize("question", ["Which colour is it?", "Does he pick it up?"])
def test_a_video_that_is_gone_costs_a_note_and_its_known_pictures_are_sent(library, film_media, question, tmp_path):
    evidence = Evidence(question, moments_of(film_media, (2.0, 13.0), (12.0, 20.0)))
    looked = look(library, evidence, source=str(tmp_path / "gone.mp4"))
    assert looked.top_frame == evidence.top_frame
    assert {*frames_of(looked)} <= {*film_media.frames}
    assert 1 < len(frames_of(looked)) <= MOST
    (note,) = looked.notes
    assert str(tmp_path / "gone.mp4") in note
    assert "Looked no closer" in note


def test_that_pictures_were_chosen_without_clip_is_said(library, film_media):
    looked = look(library, Evidence("Which colour is it?", moments_of(film_media, (8.0, 13.0))))
    (note,) = looked.notes
    assert "CLIP is off" in note


@pytest.mark.parametrize("kind", ["whole", "every", "count", "last"])
def test_where_the_question_asks_for_an_overview_nothing_is_looked_at_closer(library, film_media, kind):
    evidence = Evidence("Which colour is it?", moments_of(film_media, (8.0, 13.0)), kind)
    assert look(library, evidence) == evidence
    assert not Path(library.folder(film_media.id), "closer").exists()


def test_without_a_picture_there_is_nothing_to_look_at(library):
    evidence = Evidence("Which colour is it?", (Moment(TRANSCRIPT.id, 0.0, 9.0, 1.0),))
    assert look(library, evidence) == evidence
    assert look(library, Evidence("anything", ())) == Evidence("anything", ())
