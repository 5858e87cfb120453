"""Times as people read and write them."""

import pytest

from pipeline.times import seconds, stamp


@pytest.mark.parametrize(
    ("time", "words"), [(0, "0:00"), (9.9, "0:09"), (65, "1:05"), (3599.9, "59:59"), (3600, "1:00:00"), (-1, "0:00")]
)
def test_a_time_is_minutes_and_seconds_and_hours_where_there_are_any(time, words):
    assert stamp(time) == words


@pytest.mark.parametrize(
    ("words", "time"), [("0:00", 0), ("1:05", 65), (" 1:00:00 ", 3600), ("65", 65), ("65.5", 65.5), ("1:05.5", 65.5)]
)
def test_what_a_person_types_is_read(words, time):
    assert seconds(words) == time


@pytest.mark.parametrize(
    "words", ["", ":", "soon", "1:65", "-1", "1:-5", "1:2:3:4", "1.5:00", "nan", "inf", "1:inf", "1e99:0"]
)
def test_what_is_no_time_is_none(words):
    assert seconds(words) is None
