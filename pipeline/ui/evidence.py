"""What an answer leans on: the pictures and moments that were found, and exactly what a model was sent."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import streamlit as st

from pipeline import part_status
from pipeline.chat.citations import cue
from pipeline.chat.exchange import Exchange
from pipeline.chat.export import KINDS
from pipeline.chat.markup import marked, neutralise
from pipeline.talks import Talk
from pipeline.times import stamp
from pipeline.types import Evidence, Frame, Media, Moment, Passage
from pipeline.ui import files
from pipeline.ui.moments import save
from pipeline.ui.page import Open, address, link, noun, short
from pipeline.words import roots
from pipeline.workflow import Pipeline

MOST = 6  # pictures below an answer
LONGEST = 400  # characters of one passage: a page full of small print is not read here


def pictures(app: Pipeline, open: Open, evidence: Evidence, titles: Mapping[str, str]) -> None:
    """The top frame and the best of the other moments, each leading to its time."""
    found = [(one.media, frame) for rank in (0, 1) for one in evidence.moments for frame in one.frames[rank : rank + 1]]
    offered = ((*one, files.picture(app.picture(*one))) for one in dict.fromkeys(found))
    if not (shown := list(islice((one for one in offered if one[2]), MOST))):
        return
    several = len({media for media, _, _ in shown}) > 1
    with st.grid(min_column_width=95, gap="small"):
        for media_id, frame, file in shown:
            at = cue(frame)
            of = f" {neutralise(titles.get(media_id, ''))}" if several else ""
            st.image(
                file,
                f"{stamp(at)}{of}",
                width="stretch",
                link=address(at, "" if open.asked else media_id),
                alt=f"The picture at {stamp(at)}",
            )


def show_evidence(app: Pipeline, open: Open, evidence: Evidence, titles: Mapping[str, str], number: int) -> None:
    there = [one for one in evidence.moments if one.media in titles]
    if not there:
        return
    what = "chapter" if evidence.kind == "whole" else "moment"
    count = f"{len(there)} {what}{'s' * (len(there) > 1)}"
    label = f"{'Evidence' if evidence.near else part_status.nearest(evidence)}: {count}"
    key = f"evidence-{open.key}-{number}"
    panel = st.expander(label, icon=":material/search:", type="compact", on_change="rerun", key=key)
    with panel:
        if not panel.open:  # drawing it takes a third of drawing an answer: only for those who look
            return
        wanted = roots(evidence.question)
        for rank, moment in enumerate(there):
            show_moment(app, open, moment, wanted, titles, f"{number}-{rank}")
        if gone := len(evidence.moments) - len(there):
            st.caption(f"{gone} more, of videos that were removed since.")


def show_moment(
    app: Pipeline, open: Open, moment: Moment, wanted: set[str], titles: Mapping[str, str], key: str
) -> None:
    video = "" if open.asked else moment.media
    media = open.asked or app.get(moment.media)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        name = f"**{neutralise(moment.title)}**" if moment.title else f":gray[{neutralise(', '.join(moment.why))}]"
        of = f"{neutralise(titles.get(moment.media, ''))} · " if video else ""
        st.markdown(f"{time(media, cue(moment), video)} {of}{name}", width="stretch")
        if noun(media) == "video" and st.button(
            "Save or share this moment",
            icon=":material/ios_share:",
            help="Save or share this moment",
            key=f"save-{key}",
            type="tertiary",
        ):
            save(app, media, moment.start, moment.end)
    st.markdown("  \n".join(line(media, one, video, wanted) for one in moment.passages))


def time(media: Media, seconds: float, video: str = "") -> str:
    """A time in Markdown: a link where there is something to play."""
    return f"**{stamp(seconds)}**" if noun(media) == "transcript" and not video else link(seconds, video)


def line(media: Media, passage: Passage, video: str, wanted: set[str]) -> str:
    text = marked(short(passage.text, LONGEST), wanted)
    return f"{time(media, cue(passage), video)} {KINDS.get(passage.kind, '')}{text}"


@st.dialog("What the model saw", width="large", icon=":material/visibility:")
def what_the_model_saw(app: Pipeline, talk: Talk, exchange: Exchange) -> None:
    """The messages that were sent, word for word, with their pictures."""
    st.caption(f"Sent to {neutralise(exchange.answered_by)}, word for word.")
    for message in exchange.sent:
        st.markdown(f"**{neutralise(message['role'])}**")
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                st.code(part["text"], language=None, wrap_lines=True)
            elif part.get("added"):
                show(talk.picture(exchange), "the picture of the question")
            elif part["type"] == "picture":
                show(app.picture(part["media"], Frame(part["time"], part["time"], part["file"])), stamp(part["time"]))
            else:
                st.code(json.dumps(part), language="json")


def show(file: Path | None, caption: str) -> None:
    if address := file and files.picture(file):
        st.image(address, caption, width=320)
    else:
        st.caption(f"A picture ({caption}) that is no longer kept.")
