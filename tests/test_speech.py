"""Speech: real Whisper code on a checkpoint of the real format, whose words and times are known."""

import hashlib
import http.server
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from make_film import speak
from tiny_whisper import SAID, make_checkpoint

from pipeline.errors import ModelError
from pipeline.media import speech
from pipeline.media.speech import RATE, Stretch, available, require


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    return str(make_checkpoint(tmp_path_factory.mktemp("whisper") / "tiny.pt"))


@dataclass(frozen=True)
class Heard:
    segments: tuple
    language: str
    until: float


def hear(sound: np.ndarray, model: str, told: Callable[[float], None] = lambda until: None) -> Heard:
    """All that is heard in a sound; `told` until where, in s, as it is heard."""
    stretches: list[Stretch] = []
    for stretch in speech.hear(sound, model):
        stretches.append(stretch)
        told(stretch.until)
    segments = tuple(segment for stretch in stretches for segment in stretch.segments)
    return Heard(segments, stretches[-1].language, stretches[-1].until)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def test_words_have_the_times_at_which_they_are_said(checkpoint):
    heard = hear(speak(30), checkpoint)
    assert [(start, end, text) for start, end, text in heard.segments] == [
        (pytest.approx(start), pytest.approx(end), text) for start, end, text in SAID
    ]
    assert heard.language == "en"
    assert speech.name(checkpoint) == "whisper tiny.pt"


def test_silence_is_not_heard_and_shifts_nothing(checkpoint):
    heard = hear(np.concatenate([silence(60), speak(7), silence(40), speak(7)]), checkpoint)
    assert heard.segments[0][0] == pytest.approx(60, abs=0.6)
    assert any(start == pytest.approx(107, abs=0.6) for start, _, _ in heard.segments)
    for start, end, _ in heard.segments:
        assert 59 <= start < end <= 114
        assert not 68 < start < 106


def test_a_long_talk_is_heard_to_its_end_and_progress_says_how_far(checkpoint):
    told = []
    sound = np.tile(speak(50), 6)
    heard = hear(sound, checkpoint, told.append)
    assert told == sorted(told)
    assert told[-1] == 300
    assert len(told) >= 4
    assert heard.segments[-1][1] == pytest.approx(300, abs=15)
    starts = [start for start, _, _ in heard.segments]
    assert starts == sorted(starts)
    assert max(np.diff([0, *starts])) <= 17


def test_hearing_goes_on_where_it_stopped(checkpoint):
    sound = np.tile(speak(50), 6)
    first, *rest = speech.hear(sound, checkpoint)
    assert rest[0].segments
    assert list(speech.hear(sound, checkpoint, first.until, first.language)) == rest


@pytest.mark.parametrize(
    "sound",
    [silence(0), silence(0.05), silence(90), np.random.default_rng(0).normal(0, 2e-5, 90 * RATE).astype(np.float32)],
    ids=["no sound", "a click's length", "silent", "hiss"],
)
def test_where_nobody_speaks_nothing_is_made_up(checkpoint, sound):
    told = []
    heard = hear(sound, checkpoint, told.append)
    assert (heard.segments, heard.language) == ((), "")
    assert told[-1] == len(sound) / RATE


def test_a_faint_voice_is_heard(checkpoint):
    assert hear(speak(30) * 0.002, checkpoint).segments


def test_damaged_samples_do_not_stop_it(checkpoint):
    sound = speak(20)
    sound[5000:5100] = np.nan
    sound[50000] = np.inf
    assert hear(sound, checkpoint).segments


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match="large-v3-turbo"):
        require("enormous")
    there, what = available("enormous")
    assert not there
    assert "large-v3-turbo" in what


def test_a_file_that_is_missing_or_no_checkpoint_says_so(tmp_path, checkpoint):
    with pytest.raises(ModelError, match="no file"):
        hear(speak(3), str(tmp_path / "missing.pt"))
    assert available(str(tmp_path / "missing.pt"))[0] is False
    damaged = tmp_path / "damaged.pt"
    with open(checkpoint, "rb") as file:
        half = file.read(1_000_000)
    for content in (b"", b"<html>404</html>", half):
        damaged.write_bytes(content)
        with pytest.raises(ModelError, match=r"damaged\.pt cannot be loaded") as caught:
            hear(speak(3), str(damaged))
        assert "\n" not in str(caught.value)


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


def test_real_speech_goes_in_at_the_right_rate(shared, checkpoint):
    import wave

    with wave.open(str(shared / "media" / "speech" / "leopard_test.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    heard = hear(samples, checkpoint)
    assert heard.segments
    assert all(0 <= start < end <= len(samples) / speech.RATE for start, end, _ in heard.segments)
