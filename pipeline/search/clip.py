"""Pictures and texts in, unit vectors of one space out: CLIP (Radford et al. 2021).

Building the embedding costs no model; the weights are loaded when the first vector is asked for. Whether
missing weights are an error or a part that is off, the caller decides. Knows no media folder and no Milvus.
"""

import hashlib
import math
import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.search.base import Batched, clean, safe_name, unit
from pipeline.search.weights import WEIGHTS, find_clip, load_clip
from pipeline.settings import Settings

if TYPE_CHECKING:
    import torch
    from llama_index.embeddings.clip import ClipEmbedding

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
PICTURES_A_BATCH = 16  # more gains nothing on a CPU
TEXT_TOKENS = 77  # CLIP's context; the rest of a longer text is not seen

_lock = threading.RLock()
_loaded: dict[str, tuple] = {}
_failed: dict[str, str] = {}  # what could not be had is not asked for again in this process


def image_embedding(settings: Settings) -> "ClipEmbedding":
    """CLIP as a LlamaIndex ClipEmbedding, with `.name` and `.dimension` (None until the model is loaded).

    Embedding raises ModelError where the weights cannot be had or loaded.
    """
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.embeddings.clip import ClipEmbedding

    class TransformersClip(Batched, ClipEmbedding):
        name: str

        def __init__(self, weights: str) -> None:
            # ClipEmbedding's own start loads the `clip` package, which is on no package index.
            BaseEmbedding.__init__(self, model_name=weights, embed_batch_size=PICTURES_A_BATCH, name=_name(weights))

        @property
        def dimension(self) -> int | None:
            return _dimension(self.model_name)

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return _embed_texts(self.model_name, texts)

        def _get_image_embedding(self, img_file_path: Any) -> list[float]:
            return _embed_pictures(self.model_name, [img_file_path])[0]

        def _get_image_embeddings(self, img_file_paths: list[Any]) -> list[list[float]]:
            return _embed_pictures(self.model_name, img_file_paths)

        async def _aget_image_embedding(self, img_file_path: Any) -> list[float]:
            return _embed_pictures(self.model_name, [img_file_path])[0]

    return TransformersClip(settings.clip_model or DEFAULT_MODEL)


class Clip:
    """CLIP as what reads a source needs it, without LlamaIndex: `.name`, `.dimension`, `get_image_embedding_batch`."""

    def __init__(self, weights: str) -> None:
        self._weights, self.name = weights, _name(weights)

    @property
    def dimension(self) -> int | None:
        return _dimension(self._weights)

    def get_image_embedding_batch(self, paths: Sequence[str]) -> list[list[float]]:
        return _embed_pictures(self._weights, paths)


def image_reader(settings: Settings) -> Clip:
    """What embeds the pictures of a reading. Embedding raises ModelError as image_embedding does."""
    return Clip(settings.clip_model or DEFAULT_MODEL)


def image_embedding_available(settings: Settings) -> tuple[bool, str]:
    """(whether CLIP's weights are on this computer, what to say about it). Loads nothing, asks no network."""
    weights = settings.clip_model or DEFAULT_MODEL
    if weights in _failed:
        return False, _failed[weights]
    try:
        if find_clip(weights):
            return True, weights
    except ModelError as error:
        return False, str(error)
    return False, (
        f"The weights of {weights} are not on this computer. They are fetched on first use (600 MB), "
        "or set CLIP_MODEL to a folder that holds them."
    )


def _name(weights: str) -> str:
    """A name that changes with the weights, so that vectors of two models are never mixed."""
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        return safe_name(weights)
    digest = hashlib.sha256()
    for path in (folder / name for name in ("config.json", *WEIGHTS)):
        if path.is_file():
            with path.open("rb") as file:  # the first tensors and the size tell weights apart; all of it takes 1 s
                digest.update(file.read(1 << 20) + str(file.seek(0, os.SEEK_END)).encode())
    return f"{safe_name(folder.name)}-{digest.hexdigest()[:8]}"


def _dimension(weights: str) -> int | None:
    return _loaded[weights][0].config.projection_dim if weights in _loaded else None


def _ready(weights: str) -> tuple[Any, Any, Any, str]:
    with _lock:  # one load, however many threads ask
        if weights in _failed:
            raise ModelError(_failed[weights])
        try:
            if weights not in _loaded:
                _loaded[weights] = load_clip(weights)
        except ModelError as error:
            _failed[weights] = str(error)
            raise
        return _loaded[weights]


def _embed_texts(weights: str, texts: Sequence[str]) -> list[list[float]]:
    import torch

    model, tokenizer, _, device = _ready(weights)
    with _lock:  # the tokenizer keeps its padding as state
        inputs = tokenizer(
            [clean(text) for text in texts], padding=True, truncation=True, max_length=TEXT_TOKENS, return_tensors="pt"
        )
    with torch.inference_mode():
        features = model.get_text_features(**inputs.to(device)).pooler_output
    return unit(features.cpu().numpy(), len(texts), model.config.projection_dim, "CLIP").tolist()


def _embed_pictures(weights: str, paths: Sequence[Any]) -> list[list[float]]:
    import torch

    model, _, pictures, device = _ready(weights)
    vectors: list[list[float]] = []
    for first in range(0, len(paths), PICTURES_A_BATCH):
        batch = [_prepared(path, pictures) for path in paths[first : first + PICTURES_A_BATCH]]
        pixels = torch.stack(batch).to(device)
        short = device == "cpu" and _multiplies_bfloat16()
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=short):
            features = model.get_image_features(pixel_values=pixels).pooler_output
        vectors += unit(features.float().cpu().numpy(), len(batch), model.config.projection_dim, "CLIP").tolist()
    return vectors


def _prepared(path: Any, like: Any) -> "torch.Tensor":
    """A picture as the model takes it: scaled, its middle cut out, normalised, as the image processor `like` says.

    The processor itself goes through PIL, which takes five times as long.
    """
    import numpy as np
    import torch
    from PIL import Image

    edge, (height, width) = like.size["shortest_edge"], (like.crop_size["height"], like.crop_size["width"])
    with Image.open(path) as image:
        scale = edge / min(image.size)
        image.draft(
            "RGB", (math.ceil(image.width * scale), math.ceil(image.height * scale))
        )  # a JPEG: no more than that
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    size = [max(edge, int(edge * side / min(pixels.shape[1:]))) for side in pixels.shape[1:]]
    pixels = torch.nn.functional.interpolate(pixels[None], size, mode="bicubic", antialias=True)[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    pixels = pixels[:, top : top + height, left : left + width] / 255
    return (pixels - torch.tensor(like.image_mean)[:, None, None]) / torch.tensor(like.image_std)[:, None, None]


@cache
def _multiplies_bfloat16() -> bool:
    """Whether this processor does: CLIP takes a quarter of the time then, and others take several times as long."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
