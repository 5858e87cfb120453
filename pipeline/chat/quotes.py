"""The answer without a model: the evidence itself, quoted with its times, as the kind of question wants it. Pure.

Knows the evidence and the question, nothing of endpoints.
"""

import dataclasses
import re
from collections.abc import Callable, Generator, Iterable, Mapping

from pipeline import part_status
from pipeline.chat import excerpts
from pipeline.chat.citations import cue
from pipeline.chat.excerpts import LENGTH, Excerpt
from pipeline.chat.lines import IS_IT, LIKE_IT
from pipeline.chat.markup import JOINER
from pipeline.chat.reply import Reply
from pipeline.chat.selection import spread
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, SHOWN, SPOKEN, Evidence, Moment

QUOTES = 3
SHORT = 160  # characters, of a quote in a long list
LIST = 24  # lines of an outline or a list of places
STANDS = 6  # quotes of the moment that the player stands at
TIMES_OF_FRAMES = 3
VERBS = {
    "speech": "said",
    "subtitle": "in the subtitles",
    "screen": "on screen",
    "caption": "the picture shows",
    DOUBTFUL: "perhaps said (heard in doubt)",
}
QUOTED = "No chat model is set up, so these are quotes from the video, not a written answer"


def answer(evidence: Evidence, titles: Mapping[str, str]) -> Reply:
    """What was found, as quotes; where there are no words, the times of the best frames.

    titles: media id -> title, named where the evidence is of several videos.
    """
    return Reply(evidence, "quotes", _pieces(_write(evidence, titles)))


def _pieces(text: str) -> Generator[str, None, str]:
    yield text
    return "stop"


def _write(evidence: Evidence, titles: Mapping[str, str]) -> str:
    several = len({moment.media for moment in evidence.moments}) > 1

    def place(media: str) -> str:
        return f" in “{titles.get(media, media)}”" if several else ""

    if not evidence.moments:
        again = "" if evidence.not_looked_at else " Try it in other words."  # else it says what to do
        return _not_found(evidence) + again
    if not evidence.near:
        return f"{_not_found(evidence)}\n\n{_nearest(evidence, place, part_status.nearest(evidence))}"
    return _BY_KIND.get(evidence.kind, _nearest)(evidence, place)


def _not_found(evidence: Evidence) -> str:
    """Each reason by itself."""
    return "\n\n".join(map(_flat, part_status.not_found(evidence)))


Place = Callable[[str], str]  # media id -> where it is, "" with one video


def _nearest(evidence: Evidence, place: Place, opening: str = QUOTED) -> str:
    quotes = excerpts.best(evidence)[:QUOTES]
    if quotes:
        return _block(f"{opening}:", (_line(quote, place) for quote in quotes))
    frames = dict.fromkeys((moment.media, cue(moment.frames[0])) for moment in evidence.moments if moment.frames)
    some = spread(list(frames), TIMES_OF_FRAMES) if evidence.kind == "whole" else list(frames)[:TIMES_OF_FRAMES]
    times = ", ".join(f"[{stamp(start)}]{place(media)}" for media, start in some)
    if opening != QUOTED:
        return f"{opening}: {times}." if evidence.kind == "whole" else f"{opening}: the pictures at {times}."
    return (
        "No chat model is set up, so this is what was found, not a written answer. "
        f"No words that were found fit the question; the pictures that fit best are at {times}."
    )


def _outline(evidence: Evidence, place: Place) -> str:
    chapters = spread(evidence.moments, LIST)
    of_all = f" ({len(chapters)} of {len(evidence.moments)})" if len(chapters) < len(evidence.moments) else ""
    lines = []
    for moment in chapters:
        quote = next(iter(excerpts.one_by_one(moment, evidence.question, SHORT)), None)
        if moment.title:
            words = f": [{stamp(quote.start)}] {_words(quote)}" if quote else ""
            lines.append(f"- [{stamp(moment.start)}]{place(moment.media)} {_flat(moment.title)}{words}")
        else:
            lines.append(_line(quote, place) if quote else _bare(moment, place))
    return _block(f"{QUOTED}. Chapters{of_all}:", lines)


def _beside(evidence: Evidence, place: Place) -> str:
    """What comes right after or before something, then the thing itself."""
    moment, rest = evidence.moments[0], dataclasses.replace(evidence, moments=evidence.moments[1:])
    read = excerpts.in_order if evidence.kind == "after" else excerpts.leading_up
    found = read(moment, evidence.question)
    spoken = ([one for one in found if one.kind in SPOKEN] or [one for one in found if one.kind == DOUBTFUL])[:1]
    shown = [one for one in found if one.kind in SHOWN][:1]
    lines = [_line(one, place) for one in (*spoken, *shown)]
    text = _block(f"{QUOTED}. What comes right {evidence.kind}:", lines or [_bare(moment, place)])
    if anchors := [one for one in excerpts.best(rest) if one not in found][: QUOTES - 1]:
        text += f"\n\n{_block(f'It comes right {evidence.kind} this:', (_line(one, place) for one in anchors))}"
    return text


