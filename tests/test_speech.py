"""Speech: the real code of each engine, on weights of its real format and on the real weights of Whisper base."""

import hashlib
import http.server
import json
import shutil
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from speech_server import SpeechServer, serve_speech
from tiny_whisper import SAID, make_checkpoint
from voice import say, speak

from pipeline.errors import ModelError
from pipeline.media import faster_whisper, openai_whisper, speech, spoken_language, vad, whisper_base
from pipeline.media.heard import Heard, Word
from pipeline.media.speech import RATE, available, require
from pipeline.media.speech_service import Service
from pipeline.media.vad import FRAME, HELD, WINDOW
from pipeline.media.whisper_formats import write_folder

Ears = tuple[str, object]  # the model and the engine, as speech.hear takes them
ALL = ["whisper .pt", "whisper folder", "faster-whisper folder", "faster-whisper .pt", "service"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    return str(make_checkpoint(tmp_path_factory.mktemp("whisper") / "tiny.pt"))


@pytest.fixture(scope="session")
def weights_folder(checkpoint, tmp_path_factory) -> str:
    return str(write_folder(Path(checkpoint), tmp_path_factory.mktemp("faster") / "tiny"))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=ALL)
def ears(request, checkpoint, weights_folder, cache) -> Iterator[Ears]:
    """Every engine, on every form of weights it takes: all hear the same."""
    engine, _, form = request.param.partition(" ")
    if engine == "service":
        with serve_speech(SAID) as server:
            yield "", Service(server.url, "a-key", "ears")
    else:
        yield (checkpoint if form == ".pt" else weights_folder), engine


SLOWLY = pytest.param("whisper", marks=pytest.mark.long)  # ten times the work on a CPU


