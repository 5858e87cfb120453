"""The speech engine faster-whisper (github.com/SYSTRAN/faster-whisper): Whisper on CTranslate2, in 8 bits on a CPU.

In: the name or folder of its weights; sound. Out: segments in seconds, and the language. Knows not where in a video
the sound lies. The only file that imports faster_whisper. An option: who names it installs it.
"""

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError
from pipeline.settings import shown

if TYPE_CHECKING:
    import numpy as np

    from pipeline.media.speech import Said, Transcribe

DEFAULT = "base"
NEEDED = (("config.json",), ("tokenizer.json",), ("vocabulary.json", "vocabulary.txt"), ("model.bin",))  # one of each
HUB_SECONDS = 5.0  # for the first word of the hub
MISSING = (
    "SPEECH_ENGINE is faster-whisper, which is not installed. Run: pip install faster-whisper; "
    "or set SPEECH_ENGINE=whisper."
)


def name(model: str) -> str:
    return f"faster-whisper {Path(model).name if _is_path(model) else model or DEFAULT}"


def require(model: str) -> Path:
    """The folder of the weights, fetched if need be, not loaded. Raises ModelError, soon where there is no network."""
    folder = _find(model)
    return folder or _fetch(model or DEFAULT)


def available(model: str) -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    try:
        folder = _find(model)
    except ModelError as error:
        return False, str(error)
    if folder:
        return True, f"{name(model)} ({folder})"
    return False, f"Its weights are fetched on first use. Without network: {_BY_HAND}"


def is_on_disk(model: str) -> bool:
    """Whether the weights are there."""
    return available(model)[0]


def load(weights: Path) -> "Transcribe":
    """What hears. Raises ModelError, also as it hears."""
    model, threads = _load(weights), cores()

    def transcribe(sound: "np.ndarray", language: str) -> "tuple[list[Said], str]":
        nonlocal model, threads
        if threads != cores():  # it takes as many as it was loaded with; what went on beside it has ended
            model, threads = _load(weights), cores()
        try:
            return _transcribe(model, sound, language)
        except (RuntimeError, ValueError) as error:
            raise _fault(error, f"{weights} cannot be run") from error

    return transcribe


def _load(weights: Path) -> Any:
    import ctranslate2
    from faster_whisper import WhisperModel

    on_gpu = ctranslate2.get_cuda_device_count() > 0
    try:
        return WhisperModel(
            str(weights),  # numbers alone are read from it, and no code
            device="cuda" if on_gpu else "cpu",
            compute_type="float16" if on_gpu else "int8",
            cpu_threads=cores(),  # left to itself it takes four, there or not
            local_files_only=True,
        )
    except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, the tokenizers library plain Exception
        raise _fault(error, f"{weights} cannot be loaded") from error


def _transcribe(model: Any, sound: "np.ndarray", language: str) -> "tuple[list[Said], str]":
    segments, info = model.transcribe(
        sound,
        language=language or None,
        beam_size=5,  # int8 took 2.6 % of a lecture's words wrong so, and 7.1 % greedily, for a fifth more work
        condition_on_previous_text=False,  # text that is fed back makes Whisper repeat itself for minutes
    )
    return [(one.start, one.end, one.text, one.compression_ratio) for one in segments], info.language


def _find(model: str) -> Path | None:
    """The folder of these weights on this computer, or None where the hub may have them. Raises ModelError."""
    if not importlib.util.find_spec("faster_whisper"):
        raise ModelError(MISSING)
    if _is_path(model):
        folder = Path(model).expanduser()
        lacking = [group[0] for group in NEEDED if not any((folder / one).is_file() for one in group)]
        if not folder.is_dir() or lacking:
            what = f"lacks {', '.join(lacking)}" if folder.is_dir() else "is no folder"
            raise ModelError(
                f"WHISPER_MODEL is {model}, which {what}: faster-whisper reads weights as CTranslate2 keeps them. "
                "Give such a folder, or a name such as base; or set SPEECH_ENGINE=whisper for a .pt file."
            )
        return folder
    from faster_whisper import available_models, download_model

    if (model or DEFAULT) not in available_models():
        raise ModelError(
            f"faster-whisper knows no model {shown(model)}. Set WHISPER_MODEL to a folder that holds a model.bin, "
            f"or to one of: {', '.join(available_models())}."
        )
    try:
        folder = Path(download_model(model or DEFAULT, local_files_only=True))
    except (OSError, ValueError):  # the hub's way to say that it is not here
        return None
    return folder if all(any((folder / one).is_file() for one in group) for group in NEEDED) else None


def _fetch(model: str) -> Path:
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets out
    from faster_whisper import download_model
    from faster_whisper.utils import _MODELS  # the only place where the repositories are
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(_MODELS[model], timeout=HUB_SECONDS)  # a hub that does not answer is known soon
        return Path(download_model(model))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise ModelError(f"The Hugging Face hub refused {_MODELS[model]} (status {status}). {_BY_HAND}") from error
    except (httpx2.HTTPError, OSError, ValueError) as error:  # no network, offline mode, disk full
        raise ModelError(f"The weights of {_MODELS[model]} could not be fetched. {_BY_HAND}") from error


_BY_HAND = "Connect to the internet, or set WHISPER_MODEL to a folder that holds a model.bin."


def _is_path(model: str) -> bool:
    return "/" in model or os.sep in model or model.endswith(".pt")


def _fault(error: Exception, what: str) -> ModelError:
    reason = (str(error).strip().splitlines() or [""])[0][:100]
    if "out of memory" in reason:
        return ModelError(f"The GPU has too little memory for Whisper ({reason}). Set WHISPER_MODEL to a smaller one.")
    return ModelError(
        f"{what} by faster-whisper ({type(error).__name__}: {reason}). "
        "Fetch it again, or set WHISPER_MODEL to another name or folder."
    )
