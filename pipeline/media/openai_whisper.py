"""The speech engine openai-whisper (github.com/openai/whisper): its weights, and what they hear in windows of sound.

In: the name of its weights, a .pt file, or a folder as CTranslate2 keeps weights; sound. Out: words in seconds, and
how sure they are. Knows not where in a video the sound lies. The only file that imports whisper.
"""

import os
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError
from pipeline.media import faster_whisper, whisper_base, whisper_formats
from pipeline.media.download import fetch, is_whole
from pipeline.media.heard import Heard, Word, frames
from pipeline.settings import shown

if TYPE_CHECKING:
    import numpy as np

    from pipeline.media.heard import Choose, Transcribe

DEFAULT = "base"


def name(model: str) -> str:
    return f"whisper {Path(model).name if _is_path(model) else model or DEFAULT}"


def require(model: str) -> Path:
    """The file or folder of the weights, fetched if need be, not loaded. Raises ModelError."""
    if _is_distilled(model):
        return faster_whisper.require(model)
    path, url = _find(model)
    if not url:
        if path.exists():
            return path
        raise ModelError(_gone(path))
    digest = url.split("/")[-2]  # OpenAI puts the SHA-256 into the address
    try:
        if is_whole(path, digest):
            return path
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}. Change its permissions, or remove it.") from error

    def fetched() -> Path:
        try:
            fetch(url, digest, path)
        except ModelError as error:
            raise ModelError(f"{error} {_by_hand(path)}") from error
        return path

    return whisper_base.join_or(fetched) if path.stem == DEFAULT else fetched()


def available(model: str) -> tuple[bool, str]:
    """(whether the weights are on the disk, where they are or what to do). Loads and fetches nothing."""
    if _is_distilled(model):
        return faster_whisper.available(model)
    try:
        path, url = _find(model)
    except ModelError as error:
        return False, str(error)
    if path.exists():
        return True, f"{name(model)} ({path})"
    if url and path.stem == DEFAULT and whisper_base.is_there():
        return True, f"{name(model)}, whose weights come with this app"
    if url:
        return False, f"Whisper's weights are fetched on first use. Without network: {_by_hand(path)}"
    return False, _gone(path)


def is_on_disk(model: str) -> bool:
    """Whether the weights are there, told without loading Whisper's code, which takes seconds."""
    if _is_distilled(model):
        return faster_whisper.is_on_disk(model)
    if _is_path(model):
        return Path(model).expanduser().exists()
    file = {"large": "large-v3", "turbo": "large-v3-turbo"}.get(model, model or DEFAULT)
    return (_cache() / f"{file}.pt").is_file() or (file == DEFAULT and whisper_base.is_there())


def load(weights: Path) -> "Transcribe":
    """What hears. Raises ModelError, also as it hears."""
    import torch
    import whisper

    try:
        # A path is loaded as bare tensors: no code in the file is run.
        model = from_folder(weights) if weights.is_dir() else whisper.load_model(str(weights))
    except torch.OutOfMemoryError as error:
        raise _too_large(error) from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [""])[0][:100]
        raise ModelError(
            f"{weights} cannot be loaded as Whisper weights ({type(error).__name__}: {reason}). "
            "Download it again, or set WHISPER_MODEL to another name, .pt file or folder."
        ) from error

    def transcribe(sounds: "Sequence[np.ndarray]", choose: "Choose") -> "list[Heard]":
        torch.set_num_threads(cores())
        try:
            return _transcribe(model, sounds, choose)
        except torch.OutOfMemoryError as error:
            raise _too_large(error) from error

    return transcribe


