"""What reading will take is said before it begins, and while it goes on, without false precision."""

from dataclasses import replace
from pathlib import Path

import pytest
from make_film import make_film

from pipeline import estimate
from pipeline.errors import SourceError
from pipeline.pace import Pace
from pipeline.types import Coverage, Estimate, Media, Progress


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("silent") / "silent.mp4", seconds=20, fps=2, sound=False)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("spoken") / "spoken.mp4", seconds=20, fps=2)


def test_where_nothing_is_written_it_will_be_heard(spoken, film, silent, settings):
    assert set(estimate.estimate(spoken, settings).steps) == {"frames", "screen", "speech", "text"}
    assert set(estimate.estimate(silent, settings).steps) == {"frames", "screen"}
    written = estimate.estimate(film, settings)
    assert set(written.steps) == {"frames", "screen", "text"}
    assert written.length == pytest.approx(24, abs=0.2)
    assert "What is said is read from biology.srt." in written.notes
    assert written.disk > 10_000
    assert written.tokens == {}


def test_what_is_off_costs_nothing_and_what_asks_a_service_costs_tokens(film, settings):
    assert "screen" not in estimate.estimate(film, replace(settings, screen_text=False)).steps
    asking = replace(settings, vllm_base_url="http://127.0.0.1:9/v1", captions=True, mistral_api_key="key")
    expected = estimate.estimate(film, asking)
    assert expected.steps["captions"][1] > 0
    assert expected.tokens["captions by mistralai/Pixtral-12B-2409"] > 1000
    assert expected.tokens["mistral-embed"] > 100
    assert "tokens (mistral-embed)" in estimate.say(expected)


def test_a_larger_model_takes_longer(spoken, settings):
    hours = [
        estimate.estimate(spoken, replace(settings, whisper_model=name)).steps["speech"]
        for name in ("tiny", "base", "large")
    ]
    assert hours == sorted(hours)
    faster = replace(settings, speech_engine="faster-whisper")
    assert estimate.estimate(spoken, faster).steps["speech"] < hours[1]


def test_what_this_machine_took_before_counts(spoken, settings):
    settings.data_dir.mkdir()
    before = estimate.estimate(spoken, settings).steps["speech"]
    for _ in range(3):
        estimate.learn(settings, Progress("speech", 1.0, length=600), work=6000)  # ten times slower than it is heard
    least, most = estimate.estimate(spoken, settings).steps["speech"]
    assert least > before[1]
    assert most < 20 * 20
    other = replace(settings, whisper_model="tiny")
    assert estimate.estimate(spoken, other).steps["speech"][1] < least  # another model was not measured
    (settings.data_dir / estimate.FILE).write_text("[")
    assert estimate.estimate(spoken, settings).steps["speech"] == before


def test_several_take_as_long_as_all_of_them(spoken, settings):
    one = estimate.estimate(spoken, settings)
    both = estimate.together([one, one])
    assert both.work == tuple(2 * seconds for seconds in one.work)
    assert (both.length, both.disk) == (2 * one.length, 2 * one.disk)


def test_what_was_read_before_takes_nothing_and_what_broke_off_the_rest(spoken, settings):
    media = Media(
        "a" * 32, "spoken", str(spoken), "second", 20.0, "en", coverage={"speech": Coverage("read", "whisper")}
    )
    assert estimate.estimate(spoken, settings, media).steps == {}
    until = Coverage("partly", "whisper", "Heard 0:15 of 0:20. Read it again to go on.", 15.0)
    rest = estimate.estimate(spoken, settings, replace(media, coverage={"speech": until}))
    whole = estimate.estimate(spoken, settings)
    assert set(rest.steps) == {"speech", "text"}
    assert rest.steps["speech"][1] == pytest.approx(whole.steps["speech"][1] / 4)
    assert "heard 0:15 of 0:20" in estimate.say(rest)


def test_a_library_estimates_what_it_is_given(library, film, spoken, tmp_path):
    assert library.estimate(film).steps == {}
    assert library.estimate(film, again=True).steps
    assert library.estimate(str(spoken)).steps
    with pytest.raises(SourceError):
        library.estimate(tmp_path / "missing.mp4")


@pytest.mark.parametrize(
    ("least", "most", "words"),
    [
        (1, 20, "Reading it takes less than a minute."),
        (130, 170, "Reading it takes about 3 minutes."),
        (240, 700, "Reading it takes 4 to 12 minutes."),
        (3 * 3600, 5 * 3600, "Reading it takes 3 to 5.5 hours."),
    ],
)
def test_it_is_said_in_round_figures(least, most, words):
    assert estimate.say(Estimate(3600.0, {"speech": (least, most)}, 0, {})) == words


def test_what_is_read_beside_each_other_takes_as_long_as_the_longer_of_it():
    both = Estimate(60.0, {"frames": (2.0, 3.0), "speech": (10.0, 30.0), "screen": (5.0, 40.0)}, 0, {})
    assert both.work == (12.0, 43.0)
    assert replace(both, steps={"frames": (2.0, 3.0), "screen": (5.0, 40.0)}).work == (7.0, 43.0)


def test_two_steps_beside_each_other_have_a_pace_of_their_own(settings):
    now = [0.0]
    pace = Pace(settings, clock=lambda: now[0])
    for second in range(0, 20):
        now[0] = float(second)
        speech = pace.of(Progress("speech", second / 100, length=1000.0))
        screen = pace.of(Progress("screen", second / 40, length=1000.0))
    assert speech.left == pytest.approx(81)
    assert screen.left == pytest.approx(21)


def test_a_step_says_how_fast_it_is_and_how_long_it_will_take(spoken, settings):
    settings.data_dir.mkdir()
    now = [0.0]
    pace = Pace(settings, clock=lambda: now[0])
    told = []
    for second in range(0, 101):
        now[0] = float(second)
        told.append(pace.of(Progress("speech", 0.5 + second / 200, length=1000.0)))  # goes on half-way
    assert told[0].left is None
    assert told[1].left is None  # too early to tell
    for second in range(5, 100):
        assert told[second].speed == pytest.approx(5.0)
        assert told[second].left == pytest.approx(100 - second)
    assert told[100].left == 0
    least, most = estimate.estimate(spoken, settings).steps["speech"]
    assert least < most < 2 * 20 / 5  # 5 s of it in one


def test_one_slow_stretch_does_not_make_the_time_left_jump(settings):
    now = [0.0]
    pace = Pace(settings, clock=lambda: now[0])
    left = []
    for done in range(1, 11):
        now[0] += 60.0 if done == 8 else 20.0
        left.append(pace.of(Progress("speech", done / 20, length=600.0)).left)
    assert left[6] == pytest.approx(13 * 20, rel=0.01)
    assert left[7] < 2 * 12 * 20
    assert left[9] < left[7]


def test_what_a_step_did_before_counts_for_nothing(spoken, settings):
    settings.data_dir.mkdir()
    now = [0.0]
    pace = Pace(settings, clock=lambda: now[0])
    before = estimate.estimate(spoken, settings)
    for seconds, done in ((0.0, 0.0), (0.1, 1.0), (0.2, 1.0)):  # all of it was there
        now[0] = seconds
        pace.of(Progress("pictures", done, length=600.0, pictures=100))
    assert estimate.estimate(spoken, settings) == before
    for tick in range(0, 201):
        now[0] = 10.0 + tick / 20
        pace.of(Progress("frames", tick / 200, length=600.0))
    least, most = estimate.estimate(spoken, settings).steps["frames"]
    assert least < 20 * 10 / 600 < most  # ten seconds for ten minutes
