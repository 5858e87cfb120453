"""Hostile files are read, read partly or refused in one line: the short form of fuzz.py, which a developer runs."""

import contextlib
import resource
from dataclasses import replace

import av
import fuzz
import pytest
from make_film import make_film


@pytest.fixture
def fed(settings, tmp_path):
    def feed(paths):
        within = replace(settings, media_roots=(tmp_path,))
        fates = fuzz.feed_all(iter(paths), tmp_path / "home", within, jobs=2, at_once=True)
        assert not [fate for fate in fates if fate.kind in ("ESCAPED", "fault", "hang") or fate.left]
        assert max(fate.seconds for fate in fates) < fuzz.LONGEST
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < fuzz.LARGEST
        assert not list((tmp_path / "home").iterdir())
        return {fate.name: fate for fate in fates}

    return feed


def test_broken_files_stay_where_they_are(fed, shared, tmp_path):
    listener = fuzz.Listener()
    fates = fed(fuzz.copied(tmp_path, listener.address))
    with contextlib.suppress(av.FFmpegError):
        av.open(f"http://{listener.address}")  # unguarded: what is counted
    assert listener.count == 1
    refused = {name for name, fate in fates.items() if fate.kind == "refused"}
    assert {"gen_hls_http_loopback.mp4", "gen_hls_local_file_read.mp4", "gen_ffconcat_local.mp4"} <= refused
    assert {"gen_zero_byte.mp4", "gen_random_bytes.mp4", "gen_png_named_as.mp4"} <= refused
    assert not refused & {"gen_bitflips_mdat.mp4", "gen_rotate_90.mp4", "gen_vfr.mp4", "gen_bad_utf8.srt"}


def test_mutants_stay_where_they_are(fed, tmp_path):
    sound = [
        make_film(tmp_path / "a.mp4", seconds=2, size=(160, 90), subtitles=[(0.5, 1.5, "Light")]),
        make_film(tmp_path / "b.mkv", seconds=2, size=(160, 90), gop=5),
    ]
    fates = fed(fuzz.mutants(sound, 24, 5, tmp_path))
    kinds = {fate.kind for fate in fates.values()}
    assert len(fates) == 24
    assert kinds & {"read", "partly"}  # the others would mean little
    assert "refused" in kinds
