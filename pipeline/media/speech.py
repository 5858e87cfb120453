"""Sound -> the words that are spoken in it, with their times, by Whisper (github.com/openai/whisper).

In: mono sound at 16 kHz and the name or file of Whisper's weights. Out: stretch by stretch, segments in seconds, and
the language. Knows no videos and no passages. The only file that imports whisper.
"""

import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.media.download import fetch, is_whole
from pipeline.media.loudness import HOP, RATE, loud_hops, stretches
from pipeline.media.passages import Segment
from pipeline.settings import shown

if TYPE_CHECKING:
    import numpy as np

DEFAULT = "base"
REPEATS = 2.4  # how well text packs that repeats itself: Whisper's own limit


@dataclass(frozen=True)
class Stretch:
    """What was heard at once: one or two minutes."""

    until: float  # s, up to which all that is loud was heard by now
    segments: tuple[Segment, ...]  # none when nobody speaks
    language: str  # ISO 639-1, of the first words of all; "" while nobody has spoken


def hear(sound: "np.ndarray", model: str, since: float = 0.0, language: str = "") -> Iterator[Stretch]:
    """The words in sound: float32, mono, 16 kHz, shape (samples,). The last stretch is until the end of the sound.

    `model`: a name that Whisper knows (its weights are fetched on first use), the path of a .pt file, or "" for
    base. `since` and `language`: what the last stretch said, where hearing goes on. Silence is not transcribed:
    Whisper makes up words there. Raises ModelError when weights cannot be had.
    """
    weights = require(model)
    loud = loud_hops(sound)
    whisper = None
    length = len(sound) / RATE
    for begin, end in stretches(sound, loud):
        if end / RATE <= since:
            continue
        segments: list[Segment] = []
        whisper = whisper or _load(weights)
        said, spoken = _transcribe(whisper, sound[begin:end], language)
        for start, stop, text in said:
            start, stop = begin / RATE + start, min(begin / RATE + stop, end / RATE)
            if start < stop and loud[int(start * RATE / HOP) : int(stop * RATE / HOP) + 1].any():
                segments.append((start, stop, text))
        if segments:
            language = spoken  # of the first words, and kept: asked again, Whisper wavers on short remarks
        yield Stretch(end / RATE, tuple(segments), language)
    yield Stretch(length, (), language)


def name(model: str) -> str:
    """What hears, as a person reads it, such as "whisper base"."""
    return f"whisper {Path(model).name if _is_path(model) else model or DEFAULT}"


def require(model: str) -> Path:
    """The file of the weights, fetched if need be, not loaded. Raises ModelError."""
    path, url = _find(model)
    if not url:
        if path.is_file():
            return path
        raise ModelError(f"There is no file {path}. Set WHISPER_MODEL to a .pt file, or to a name such as base.")
    digest = url.split("/")[-2]  # OpenAI puts the SHA-256 into the address
    try:
        if not is_whole(path, digest):
            fetch(url, digest, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. Change its permissions, or remove it.") from error
    except ModelError as error:
        raise ModelError(f"{error} {_by_hand(path)}") from error
    return path


def available(model: str) -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    try:
        path, url = _find(model)
    except ModelError as error:
        return False, str(error)
    if path.is_file():
        return True, f"whisper {path.stem} ({path})"
    if url:
        return False, f"Whisper's weights are fetched on first use. Without network: {_by_hand(path)}"
    return False, f"There is no file {path}. Set WHISPER_MODEL to a .pt file, or to a name such as base."


def is_on_disk(model: str) -> bool:
    """Whether the weights are there, told without loading Whisper's code, which takes seconds."""
    file = {"large": "large-v3", "turbo": "large-v3-turbo"}.get(model, model or DEFAULT)
    return (Path(model).expanduser() if _is_path(model) else _cache() / f"{file}.pt").is_file()


def _find(model: str) -> tuple[Path, str]:
    """(where the weights are or will be, the address they come from or ""). Raises ModelError for an unknown name."""
    if _is_path(model):
        return Path(model).expanduser(), ""
    import whisper

    url = whisper._MODELS.get(model or DEFAULT)  # the only place where the addresses are
    if not url:
        known = ", ".join(whisper.available_models())
        raise ModelError(
            f"Whisper knows no model {shown(model)}. Set WHISPER_MODEL to a .pt file, or to one of: {known}."
        )
    # Whisper's own cache: what was fetched before is found, and the other way round.
    return _cache() / url.split("/")[-1], url


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _is_path(model: str) -> bool:
    return model.endswith(".pt") or "/" in model or os.sep in model


def _by_hand(path: Path) -> str:
    return f"Put {path.name} into {path.parent}, or set WHISPER_MODEL to a .pt file."


def _load(weights: Path) -> Any:
    import torch
    import whisper

    try:
        return whisper.load_model(str(weights))  # a path is loaded as bare tensors: no code in the file is run
    except torch.OutOfMemoryError as error:
        raise _too_large(error) from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [""])[0][:100]
        raise ModelError(
            f"{weights} cannot be loaded as Whisper weights ({type(error).__name__}: {reason}). "
            "Download it again, or set WHISPER_MODEL to another name or .pt file."
        ) from error


def _transcribe(whisper: Any, sound: "np.ndarray", language: str) -> tuple[list[Segment], str]:
    """(segments, language) of one stretch; times count from its start."""
    import numpy as np
    import torch

    try:
        result = whisper.transcribe(
            np.clip(np.nan_to_num(sound), -1, 1).astype(np.float32),  # damaged sound holds samples that are no number
            language=language or None,
            fp16=whisper.device.type == "cuda",
            condition_on_previous_text=False,  # text that is fed back makes Whisper repeat itself for minutes
        )
    except torch.OutOfMemoryError as error:
        raise _too_large(error) from error
    # Whisper leaves out what is probably no speech (no_speech_prob, avg_logprob), but keeps a text that turns in
    # circles at every temperature.
    said = [s for s in result["segments"] if s["text"].strip() and s["compression_ratio"] <= REPEATS]
    return [(float(s["start"]), float(s["end"]), s["text"].strip()) for s in said], result["language"]


def _too_large(error: Exception) -> ModelError:
    return ModelError(f"The GPU has too little memory for Whisper ({error}). Set WHISPER_MODEL to a smaller one.")
