"""Sound, as it comes -> the words that are spoken in it, with their times.

In: mono sound at 16 kHz, block by block; the engine that hears and the name or path of its weights. Out: stretch by
stretch, segments in seconds, those that are in doubt apart, and the languages. Knows no videos and no passages. An
engine is a file beside this one: name, require, available, is_on_disk and load, each for itself.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pipeline.media import doubt, faster_whisper, openai_whisper, spoken_language, vad
from pipeline.media.heard import Heard, Probabilities, Transcribe
from pipeline.media.passages import Segment
from pipeline.media.speech_service import Service
from pipeline.media.vad import RATE, Window
from pipeline.settings import Settings

if TYPE_CHECKING:
    import numpy as np

Engine = str | Service  # a name of SPEECH_ENGINES, "" for the one that fits, or an endpoint
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of GPUs: NVIDIA's, that of WSL, AMD's


@dataclass(frozen=True)
class Stretch:
    """What was heard at once: two minutes at most, and the pauses in between; or minutes in which nobody speaks."""

    until: float  # s, up to which all speech was heard by now
    segments: tuple[Segment, ...] = ()  # none when nobody speaks
    language: str = ""  # ISO 639-1, the one spoken last; "" while none is sure
    doubtful: tuple[Segment, ...] = ()  # what may have been said
    languages: Mapping[str, float] = field(default_factory=dict)  # s of speech in each that is sure


def hear(
    sound: "Iterable[np.ndarray]",
    model: str = "",
    engine: Engine = "",
    after: Stretch = Stretch(0.0),
    using: Transcribe | None = None,
) -> Iterator[Stretch]:
    """The words in sound: blocks of float32, mono, 16 kHz. The last stretch is until the end of the sound.

    `model`: a name that Whisper knows (its weights are fetched on first use), a path, or "" for base. `engine`: who
    hears. `after`: what was heard last, where hearing goes on: the blocks begin there. `using`: what load() gave, if
    that was called before. What is no speech is not transcribed: Whisper makes up words there. Raises ModelError when
    weights cannot be had.
    """
    transcribe = using
    language = after.language
    for piece in vad.stretches(map(_clean, sound), round(after.until * RATE)):
        sure: list[Segment] = []
        unsure: list[Segment] = []
        spoken: Counter[str] = Counter()
        if piece.windows:
            transcribe = transcribe or load(model, engine)
            for window, heard in _heard(transcribe, piece.windows, language):
                if spoken_language.is_sure(heard, window.seconds):
                    spoken[heard.language] += window.seconds
                    language = heard.language
                for words, is_sure in doubt.judged(heard, len(window.sound) / RATE):
                    start, _ = window.source_times(words[0].start, words[0].end)
                    _, end = window.source_times(words[-1].start, words[-1].end)
                    text = "".join(word.text for word in words).strip()
                    (sure if is_sure else unsure).append((start, max(start, end), text))
        yield Stretch(piece.end / RATE, tuple(sure), language, tuple(unsure), dict(spoken))


def _heard(
    transcribe: Transcribe, windows: Sequence[Window], before: str, again: bool = True
) -> Iterator[tuple[Window, Heard]]:
    """What is heard in each window. One whose words turn in circles is heard again in halves."""
    seconds = [window.seconds for window in windows]
    languages: list[spoken_language.Told] = []

    def choose(told: Sequence[Probabilities]) -> Sequence[str]:
        languages.extend(spoken_language.choose(told, seconds, before))
        return [one.first for one in languages]

    every = transcribe([window.sound for window in windows], choose)
    for number, (window, heard) in enumerate(zip(windows, every, strict=True)):
        other = languages[number].second if languages else ""  # who tells the language by itself was not asked
        if other and not spoken_language.is_good(heard):
            heard = spoken_language.best([heard, *transcribe([window.sound], lambda told, other=other: [other])])
        if again and doubt.is_loop(heard) and (halves := window.halves()):
            yield from _heard(transcribe, halves, heard.language, again=False)
        else:
            yield window, heard


def _clean(sound: "np.ndarray") -> "np.ndarray":
    """Damaged sound holds samples that are no number."""
    import numpy as np

    return np.clip(np.nan_to_num(sound), -1, 1).astype(np.float32)


def load(model: str, engine: Engine = "") -> Transcribe:
    """What hears windows of sound. Raises ModelError, also as it hears."""
    return _engine(model, engine).load(require(model, engine))


def chosen(settings: Settings) -> tuple[str, Engine]:
    """(model, engine) of the settings, as the functions here take them."""
    if settings.speech_base_url:
        return "", Service(settings.speech_base_url, settings.speech_api_key, settings.speech_model)
    return settings.whisper_model, settings.speech_engine


def is_named(settings: Settings) -> bool:
    """Whether the settings say who hears: it is used then, or it is an error."""
    return bool(settings.whisper_model or settings.speech_engine or settings.speech_base_url)


def name(model: str, engine: Engine = "") -> str:
    """What hears, as a person reads it, such as "whisper base"."""
    return _engine(model, engine).name(model)


def require(model: str, engine: Engine = "") -> Path | None:
    """The file or folder of the weights, fetched if need be, not loaded; None for a service. Raises ModelError."""
    return _engine(model, engine).require(model)


def available(model: str, engine: Engine = "") -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    return _engine(model, engine).available(model)


def is_on_disk(model: str, engine: Engine = "") -> bool:
    """Whether the weights are there, told quickly."""
    return _engine(model, engine).is_on_disk(model)


def engine_name(model: str, engine: str = "") -> str:
    """Which of SPEECH_ENGINES hears with these settings: the one that is named; else the one that fits.

    faster-whisper is three times as fast on a CPU; what OpenAI made, OpenAI's own code runs.
    """
    if engine:
        return engine
    if model.endswith(".pt") or _is_openai(model) or has_gpu():
        return "whisper"
    return "faster-whisper"


def _is_openai(model: str) -> bool:
    """Whether it is a name that openai-whisper knows."""
    return bool(model) and not model.startswith("distil-") and "/" not in model and os.sep not in model


def has_gpu() -> bool:
    """Whether there is a GPU that openai-whisper runs on. Where there is no driver, torch is not loaded to tell."""
    if not any(map(os.path.exists, DRIVERS)):
        return False
    import torch

    return torch.cuda.is_available()


def _engine(model: str, engine: Engine) -> "ModuleType | Service":
    if not isinstance(engine, str):
        return engine
    return faster_whisper if engine_name(model, engine) == "faster-whisper" else openai_whisper
