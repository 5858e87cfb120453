"""The speech engine faster-whisper (github.com/SYSTRAN/faster-whisper): Whisper on CTranslate2, in 8 bits on a CPU.

In: the name of its weights, a folder, or a .pt file as OpenAI keeps weights; sound. Out: words in seconds, and how
sure they are. Knows not where in a video the sound lies. The only file that imports faster_whisper, but for its voice
detector.
"""

import hashlib
import os
import pickle
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError
from pipeline.media import whisper_base, whisper_formats
from pipeline.media.heard import Heard, Word, frames
from pipeline.settings import shown

if TYPE_CHECKING:
    import numpy as np

    from pipeline.media.heard import Choose, Transcribe

DEFAULT = "base"
NEEDED = (("config.json",), ("tokenizer.json",), ("vocabulary.json", "vocabulary.txt"), ("model.bin",))  # one of each
HUB_SECONDS = 5.0  # for the first word of the hub


def name(model: str) -> str:
    return f"faster-whisper {Path(model).name if _is_path(model) else model or DEFAULT}"


def require(model: str) -> Path:
    """The folder of the weights, fetched or made if need be, not loaded. Raises ModelError, soon without a network."""
    if _is_path(model):
        path = Path(model).expanduser()
        return _converted(path) if path.suffix == ".pt" else _checked(path)
    if folder := _find(model):
        return folder
    if (model or DEFAULT) == DEFAULT:
        return whisper_base.join_or(lambda: _fetch(DEFAULT))
    return _fetch(model)


def available(model: str) -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    try:
        if _is_path(model):
            path = Path(model).expanduser()
            folder = _file(path) if path.suffix == ".pt" else _checked(path)
        else:
            folder = _find(model)
    except ModelError as error:
        return False, str(error)
    if folder:
        return True, f"{name(model)} ({folder})"
    if (model or DEFAULT) == DEFAULT and whisper_base.is_there():
        return True, f"{name(model)}, whose weights come with this app"
    return False, f"Its weights are fetched on first use. Without network: {_BY_HAND}"


def is_on_disk(model: str) -> bool:
    """Whether the weights are there."""
    return available(model)[0]


def load(weights: Path) -> "Transcribe":
    """What hears. Raises ModelError, also as it hears."""
    model, threads = _load(weights), cores()

    def transcribe(sounds: "Sequence[np.ndarray]", choose: "Choose") -> "list[Heard]":
        nonlocal model, threads
        if threads != cores():  # it takes as many as it was loaded with; what went on beside it has ended
            model, threads = _load(weights), cores()
        try:
            return _transcribe(model, sounds, choose)
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


def _transcribe(model: Any, sounds: "Sequence[np.ndarray]", choose: "Choose") -> "list[Heard]":
    """Each window is encoded once, for its language, its words and their times; words are written down in batches."""
    import ctranslate2
    import numpy as np
    from faster_whisper.audio import pad_or_trim

    def view(array: "np.ndarray") -> Any:
        return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))

    features = [pad_or_trim(model.feature_extractor(sound)[..., :-1])[None] for sound in sounds]
    # Each by itself: on a CPU a batch takes a third more.
    encoded = [np.array(model.model.encode(view(one), to_cpu=True)) for one in features]
    if model.model.is_multilingual:
        told = [model.model.detect_language(view(one))[0] for one in encoded]
        chosen = choose([{token[2:-2]: probability for token, probability in one} for one in told])
    else:
        chosen = ["en"] * len(sounds)
    heard: dict[int, Heard] = {}
    for language in dict.fromkeys(chosen):
        numbers = [number for number, one in enumerate(chosen) if one == language]
        batch = view(np.concatenate([encoded[number] for number in numbers]))
        every = _decode(model, batch, [frames(sounds[number]) for number in numbers], language)
        heard |= dict(zip(numbers, every, strict=True))
    return [heard[number] for number in range(len(sounds))]


def _decode(model: Any, encoded: Any, lengths: list[int], language: str) -> "list[Heard]":
    """The words of encoded windows, in one language; `lengths`: how many frames of each hold sound.

    Without Whisper's time stamps: the words are aligned with the sound.
    """
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens

    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
    results = model.model.generate(
        encoded,
        [model.get_prompt(tokenizer, [], without_timestamps=True)] * len(lengths),
        beam_size=5,  # int8 took 2.6 % of a lecture's words wrong so, and 7.1 % greedily, for a fifth more work
        suppress_tokens=get_suppressed_tokens(tokenizer, [-1]),
        return_scores=True,
        return_no_speech_prob=True,
    )
    tokens = [[token for token in result.sequences_ids[0] if token < tokenizer.eot] for result in results]
    aligned = model.find_alignment(tokenizer, tokens, encoded, lengths)
    heard = []
    for result, words in zip(results, aligned, strict=True):
        length = len(result.sequences_ids[0])
        heard.append(
            Heard(
                tuple(
                    Word(float(one["start"]), float(one["end"]), one["word"], float(one["probability"]))
                    for one in words
                ),
                language,
                result.scores[0] * length / (length + 1),  # the end of the text counts as a token, as in Whisper
                result.no_speech_prob,
            )
        )
    return heard


def _checked(folder: Path) -> Path:
    """A folder that a person named. Raises ModelError where it holds no weights."""
    lacking = [group[0] for group in NEEDED if not any((folder / one).is_file() for one in group)]
    if not folder.is_dir() or lacking:
        what = f"lacks {', '.join(lacking)}" if folder.is_dir() else "is no folder"
        raise ModelError(
            f"WHISPER_MODEL is {folder}, which {what}. Give a folder as CTranslate2 keeps weights, a .pt file as "
            "OpenAI does, or a name such as base."
        )
    return folder


def _file(checkpoint: Path) -> Path:
    if not checkpoint.is_file():
        raise ModelError(f"There is no file {checkpoint}. Set WHISPER_MODEL to a .pt file, or to a name such as base.")
    return checkpoint


def _converted(checkpoint: Path) -> Path:
    """The folder that holds what a .pt file does, made once. Raises ModelError."""
    facts = _file(checkpoint).stat()
    key = hashlib.sha256(f"{checkpoint.absolute()} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:16]
    home = whisper_base.cache() / f"{checkpoint.stem}-{key}"
    if home.is_dir():
        return home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".converting-") as scratch:
            made = whisper_formats.write_folder(checkpoint, Path(scratch) / home.name)
            with suppress(FileExistsError):  # another process was quicker
                os.rename(made, home)
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise _fault(error, f"{checkpoint} cannot be loaded") from error
    return home


def _find(model: str) -> Path | None:
    """The folder of a named model on this computer, or None where the hub may have it. Raises ModelError."""
    from faster_whisper import available_models, download_model

    if (model or DEFAULT) not in available_models():
        raise ModelError(
            f"faster-whisper knows no model {shown(model)}. Set WHISPER_MODEL to a folder that holds a model.bin, "
            f"to a .pt file, or to one of: {', '.join(available_models())}."
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
