"""A media folder and an embedding in, `vectors/<embedding>.npz` in that folder out.

What was embedded is kept, batch by batch, and never embedded again. Runs wherever a source is read;
knows nothing of Milvus.
"""

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError
from pipeline.search.base import safe_name
from pipeline.search.windows import units
from pipeline.types import Frame, Media, Passage

if TYPE_CHECKING:
    import numpy as np
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding

ITEMS_A_SAVE = 64  # what a crash can cost at most; a save of an hour of video takes about 10 ms

log = logging.getLogger(__name__)


def embed_text(folder: Path, media: Media, embedding: "BaseEmbedding", progress: Callable[[float], None]) -> None:
    """Embed what is searched of the passages and has no vector yet, and save it.

    `progress` is told the fraction that is done.

    Raises ModelError, EmbeddingError, StorageError; what was embedded until then is kept.
    """
    texts = {key_of(unit): unit.text for unit, _ in units(media.passages)}
    _embed(folder, embedding.name, texts, embedding.get_text_embedding_batch, embedding.dimension, progress)


def embed_frames(
    folder: Path, media: Media, embedding: "MultiModalEmbedding", progress: Callable[[float], None]
) -> None:
    """Embed the frames that have no vector yet and save them, telling `progress` the fraction that is done.

    Raises ModelError, StorageError; what was embedded until then is kept.
    """
    images = {key_of(frame): str(folder / frame.image) for frame in media.frames}
    embed = embedding.get_image_embedding_batch
    _embed(folder, embedding.name, images, embed, embedding.dimension, progress)


def missing(folder: Path, passages: Sequence[Passage], name: str) -> bool:
    """Whether something that is searched of the passages has no vector of the embedding `name` yet."""
    have = load_vectors(folder, name)
    return any(key_of(unit) not in have for unit, _ in units(passages))


def load_vectors(folder: Path, name: str) -> dict[str, "np.ndarray"]:
    """The saved vectors of the embedding `name`: key_of(item) -> float32 (dimension,). {} when there are none.

    A damaged file is removed with a line in the log, since all in it can be computed anew.
    """
    import numpy as np

    path = vectors_path(folder, name)
    try:
        with np.load(path, allow_pickle=False) as file:
            keys, vectors = file["keys"], file["vectors"]
        if vectors.dtype != np.float32 or vectors.ndim != 2 or len(keys) != len(vectors):
            raise ValueError("not keys and float32 vectors")
        if not np.isfinite(vectors).all():
            raise ValueError("holds what is not a number")
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("The vectors in %s are damaged (%s) and will be computed anew.", path.name, error)
        path.unlink(missing_ok=True)
        return {}
    except OSError as error:
        raise StorageError(f"The vectors in {path} cannot be read. Check the data folder's permissions.") from error
    return {str(key): vector for key, vector in zip(keys, vectors, strict=True)}


def vectors_path(folder: Path, name: str) -> Path:
    """Where the vectors of the embedding `name` lie in a media folder."""
    return folder / "vectors" / f"{safe_name(name)}.npz"


def key_of(item: Passage | Frame) -> str:
    """What a vector is kept under: 32 hex digits made from the text, or from the picture's file name."""
    content = f"image\n{item.image}" if isinstance(item, Frame) else f"text\n{item.text}"
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:32]


def _embed(
    folder: Path,
    name: str,
    wanted: dict[str, str],
    embed: Callable[[list[str]], list[list[float]]],
    dimension: int | None,
    progress: Callable[[float], None],
) -> None:
    import numpy as np

    have = load_vectors(folder, name)
    if dimension and have and len(next(iter(have.values()))) != dimension:
        log.warning("The vectors of %s have another length than before and are computed anew.", name)
        have = {}
    todo = [key for key in wanted if key not in have]
    while todo:
        batch, todo = todo[:ITEMS_A_SAVE], todo[ITEMS_A_SAVE:]
        vectors = np.asarray(embed([wanted[key] for key in batch]), dtype=np.float32)
        if have and len(next(iter(have.values()))) != vectors.shape[1]:
            log.warning("The vectors of %s have another length than before and are computed anew.", name)
            have = {}
            todo = [key for key in wanted if key not in batch]
        have.update(zip(batch, vectors, strict=True))
        _save(vectors_path(folder, name), {key: have[key] for key in wanted if key in have})
        progress(1 - len(todo) / len(wanted))
    progress(1.0)


def _save(path: Path, vectors: dict[str, "np.ndarray"]) -> None:
    """Whole or not at all: written beside its place, then moved there."""
    import numpy as np

    try:
        path.parent.mkdir(exist_ok=True)  # not its parents: a media that was removed meanwhile stays removed
        handle, beside = tempfile.mkstemp(prefix=".vectors-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, keys=np.array(list(vectors), dtype="U32"), vectors=np.stack(list(vectors.values())))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise StorageError(
            f"The vectors could not be saved in {path.parent}: {error.strerror or error}. "
            "Make room on the disk or check its permissions, then read the video again."
        ) from error
