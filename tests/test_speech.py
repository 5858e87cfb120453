"""Speech: the real code of each engine on weights of its real format, whose words and times are known."""

import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from make_film import speak
from tiny_whisper import SAID, make_checkpoint
from whisper_folder import to_folder

from pipeline.errors import ModelError
from pipeline.media import faster_whisper, loudness, speech
from pipeline.media.loudness import HELD, HOP, LONGEST
from pipeline.media.speech import RATE, available, require
from pipeline.settings import SPEECH_ENGINES


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    return str(make_checkpoint(tmp_path_factory.mktemp("whisper") / "tiny.pt"))


@pytest.fixture(scope="module")
def weights_folder(checkpoint, tmp_path_factory) -> str:
    return str(to_folder(Path(checkpoint), tmp_path_factory.mktemp("faster") / "tiny"))


@pytest.fixture(params=SPEECH_ENGINES)
def ears(request, checkpoint, weights_folder) -> tuple[str, str]:
    """(WHISPER_MODEL, SPEECH_ENGINE) of each engine: all hear the same."""
    return (checkpoint if request.param == "whisper" else weights_folder), request.param


@dataclass(frozen=True)
class Heard:
    segments: tuple
    language: str
    until: float


def in_blocks(sound: np.ndarray) -> Iterator[np.ndarray]:
    """As a decoder gives it: in blocks of no size in particular."""
    size = 7_777
    return (sound[n : n + size] for n in range(0, len(sound), size))


def hear(sound: np.ndarray, *ears: str) -> Heard:
    """All that is heard in a sound."""
    stretches = list(speech.hear(in_blocks(sound), *ears))
    segments = tuple(segment for stretch in stretches for segment in stretch.segments)
    return Heard(segments, stretches[-1].language, stretches[-1].until)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def hiss(seconds: float, loudness: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, loudness, round(seconds * RATE)).astype(np.float32)


# -- what every engine does


def test_words_have_the_times_at_which_they_are_said(ears):
    heard = hear(speak(30), *ears)
    assert [(start, end, text) for start, end, text in heard.segments] == [
        (pytest.approx(start), pytest.approx(end), text) for start, end, text in SAID
    ]
    assert heard.language == "en"
    assert speech.name(*ears) == {"whisper": "whisper tiny.pt", "faster-whisper": "faster-whisper tiny"}[ears[1]]
    assert available(*ears)[0]
    assert speech.is_on_disk(*ears)
    assert require(*ears) == Path(ears[0])


def test_silence_is_not_heard_and_shifts_nothing(ears):
    heard = hear(np.concatenate([silence(60), speak(7), silence(40), speak(7)]), *ears)
    assert heard.segments[0][0] == pytest.approx(60, abs=0.6)
    assert any(start == pytest.approx(107, abs=0.6) for start, _, _ in heard.segments)
    for start, end, _ in heard.segments:
        assert 59 <= start < end <= 114
        assert not 68 < start < 106


def test_a_long_talk_is_heard_to_its_end_and_goes_on_where_it_stopped(ears):
    sound = np.concatenate([np.tile(speak(50), 3), silence(12), speak(6)])
    heard = list(speech.hear(in_blocks(sound), *ears))
    told = [stretch.until for stretch in heard]
    assert told == sorted(told)
    assert told[-1] == 168
    first, *rest = heard
    assert 60 < first.until < 120
    segments = [segment for stretch in heard for segment in stretch.segments]
    assert segments[-1][1] == pytest.approx(168, abs=2)
    starts = [start for start, _, _ in segments]
    assert starts == sorted(starts)
    assert max(np.diff([0, *starts])) <= 17 + 12
    assert list(speech.hear(in_blocks(sound[round(first.until * RATE) :]), *ears, first)) == rest


def test_damaged_samples_do_not_stop_it(ears):
    sound = speak(20)
    sound[5000:5100] = np.nan
    sound[50000] = np.inf
    assert hear(sound, *ears).segments


