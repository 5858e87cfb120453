"""The length of a video at a glance: its chapters, and where the last question matched, by what matched.

Each mark is a link to its time: see player.js. Knows no index and no player.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd  # noqa: F401 (altair looks for it; two sessions that load it at once see half of it)
import streamlit as st

from pipeline.chat.citations import cue
from pipeline.times import stamp
from pipeline.types import SPOKEN, Evidence, Media, Moment
from pipeline.ui.page import address, noun, short

if TYPE_CHECKING:
    import altair as alt

LANES = {"Said": "#3b82f6", "On screen": "#8b5cf6", "Picture": "#0d9488"}  # and their colours, on white and on black
CHAPTERS = "#8493a8"
ROW, AXIS = 22, 24  # pixels, of a lane and of the times below
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
        st.vega_lite_chart(
            spec=_spec(media.length, noun(media) == "video", chapters, found, lanes),
            width="stretch",
            alt=f"Chapters, and where the question matched: {len(found)} places" if found else "Chapters",
        )


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
    shown = [one for one in moment.passages if one.kind == "screen"]
    seen = [one for one in moment.passages if one.kind == "caption"]
    pictures = "looks like the question" in moment.why or not moment.passages
    lanes = []
    if said:
        lanes.append(("Said", moment.start, moment.end, f"{why}: {short(said[0].text)}"))
    if shown:
        lanes.append(("On screen", cue(shown[0]), moment.end, f"{why}: {short(shown[0].text)}"))
    if seen or (pictures and moment.frames):
        start = cue(seen[0] if seen else moment.frames[0])
        lanes.append(("Picture", start, moment.end, f"{why}: {short(seen[0].text)}" if seen else why))
    return [(lane, min(start, end), end, what) for lane, start, end, what in lanes]


@st.cache_data(max_entries=100, show_spinner=False)  # making it took 40 % of all that twenty people's pages took
def _spec(length: float, plays: bool, chapters: list[dict], found: list[dict], lanes: list[str]) -> dict:
    """The chart in Vega-Lite. length: s; plays: whether a mark leads to its time."""
    import altair as alt

    def marks(rows: list[dict], height: int) -> "alt.Chart":
        drawn = [
            row
            | {
                "time": stamp(row["start"]),
                "until": max(row["end"], row["start"] + length * SHORTEST),
                "link": address(row["start"]) if plays else None,
            }
            for row in rows
        ]
        return (
            alt.Chart(alt.Data(values=drawn))
            .mark_bar(cornerRadius=3, height=height, cursor="pointer")
            .encode(
                x=alt.X(
                    "start:Q",
                    scale=alt.Scale(domain=[0, length], nice=False),
                    axis=alt.Axis(
                        title=None,
                        values=_ticks(length),
                        labelExpr=_label(length),
                        grid=False,
                        labelFlush=True,
                        ticks=False,
                        domain=False,
                    ),
                ),
                x2="until:Q",
                y=alt.Y(
                    "lane:N",
                    sort=lanes,
                    scale=alt.Scale(domain=lanes),
                    axis=alt.Axis(title=None, ticks=False, domain=False),
                ),
                tooltip=[alt.Tooltip("time:N", title="at"), alt.Tooltip("what:N", title="what")],
                href="link:N",
            )
        )

    layers = []
    if chapters:
        layers.append(
            marks(chapters, ROW - 6).encode(
                color=alt.value(CHAPTERS),
                opacity=alt.Opacity("odd:O", scale=alt.Scale(domain=[0, 1], range=[0.5, 0.3]), legend=None),
            )
        )
    if found:
        layers.append(
            marks(found, ROW - 8).encode(
                color=alt.Color("lane:N", scale=alt.Scale(domain=list(LANES), range=list(LANES.values())), legend=None),
                opacity=alt.Opacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
            )
        )
    return (
        alt.layer(*layers)
        .resolve_scale(opacity="independent")
        .properties(height=ROW * len(lanes) + AXIS, padding={"left": 0, "right": 4, "top": 2, "bottom": 0})
        .configure_view(stroke=None)
        .to_dict()
    )


def _ticks(length: float) -> list[float]:
    """Some six round times from 0 to the length (s)."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((one for one in steps if length / one <= 7), steps[-1])
    return [float(step * number) for number in range(int(length // step) + 1)]


def _label(length: float) -> str:
    """times.stamp in Vega's language."""
    two = "format(floor(datum.value{}) % 60, '02d')".format
    if length >= 3600:
        return f"floor(datum.value / 3600) + ':' + {two(' / 60')} + ':' + {two('')}"
    return f"floor(datum.value / 60) + ':' + {two('')}"
