"""Pictures, sound and subtitles come out of a file with their true times, whatever the file is like."""

import os
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from make_film import COLOURS, make_film, read_number
from PIL import Image

from pipeline.errors import SourceError, StorageError
from pipeline.media import clips, container, sampling, video


def read(path: Path, folder: Path, fps: float = 0.2, exact: bool = False):
    return video.read_frames(path, folder, fps, lambda done: None, exact=exact)


def hear(path: Path, since: float = 0.0):
    pieces = list(video.read_sound(path, since))
    blocks = [one for one in pieces if not isinstance(one, str)]
    return np.concatenate([np.zeros(0, np.float32), *blocks]), [one for one in pieces if isinstance(one, str)]


def number(folder: Path, frame) -> int:
    return read_number(folder / frame.image)


UNEVEN = [0.0, 0.3, 0.4, 1.0, 1.1, 2.9, 3.0, 5.2, 5.3, 5.4, 8.8, 9.0, 9.1, 12.4, 12.5, 17.0]  # s
KINDS = {
    "h264 with keyframes": ("a.mp4", {"gop": 25}),
    "one keyframe only": ("a.mp4", {"gop": 1000, "codec_options": {"x264-params": "keyint=1000:scenecut=0"}}),
    "open groups": ("a.mkv", {"gop": 20, "codec_options": {"x264-params": "open-gop=1:bframes=3"}}),
    "many references": ("a.mp4", {"codec_options": {"x264-params": "bframes=8:b-pyramid=normal:b-adapt=0"}}),
    "starts late": ("a.mkv", {"start": 37.5}),
    "transport stream": ("a.ts", {}),
    "odd size": ("a.mkv", {"size": (241, 135), "codec": "ffv1", "seconds": 8}),
    "keyframes only": ("a.mov", {"codec": "mjpeg"}),
    "avi": ("a.avi", {"codec": "mpeg4", "sound": False}),
    "hevc": ("a.mp4", {"codec": "libx265", "codec_options": {"x265-params": "log-level=none"}}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "sound": False, "codec_options": {"deadline": "realtime"}}),
    "packets without times": ("a.h264", {"fps": 25, "seconds": 12, "sound": False}),
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    """(film, what it is like) of each kind, made once."""
    name, like = KINDS[request.param]
    return make_film(tmp_path_factory.mktemp("kind") / name, **like), like


@pytest.mark.parametrize("fps", [0.2, 0.7])
def test_each_picture_knows_its_time_and_there_is_one_of_every_few_seconds(kind, fps, tmp_path):
    film, like = kind
    rate, seconds = like.get("fps", 10), like.get("seconds", 20)
    frames, notes = read(film, tmp_path, fps)
    assert not notes
    for frame in frames:
        assert number(tmp_path, frame) == round(frame.start * rate)
    slots = {int(n / rate * fps + 0.001) for n in range(seconds * rate)}
    if film.suffix != ".h264":  # there every picture is decoded anyway, and exact times cost nothing more
        assert {int(frame.start * fps + 0.001) for frame in frames} == slots
    assert len(frames) <= 2 * len(slots)


@pytest.mark.parametrize("fps", [0.2, 0.7])
def test_with_exact_times_each_sampled_picture_is_the_one_shown_then(kind, fps, tmp_path):
    film, like = kind
    rate, seconds = like.get("fps", 10), like.get("seconds", 20)
    frames, notes = read(film, tmp_path, fps, exact=True)
    assert not notes
    for frame in frames:
        assert number(tmp_path, frame) == round(frame.start * rate)
    starts = {round(frame.start * rate) for frame in frames}
    due = [int(k / fps * rate + 0.001) for k in range(1000) if k / fps < seconds - 1 / rate]
    assert starts >= set(due)
    assert len(frames) <= 2 * len(due)
    assert video.probe(film).length == pytest.approx(seconds, abs=0.1)