def test_weights_that_are_missing_or_damaged_are_one_line(ears, tmp_path):
    model, engine = ears
    gone = str(tmp_path / "gone") + ".pt" * (engine == "whisper")
    with pytest.raises(ModelError, match="gone") as caught:
        hear(speak(3), gone, engine)
    assert "WHISPER_MODEL" in str(caught.value)
    assert available(gone, engine)[0] is False
    damaged = tmp_path / Path(model).name
    file = Path(shutil.copy(model, damaged)) if engine == "whisper" else shutil.copytree(model, damaged) / "model.bin"
    whole = file.read_bytes()
    for content in (b"", b"<html>404</html>", whole[: len(whole) // 3]):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{damaged.name} cannot be loaded") as caught:
            hear(speak(3), str(damaged), engine)
        assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones(ears):
    with pytest.raises(ModelError, match="large-v3-turbo"):
        require("enormous", ears[1])
    there, what = available("enormous", ears[1])
    assert not there
    assert "large-v3-turbo" in what


def test_real_speech_goes_in_at_the_right_rate(shared, ears):
    import wave

    with wave.open(str(shared / "media" / "speech" / "leopard_test.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    heard = hear(samples, *ears)
    assert heard.segments
    assert all(0 <= start < end <= len(samples) / speech.RATE for start, end, _ in heard.segments)


# -- where there is something to hear


@pytest.mark.parametrize(
    "sound",
    [silence(0), silence(0.05), silence(290), hiss(90, 2e-5), hiss(290, 4e-4)],
    ids=["no sound", "a click's length", "silent", "faint hiss", "hiss"],
)
def test_where_nobody_speaks_nothing_is_made_up_and_no_weights_are_needed(sound):
    assert hear(sound, "/nowhere.pt") == Heard((), "", len(sound) / RATE)


def test_a_faint_voice_is_heard(checkpoint):
    assert hear(speak(30) * 0.002, checkpoint).segments


def loud(sound: np.ndarray) -> np.ndarray:
    """Whether each second of a sound lies in a stretch that is worth hearing."""
    heard = np.zeros(-(-len(sound) // RATE), bool)
    for piece in loudness.stretches(in_blocks(sound)):
        if piece.loud.any():
            heard[round(piece.begin / RATE) : round(piece.end / RATE)] = True
    return heard


def test_the_hiss_of_a_room_is_silence_before_a_voice_and_between_two():
    room = hiss(300, 4e-4)
    before, between = np.concatenate([room, speak(30)]), np.concatenate([np.tile(speak(50), 6), room, speak(30)])
    assert loud(before).sum() == pytest.approx(30, abs=2)
    assert loud(between).sum() == pytest.approx(330, abs=3)
    assert not loud(between)[302:598].any()


def test_of_hours_of_sound_minutes_are_held():
    """An hour goes through, and never is more taken than has been given on, but for two minutes and a half."""
    talk = np.concatenate([np.tile(speak(50), 5), silence(60)])
    taken = given = most = 0

    def decoded() -> Iterator[np.ndarray]:
        nonlocal taken, most
        for _ in range(3600 // 310):
            for block in in_blocks(talk):
                taken += len(block)
                most = max(most, taken - given)
                yield block

    for piece in loudness.stretches(decoded()):
        assert piece.begin >= given
        assert len(piece.sound) <= HELD
        assert not piece.loud.any() or len(piece.sound) <= LONGEST
        given = piece.end
    assert given == taken == 3600 // 310 * len(talk)
    assert most <= 2 * HELD
    assert HELD <= 150 * RATE


def test_stretches_are_all_that_is_loud_each_once():
    sound = np.concatenate(
        [hiss(9, 1e-4), np.tile(speak(50), 6), silence(20), speak(3), silence(4), speak(9), silence(8)]
    )
    pieces = list(loudness.stretches(in_blocks(sound)))
    assert all(one.end <= two.begin for one, two in pairwise(pieces))
    covered = np.zeros(len(sound), bool)
    for piece in pieces:
        assert (piece.sound == sound[piece.begin : piece.end]).all()
        covered[piece.begin : piece.end] = piece.loud.any()
    assert not covered[: 8 * RATE].any()
    level = np.sqrt((sound[: len(sound) // HOP * HOP].reshape(-1, HOP) ** 2).mean(axis=1))
    assert covered[: len(level) * HOP : HOP][level > 1e-3].all()
    assert pieces[-1].end == len(sound)


# -- openai-whisper


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_cannot_run_code(tmp_path, zipped):
    import torch

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"dims": Trap(), "model_state_dict": {}}, tmp_path / "trap.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError):
        hear(speak(3), str(tmp_path / "trap.pt"))
    assert not (tmp_path / "sprung").exists()


@pytest.fixture
def weights_server(monkeypatch, tmp_path, checkpoint):
    """OpenAI's server of weights: `base` is the small checkpoint. Yields the folder it serves and its cache."""
    import whisper

    with open(checkpoint, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    served = tmp_path / "served" / digest
    served.mkdir(parents=True)
    shutil.copy(checkpoint, served / "base.pt")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setitem(whisper._MODELS, "base", f"http://127.0.0.1:{server.server_port}/{digest}/base.pt")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield served, tmp_path / "cache" / "whisper"
        server.shutdown()


def test_weights_are_fetched_once_by_name(weights_server):
    served, cache = weights_server
    assert available("")[0] is False
    heard = hear(speak(7), "")
    assert speech.name("") == "whisper base"
    assert heard.segments
    (served / "base.pt").unlink()
    assert require("base") == cache / "base.pt"
    assert available("base") == (True, f"whisper base ({cache / 'base.pt'})")
    assert [path.name for path in cache.iterdir()] == ["base.pt"]


def test_weights_that_arrive_damaged_are_not_kept(weights_server):
    served, cache = weights_server
    (served / "base.pt").write_bytes(b"half")
    with pytest.raises(ModelError, match="damaged"):
        require("base")
    assert list(cache.iterdir()) == []


def test_damaged_weights_on_the_disk_are_fetched_again(weights_server):
    _, cache = weights_server
    cache.mkdir(parents=True)
    (cache / "base.pt").write_bytes(b"half")
    assert require("base").stat().st_size > 1000


def test_without_network_it_says_where_to_put_the_weights(weights_server, monkeypatch):
    import whisper

    _, cache = weights_server
    monkeypatch.setitem(whisper._MODELS, "base", "http://127.0.0.1:9/00/base.pt")
    with pytest.raises(ModelError, match="WHISPER_MODEL") as caught:
        require("base")
    assert f"Put base.pt into {cache}" in str(caught.value)
    assert not cache.exists()


# -- faster-whisper


def test_an_engine_that_is_named_and_not_installed_says_so(monkeypatch, settings):
    monkeypatch.setattr(faster_whisper.importlib.util, "find_spec", lambda name: None)
    for ask in (require, lambda *ears: list(speech.hear([speak(3)], *ears))):
        with pytest.raises(ModelError, match="pip install faster-whisper"):
            ask("", "faster-whisper")
    there, why = available("", "faster-whisper")
    assert not there
    assert why == faster_whisper.MISSING


def test_without_network_it_says_which_folder_it_wants():
    with pytest.raises(ModelError, match=r"faster-whisper-base could not be fetched.* WHISPER_MODEL to a folder"):
        require("", "faster-whisper")
    there, what = available("base", "faster-whisper")
    assert not there
    assert "fetched on first use" in what


def test_a_checkpoint_of_the_other_engine_is_not_taken(checkpoint, tmp_path):
    with pytest.raises(ModelError, match="SPEECH_ENGINE=whisper"):
        require(checkpoint, "faster-whisper")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"lacks config\.json, tokenizer\.json"):
        require(str(tmp_path), "faster-whisper")
