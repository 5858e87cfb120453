"""Pictures of one stretch of a video -> the few to look at for a question.

In: a question, Frames of one media folder. Out: some of the frames, and how they were chosen. Vectors made for this
are kept in memory only. Knows neither the index nor who looks at the pictures.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ModelError
from pipeline.search.embeddings import image_embedding, image_embedding_available
from pipeline.search.vectors import key_of, load_vectors
from pipeline.settings import Settings
from pipeline.types import Frame

if TYPE_CHECKING:
    import numpy as np

ALL = "all pictures of it that differ"
BY_CONTENT = "the pictures that fit the question best"
BY_LOOKS = "CLIP is off, so of the pictures looked at closer those were sent that differ most."
IN_STEPS = "pictures in even steps of time"
EMBEDDED = 12  # pictures for one stretch; CLIP takes 60-100 ms for one on a CPU
FIT = 0.7  # the weight of fitting the question; the rest is for showing something new
LOOKS = (32, 18)  # cells of mean brightness
KEPT = 4096  # vectors in memory: 8 MB

log = logging.getLogger(__name__)
_vectors: dict[tuple[str, Path], "np.ndarray"] = {}  # by the embedding's name and the picture


def best(
    question: str,
    frames: Sequence[Frame],
    folder: Path,
    settings: Settings,
    most: int,
    top: Frame | None = None,
    motion: bool = False,
) -> tuple[list[Frame], str]:
    """(at most `most` of the frames in the order of time, how they were chosen in words a person reads).

    Where CLIP's weights are on this computer: those that fit the question best and repeat neither one another nor
    `top`, which is shown in any case and never among them. Without CLIP: those that differ most in time and looks.
    `motion`: what happens matters, not what stands there; then even steps of time, with or without CLIP.
    Raises ModelError where a named CLIP model cannot be had, StorageError.
    """
    frames = sorted((f for f in {*frames} - {top} if (folder / f.image).is_file()), key=lambda f: (f.start, f.image))
    if not 0 < most < len(frames):
        return frames[: max(0, most)], ALL
    times = [frame.start for frame in frames]
    if motion:
        return [frames[n] for n in spread(times, most)], IN_STEPS
    candidates = [frames[n] for n in spread(times, EMBEDDED)]
    shown = [top] if top and (folder / top.image).is_file() else []
    measured = _by_content(question, [*shown, *candidates], folder, settings)
    if not measured:
        shown = [frame for frame in shown if _is_whole(folder / frame.image)]
        candidates = [frame for frame in candidates if _is_whole(folder / frame.image)]
        if not candidates:
            return [], BY_LOOKS
    fit, alike = measured or _by_looks([*shown, *candidates], folder)
    chosen = pick(fit, alike, most, taken=range(len(shown)))
    return [candidates[n - len(shown)] for n in sorted(chosen)], BY_CONTENT if measured else BY_LOOKS


def _is_whole(picture: Path) -> bool:
    """Whether it is there and can be drawn: one that is gone, or damaged, costs no answer."""
    from PIL import Image

    try:
        with Image.open(picture) as image:
            image.load()
    except OSError:
        return False
    return True


def spread(times: Sequence[float], most: int) -> list[int]:
    """The numbers of at most `most` times, in order: the one nearest to the middle of each equal part of them all."""
    if len(times) <= most:
        return sorted(range(len(times)), key=times.__getitem__)
    first, part = min(times), (max(times) - min(times)) / max(1, most)
    left = set(range(len(times)))
    for middle in (first + part * (n + 0.5) for n in range(most)):
        left.remove(min(left, key=lambda n: (abs(times[n] - middle), times[n])))
    return sorted(set(range(len(times))) - left, key=times.__getitem__)


def pick(fit: Sequence[float], alike: "np.ndarray", most: int, taken: Sequence[int] = ()) -> list[int]:
    """The numbers of at most `most` items, best first: each fits well and is unlike those before it and `taken`.

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998). `fit`: one number an item, higher is better;
    `alike`: how alike two items are, shape (items, items). Both count by how they lie between their least and most.
    """
    import numpy as np

    fit, alike = _scaled(np.asarray(fit, float)), _scaled(np.asarray(alike, float))
    taken, chosen = list(taken), []
    left = [n for n in range(len(fit)) if n not in taken]
    while left and len(chosen) < most:
        before = taken + chosen
        scores = [FIT * fit[n] - (1 - FIT) * (alike[n, before].max() if before else 0) for n in left]
        chosen.append(left.pop(int(np.argmax(scores))))
    return chosen


def _scaled(values: "np.ndarray") -> "np.ndarray":
    """From 0 to 1; all 0 where they are all the same."""
    if not values.size or values.max() - values.min() < 1e-9:
        return values * 0
    return (values - values.min()) / (values.max() - values.min())


def _by_content(
    question: str, frames: Sequence[Frame], folder: Path, settings: Settings
) -> "tuple[np.ndarray, np.ndarray] | None":
    """(cosine of each picture with the question, of each two pictures) by CLIP; None where CLIP is off."""
    import numpy as np

    ready, why = image_embedding_available(settings)
    try:
        if not ready:
            raise ModelError(why)
        embedding = image_embedding(settings)
        asked = np.asarray(embedding.get_query_embedding(question))
        saved = load_vectors(folder, embedding.name)
        keys = [(embedding.name, folder / frame.image) for frame in frames]
        if len(_vectors) > KEPT:
            _vectors.clear()
        here = {key: saved.get(key_of(f), _vectors.get(key)) for f, key in zip(frames, keys, strict=True)}
        new = [key for key in keys if here[key] is None]
        made = embedding.get_image_embedding_batch([str(path) for _, path in new])
        here.update(zip(new, np.asarray(made, np.float32), strict=True))
        _vectors.update((key, here[key]) for key in new)
    except ModelError as error:
        if settings.clip_model:  # named in the settings: used, or an error
            raise
        log.info("Pictures were chosen without CLIP: %s", error)
        return None
    vectors = np.stack([here[key] for key in keys])
    return vectors @ asked, vectors @ vectors.T


def _by_looks(frames: Sequence[Frame], folder: Path) -> "tuple[np.ndarray, np.ndarray]":
    """(no fit, how near each two pictures are in time and looks)."""
    import numpy as np
    from PIL import Image

    looks = []
    for frame in frames:
        with Image.open(folder / frame.image) as image:
            looks.append(np.asarray(image.convert("L").resize(LOOKS, Image.Resampling.BOX), float))
    times = np.array([frame.start for frame in frames])
    apart = _scaled(abs(times[:, None] - times))
    if looks:
        stack = np.stack(looks)
        apart = apart + _scaled(abs(stack[:, None] - stack).mean(axis=(2, 3)))
    return np.zeros(len(frames)), -apart