@pytest.fixture(params=["faster-whisper", "whisper"])
def base(request, whisper_cache, monkeypatch) -> Ears:
    """Each engine on the weights of Whisper base that come with the library."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(whisper_cache))
    return "", request.param


@dataclass(frozen=True)
class Result:
    segments: tuple
    doubtful: tuple
    language: str
    until: float

    @property
    def text(self) -> str:
        return " ".join(text for *_, text in self.segments)


def in_blocks(sound: np.ndarray) -> Iterator[np.ndarray]:
    """As a decoder gives it: in blocks of no size in particular."""
    size = 7_777
    return (sound[n : n + size] for n in range(0, len(sound), size))


def hear(sound: np.ndarray, *ears: object) -> Result:
    """All that is heard in a sound."""
    stretches = list(speech.hear(in_blocks(sound), *ears))
    return Result(
        tuple(segment for stretch in stretches for segment in stretch.segments),
        tuple(segment for stretch in stretches for segment in stretch.doubtful),
        stretches[-1].language,
        stretches[-1].until,
    )


def words_of(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c.isspace()).split()


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def hiss(seconds: float, loudness: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, loudness, round(seconds * RATE)).astype(np.float32)


def recording(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768


# -- what every engine does


def test_words_are_heard_sentence_by_sentence_within_their_window(ears):
    heard = hear(speak(25), *ears)
    assert [text for *_, text in heard.segments] == [*SAID]
    assert all(0 <= start <= end <= 25 for start, end, _ in heard.segments)
    assert heard.language == "en"
    assert available(*ears)[0]
    assert speech.is_on_disk(*ears)


def test_silence_is_not_heard_and_shifts_nothing(ears):
    heard = hear(np.concatenate([silence(60), speak(7), silence(40), speak(7)]), *ears)
    assert len(heard.segments) == 2 * len(SAID)
    assert all(59.5 <= start <= end <= 67.5 for start, end, _ in heard.segments[: len(SAID)])
    assert all(106.5 <= start <= end <= 114 for start, end, _ in heard.segments[len(SAID) :])


def test_a_long_talk_is_heard_to_its_end_and_goes_on_where_it_stopped(ears):
    sound = np.concatenate([speak(150), silence(12), speak(11)])
    heard = list(speech.hear(in_blocks(sound), *ears))
    told = [stretch.until for stretch in heard]
    assert told == sorted(told)
    assert told[-1] == 173
    first, *rest = heard
    assert 60 < first.until < 125
    segments = [segment for stretch in heard for segment in stretch.segments]
    assert 161 < segments[-1][1] <= 173  # small weights align words anywhere within their window
    starts = [start for start, _, _ in segments]
    assert starts == sorted(starts)
    assert list(speech.hear(in_blocks(sound[round(first.until * RATE) :]), *ears, first)) == rest


def test_damaged_samples_do_not_stop_it(ears):
    sound = speak(20)
    sound[5000:5100] = np.nan
    sound[50000] = np.inf
    assert hear(sound, *ears).segments


# -- weights on this machine


LOCAL = [one for one in ALL if one != "service"]


@pytest.mark.parametrize("ears", LOCAL, indirect=True)
def test_weights_that_are_missing_or_damaged_are_one_line(ears, tmp_path):
    model, engine = ears
    gone = str(tmp_path / "gone") + Path(model).suffix
    with pytest.raises(ModelError, match="gone") as caught:
        hear(speak(3), gone, engine)
    assert "WHISPER_MODEL" in str(caught.value)
    assert available(gone, engine)[0] is False
    damaged = tmp_path / Path(model).name
    file = Path(shutil.copy(model, damaged)) if damaged.suffix else shutil.copytree(model, damaged) / "model.bin"
    whole = file.read_bytes()
    for content in (b"", b"<html>404</html>", whole[: len(whole) // 3]):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{damaged.name} cannot be loaded") as caught:
            hear(speak(3), str(damaged), engine)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["whisper", "faster-whisper"])
def test_an_unknown_name_lists_the_known_ones(engine):
    with pytest.raises(ModelError, match="large-v3-turbo"):
        require("enormous", engine)
    there, what = available("enormous", engine)
    assert not there
    assert "large-v3-turbo" in what


def test_the_engine_follows_from_the_model_and_the_machine(monkeypatch):
    for model in ("", "/weights/folder", "distil-large-v3"):
        assert speech.engine_name(model) == "faster-whisper"
    for model in ("/weights/mine.pt", "mine.pt", "turbo", "small.en"):
        assert speech.engine_name(model) == "whisper"
    assert speech.engine_name("turbo", "faster-whisper") == "faster-whisper"
    assert speech.engine_name("", "whisper") == "whisper"
    monkeypatch.setattr(speech, "has_gpu", lambda: True)
    assert speech.engine_name("") == "whisper"


def test_both_forms_of_weights_hold_the_same_numbers(checkpoint, weights_folder):
    import torch

    from pipeline.media.whisper_formats import read_folder

    dims, state, heads = read_folder(Path(weights_folder))
    held = torch.load(checkpoint, weights_only=True)
    assert dims == held["dims"]
    assert state.keys() == held["model_state_dict"].keys()
    assert all(np.array_equal(state[name], one.float().numpy()) for name, one in held["model_state_dict"].items())
    assert heads


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("engine", ["whisper", "faster-whisper"])
def test_a_checkpoint_cannot_run_code(tmp_path, zipped, engine, cache):
    import torch

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"dims": Trap(), "model_state_dict": {}}, tmp_path / "trap.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError):
        hear(speak(3), str(tmp_path / "trap.pt"), engine)
    assert not (tmp_path / "sprung").exists()


# -- the weights that come with the library


def test_the_weights_of_base_are_joined_once_and_are_the_published_ones(whisper_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(whisper_cache))
    home = whisper_base.join()
    for name, (size, sha256) in whisper_base.FILES.items():
        content = (home / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (size, sha256)
    made = (home / "model.bin").stat().st_mtime_ns
    assert require("") == require("base", "faster-whisper") == home
    assert (home / "model.bin").stat().st_mtime_ns == made
    assert available("") == (True, "faster-whisper base, whose weights come with this app")


@pytest.fixture
def packages(monkeypatch, tmp_path, cache) -> Path:
    """The packages as they were installed, but for the large file, which is short here. Returns where they lie."""
    for number, package in enumerate(whisper_base.PACKAGES, 1):
        (tmp_path / "site" / package / "data").mkdir(parents=True)
        (tmp_path / "site" / package / "__init__.py").touch()
        (tmp_path / "site" / package / "data" / f"model.bin.part{number}").write_bytes(b"%d" % number)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / "site" / whisper_base.PACKAGES[0] / "data" / name).write_text(name)
    files = {name: (len(name), hashlib.sha256(name.encode()).hexdigest()) for name in whisper_base.FILES}
    monkeypatch.setattr(whisper_base, "FILES", files | {"model.bin": (2, hashlib.sha256(b"12").hexdigest())})
    monkeypatch.setattr(whisper_base, "PACKAGES", tuple(f"{one}_of_a_test" for one in whisper_base.PACKAGES))
    for package in whisper_base.PACKAGES:
        (tmp_path / "site" / package.removesuffix("_of_a_test")).rename(tmp_path / "site" / package)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_parts_make_one_file(packages):
    assert (whisper_base.join() / "model.bin").read_bytes() == b"12"


def test_weights_that_were_altered_are_one_line_and_the_usual_download_is_tried(packages, caplog):
    (packages / whisper_base.PACKAGES[1] / "data" / "model.bin.part2").write_bytes(b"3")
    for engine in ("faster-whisper", "whisper"):
        with pytest.raises(ModelError, match=r"model\.bin differs.*could not be fetched") as caught:
            require("", engine)
        assert "\n" not in str(caught.value)
    assert [one for one in caplog.messages if "fetched instead" in one]
    assert not (whisper_base.folder() / "model.bin").exists()


def test_weights_that_are_not_installed_are_one_line_and_the_usual_download_is_tried(packages):
    shutil.rmtree(packages / whisper_base.PACKAGES[1])
    there, what = available("")
    assert not there
    assert "fetched on first use" in what
    for engine in ("faster-whisper", "whisper"):
        with pytest.raises(ModelError, match=r"not installed\. Run: pip install .*could not be fetched"):
            require("", engine)


def test_a_cache_that_cannot_be_written_is_one_line(packages, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="XDG_CACHE_HOME"):
        require("")


# -- openai-whisper's own download


@pytest.fixture
def weights_server(monkeypatch, cache, tmp_path, checkpoint):
    """OpenAI's server of weights: `tiny` is the small checkpoint. Yields the folder it serves and its cache."""
    import whisper

    digest = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    served = tmp_path / "served" / digest
    served.mkdir(parents=True)
    shutil.copy(checkpoint, served / "tiny.pt")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setitem(whisper._MODELS, "tiny", f"http://127.0.0.1:{server.server_port}/{digest}/tiny.pt")
        yield served, cache / "whisper"
        server.shutdown()


