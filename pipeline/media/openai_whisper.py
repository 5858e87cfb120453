"""The speech engine openai-whisper (github.com/openai/whisper): its weights, and what they hear in a stretch of sound.

In: the name or .pt file of its weights; sound. Out: segments in seconds, and the language. Knows not where in a video
the sound lies. The only file that imports whisper.
"""

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError
from pipeline.media.download import fetch, is_whole
from pipeline.settings import shown

if TYPE_CHECKING:
    import numpy as np

    from pipeline.media.speech import Said, Transcribe

DEFAULT = "base"


def name(model: str) -> str:
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


def load(weights: Path) -> "Transcribe":
    """What hears. Raises ModelError, also as it hears."""
    import torch
    import whisper

    try:
        model = whisper.load_model(str(weights))  # a path is loaded as bare tensors: no code in the file is run
    except torch.OutOfMemoryError as error:
        raise _too_large(error) from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [""])[0][:100]
        raise ModelError(
            f"{weights} cannot be loaded as Whisper weights ({type(error).__name__}: {reason}). "
            "Download it again, or set WHISPER_MODEL to another name or .pt file."
        ) from error

    def transcribe(sound: "np.ndarray", language: str) -> "tuple[list[Said], str]":
        torch.set_num_threads(cores())
        try:
            return _transcribe(model, sound, language)
        except torch.OutOfMemoryError as error:
            raise _too_large(error) from error

    return transcribe


def _transcribe(model: Any, sound: "np.ndarray", language: str) -> "tuple[list[Said], str]":
    result = model.transcribe(
        sound,
        language=language or None,
        fp16=model.device.type == "cuda",
        condition_on_previous_text=False,  # text that is fed back makes Whisper repeat itself for minutes
    )
    said = [(one["start"], one["end"], one["text"], one["compression_ratio"]) for one in result["segments"]]
    return said, result["language"]


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


def _too_large(error: Exception) -> ModelError:
    return ModelError(f"The GPU has too little memory for Whisper ({error}). Set WHISPER_MODEL to a smaller one.")