def test_a_variable_frame_rate_keeps_every_time_true(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=len(UNEVEN) / 10, when=UNEVEN.__getitem__, sound=False)
    frames, _ = read(film, tmp_path / "slots", 0.5)
    for frame in frames:
        assert frame.start == pytest.approx(UNEVEN[number(tmp_path / "slots", frame)], abs=0.001)
    assert {int(frame.start / 2 + 0.001) for frame in frames} == {int(time / 2 + 0.001) for time in UNEVEN}
    frames, _ = read(film, tmp_path / "exact", 0.5, exact=True)
    for frame in frames:
        assert frame.start == pytest.approx(UNEVEN[number(tmp_path / "exact", frame)], abs=0.001)
    for due in range(0, 17, 2):
        shown = max(time for time in UNEVEN if time <= due)
        assert any(frame.start == pytest.approx(shown, abs=0.001) for frame in frames)


@pytest.mark.parametrize("exact", [False, True])
def test_a_reading_that_broke_off_goes_on_to_the_same_end(exact, tmp_path):
    film = make_film(tmp_path / "a.mp4", gop=35, start=3, sound=False)
    frames, _ = read(film, tmp_path, 0.4, exact)
    for kept in (1, len(frames) // 2, len(frames) - 1):
        for frame in frames[kept:]:
            (tmp_path / frame.image).unlink()
        assert read(film, tmp_path, 0.4, exact)[0] == frames


def decoded(monkeypatch) -> list[bool]:
    """What the decoder is fed from now on: whether each packet is a keyframe."""
    fed = []
    decode = container.Decoder.decode

    def told(self, packet, only_if_needed=False):
        fed.extend([packet.is_keyframe] if packet is not None else [])
        return decode(self, packet, only_if_needed)

    monkeypatch.setattr(container.Decoder, "decode", told)
    return fed


def test_only_keyframes_are_decoded_where_each_slot_has_one(tmp_path, monkeypatch):
    film = make_film(tmp_path / "a.mp4", gop=20, slides=[(0, "one")], codec_options={"x264-params": "bframes=3"})
    fed = decoded(monkeypatch)
    frames, _ = read(film, tmp_path)
    assert [frame.start for frame in frames] == [0, 6, 10, 16]
    assert fed.count(False) <= 3  # of 200, to tell how the film is turned
    assert fed.count(True) <= 8


def test_what_a_change_leads_to_is_seen_at_the_next_keyframe_where_they_are_close(tmp_path, monkeypatch):
    moving = [(6.3 + n / 10, f"{n} of many") for n in range(25)]
    film = make_film(
        tmp_path / "a.mp4", seconds=12, fps=30, gop=30, sound=False, counter=False,
        slides=[(0, "still"), *moving], codec_options={"x264-params": "scenecut=0:bframes=0"},
    )  # fmt: skip
    fed = decoded(monkeypatch)
    frames, _ = read(film, tmp_path)
    assert any(frame.start == pytest.approx(6.3, abs=0.04) for frame in frames)
    assert fed.count(False) <= 20  # each jump of the first two seconds looked at where it is, from its keyframe on: 33


def test_what_is_held_does_not_grow_with_the_film(tmp_path, monkeypatch):
    most = {}
    read_one = sampling.Sampler._read

    def told(self):
        read_one(self)
        for name in ("held", "ready", "known", "keys", "cues", "sizes", "jumps"):
            most[name] = max(most.get(name, 0), len(getattr(self, name)))

    monkeypatch.setattr(sampling.Sampler, "_read", told)
    for exact in (False, True):
        film = make_film(tmp_path / "a.mp4", seconds=90, size=(96, 54), sound=False, gop=37)
        read(film, tmp_path / f"{exact}", 0.2, exact)
        assert max(most.values()) <= 10 * (5 + 5 + 3.7)  # of 900 pictures: two slots, and from a keyframe up to them


def test_frames_follow_one_another_without_gaps_to_the_end(tmp_path):
    frames, _ = read(make_film(tmp_path / "a.mp4"), tmp_path)
    assert frames[0].start == 0
    assert frames[-1].end == pytest.approx(20)
    assert all(one.end == other.start > one.start for one, other in pairwise(frames))


@pytest.mark.parametrize("cuts", ["keyframes at cuts", "no keyframes at cuts"])
def test_a_screen_that_stays_is_kept_once_and_a_short_one_is_not_lost(cuts, tmp_path):
    slides = [(0, "Introduction"), (6.3, "Short"), (7.8, "Energy"), (13.1, "The end")]
    encoder = {} if cuts == "keyframes at cuts" else {"x264-params": "scenecut=0"}
    film = make_film(tmp_path / "a.mp4", slides=slides, counter=False, fps=25, gop=250, codec_options=encoder)
    frames, _ = read(film, tmp_path)
    assert [frame.start for frame in frames] == pytest.approx([0, 6.3, 7.8, 13.1], abs=0.15)


def test_one_new_line_counts_as_change_and_compression_noise_does_not(tmp_path):
    slides = [(0, "one line"), (8, "one line\nMail")]
    film = make_film(
        tmp_path / "a.mp4",
        seconds=12,
        size=(1280, 720),
        slides=slides,
        counter=False,
        letters=28,
        codec_options={"crf": "38"},
    )
    frames, _ = read(film, tmp_path, 1)
    assert [frame.start for frame in frames] == pytest.approx([0, 8])


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_pictures_stand_upright(turn, tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=1, rotation=turn, sound=False)
    (frame, *_), _ = read(film, tmp_path, 5)
    with Image.open(tmp_path / frame.image) as picture:
        assert picture.size == ((480, 270) if turn == 180 else (270, 480))
        assert (video.probe(film).width, video.probe(film).height) == picture.size
    frames, _ = read(film, tmp_path, 5)
    for frame in frames:
        with Image.open(tmp_path / frame.image) as picture:
            assert read_number(picture.rotate(-turn, expand=True)) == round(frame.start * 10)


def test_pictures_keep_their_colours_and_are_at_most_1024_pixels_long(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=1, size=(1920, 1080), sound=False)
    (frame, *_), _ = read(film, tmp_path)
    with Image.open(tmp_path / frame.image) as picture:
        assert picture.size == (1024, 576)
        assert picture.getpixel((20, 500)) == pytest.approx(COLOURS[0], abs=5)


def test_a_film_of_one_picture_is_read(tmp_path):
    frames, notes = read(make_film(tmp_path / "a.mp4", seconds=0.1, sound=False), tmp_path)
    assert len(frames) == 1
    assert not notes


def test_a_jump_in_time_writes_no_flood_of_frames(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=4, when=lambda n: n / 10 + (1e5 if n >= 20 else 0), sound=False)
    frames, _ = read(film, tmp_path, 10)
    assert len(frames) <= 40


def test_progress_grows_to_one(tmp_path, film):
    seen = []
    video.read_frames(film, tmp_path, 1, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) > 10


# -- sound and subtitles


def test_sound_keeps_its_times_where_it_sets_in_late(tmp_path):
    film = make_film(tmp_path / "a.mkv", seconds=8, start=5, sound_from=2)
    sound, notes = hear(film)
    assert not notes
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(8 * 16_000, abs=1600)
    assert abs(sound[: int(1.95 * 16_000)]).max() == 0
    assert abs(sound[2 * 16_000 : 3 * 16_000]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "like"),
    [("a.mp4", {}), ("a.mkv", {"start": 37.5, "sound_from": 2}), ("a.aac", {})],
    ids=["with an index", "one after the other", "without times"],
)
def test_sound_that_is_gone_on_with_is_the_same_and_is_not_read_from_the_start(name, like, tmp_path, monkeypatch):
    film = make_film(tmp_path / name.replace("aac", "mp4"), seconds=60, fps=1, gop=5, **like)
    if name == "a.aac":
        film = sound_of(film, tmp_path / name)
    packets = 0

    def count():
        nonlocal packets
        packets += 1

    monkeypatch.setattr(container, "on_packet", count)
    whole, _ = hear(film)
    in_all, packets = packets, 0
    rest, _ = hear(film, since=40.0)
    assert name != "a.mp4" or packets < in_all / 2  # in the others sound lies where it must be read to be found
    assert len(rest) == pytest.approx(len(whole) - 40 * 16_000, abs=32)
    assert np.allclose(loudness_of(whole[40 * 16_000 :]), loudness_of(rest), atol=0.01)