def _places(evidence: Evidence, place: Place) -> str:
    """Every place that was found, in the order of the video."""
    moments, kind = evidence.moments, evidence.kind
    chosen = moments[-LIST:] if kind == "last" else moments[:LIST]
    length = LENGTH if len(moments) == 1 else SHORT
    found = [(moment, next(iter(excerpts.best_of(moment, evidence.question, length)), None)) for moment in chosen]
    lines = [_line(quote, place) if quote else _bare(moment, place) for moment, quote in found]
    if left := len(moments) - len(chosen):
        lines.append(f"- and {left} {'earlier' if kind == 'last' else 'later'}")
    if kind in ("first", "last"):
        moment, quote = found[0 if kind == "first" else -1]
        opening = f"The {kind} place that was found is at [{stamp(quote.start if quote else cue(moment))}]"
        opening += place(moment.media) + (". All that were found, in order" if len(moments) > 1 else "")
    else:
        count = f"{len(moments)} place{'s' * (len(moments) > 1)}"
        opening = f"Found {count} where words or pictures are near to the question"
        opening += "; there may be more, and not each must be meant" if kind == "count" else ""
    return _block(f"{QUOTED}. {opening}:", lines)


def _now(evidence: Evidence, place: Place) -> str:
    moment = evidence.moments[0]
    lines = [_line(one, place) for one in excerpts.in_order(moment, evidence.question)[:STANDS]]
    # Without brackets: where the stretch begins and ends nothing need be said.
    opening = f"What is said and shown from {stamp(moment.start)} to {stamp(moment.end)}, where the player stands"
    return _block(f"{QUOTED}. {opening}:", lines or [_bare(moment, place)])


def _shown(evidence: Evidence, place: Place) -> str:
    """Where the picture of the question is shown, then what is near to it."""
    shown = [one for one in evidence.moments if {*one.why} & {IS_IT, LIKE_IT}][:LIST]
    if not shown:
        return _nearest(evidence, place)
    length = LENGTH if len(shown) == 1 else SHORT
    lines = []
    for moment in shown:
        quote = next(iter(excerpts.best_of(moment, evidence.question, length)), None)
        until = f" to {stamp(moment.end)}" if moment.end - moment.start >= 1 else ""
        words = f": [{stamp(quote.start)}] {_words(quote)}" if quote else ", no words found there"
        lines.append(f"- [{stamp(cue(moment.frames[0]))}]{until}{place(moment.media)}{words}")
    of = "This picture is" if IS_IT in shown[0].why else "Pictures that look like it are"
    text = _block(f"{QUOTED}. {of} shown here, most alike first:", lines)
    rest = dataclasses.replace(evidence, moments=tuple(one for one in evidence.moments if one not in shown))
    if quotes := excerpts.best(rest)[:QUOTES]:
        text += f"\n\n{_block('Also near to it:', (_line(quote, place) for quote in quotes))}"
    return text


_BY_KIND = {
    "picture": _shown,
    "whole": _outline,
    "after": _beside,
    "before": _beside,
    "first": _places,
    "last": _places,
    "every": _places,
    "count": _places,
    "now": _now,
}


def _block(opening: str, lines: Iterable[str]) -> str:
    return "\n".join([opening, "", *lines])


def _line(quote: Excerpt, place: Place) -> str:
    return f"- [{stamp(quote.start)}]{place(quote.media)} {_words(quote)}"


def _words(quote: Excerpt) -> str:
    return f"{VERBS.get(quote.kind, quote.kind)}: “{quote.text}”"


def _bare(moment: Moment, place: Place) -> str:
    """A moment in which no words were found."""
    if moment.frames:
        return f"- [{stamp(cue(moment.frames[0]))}]{place(moment.media)} a picture, no words found there"
    return f"- {stamp(moment.start)} to {stamp(moment.end)}{place(moment.media)}: neither words nor a picture found"


def _flat(text: str) -> str:
    """Words that are no quote, in one line: a time in the name of a file or a chapter is no citation."""
    text = re.sub(r"[\[(【](?=[^\])】]*\d[:：]\d)", f"({JOINER}", text)
    return " ".join(text.replace("[", "(").replace("]", ")").split())
