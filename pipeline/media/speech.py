"""Sound -> the words that are spoken in it, with their times, by Whisper (github.com/openai/whisper).

In: mono sound at 16 kHz and the name or file of Whisper's weights. Out: segments in seconds, and the language.
Knows no videos and no passages. The only file that imports whisper.
"""

import os
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.media.download import fetch, is_whole
from pipeline.media.loudness import HOP, RATE, loud_hops, stretches
from pipeline.media.passages import Segment

if TYPE_CHECKING:
    import numpy as np

DEFAULT = "base"
REPEATS = 2.4  # how well text packs that repeats itself: Whisper's own limit


@dataclass(frozen=True)
class Heard:
    """What was heard."""

    segments: tuple[Segment, ...]  # none when nobody speaks
    language: str  # ISO 639-1, "" when nobody speaks
    by: str  # such as "whisper base"


def hear(sound: "np.ndarray | Iterable[np.ndarray]", model: str, progress: Callable[[float], None]) -> Heard:
    """The words in sound: float32, mono, 16 kHz, shape (samples,), whole or in blocks that follow on one another.

    `model`: a name that Whisper knows (its weights are fetched on first use), the path of a .pt file, or "" for
    base. Silence is not transcribed: Whisper makes up words there. Raises ModelError when weights cannot be had.
    """
    import numpy as np

    weights = require(model)
    by = f"whisper {weights.name if _is_path(model) else model or DEFAULT}"
    sound = sound if isinstance(sound, np.ndarray) else np.concatenate([np.zeros(0, np.float32), *sound])
    loud = loud_hops(sound)
    segments: list[Segment] = []
    language = ""
    whisper = None
    for begin, end in stretches(sound, loud):
        whisper = whisper or _load(weights)
        said, spoken = _transcribe(whisper, sound[begin:end], language)
        for start, stop, text in said:
            start, stop = begin / RATE + start, min(begin / RATE + stop, end / RATE)
            if start < stop and loud[int(start * RATE / HOP) : int(stop * RATE / HOP) + 1].any():
                segments.append((start, stop, text))
        if segments:
            language = spoken  # of the first words, and kept: asked again, Whisper wavers on short remarks
        progress(end / len(sound))
    progress(1.0)
    return Heard(tuple(segments), language, by)


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


def _find(model: str) -> tuple[Path, str]:
    """(where the weights are or will be, the address they come from or ""). Raises ModelError for an unknown name."""
    import whisper

    if _is_path(model):
        return Path(model).expanduser(), ""
    url = whisper._MODELS.get(model or DEFAULT)  # the only place where the addresses are
    if not url:
        known = ", ".join(whisper.available_models())
        raise ModelError(f"Whisper knows no model {model!r}. Set WHISPER_MODEL to a .pt file, or to one of: {known}.")
    # Whisper's own cache: what was fetched before is found, and the other way round.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
    return cache / url.split("/")[-1], url


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