def loudness_of(sound: np.ndarray) -> np.ndarray:
    """RMS of each tenth of a second of 15 s."""
    return np.sqrt((sound[: 15 * 16_000].reshape(-1, 1600) ** 2).mean(axis=1))


def test_a_film_without_sound_gives_none_and_sound_without_film_no_frames(tmp_path):
    silent = make_film(tmp_path / "a.mp4", seconds=1, sound=False)
    assert not video.probe(silent).has_audio
    assert len(hear(silent)[0]) == 0
    alone = sound_of(make_film(tmp_path / "b.mp4", seconds=5), tmp_path / "alone.m4a")
    facts = video.probe(alone)
    assert (facts.has_video, facts.has_audio) == (False, True)
    assert read(alone, tmp_path) == ([], [])
    assert len(hear(alone)[0]) == pytest.approx(5 * 16_000, abs=1600)


def sound_of(film: Path, target: Path) -> Path:
    import av

    with av.open(str(film)) as source, av.open(str(target), "w", format="mp4") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    return target


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_subtitles_inside_the_file_are_read_without_their_markup(name, tmp_path):
    written = [(1, 3, "<i>Light</i> is swallowed"), (5.5, 8, "Two lines\nof words")]
    film = make_film(tmp_path / name, seconds=9, start=4, sound=False, subtitles=written)
    cues, language, notes = video.read_embedded_subtitles(film)
    assert cues == [(pytest.approx(1), pytest.approx(3), "Light is swallowed"), (5.5, 8, "Two lines\nof words")]
    assert (language, notes) == ("en", [])


