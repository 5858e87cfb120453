"""A picture, with a question or alone -> evidence: where it, or one like it, is shown, and what is near to it.

What looks the same is found without any model (search/likeness.py); CLIP, where it is there, also finds the same thing
seen otherwise; the words that stand on the picture are looked for beside those of the question. Knows neither the
vector store nor the page.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.chat import followup
from pipeline.chat.lines import IS_IT, LIKE_IT
from pipeline.errors import StorageError
from pipeline.finding import HITS, PLACES, Known, Library, pointed_at
from pipeline.search import around, likeness, moments, vectors
from pipeline.search.moments import Fusion
from pipeline.search.nearness import nearness
from pipeline.types import Evidence, Frame, Hit, Media, Moment, Turn
from pipeline.words import content_words

ONLY_A_PICTURE = "Where is this shown?"  # what a picture without words asks
EXACTLY = 24  # frames that are looked at exactly, about 20 ms each
TOGETHER = 15.0  # s; frames that look the same and are closer than this are one place
LEAST = 0.8  # likeness; frames of other videos are mostly below, see likeness.SAME
SEEN = 0.9  # cosine of two pictures by CLIP from which they surely show one thing; by eye, not measured
WORDS = 40  # of those on the picture, that are looked for
BESIDES = 2  # places of the picture, where the question asks for something else about it
# What a question says of the picture itself, and not of what is to be found.
ABOUT_IT = frozenset(
    re.findall(
        r"\S+",
        """appear appears appeared appearing picture pictures image images photo screenshot drawing diagram chart figure
        exact place places similar occur occurs locate present displayed visible included attached""",
    )
)

Held = Mapping[str, tuple[Path, Media]]  # by media id: its folder and what it holds
Wanted = Callable[[str, Frame], bool]


def gather(
    question: str,
    looks: Sequence[Hit],
    views: Sequence[Hit],
    read: Callable[[], str],
    limit: int,
    fusion: Fusion,
    library: Library,
) -> Evidence:
    """The evidence for a question with a picture.

    looks: see alike(); views: frames by CLIP, best first, [] where it is off; read: gives the words on the picture, and
    is asked only where no frame is the same.
    """
    exact = same(looks, likeness.NEARLY)
    places = _places(exact, library.get)
    own = [word for word in content_words(question) if word not in ABOUT_IT]
    words = () if exact else content_words(read())[:WORDS]  # where it is shown is known: they would drown the question
    query = " ".join([question if own else "", *words]).strip()
    texts = [name for name, weight in fusion.weights.items() if weight and name != "picture"]
    lists = dict(library.search(query, HITS, None, None, texts)) if query else {}
    known = Known(library.get)
    found = moments.fuse({**lists, "picture": views}, known, limit + len(places), fusion)
    measured = library.threshold is not None
    near = nearness(query, lists, found) if lists else 0.0  # of words
    said = bool(lists) and (not measured or near >= library.threshold)
    seen = bool(views) and views[0].score >= SEEN
    if not exact and not found:  # what is nearest by looks alone
        places = _places(looks[:limit], library.get)
    others = [_renamed(one) for one in found if not any(_is_within(one, place) for place in places)]
    shown = places[: BESIDES if own else PLACES]
    kept = [*shown, *others][: max(limit, len(shown))]
    nearest = max(near, exact[0].score) if exact else near
    evidence = Evidence(question, tuple(kept), "picture", nearest, bool(exact) or seen or said)
    if len(places) > PLACES and not own:
        evidence = replace(evidence, notes=(f"It is at {len(places)} places; these are {PLACES} of them.",))
    return _pointing(evidence, places, library, limit) if exact else evidence


def alike(picture: bytes, held: Held, wanted: Wanted = lambda media_id, frame: True) -> list[Hit]:
    """The frames that look like the picture, most alike first, at most EXACTLY. Raises StorageError.

    The grids of frames that have none yet are made and kept: about 1 ms a frame, once.
    """
    import numpy as np

    frames: dict[float, list[tuple[str, Frame]]] = {}  # by shape: those of one shape are compared at once
    grids: dict[float, list[np.ndarray]] = {}
    for media_id, (folder, media) in held.items():
        if (shape := _shape(folder, media.frames)) is None:
            continue
        try:
            vectors.embed_frames(folder, media, likeness.Looks(), lambda done: None)
        except StorageError:
            if folder.exists():
                raise
            continue  # removed just now
        known = vectors.load_vectors(folder, likeness.Looks.name)
        mine = [one for one in media.frames if vectors.key_of(one) in known and wanted(media_id, one)]
        frames.setdefault(shape, []).extend((media_id, one) for one in mine)
        grids.setdefault(shape, []).extend(known[vectors.key_of(one)] for one in mine)

    def laid(scales: Sequence[float]) -> list[tuple[likeness.Lay, str, Frame]]:
        found = [
            (lay, media_id, frame)
            for shape, mine in frames.items()
            if mine
            for lay, (media_id, frame) in zip(
                likeness.overlay(picture, np.stack(grids[shape]), shape, scales), mine, strict=True
            )
        ]
        return sorted(found, key=lambda one: -one[0].likeness)[:EXACTLY]

    best = laid(likeness.SCALES[:1])
    if not best or best[0][0].likeness < likeness.SAME:  # else nothing was cut off: the usual case, and much quicker
        best = laid(likeness.SCALES)
    hits = []
    for lay, media_id, frame in best:
        with contextlib.suppress(StorageError):  # a picture that is gone, or damaged
            score = likeness.exactly(picture, held[media_id][0] / frame.image, lay).likeness
            hits.append(Hit(media_id, frame, score, "look"))
    return sorted((hit for hit in hits if hit.score >= LEAST), key=lambda hit: -hit.score)


def same(looks: Sequence[Hit], margin: float = 1.0) -> list[Hit]:
    """Those that show the same: no less alike than likeness.SAME, nor than the best by more than the margin."""
    least = max(likeness.SAME, looks[0].score - margin) if looks else 1.0
    return [hit for hit in looks if hit.score >= least]


def _shape(folder: Path, frames: Sequence[Frame]) -> float | None:
    """Width by height of the frames; None where none can be read."""
    for frame in frames:
        with contextlib.suppress(StorageError):
            return round(likeness.shape(folder / frame.image), 2)
    return None


def apart_from(media_id: str, frame: Frame) -> Wanted:
    """Which frames are neither this one nor its neighbours."""
    return lambda other_id, other: (
        other_id != media_id or other.start > frame.end + TOGETHER or other.end < frame.start - TOGETHER
    )


def thinned(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """The best of each place, best first."""
    kept: list[Hit] = []
    for hit in hits:
        if len(kept) < limit and all(apart_from(one.media, one.item)(hit.media, hit.item) for one in kept):
            kept.append(hit)
    return kept


def _places(hits: Sequence[Hit], get: Callable[[str], Media]) -> list[Moment]:
    """The stretches in which these frames stand, most alike first; those next to one another are one."""
    groups: list[list[Hit]] = []
    for hit in sorted(hits, key=lambda one: (one.media, one.item.start)):
        last = groups[-1][-1] if groups else None
        if last and last.media == hit.media and hit.item.start - last.item.end <= TOGETHER:
            groups[-1].append(hit)
        else:
            groups.append([hit])
    return sorted((_place(group, get(group[0].media)) for group in groups), key=lambda one: -one.score)


def _place(hits: Sequence[Hit], media: Media) -> Moment:
    best = sorted(hits, key=lambda one: (-one.score, one.item.start))
    start, end = min(one.item.start for one in hits), max(one.item.end for one in hits)
    # What is said where the picture appears; a slide may stand for minutes.
    until = min(end, start + around.LONGEST)
    said = [one for one in media.passages if one.start < until and min(one.end, until) > start]
    why = IS_IT if best[0].score >= likeness.SAME else LIKE_IT
    frames = tuple(one.item for one in best)[: around.PICTURES]
    return Moment(media.id, start, end, best[0].score, around.in_order(said), frames, (why,))


def _renamed(moment: Moment) -> Moment:
    """What CLIP found was found by the picture, not by the question."""
    return replace(moment, why=tuple(LIKE_IT if reason == moments.LOOKS_LIKE else reason for reason in moment.why))


def _pointing(evidence: Evidence, places: Sequence[Moment], library: Library, limit: int) -> Evidence:
    """What comes after (or before) the picture first, where that is what is asked."""
    shown = Turn("", "", replace(evidence, moments=tuple(places)))
    query = followup.resolve(evidence.question, [shown])
    there = pointed_at(query, library)
    if not there:
        return evidence
    rest = [one for one in evidence.moments[1:] if not _touch(one, there)]
    kind = "after" if query.after is not None else "before"
    return replace(evidence, moments=(there, places[0], *rest)[:limit], kind=kind)


def _is_within(one: Moment, place: Moment) -> bool:
    """Whether most of a moment is a place that is there already."""
    shared = min(one.end, place.end) - max(one.start, place.start)
    return one.media == place.media and shared > 0.5 * (one.end - one.start)


def _touch(one: Moment, other: Moment) -> bool:
    return one.media == other.media and one.start < other.end and other.start < one.end
