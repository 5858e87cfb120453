"""The length of a video at a glance: its chapters, and where the last question matched, by what matched.

Each mark is a link to its time: see player.js. Knows no index and no player.
"""

import html
from collections.abc import Sequence

import streamlit as st

from pipeline.chat.citations import cue
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, SPOKEN, Evidence, Media, Moment
from pipeline.ui.page import address, noun, short

LANES = {
    "Said": "#3b82f6",
    "Perhaps said": "#93b4e8",
    "On screen": "#8b5cf6",
    "Picture": "#0d9488",
}  # and their colours, on white and on black
CHAPTERS = "#8493a8"
FAINTEST = 0.3  # opacity of the weakest match
SHORTEST = 1 / 120  # of the length: a shorter mark cannot be hit


def timeline(media: Media, evidence: Evidence | None) -> None:
    """Draw it, where there is anything to tell."""
    chapters = [
        {"lane": "Chapters", "start": one.start, "end": one.end, "what": one.title, "odd": number % 2}
        for number, one in enumerate(media.chapters)
    ]
    found = matches(media, evidence) if evidence else []
    if (len(chapters) < 2 and not found) or not media.length:
        return
    lanes = ["Chapters"] * bool(chapters) + [lane for lane in LANES if any(one["lane"] == lane for one in found)]
    with st.container(key="timeline"):
        st.html(_drawn(media.length, noun(media) == "video", chapters, found, lanes))


def matches(media: Media, evidence: Evidence) -> list[dict]:
    """One row for each stretch and lane that the moments of this media matched in, `strength` 0-1."""
    moments = [one for one in evidence.moments if one.media == media.id]
    return [
        {"lane": lane, "start": start, "end": end, "strength": strength, "what": what}
        for moment, strength in zip(moments, strengths(moments), strict=True)
        for lane, start, end, what in _lanes(moment)
    ]


def strengths(moments: Sequence[Moment]) -> list[float]:
    """How strong each is beside the strongest: scores compare within one question."""
    best = max((one.score for one in moments), default=0.0)
    return [max(FAINTEST, one.score / best) if best > 0 else 1.0 for one in moments]


def _lanes(moment: Moment) -> list[tuple[str, float, float, str]]:
    """(lane, start, end, what to say of it) of what a moment holds."""
    why = moment.title or ", ".join(moment.why)
    said = [one for one in moment.passages if one.kind in SPOKEN]
    doubtful = [one for one in moment.passages if one.kind == DOUBTFUL]
    shown = [one for one in moment.passages if one.kind == "screen"]
    seen = [one for one in moment.passages if one.kind == "caption"]
    pictures = "looks like the question" in moment.why or not moment.passages
    lanes = []
    if said:
        lanes.append(("Said", moment.start, moment.end, f"{why}: {short(said[0].text)}"))
    if doubtful:
        lanes.append(("Perhaps said", doubtful[0].start, doubtful[-1].end, f"{why}: {short(doubtful[0].text)}"))
    if shown:
        lanes.append(("On screen", cue(shown[0]), moment.end, f"{why}: {short(shown[0].text)}"))
    if seen or (pictures and moment.frames):
        start = cue(seen[0] if seen else moment.frames[0])
        lanes.append(("Picture", start, moment.end, f"{why}: {short(seen[0].text)}" if seen else why))
    return [(lane, min(start, end), end, what) for lane, start, end, what in lanes]


def _drawn(length: float, plays: bool, chapters: Sequence[dict], found: Sequence[dict], lanes: Sequence[str]) -> str:
    """All of it in HTML. length: s; plays: whether a mark leads to its time.

    A chart of Streamlit's would load pandas, pyarrow and altair here, and a charting library in the browser.
    """
    rows = "".join(
        f"<span>{lane}</span><div class=lane>{''.join(_mark(one, length, plays) for one in rows)}</div>"
        for lane in lanes
        for rows in [[one for one in (chapters if lane == "Chapters" else found) if one["lane"] == lane]]
    )
    times = "".join(f'<i style="left:{100 * at / length:.3f}%">{stamp(at)}</i>' for at in _ticks(length))
    about = f"Chapters, and where the question matched: {len(found)} places" if found else "Chapters"
    return (
        f'<div class=timeline role=group aria-label="{about}">{rows}<span></span><div class=times>{times}</div></div>'
    )


def _mark(row: dict, length: float, plays: bool) -> str:
    """One stretch: where it lies, and what is to be read there. Its words are data, of a video or of a model."""
    start = min(row["start"], length)
    wide = max(min(row["end"], length) - start, length * SHORTEST)
    left = min(start, length - wide)
    words = html.escape(f"{stamp(row['start'])} {row['what']}")
    colour = LANES.get(row["lane"], CHAPTERS)
    strength = row.get("strength", 0.3 if row.get("odd") else 0.5)
    look = f"left:{100 * left / length:.3f}%;width:{100 * wide / length:.3f}%;--mark:{colour};--strength:{strength:.2f}"
    side = "right" if left + wide / 2 > length / 2 else "left"  # of the mark, where what is said of it begins
    link = f' href="{address(row["start"])}"' if plays else ' tabindex="0"'
    return f'<a class={side} style="{look}" aria-label="{words}" data-what="{words}"{link}></a>'


def _ticks(length: float) -> list[float]:
    """Some six round times from 0 to the length (s)."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((one for one in steps if length / one <= 7), steps[-1])
    return [float(step * number) for number in range(int(length // step) + 1)]