# -- bad input


def test_a_broken_off_file_is_read_as_far_as_it_goes_and_says_so(tmp_path):
    film = make_film(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) * 6 // 10])
    frames, notes = read(film, tmp_path)
    assert 5 <= frames[-1].start < 15
    assert "cut off" in notes[0]
    for frame in frames:
        assert number(tmp_path, frame) == round(frame.start * 10)


def test_damage_within_is_passed_over_and_said(tmp_path):
    film = make_film(tmp_path / "a.mp4", sound=False)
    content = bytearray(film.read_bytes())
    for at in range(len(content) // 4, len(content) // 2, 997):
        content[at : at + 8] = b"\x55" * 8
    film.write_bytes(content)
    frames, notes = read(film, tmp_path, 1, exact=True)  # what is not decoded cannot be seen to be damaged
    assert frames[-1].end == pytest.approx(20)
    assert any("damaged" in note for note in notes)


def test_what_is_no_video_is_refused_in_one_clear_line(tmp_path):
    bad = {
        "missing.mp4": "no file",
        "folder.mp4": "is a folder",
        "empty.mp4": "is empty",
        "pipe.mp4": "not a regular file",
        "page.mp4": "not a video",
        "list.mp4": "a playlist, not a video",
        "http:example.mp4": "not a video",
        "unknown.mp4": "cannot be decoded",
        "locked.mp4": "encrypted",
        "nul\0.mp4": "Check the path",
    }
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "page.mp4").write_text("<html>")
    (tmp_path / "http:example.mp4").write_text("<html>")
    secret = tmp_path / "secret.mp4"
    make_film(secret, seconds=1)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    silent = make_film(tmp_path / "silent.mp4", seconds=1, sound=False)
    (tmp_path / "unknown.mp4").write_bytes(silent.read_bytes().replace(b"avc1", b"zzzz"))
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "ab" * 16, "encryption_kid": "cd" * 16}
    make_film(tmp_path / "locked.mp4", seconds=1, container_options=key)
    for name, why in bad.items():
        with pytest.raises(SourceError, match=why) as caught:
            video.probe(tmp_path / name)
        assert "\n" not in str(caught.value)
    for name in ("missing.mp4", "folder.mp4", "empty.mp4", "pipe.mp4"):
        with pytest.raises(SourceError):
            video.identify(tmp_path / name)


