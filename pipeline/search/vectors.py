"""A media folder and an embedding in, `vectors/<embedding>.npz` in that folder out; beside it `<embedding>-words.npz`,
where the embedding tells how each word is meant.

What was embedded is kept, batch by batch, and never embedded again. Runs wherever a source is read;
knows nothing of Milvus.
"""

import errno
import hashlib
import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.disk import storage_errors, tell, whole
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


def embed_words(folder: Path, media: Media, embedding: "BaseEmbedding", progress: Callable[[float], None]) -> None:
    """Embed the content words of each passage that has none of these vectors yet, and save them.

    Does nothing with an embedding that has no vectors of words. Else as embed_text.
    """
    if not hasattr(embedding, "word_vectors"):
        return
    texts = {key_of(one): one.text for one in media.passages if one.text.strip()}
    have = load_words(folder, embedding.name)
    todo = [key for key in texts if key not in have]
    for first in range(0, len(todo), ITEMS_A_SAVE):
        batch = todo[first : first + ITEMS_A_SAVE]
        found = map(_in_bytes, embedding.word_vectors([texts[key] for key in batch]))
        have.update(zip(batch, found, strict=True))
        _save_words(words_path(folder, embedding.name), {key: have[key] for key in texts if key in have})
        progress((first + len(batch)) / len(todo))
    progress(1.0)


def embed_frames(
    folder: Path, media: Media, embedding: "MultiModalEmbedding", progress: Callable[[float], None]
) -> None:
    """Embed the frames that have no vector yet and save them, telling `progress` the fraction that is done.

    Raises ModelError, StorageError; what was embedded until then is kept.
    """
    images = {key_of(frame): str(folder / frame.image) for frame in media.frames}
    embed = embedding.get_image_embedding_batch
    _embed(folder, embedding.name, images, embed, embedding.dimension, progress)


def missing(folder: Path, passages: Sequence[Passage], name: str, words: bool = False) -> bool:
    """Whether something that is searched of the passages has no vector of the embedding `name` yet.

    With `words` also whether a passage has none of its words.
    """
    have = load_vectors(folder, name)
    if any(key_of(unit) not in have for unit, _ in units(passages)):
        return True
    known = load_words(folder, name) if words else {}
    return words and any(key_of(one) not in known for one in passages if one.text.strip())


def load_vectors(folder: Path, name: str) -> dict[str, "np.ndarray"]:
    """The saved vectors of the embedding `name`: key_of(item) -> float32 (dimension,). {} when there are none.

    A damaged file is removed with a line in the log, since all in it can be computed anew.
    """
    return _load(vectors_path(folder, name), _vectors_of)


def load_words(folder: Path, name: str) -> dict[str, "np.ndarray"]:
    """The saved vectors of words of the embedding `name`: key_of(passage) -> int8 (content words, dimension).

    Each points where the word does, in steps of 1/127 of its largest number; its length means nothing. {} when there
    are none. A damaged file is removed with a line in the log.
    """
    return _load(words_path(folder, name), _words_of)


def vectors_path(folder: Path, name: str) -> Path:
    """Where the vectors of the embedding `name` lie in a media folder."""
    return folder / "vectors" / f"{safe_name(name)}.npz"


def words_path(folder: Path, name: str) -> Path:
    """Where the vectors of words of the embedding `name` lie in a media folder."""
    return folder / "vectors" / f"{safe_name(name)}-words.npz"


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
        _save_vectors(vectors_path(folder, name), {key: have[key] for key in wanted if key in have})
        progress(1 - len(todo) / len(wanted))
    progress(1.0)


def _in_bytes(vectors: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.rint(127 * vectors / np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9)).astype(np.int8)


def _load(path: Path, parse: Callable[[Any], dict[str, "np.ndarray"]]) -> dict[str, "np.ndarray"]:
    import numpy as np

    try:
        with storage_errors(path), np.load(path, allow_pickle=False) as file:
            return parse(file)
    except (StorageError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return {}
        # A damaged file may name a place before its own beginning.
        if isinstance(error, StorageError) and error.__cause__.errno != errno.EINVAL:
            raise
        log.warning("The vectors in %s are damaged (%s) and will be computed anew.", path.name, error)
        with storage_errors(path):
            path.unlink(missing_ok=True)
        return {}


def _vectors_of(file: Any) -> dict[str, "np.ndarray"]:
    import numpy as np

    keys, vectors = file["keys"], file["vectors"]
    if vectors.dtype != np.float32 or vectors.ndim != 2 or len(keys) != len(vectors):
        raise ValueError("not keys and float32 vectors")
    if not np.isfinite(vectors).all():
        raise ValueError("holds what is not a number")
    return {str(key): vector for key, vector in zip(keys, vectors, strict=True)}


def _words_of(file: Any) -> dict[str, "np.ndarray"]:
    import numpy as np

    keys, ends, vectors = file["keys"], file["ends"], file["vectors"]
    if vectors.dtype != np.int8 or vectors.ndim != 2 or len(keys) != len(ends) or list(ends[-1:]) != [len(vectors)]:
        raise ValueError("not keys and int8 vectors of words")
    ends = ends.tolist()
    return {key: vectors[start:end] for key, start, end in zip(keys.tolist(), [0, *ends[:-1]], ends, strict=True)}


def _save_words(path: Path, words: dict[str, "np.ndarray"]) -> None:
    import numpy as np

    ends = np.cumsum([len(one) for one in words.values()])
    _save(path, keys=np.array(list(words), dtype="U32"), ends=ends, vectors=np.concatenate(list(words.values())))


def _save_vectors(path: Path, vectors: dict[str, "np.ndarray"]) -> None:
    import numpy as np

    _save(path, keys=np.array(list(vectors), dtype="U32"), vectors=np.stack(list(vectors.values())))


def _save(path: Path, **arrays: "np.ndarray") -> None:
    """Whole or not at all."""
    import numpy as np

    with storage_errors(path):
        path.parent.mkdir(exist_ok=True)  # not its parents: a media that was removed meanwhile stays removed
    with whole(path) as unfinished:
        np.savez(unfinished, **arrays)
    tell(path.parents[2])
