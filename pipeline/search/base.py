"""What every embedding here shares: names, clean text in, checked unit vectors out. Knows no model."""

import hashlib
import re
from typing import TYPE_CHECKING, Any

from pipeline.errors import EmbeddingError

if TYPE_CHECKING:
    import numpy as np

CHARACTERS_A_TEXT = 20_000  # Mistral takes 8,192 tokens a text; English has about 4 characters a token


def safe_name(name: str) -> str:
    """A model's name as it may stand in a file or collection name: letters, digits, dash, dot, underscore."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return safe if 0 < len(safe) <= 80 else f"{safe[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def clean(text: str, limit: int = CHARACTERS_A_TEXT) -> str:
    """The text as UTF-8 can carry it (a lone surrogate cannot), cut to `limit` characters."""
    return text[:limit].encode("utf-8", "replace").decode("utf-8")


def unit(vectors: Any, count: int, dimension: int | None, who: str) -> "np.ndarray":
    """`vectors` as float32 (count, dimension) of length 1 each. EmbeddingError where they cannot be that."""
    import numpy as np

    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EmbeddingError(f"{who} sent something that is no list of vectors. Check its address.") from error
    if array.ndim != 2 or len(array) != count:
        got = len(array) if array.ndim else 0
        raise EmbeddingError(f"{who} sent {got} vectors for {count} inputs. Check its address and model.")
    if dimension and array.shape[1] != dimension:
        raise EmbeddingError(
            f"{who} sent vectors of {array.shape[1]} numbers where {dimension} are expected. Check the model's name."
        )
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise EmbeddingError(f"{who} sent a vector that is zero or not a number. Try again, or use another model.")
    return array / lengths


class Batched:
    """LlamaIndex's single-text doors, all led to `_get_text_embeddings`. Mixed into its embedding classes."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embeddings([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embeddings([query])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._get_text_embeddings(texts)
