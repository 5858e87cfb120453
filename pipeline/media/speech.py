"""Sound, as it comes -> the words that are spoken in it, with their times, by Whisper.

In: mono sound at 16 kHz, block by block; the engine that hears and the name or path of its weights. Out: stretch by
stretch, segments in seconds, and the language. Knows no videos and no passages. An engine is a file beside this one:
name, require, available, is_on_disk and load, each for itself.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pipeline.media import faster_whisper, openai_whisper
from pipeline.media.loudness import HOP, RATE, Tally, stretches
from pipeline.media.passages import Segment

if TYPE_CHECKING:
    import numpy as np

DEFAULT = openai_whisper.DEFAULT
REPEATS = 2.4  # how well text packs that repeats itself: Whisper's own limit

Said = tuple[float, float, str, float]  # start and end in s of a stretch, words, how well they pack
Transcribe = Callable[["np.ndarray", str], tuple[list[Said], str]]  # (a stretch, language or "") -> (what, language)


@dataclass(frozen=True)
class Stretch:
    """What was heard at once: two minutes at most, and the silence before it; or a long silence."""

    until: float  # s, up to which all that is loud was heard by now
    segments: tuple[Segment, ...] = ()  # none when nobody speaks
    language: str = ""  # ISO 639-1, of the first words of all; "" while nobody has spoken
    tally: Tally = ()  # how loud the sound was up to here


def hear(
    sound: "Iterable[np.ndarray]", model: str = "", engine: str = "", after: Stretch = Stretch(0.0)
) -> Iterator[Stretch]:
    """The words in sound: blocks of float32, mono, 16 kHz. The last stretch is until the end of the sound.

    `model`: a name that Whisper knows (its weights are fetched on first use), a path, or "" for base. `engine`: one of
    SPEECH_ENGINES, or "". `after`: what was heard last, where hearing goes on: the blocks begin there. Silence is not
    transcribed: Whisper makes up words there. Raises ModelError when weights cannot be had.
    """
    transcribe = None
    language = after.language
    for piece in stretches(sound, round(after.until * RATE), after.tally):
        begin, end = piece.begin / RATE, piece.end / RATE
        segments: list[Segment] = []
        if piece.loud.any():
            transcribe = transcribe or _engine(engine).load(require(model, engine))
            said, spoken = transcribe(_clean(piece.sound), language)
            for start, stop, text, packed in said:
                # Whisper leaves out what is probably no speech (no_speech_prob, avg_logprob), but keeps a text that
                # turns in circles at every temperature.
                stop = min(stop, end - begin)
                heard = start < stop and piece.loud[int(start * RATE / HOP) : int(stop * RATE / HOP) + 1].any()
                if heard and text.strip() and packed <= REPEATS:
                    segments.append((begin + float(start), begin + float(stop), text.strip()))
            if segments:
                language = spoken  # of the first words, and kept: asked again, Whisper wavers on short remarks
        yield Stretch(end, tuple(segments), language, piece.tally)


def _clean(sound: "np.ndarray") -> "np.ndarray":
    """Damaged sound holds samples that are no number."""
    import numpy as np

    return np.clip(np.nan_to_num(sound), -1, 1).astype(np.float32)


def name(model: str, engine: str = "") -> str:
    """What hears, as a person reads it, such as "whisper base"."""
    return _engine(engine).name(model)


def require(model: str, engine: str = "") -> Path:
    """The file or folder of the weights, fetched if need be, not loaded. Raises ModelError."""
    return _engine(engine).require(model)


def available(model: str, engine: str = "") -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    return _engine(engine).available(model)


def is_on_disk(model: str, engine: str = "") -> bool:
    """Whether the weights are there, told quickly."""
    return _engine(engine).is_on_disk(model)


def _engine(engine: str) -> ModuleType:
    return faster_whisper if engine == "faster-whisper" else openai_whisper