def test_weights_are_fetched_once_by_name(weights_server):
    served, folder = weights_server
    assert available("tiny")[0] is False
    assert speech.name("tiny") == "whisper tiny"
    assert hear(speak(7), "tiny").segments
    (served / "tiny.pt").unlink()
    assert require("tiny") == folder / "tiny.pt"
    assert available("tiny") == (True, f"whisper tiny ({folder / 'tiny.pt'})")
    assert [path.name for path in folder.iterdir()] == ["tiny.pt"]


def test_weights_that_arrive_damaged_are_not_kept(weights_server):
    served, folder = weights_server
    (served / "tiny.pt").write_bytes(b"half")
    with pytest.raises(ModelError, match="damaged"):
        require("tiny")
    assert list(folder.iterdir()) == []


def test_damaged_weights_on_the_disk_are_fetched_again(weights_server):
    _, folder = weights_server
    folder.mkdir(parents=True)
    (folder / "tiny.pt").write_bytes(b"half")
    assert require("tiny").stat().st_size > 1000


def test_without_network_it_says_where_to_put_the_weights(weights_server, monkeypatch):
    import whisper

    _, folder = weights_server
    monkeypatch.setitem(whisper._MODELS, "tiny", "http://127.0.0.1:9/00/tiny.pt")
    with pytest.raises(ModelError, match="WHISPER_MODEL") as caught:
        require("tiny")
    assert f"Put tiny.pt into {folder}" in str(caught.value)
    assert not folder.exists()