def from_folder(folder: Path) -> Any:
    """The model of a folder that CTranslate2 would read: the numbers are the same, under other names."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims, state, heads = whisper_formats.read_folder(folder)
    model = Whisper(ModelDimensions(**dims))
    model.load_state_dict({name: torch.from_numpy(one) for name, one in state.items()})
    chosen = torch.zeros(dims["n_text_layer"], dims["n_text_head"], dtype=torch.bool)
    for layer, head in heads:
        chosen[layer, head] = True
    model.register_buffer("alignment_heads", chosen.to_sparse(), persistent=False)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def _transcribe(model: Any, sounds: "Sequence[np.ndarray]", choose: "Choose") -> "list[Heard]":
    """Each window is encoded once for its language and its words, and once more for the times of the words."""
    import torch
    import whisper

    half = model.device.type == "cuda"
    mel = torch.stack([whisper.log_mel_spectrogram(whisper.pad_or_trim(one), model.dims.n_mels) for one in sounds])
    mel = mel.to(model.device).to(torch.float16 if half else torch.float32)
    with torch.no_grad():
        encoded = model.encoder(mel)
    if model.is_multilingual:
        _, told = whisper.detect_language(model, encoded)
        chosen = choose(told)
    else:
        chosen = ["en"] * len(sounds)
    return [
        _decode(model, mel[number], encoded[number], frames(sound), chosen[number], half)
        for number, sound in enumerate(sounds)
    ]


def _decode(model: Any, mel: Any, encoded: Any, length: int, language: str, half: bool) -> Heard:
    """The words of one window, in one language. One at a time: with beams, Whisper decodes no batches."""
    import whisper

    options = whisper.DecodingOptions(language=language, without_timestamps=True, beam_size=5, fp16=half)
    result = whisper.decode(model, encoded, options)
    words = _words(model, mel, result.tokens, language, length)
    return Heard(words, language, result.avg_logprob, result.no_speech_prob)


def _words(model: Any, mel: Any, tokens: list[int], language: str, length: int) -> tuple[Word, ...]:
    from whisper.timing import find_alignment
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(
        model.is_multilingual, num_languages=model.num_languages, language=language, task="transcribe"
    )
    text = [one for one in tokens if one < tokenizer.eot]
    return tuple(
        Word(float(one.start), float(one.end), one.word, float(one.probability))
        for one in find_alignment(model, tokenizer, text, mel, length)
        if one.word
    )


def language_code(language: object) -> str:
    """The code of a language that an endpoint names as Whisper does, such as "english", or by its code; "" else."""
    if not isinstance(language, str) or not language.strip():
        return ""
    named = language.strip().lower()
    if re.fullmatch(r"[a-z]{2,3}", named.split("-")[0]):
        return named.split("-")[0]
    from whisper.tokenizer import TO_LANGUAGE_CODE

    return TO_LANGUAGE_CODE.get(named, "")


def _find(model: str) -> tuple[Path, str]:
    """(where the weights are or will be, the address they come from or ""). Raises ModelError for an unknown name."""
    if _is_path(model):
        return Path(model).expanduser(), ""
    import whisper

    url = whisper._MODELS.get(model or DEFAULT)  # the only place where the addresses are
    if not url:
        known = ", ".join(whisper.available_models())
        raise ModelError(
            f"Whisper knows no model {shown(model)}. Set WHISPER_MODEL to a .pt file, to a folder that holds a "
            f"model.bin, or to one of: {known}."
        )
    # Whisper's own cache: what was fetched before is found, and the other way round.
    return _cache() / url.split("/")[-1], url


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _is_distilled(model: str) -> bool:
    """Models that OpenAI does not have, and faster-whisper does."""
    return model.startswith("distil-") and not _is_path(model)


def _is_path(model: str) -> bool:
    return model.endswith(".pt") or "/" in model or os.sep in model


def _gone(path: Path) -> str:
    return f"There is no file {path}. Set WHISPER_MODEL to a .pt file, a folder, or a name such as base."


def _by_hand(path: Path) -> str:
    return f"Put {path.name} into {path.parent}, or set WHISPER_MODEL to a .pt file."


def _too_large(error: Exception) -> ModelError:
    return ModelError(f"The GPU has too little memory for Whisper ({error}). Set WHISPER_MODEL to a smaller one.")