def test_what_may_not_be_read_is_refused(tmp_path, film):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    shutil.copy(film, tmp_path / "a.mp4")
    (tmp_path / "a.mp4").chmod(0)
    with pytest.raises(SourceError, match="permission"):
        video.identify(tmp_path / "a.mp4")


def test_the_same_content_has_the_same_id_wherever_it_is(tmp_path, film):
    copy = Path(shutil.copy(film, tmp_path / "copy.mp4"))
    assert video.identify(copy) == video.identify(film)
    assert len(video.identify(film)) == 32
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert video.identify(copy) != video.identify(film)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path, film):
    (tmp_path / "frames").write_text("a file is in the way")
    with pytest.raises(StorageError):
        read(film, tmp_path)


# -- clips


@pytest.mark.parametrize(
    ("name", "like", "start", "shown"),
    [
        ("a.avi", {"codec": "mpeg4", "sound": False, "seconds": 9}, 4.0, lambda t: int((4 + t) * 10 + 0.01)),
        ("a.ts", {}, 10.0, lambda t: int((10 + t) * 10 + 0.01)),
        ("a.mkv", {"start": 37.5, "seconds": 9}, 2.5, lambda t: int((2.5 + t) * 10 + 0.01)),
        ("a.mov", {"codec": "mjpeg", "seconds": 1.6, "when": UNEVEN.__getitem__}, 1.5, None),
    ],
)
def test_a_clip_shows_the_very_pictures_of_its_stretch(name, like, start, shown, tmp_path):
    film = make_film(tmp_path / name, **like)
    (tmp_path / "clips").mkdir()
    clip = clips.cut(film, start, start + 4, tmp_path / "clips" / "a.mp4")
    shown = shown or (lambda t: max(n for n, time in enumerate(UNEVEN) if time <= start + t + 0.001))
    facts = video.probe(clip)
    assert video.plays_in_browser(facts)
    assert facts.length == pytest.approx(4, abs=0.1)
    assert facts.has_audio == video.probe(film).has_audio
    frames, _ = read(clip, tmp_path / "out", 2)
    assert len(frames) >= 2
    for frame in frames:
        assert number(tmp_path / "out", frame) == shown(frame.start)
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["a.mp4"]


def test_a_clip_needs_pictures_and_a_time_inside(tmp_path, film):
    with pytest.raises(SourceError, match="sound only"):
        clips.cut(sound_of(film, tmp_path / "alone.m4a"), 0, 1, tmp_path / "a.mp4")
    with pytest.raises(SourceError, match="inside the video"):
        clips.cut(film, 300, 310, tmp_path / "a.mp4")
    assert not list(tmp_path.glob("*.mp4"))


def test_a_gif_shows_its_stretch_small_and_moving(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=6)
    (tmp_path / "clips").mkdir()
    gif = clips.animate(film, 1.0, 4.0, tmp_path / "clips" / "a.gif")
    with Image.open(gif) as shown:
        assert shown.is_animated
        assert max(shown.size) <= clips.GIF_SIDE
        assert sum(_durations(shown)) == pytest.approx(3000, rel=0.1)
    assert [path.name for path in gif.parent.iterdir()] == ["a.gif"]


def _durations(gif):
    for frame in range(gif.n_frames):
        gif.seek(frame)
        yield gif.info["duration"]  # ms


def test_a_long_stretch_is_no_gif(tmp_path, film):
    with pytest.raises(SourceError, match="huge"):
        clips.animate(film, 0.0, 60.0, tmp_path / "a.gif")
    assert not list(tmp_path.glob("*.gif"))