def test_distilled_models_are_looked_for_where_they_are(cache):
    for engine in ("whisper", "faster-whisper"):
        with pytest.raises(ModelError, match=r"distil-whisper-small\.en could not be fetched"):
            require("distil-small.en", engine)


def test_a_folder_that_holds_no_weights_is_not_taken(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"lacks config\.json, tokenizer\.json"):
        require(str(tmp_path), "faster-whisper")


# -- an endpoint


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with serve_speech(SAID) as server:
        yield server


@pytest.fixture
def service(server) -> Service:
    return Service(server.url, "sk-canary", "ears")


@pytest.mark.parametrize("gives", ["words", "segments", "text"])
def test_an_endpoint_gives_times_as_far_as_it_has_any(server, service, gives):
    server.gives = gives
    heard = hear(np.concatenate([silence(30), speak(18)]), "", service)
    assert [text for *_, text in heard.segments] == [*SAID]
    assert heard.segments[0][0] == pytest.approx(30, abs=0.5)
    if gives != "text":
        starts = [start for start, *_ in heard.segments]
        assert starts == pytest.approx([30, 36, 42], abs=1.0)
    assert set(server.keys) == {"Bearer sk-canary"}
    assert {one["model"] for one in server.asked} == {"ears"}
    assert max(server.seconds) < 30  # silence is not sent


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["401"], r"refused the key\. Check SPEECH_API_KEY"),
        (["404"], "does not serve ears there"),
        (["413"], r"refused the sound \(status 413\)"),
        (["302"], r"points to another address \(status 302\)"),
        (["html"], "sent something that is no transcript"),
        (["list"], "sent something that is no transcript"),
        (["500"] * 3, "failed with status 500, 3 times"),
    ],
)
def test_what_goes_wrong_at_an_endpoint_is_one_line_without_the_key(server, service, faults, words):
    server.faults = faults
    with pytest.raises(ModelError, match=words) as caught:
        hear(speak(4), "", service)
    assert "canary" not in str(caught.value)
    assert str(caught.value).startswith(f"The speech endpoint {server.url} ")


def test_an_endpoint_that_fails_for_a_moment_is_asked_again(server, service):
    server.faults = ["500"]
    assert len(hear(speak(9), "", service).segments) == len(SAID)


def test_times_and_languages_that_make_no_sense_are_left_out(server, service):
    server.faults = ["nonsense"]
    heard = hear(speak(9), "", service)
    assert [text for *_, text in heard.segments] == [*SAID]
    assert heard.language == ""


def test_an_endpoint_that_is_not_there_is_said_before_anything_is_read():
    gone = Service("http://127.0.0.1:9/v1", "", "ears")
    with pytest.raises(ModelError, match=r"cannot be reached\. Check SPEECH_BASE_URL"):
        require("", gone)
    assert available("", gone)[0] is False


def test_languages_are_known_by_their_names_and_codes():
    codes = [openai_whisper.language_code(one) for one in ("english", "German", "en", "pt-BR", "", None, "klingonese")]
    assert codes == ["en", "de", "en", "pt", "", "", ""]


# -- the real weights


def test_base_hears_every_word_of_a_recording(shared, base):
    from faster_whisper.audio import decode_audio

    heard = hear(decode_audio(str(shared / "media" / "speech" / "jfk.flac")), *base)
    assert words_of(heard.text) == words_of(
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    )
    assert heard.language == "en"


