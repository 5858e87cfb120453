"""Model weights: where they lie, how they are fetched, how they are loaded. The only file that knows transformers.

In: a folder or a Hugging Face name. Out: models ready to run. Does not know what they are run on.

Only weights that cannot hold code are loaded: safetensors, and of PyTorch's own format, which can, the files whose
content is known. No repository's code is run.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError
from pipeline.settings import shown

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the second is what older repositories have, OpenAI's for one
KNOWN = {  # SHA-256 of a pytorch_model.bin -> where it is published
    "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f": "openai/clip-vit-base-patch32",
}
CROSS_ENCODER_TOKENS = 512  # question and text together; what published cross-encoders were trained to read
HUB_SECONDS = 5.0  # for the first word of the hub


@dataclass(frozen=True)
class _Kind:
    """A kind of model that a setting names."""

    setting: str
    name: str
    example: str  # a Hugging Face name
    needed: tuple[tuple[str, ...], ...]  # one file of each group, the weights last
    fetched: tuple[str, ...]  # patterns of the small files that it may need


_CLIP = _Kind(
    "CLIP_MODEL",
    "CLIP",
    "openai/clip-vit-base-patch32",
    (("config.json",), ("preprocessor_config.json",), WEIGHTS),
    ("config.json", "preprocessor_config.json", "tokenizer*.json", "vocab.json", "merges.txt"),
)
_CROSS_ENCODER = _Kind(
    "RERANKER",
    "cross-encoder",
    "cross-encoder/ms-marco-MiniLM-L6-v2",
    # Without a vocabulary transformers makes up a tokenizer that knows no word.
    (("config.json",), ("tokenizer.json", "vocab.txt", "vocab.json"), WEIGHTS),
    ("config.json", "tokenizer*.json", "special_tokens_map.json", "vocab.*", "merges.txt"),
)


def load_clip(weights: str) -> tuple[Any, Any, Any, str]:
    """A CLIP model as (CLIPModel, tokenizer, picture preparation, device), fetched once if it is not here.

    Raises ModelError, within seconds where there is no network.
    """
    folder = find_clip(weights) or _fetch(weights, _CLIP)
    import torch
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # needs no torchvision

    _quiet()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # From a folder, never by name: by name, transformers asks a service to convert a .bin in the background.
        model = CLIPModel.from_pretrained(folder, dtype=torch.float32, **_as_it_may(folder)).eval().to(device)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        pictures = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # torch, safetensors and tokenizers each raise their own
        raise ModelError(f"The CLIP model in {folder} cannot be loaded. Fetch it again, or set CLIP_MODEL.") from error
    return model, tokenizer, pictures, device


def find_clip(weights: str) -> Path | None:
    """The folder of these CLIP weights on this computer, or None where the hub may have them.

    Raises ModelError where `weights` is neither a CLIP folder nor a Hugging Face name.
    """
    return _find(weights, _CLIP)


def load_cross_encoder(weights: str) -> tuple[Any, Any, int, str]:
    """A cross-encoder of one or two labels as (model, tokenizer, most tokens, device), fetched once if not here.

    Raises ModelError, within seconds where there is no network.
    """
    folder = find_cross_encoder(weights) or _fetch(weights, _CROSS_ENCODER)
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _quiet()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    here = {"trust_remote_code": False}  # left open, transformers asks on the terminal
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **here)
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **here, **_as_it_may(folder)
        )
    except Exception as error:  # torch, safetensors and tokenizers each raise their own
        raise ModelError(f"The cross-encoder in {folder} cannot be loaded. Fetch it again, or set RERANKER.") from error
    # What the file lacks is filled with random numbers: an embedding model would order by chance.
    if report["missing_keys"] or model.config.num_labels not in (1, 2) or tokenizer.pad_token is None:
        raise ModelError(
            f"RERANKER is {weights}, which does not score a question and a text. "
            f"Give a cross-encoder of one or two labels, such as {_CROSS_ENCODER.example}."
        )
    places = getattr(model.config, "max_position_embeddings", CROSS_ENCODER_TOKENS)
    tokens = min(CROSS_ENCODER_TOKENS, tokenizer.model_max_length, places)
    return model.eval().to(device), tokenizer, tokens, device


def find_cross_encoder(weights: str) -> Path | None:
    """The folder of this cross-encoder on this computer, or None where the hub may have it.

    Raises ModelError where `weights` is neither such a folder nor a Hugging Face name.
    """
    return _find(weights, _CROSS_ENCODER)


def _find(weights: str, kind: _Kind) -> Path | None:
    folder = Path(weights).expanduser()
    if folder.is_dir():
        lacking = [group for group in kind.needed if not any((folder / name).is_file() for name in group)]
        if not lacking:
            return _without_code(folder, kind)
        raise ModelError(
            f"{kind.setting} is {weights}, which lacks {', '.join(group[0] for group in lacking)}. "
            f"Give a {kind.name} folder."
        )
    if weights.count("/") != 1 or weights.startswith((".", "/", "~")):
        raise ModelError(
            f"{kind.setting} is {shown(weights)}: no such folder, and no Hugging Face name either. "
            f"Give a folder, or a name such as {kind.example}."
        )
    from huggingface_hub import try_to_load_from_cache

    found = [[try_to_load_from_cache(weights, name) for name in group] for group in kind.needed]
    whole = all(any(isinstance(path, str) for path in group) for group in found)
    return _without_code(Path(found[0][0]).parent, kind) if whole else None


def _without_code(folder: Path, kind: _Kind) -> Path:
    """The folder, whose weights cannot run code as they are loaded. Raises ModelError for others."""
    weights = next(folder / name for name in WEIGHTS if (folder / name).is_file())
    if weights.name == WEIGHTS[1] and _digest(weights, weights.stat().st_mtime_ns) not in KNOWN:
        raise ModelError(
            f"{weights} is not loaded: a file of this kind can hold code, and its content is not known here. Give "
            f"{kind.setting} weights as {WEIGHTS[0]}. Where you trust the file, this makes them of it: python -c "
            "\"from transformers import AutoModel as M; M.from_pretrained('FOLDER').save_pretrained('FOLDER')\""
        )
    return folder


@lru_cache(maxsize=8)
def _digest(file: Path, changed: int) -> str:
    """Its SHA-256; `changed` is when it was (ns), so that a file of half a gigabyte is read once."""
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}. Change its permissions.") from error


def _as_it_may(folder: Path) -> dict[str, bool]:
    """How transformers may load what _without_code let through."""
    return {"local_files_only": True, "weights_only": True, "use_safetensors": (folder / WEIGHTS[0]).is_file()}


def _fetch(weights: str, kind: _Kind) -> Path:
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets out
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    mend = f"Connect to the internet, or set {kind.setting} to a folder that holds them."
    try:
        files = {one.rfilename for one in HfApi().model_info(weights, timeout=HUB_SECONDS).siblings or ()}
        wanted = next((name for name in WEIGHTS if name in files), None)
        if wanted is None:
            raise ModelError(
                f"{weights} holds no {kind.name} weights that can be read. Set {kind.setting} to a {kind.name} model."
            )
        return _without_code(Path(snapshot_download(weights, allow_patterns=[*kind.fetched, wanted])), kind)
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise ModelError(f"The Hugging Face hub refused {weights} (status {status}). Check {kind.setting}.") from error
    except (httpx2.HTTPError, OSError, ValueError) as error:  # no network, offline mode, disk full
        raise ModelError(f"The weights of {weights} could not be fetched. {mend}") from error


def _quiet() -> None:
    """Loading shows bars and reports on standard error, which is where the command line shows its own."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
