"""What is kept of several readings of one file is compared: the real command, and what is said of a difference."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import repeat

SCRIPT = Path(__file__).with_name("repeat.py")


def test_two_readings_of_one_transcript_are_equal(film):
    command = [sys.executable, SCRIPT, film.with_suffix(".srt"), "2", "--busy", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 equal" in done.stdout


def test_what_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"x")
    command = [sys.executable, SCRIPT, tmp_path / "no.mp4", "2", "--busy", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "2 of 2 equal" in done.stdout
    assert "error: " in done.stdout


def test_a_difference_is_named():
    usual = repeat.Kept(repeat.GOOD, frames=("0.0 to 5.0 a", "5.0 to 9.0 b"), parts=("speech read",))
    assert repeat.differences(usual, usual) == []
    (line,) = repeat.differences(replace(usual, frames=("0.0 to 5.0 a", "5.1 to 9.0 b")), usual)
    assert line == "frames: 2 instead of 2, 1 differ; 5.1 to 9.0 b instead of 5.0 to 9.0 b"
    ended, parts = repeat.differences(replace(usual, ended=("exit code 1: lost",), parts=("speech off",)), usual)
    assert ended.endswith("exit code 1: lost instead of exit code 0")
    assert "speech off instead of speech read" in parts