def test_sentences_begin_where_they_are_said(base):
    first, second = say("The committee discussed the harbour bridge."), say("Nobody expected an elephant.")
    heard = hear(np.concatenate([silence(2), first, silence(1.5), second, silence(20), first]), *base)
    begins = [2, 3.5 + len(first) / RATE, 23.5 + (len(first) + len(second)) / RATE]
    assert [words_of(text)[0] for *_, text in heard.segments] == ["the", "nobody", "the"]
    assert [start for start, *_ in heard.segments] == pytest.approx(begins, abs=0.3)


@pytest.mark.parametrize("base", ["faster-whisper", SLOWLY], indirect=True)
@pytest.mark.parametrize("file", ["librivox_0870", "leopard_test"])
def test_real_sentences_begin_and_end_where_they_are_said(shared, base, file):
    folder = shared / "media" / "speech"
    if file == "librivox_0870":
        words = json.loads((folder / "librivox_0870.words.json").read_text().splitlines()[0])["w"]
        words = [(one["b"], one["b"] + one["d"]) for one in words if not one["t"].startswith(("<", "["))]
    else:
        tests = json.loads((folder / "leopard_words.json").read_text())["tests"]["language_tests"]
        (words,) = [one["words"] for one in tests if one["audio_file"] == "test.wav"]
        words = [(one["start_sec"], one["end_sec"]) for one in words]
    ((start, end, _),) = hear(recording(folder / f"{file}.wav"), *base).segments
    assert start == pytest.approx(words[0][0], abs=0.3)
    assert end == pytest.approx(words[-1][1], abs=0.3)


@pytest.mark.parametrize("base", ["faster-whisper", SLOWLY], indirect=True)
def test_a_talk_that_changes_its_language_is_written_down_in_each(shared, base):
    folder = shared / "media" / "speech"
    english, german, french = (recording(folder / f"leopard_test{one}.wav") for one in ("", "_de", "_fr"))
    heard = hear(np.concatenate([english, silence(6), german, silence(6), french, silence(6), english]), *base)
    assert "the apostle of the middle classes" in heard.segments[0][2]
    assert "Raum" in heard.segments[1][2]
    assert "conservateur" in heard.segments[2][2]
    assert "the apostle of the middle classes" in heard.segments[3][2]


@pytest.mark.parametrize("base", ["faster-whisper", SLOWLY], indirect=True)
def test_an_accent_is_no_other_language(shared, base):
    from faster_whisper.audio import decode_audio

    lecture = decode_audio(str(shared / "media" / "speech" / "physicsworks_audio.webm"))[: 75 * RATE]
    heard = hear(lecture, *base)
    assert heard.language == "en"
    assert not set(words_of(heard.text)) & {"ik", "het", "een", "energie", "niet"}
    assert "gravitational potential energy" in heard.text


# -- where nobody speaks


def pink(seconds: float, seed: int = 3) -> np.ndarray:
    many = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(many))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), many)
    return (noise / np.abs(noise).max()).astype(np.float32)


def clapping(seconds: float) -> np.ndarray:
    random, sound = np.random.default_rng(5), np.zeros(round(seconds * RATE))
    for at in random.integers(0, len(sound) - 800, round(seconds * 150)):
        sound[at : at + 800] += random.uniform(0.3, 1) * random.standard_normal(800) * np.exp(-np.arange(800) / 120)
    return (sound / np.abs(sound).max()).astype(np.float32)


def music(seconds: float) -> np.ndarray:
    random, sound, beat = np.random.default_rng(7), np.zeros(round(seconds * RATE)), RATE // 2
    t = np.arange(beat) / RATE
    for at in range(0, len(sound) - beat, beat):
        for height in random.choice([0, 3, 5, 7, 10, 12], 3):
            pitch = 110 * 2 ** (height / 12)
            sound[at : at + beat] += sum(np.sin(2 * np.pi * n * pitch * t) / n for n in (1, 2, 3)) * np.exp(-4 * t)
        sound[at : at + 1600] += random.standard_normal(1600) * np.exp(-np.arange(1600) / 300)
    return (sound / np.abs(sound).max()).astype(np.float32)


def tone(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 425 * t) * (t % 5 < 1)).astype(np.float32)