def test_a_still_is_the_picture_of_that_time_in_full_size(tmp_path):
    film = make_film(tmp_path / "a.mp4", seconds=6)
    still = clips.still(film, 3.25, tmp_path / "a.jpg")
    assert read_number(still) == 32
    with Image.open(still) as shown:
        assert shown.size == (480, 270)


def test_a_still_needs_a_picture(tmp_path, film):
    with pytest.raises(SourceError, match="sound only"):
        clips.still(sound_of(film, tmp_path / "alone.m4a"), 0.0, tmp_path / "a.jpg")


def test_only_what_browsers_decode_is_said_to_play(tmp_path):
    playing = make_film(tmp_path / "a.mp4", seconds=0.5)
    assert video.plays_in_browser(video.probe(playing))
    for name, like in {"a.mkv": {}, "a.avi": {"codec": "mpeg4", "sound": False}, "b.mov": {"codec": "mjpeg"}}.items():
        assert not video.plays_in_browser(video.probe(make_film(tmp_path / name, seconds=0.5, **like)))


def test_the_ffmpeg_that_comes_with_moviepy_runs():
    assert any(letter.isdigit() for letter in clips.ffmpeg_version())


# -- real files


def test_a_burned_in_time_code_agrees(shared, tmp_path):
    from rapidocr import RapidOCR

    frames, _ = read(shared / "media/video/autoeditor_timecode_speech.mp4", tmp_path, 1 / 20)
    engine = RapidOCR(params={"Global.log_level": "error"})
    for frame in frames:
        found = engine(str(tmp_path / frame.image))
        digits = "".join(c for c in "".join(found.txts) if c.isdigit())
        seconds, pictures = divmod(round(frame.start * 30), 30)
        assert f"0100{seconds:02}{pictures:02}" in digits
    assert len(frames) == 3


def test_every_real_and_broken_file_is_read_or_refused_in_one_line(shared, tmp_path):
    files = sorted([*(shared / "media/broken").iterdir(), *(shared / "media/video").iterdir()])
    refused = {}
    for path in files:
        try:
            facts = video.probe(path)
            if facts.has_video:
                frames, _ = read(path, tmp_path / path.name, 1 / 20)
                assert frames[-1].end >= frames[-1].start
                assert all((tmp_path / path.name / frame.image).stat().st_size for frame in frames)
            sound, _ = hear(path)
            assert facts.has_audio or not len(sound)
            video.read_embedded_subtitles(path)
        except SourceError as error:
            refused[path.name] = str(error)
    assert all("\n" not in why and name in why for name, why in refused.items())
    assert {name for name in refused if "playlist" in refused[name]} == {
        "gen_ffconcat_local.mp4",
        "gen_hls_http_loopback.mp4",
        "gen_hls_local_file_read.mp4",
    }
    readable = {
        "laion400m_slide_talk.mp4",
        "friday.mp4",
        "gen_bitflips_mdat.mp4",
        "real_opencast_silent_audio_only.mp4",
    }
    assert not readable & refused.keys()
    assert {"gen_zero_byte.mp4", "gen_random_bytes.mp4", "gen_png_named_as.mp4"} <= refused.keys()


def test_the_shape_and_the_words_of_real_films(shared, tmp_path):
    folder = shared / "media/video"
    popeye = video.probe(folder / "popeye_vobsub_no_audio.mkv")
    assert (popeye.width, popeye.height) == (640, 478)  # 720 x 478 with pixels of 8:9
    cues, _, notes = video.read_embedded_subtitles(folder / "popeye_vobsub_no_audio.mkv")
    assert not cues
    assert "pictures of words" in notes[0]
    cues, language, _ = video.read_embedded_subtitles(folder / "nasa_13013.mp4")
    assert language == "en"
    assert "Goddard Space Flight Center" in " ".join(text for _, _, text in cues)
