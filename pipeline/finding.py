"""A question -> evidence: what it asks for decides how moments are gathered.

In: a question, the conversation, the ranked lists of the index and the media they name. Out: Evidence.
Knows neither the vector store nor the page.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.chat import followup
from pipeline.chat.intent import Intent
from pipeline.search import around, chapters, moments, places
from pipeline.search.moments import Fusion
from pipeline.search.nearness import is_measured, nearness
from pipeline.types import Evidence, Hit, Media, Moment, Turn
from pipeline.words import content_words

FOLLOWING = 45.0  # s, how much of what comes right after (or before) a moment counts as "after that"
JUST_SAID = 20.0  # s before the player's position that "what did she just say?" is about
STILL_SHOWN = 5.0  # s after it
PLACES = 20  # listed for "every place where"
HITS = 100  # of each list
COMPARED = 20  # moments that are compared word by word

_TIME = re.compile(
    r"(?:(?P<order>after|before) )?(?<![\d:.])(?:(?P<hours>\d{1,2}):)?(?P<minutes>\d{1,3}):(?P<seconds>[0-5]\d)"
    r"(?![\d:])(?!\s*[ap]\.?m\b)",
    re.IGNORECASE,
)

Lists = Mapping[str, Sequence[Hit]]


class Known(dict[str, Media]):
    """Media by id, each got when it is asked for: what was found lies in more of them than are looked into."""

    def __init__(self, get: Callable[[str], Media]) -> None:
        self._get = get

    def __missing__(self, media_id: str) -> Media:
        self[media_id] = self._get(media_id)
        return self[media_id]


@dataclass(frozen=True)
class Library:
    """What finding needs of the library."""

    search: Callable[[str, int, float | None, float | None, Collection[str]], Lists]  # see Index.search
    get: Callable[[str], Media]  # by media id
    languages: Callable[[Collection[str]], Collection[str]]  # of these media ids
    vectors: Callable[[str], Mapping[str, Any]]  # the text vectors of a media id: see vectors.load_vectors
    scope: Sequence[str]  # the ids of the media that are asked
    threshold: float | None  # of nearness; None where the embedding has none that was measured
    by_word: Callable[[str, Sequence[Moment], float], list[Moment]] | None = None  # see late.comparer
    rerank: Callable[[str, Sequence[Moment]], list[Moment]] | None = None  # see rerank.reranker


def gather(
    question: str,
    meant: Intent,
    history: Sequence[Turn],
    limit: int,
    at: tuple[str, float] | None,
    fusion: Fusion,
    library: Library,
) -> Evidence:
    """The evidence for a question that was read as `meant`. `at` is the media id and time (s) of the player."""
    only = library.get(library.scope[0]) if len(library.scope) == 1 else None
    notes: list[str] = []
    if meant.kind == "now" and at:
        return _now(question, library.get(at[0]), at[1])
    if meant.kind == "whole" and only and (whole := outline(only, library.vectors(only.id))):
        return Evidence(question, whole, "whole")
    if meant.kind in ("first", "last") and not meant.about and only:
        end = around.following(only, 0.0, FOLLOWING) if meant.kind == "first" else None
        end = end or around.preceding(only, only.length, FOLLOWING)
        return Evidence(question, (end,) if end else (), meant.kind)
    if meant.kind == "now":
        notes.append("Where the player stands is not known, so this is what fits the words of the question.")
    if meant.kind in ("now", "whole") or not meant.about:
        meant = Intent("local", question)  # of the whole library, or with no player: what fits best
    listed = meant.kind in ("first", "last", "every", "count")
    query = followup.resolve(meant.about, history, narrow=listed)
    lists = library.search(query.text, HITS, query.after, query.before, [n for n, w in fusion.weights.items() if w])
    if not lists and only and not only.passages and (pictures := outline(only, {})):
        # Nothing of it can be searched: some pictures of all of it, in which a model may see the answer.
        return Evidence(question, pictures, "whole", 0.0, False, tuple(notes))
    known = Known(library.get)
    many = max(limit, PLACES) if listed or library.rerank else limit
    by_word = library.by_word if fusion.late else None
    found = moments.fuse(lists, known, max(many, COMPARED) if by_word else many, fusion)
    near = nearness(query.text, lists, found)  # of the fused order, which it was fitted on
    if by_word:
        found = [*by_word(query.text, found[:COMPARED], fusion.late), *found[COMPARED:]][:many]
    if library.rerank:
        found = library.rerank(query.text, found)[:limit]
    languages = library.languages({hit.media for hits in lists.values() for hit in hits})
    measured = library.threshold is not None and is_measured(question, languages)
    is_near = not measured or near >= library.threshold
    evidence = Evidence(question, tuple(found), meant.kind, near, is_near, tuple(notes))
    if listed:
        return _list(evidence, query.text, [library.get(media_id) for media_id in library.scope], limit)
    if meant.kind in ("after", "before") and found:
        beside, anchor = _beside_of(found[0], lists, known[found[0].media], meant.kind), found[:1]
    else:
        beside, anchor = (_timed(question, only) if only else None) or pointed_at(query, library), []
        evidence = replace(evidence, near=is_near or beside is not None)  # "after that", "at 1:05": is there
    if beside:
        others = [one for one in found[len(anchor) :] if one.media != beside.media or not _touch(one, beside)]
        evidence = replace(evidence, moments=(beside, *anchor, *others)[:limit])
    return evidence


def outline(media: Media, vectors: Mapping[str, Any]) -> tuple[Moment, ...]:
    """One moment for each chapter, in order: its title, the sentences that stand for it, and one frame."""
    found = []
    for chapter in media.chapters or chapters.cut(media, vectors):
        said = chapters.outline(media, vectors, chapter)
        frames = around.pictures_of((), media.frames, chapter.start, chapter.end)[:1]
        if said or frames:
            found.append(Moment(media.id, chapter.start, chapter.end, 0.0, said, frames, ("chapter",), chapter.title))
    return tuple(found)


def _now(question: str, media: Media, seconds: float) -> Evidence:
    there = around.at(media, seconds, JUST_SAID, STILL_SHOWN)
    return Evidence(question, (there,) if there else (), "now")


def _list(evidence: Evidence, about: str, media: Sequence[Media], limit: int) -> Evidence:
    """The places where it is said or shown, in the order of the source."""
    found = places.where(about, media)
    # Where the very words are, it is in the video; where they are nothing but "okay", nothing else is near.
    near = bool(found) or (evidence.near and bool(content_words(about)))
    found = sorted(found or evidence.moments[:limit], key=lambda one: (one.media, one.start))
    notes = evidence.notes
    if len(found) > PLACES:
        end = "last" if evidence.kind == "last" else "first"
        notes = (*notes, f"It is at {len(found)} places; these are the {end} {PLACES}.")
    kept = found[-PLACES:] if evidence.kind == "last" else found[:PLACES]
    return replace(evidence, moments=tuple(kept), near=near, notes=notes)


def _timed(question: str, media: Media) -> Moment | None:
    """What is at the time that a question names, such as "what is said at 1:05?"; right after or before it."""
    named = _TIME.search(question)
    if not named:
        return None
    seconds = int(named["hours"] or 0) * 3600 + int(named["minutes"]) * 60 + int(named["seconds"])
    if seconds > media.length:
        return None
    if named["order"]:
        beside = around.following if named["order"].lower() == "after" else around.preceding
        return beside(media, seconds, FOLLOWING)
    return around.at(media, seconds, STILL_SHOWN, JUST_SAID, "at that time")


def _beside_of(anchor: Moment, lists: Lists, media: Media, kind: str) -> Moment | None:
    """What comes right after (or before) the sentence of the anchor that fits best."""
    inside = (
        hit.item
        for hit in lists.get("sentence meaning", ())
        if hit.media == anchor.media and hit.item.start >= anchor.start and hit.item.end <= anchor.end
    )
    exact = next(inside, anchor)
    if kind == "after":
        return around.following(media, exact.end, FOLLOWING)
    return around.preceding(media, exact.start, FOLLOWING)


def pointed_at(query: followup.Query, library: Library) -> Moment | None:
    """What comes right after, or before, the time that a follow-up points from."""
    if query.after is not None:
        return around.following(library.get(query.media), query.after, FOLLOWING)
    if query.before is not None:
        return around.preceding(library.get(query.media), query.before, FOLLOWING)
    return None


def _touch(one: Moment, other: Moment) -> bool:
    return one.start < other.end and other.start < one.end