def siren(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * np.cumsum(600 + 300 * np.sin(2 * np.pi * 0.3 * t)) / RATE).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [
        silence(0), silence(0.05), silence(290), hiss(90, 2e-5), hiss(290, 4e-4), 0.2 * pink(60), 0.002 * pink(60),
        0.3 * clapping(60), 0.3 * music(60), 0.2 * tone(60), 0.2 * siren(60),
    ],
    ids=[
        "no sound", "a click's length", "silent", "faint hiss", "hiss", "noise", "a room", "applause", "music", "tone",
        "siren",
    ],
)  # fmt: skip
def test_where_nobody_speaks_nothing_is_made_up_and_no_weights_are_needed(sound):
    heard = hear(sound, "/nowhere.pt")
    assert heard == Result((), (), "", len(sound) / RATE)


@pytest.mark.parametrize("base", ["faster-whisper", SLOWLY], indirect=True)
def test_a_talk_after_music_is_heard_in_its_language_and_at_its_time(base):
    heard = hear(np.concatenate([0.3 * music(45), speak(5)]), *base)
    assert heard.language == "en"
    assert heard.segments[0][0] == pytest.approx(45, abs=0.3)
    assert heard.text.startswith("The committee discussed")


@pytest.mark.parametrize("louder", [0.002, 0.02, 1.0])
def test_a_voice_is_heard_however_loud_it_is(louder):
    assert spoken_seconds(speak(30) * louder) == pytest.approx(spoken_seconds(speak(30)), rel=0.1)


def test_a_voice_is_heard_beside_noise_and_a_hum():
    t = np.arange(30 * RATE) / RATE
    for other in (0.02 * pink(30), 0.3 * np.sin(2 * np.pi * 50 * t), np.full(30 * RATE, 0.4)):
        assert spoken_seconds(0.3 * speak(30) + other.astype(np.float32)) > 0.7 * spoken_seconds(speak(30))


def spoken_seconds(sound: np.ndarray) -> float:
    return sum(window.seconds for piece in vad.stretches(in_blocks(sound)) for window in piece.windows)


# -- windows of speech


def test_windows_hold_all_speech_once_and_fit():
    sound = np.concatenate([hiss(9, 1e-4), speak(300), silence(20), speak(3), silence(4), speak(9), silence(8)])
    pieces = list(vad.stretches(in_blocks(sound)))
    windows = [window for piece in pieces for window in piece.windows]
    spans = [span for window in windows for span in window.parts]
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    for window in windows:
        assert 0 < len(window.sound) <= WINDOW
        assert (window.sound == np.concatenate([sound[first:after] for first, after in window.parts])).all()
    said = np.concatenate([vad.speech_probability(sound[n : n + 100 * RATE]) for n in range(0, len(sound), 100 * RATE)])
    inside = np.zeros(len(sound), bool)
    for first, after in spans:
        inside[first:after] = True
    likely = np.flatnonzero(said > 0.9) * FRAME
    assert inside[np.minimum(likely, len(sound) - 1)].mean() > 0.99
    assert inside.sum() < 0.95 * len(sound)
    assert pieces[-1].end == len(sound)


@pytest.mark.parametrize("before", [100, 125, 135, 145, 149, 155, 290])
def test_speech_that_begins_late_in_what_is_looked_at_is_whole(before):
    pieces = list(vad.stretches(in_blocks(np.concatenate([silence(before), speak(20), silence(170)]))))
    windows = [window for piece in pieces for window in piece.windows]
    assert windows[0].speech[0][0] / RATE == pytest.approx(before, abs=0.2)
    assert sum(window.seconds for window in windows) == pytest.approx(spoken_seconds(speak(20)), abs=1)
    assert pieces[-1].end == (before + 190) * RATE


def test_long_talk_is_cut_in_its_pauses():
    sentences = [say(text) for text in ("The committee discussed the harbour bridge.", "Its cables were measured.")]
    talk = np.concatenate([part for _ in range(20) for one in sentences for part in (one, silence(0.7))])
    windows = [window for piece in vad.stretches(in_blocks(talk)) for window in piece.windows]
    assert len(windows) > 3
    for one, other in pairwise(windows):
        assert other.speech[0][0] - one.speech[-1][1] > 0.5 * RATE


def test_pauses_are_left_out_of_a_window_and_times_are_those_of_the_source():
    sound = np.concatenate([silence(3), speak(5), silence(2.5), speak(5), silence(9), speak(5)])
    (piece,) = vad.stretches(in_blocks(sound))
    first, second = piece.windows  # nine seconds end a window
    assert len(first.parts) == 2
    assert len(first.sound) < 11.5 * RATE
    end = len(first.sound) / RATE
    start, _ = first.source_times(end - 5, end - 4.5)
    assert 10.5 <= start <= 11.2
    assert first.source_times(0.0, 0.6)[0] == pytest.approx(3, abs=0.1)  # not in the margin before it
    assert second.source_times(0.0, 0.6)[0] == pytest.approx(24.5, abs=0.2)


def test_of_hours_of_sound_minutes_are_held():
    """20 minutes go through, and never is more taken than has been given on, but for two minutes and a half."""
    talk = np.concatenate([speak(250), silence(60)])
    taken = given = most = 0

    def decoded() -> Iterator[np.ndarray]:
        nonlocal taken, most
        for _ in range(1240 // 310):
            for block in in_blocks(talk):
                taken += len(block)
                most = max(most, taken - given)
                yield block

    for piece in vad.stretches(decoded()):
        assert piece.end >= given
        given = piece.end
    assert given == taken == 1240 // 310 * len(talk)
    assert most <= HELD + len(talk)


# -- languages


def test_languages_are_voted_for_and_doubted_ones_get_a_second_opinion():
    def of(*windows: tuple[dict[str, float], float], before: str = "") -> list[tuple[str, ...]]:
        told, seconds = zip(*windows, strict=True)
        return [(one.first, one.second) for one in spoken_language.choose(told, seconds, before)]

    lecture = ({"en": 0.93, "nl": 0.04}, 25.0), ({"nl": 0.74, "en": 0.24}, 21.0), ({"en": 0.72, "nl": 0.25}, 21.0)
    assert of(*lecture) == [("en", ""), ("en", "nl"), ("en", "")]
    assert of(({"nl": 0.83, "en": 0.16}, 20.0), before="en") == [("en", "nl")]
    assert of(({"de": 0.99, "en": 0.01}, 5.0), before="en") == [("de", "")]
    assert of(({"ru": 0.27, "en": 0.21}, 1.0), before="en") == [("en", "")]
    assert of(({"ru": 0.9, "en": 0.02}, 1.0), before="en") == [("en", "")]
    assert of(({}, 5.0)) == [("", "")]


def test_of_two_languages_the_likelier_words_count():
    dutch, english = Heard((Word(0, 1, " Ik"),), "nl", -1.03), Heard((Word(0, 1, " I"),), "en", -0.1)
    assert spoken_language.best([dutch, english]) == english


def test_a_language_is_not_told_by_words_in_doubt_or_too_few():
    said = (Word(0, 1, " yes"),)
    assert spoken_language.is_sure(Heard(said, "en", -0.2), 5.0)
    assert not spoken_language.is_sure(Heard(said, "cy", -0.9), 5.0)
    assert not spoken_language.is_sure(Heard(said, "en", -0.2), 1.0)


def test_faster_whisper_loads_no_more_threads_than_it_is_given(monkeypatch, weights_folder):
    loaded = []
    monkeypatch.setattr(faster_whisper, "_load", lambda weights: loaded.append(faster_whisper.cores()))
    monkeypatch.setattr(faster_whisper, "_transcribe", lambda *_: [])
    transcribe = faster_whisper.load(Path(weights_folder))
    monkeypatch.setattr(faster_whisper, "cores", lambda: 7)
    transcribe([], None)
    transcribe([], None)
    assert loaded[1:] == [7]
