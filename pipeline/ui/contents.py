"""What a video holds, one tab each: its chapters, its transcript, its pictures. All of it leads to a time."""

from collections.abc import Sequence

import streamlit as st

from pipeline import part_status
from pipeline.chat.citations import cue
from pipeline.chat.export import KINDS
from pipeline.chat.markup import file_name, marked, neutralise
from pipeline.errors import PipelineError
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, SPOKEN, Frame, Media, Passage
from pipeline.ui import files
from pipeline.ui.evidence import time
from pipeline.ui.page import address, failed, link, noun, stands_at
from pipeline.words import roots
from pipeline.workflow import Pipeline

LINES = 300  # of a transcript, on one page
SHEET = 48  # pictures on one page
COVERS = 24  # videos on one page
WIDTH = 150  # pixels, of a picture at least


def contents(app: Pipeline, media: Media) -> None:
    with st.container(key="contents"):
        draws = {"Chapters": chapters, "Transcript": transcript}
        if noun(media) == "video":
            draws["Frames"] = frames
        tabs = st.tabs(list(draws), key=f"tabs-{media.id}", on_change="rerun")
        for tab, draw in zip(tabs, draws.values(), strict=True):
            if tab.open:  # the others cost nothing
                with tab:
                    draw(app, media)


def chapters(app: Pipeline, media: Media) -> None:
    if len(media.chapters) < 2:
        if part_status.parts(media):
            st.caption("Chapters are made when all of it has been read.")
        elif media.chapters:
            st.caption("One stretch about one thing: there are no chapters.")
        else:
            st.caption("No chapters were made.")
        return
    shown = page_of(media.chapters, LINES, f"chapters-{media.id}", stands_at(media))
    listing("follow-chapters", [f"{time(media, one.start)} {neutralise(one.title)}" for one in shown])


def listing(key: str, lines: Sequence[str]) -> None:
    """Lines below one another, in one piece: to draw each alone takes a hundred times as long."""
    with st.container(key="panel", height=400, border=False), st.container(key=key):
        st.markdown("\n\n".join(lines))


def transcript(app: Pipeline, media: Media) -> None:
    said = [one for one in media.passages if one.kind in (*SPOKEN, DOUBTFUL)]
    lacking(media, "speech", "No words were found in it.")
    if not said:
        return
    bar = st.container(horizontal=True, vertical_alignment="center")
    wanted = bar.text_input(
        "Search the transcript",
        placeholder="Search the transcript",
        label_visibility="collapsed",
        key=f"seek-{media.id}",
        icon=":material/search:",
    )
    with bar.popover("Download", icon=":material/download:"):
        downloads(app, media)
    found = sought(media, said, wanted)
    if wanted and not found:
        st.caption(f"No sentence holds “{neutralise(wanted)}”.")
        return
    if wanted:
        st.caption(f"{len(found)} of {len(said)} sentences")
    lines = page_of(found, LINES, f"lines-{media.id}-{wanted}", stands_at(media))
    asked = roots(wanted)
    listing("follow-lines", [f"{time(media, one.start)} {sentence(one, asked)}" for one in lines])


def sentence(passage: Passage, asked: set[str]) -> str:
    """One line of a transcript; what was heard in doubt is marked."""
    words = marked(" ".join(passage.text.split()), asked)
    return f":gray[{KINDS[DOUBTFUL]}]{words}" if passage.kind == DOUBTFUL else words


def lacking(media: Media, part: str, empty: str) -> None:
    """Say what is missing of a part, why, and the next step; `empty`: what is said of one that has nothing."""
    coverage = media.coverage.get(part)
    told = part_status.about(part, coverage) if coverage else ""
    has = media.frames if part == "frames" else [one for one in media.passages if one.kind in (*SPOKEN, DOUBTFUL)]
    if told or not has:
        st.caption(neutralise(told or empty))


def sought(media: Media, said: Sequence[Passage], wanted: str) -> Sequence[Passage]:
    """What matches, looked for once: the page is drawn again for many other reasons."""
    if not wanted.strip():
        return said
    last = st.session_state.get("sought")
    if not last or last[0] is not media or last[1] != wanted:
        last = st.session_state["sought"] = (media, wanted, matching(said, wanted))
    return last[2]


def matching(said: Sequence[Passage], wanted: str) -> list[Passage]:
    """Those with all the words wanted, in any form, or with exactly what was typed."""
    if not (typed := " ".join(wanted.lower().split())):
        return list(said)
    asked = roots(wanted)
    return [one for one in said if typed in " ".join(one.text.lower().split()) or (asked and asked <= roots(one.text))]


def page_of(items: Sequence, size: int, key: str, at: float | None = None) -> Sequence:
    """One page of the items; at first the one that holds the time `at`."""
    if len(items) <= size:
        return items
    here = 0 if at is None else next((n for n, one in enumerate(items) if one.end > at), 0)
    pages = -(-len(items) // size)
    number = st.pagination(pages, default=here // size + 1, key=key)
    return items[(number - 1) * size : number * size]


def downloads(app: Pipeline, media: Media) -> None:
    for form in ("vtt", "srt", "txt"):
        st.download_button(
            f".{form}",
            lambda form=form: app.transcript(media.id, form),
            f"{file_name(media.title)}.{form}",
            key=f"get-{form}",
            on_click="ignore",
            width="stretch",
        )


def frames(app: Pipeline, media: Media) -> None:
    lacking(media, "frames", "No pictures were found in it.")
    if not media.frames:
        return
    key = f"alike-{media.id}"
    if alike := st.session_state.get(key):
        similar(app, media, alike, key)
        return
    shown = page_of(media.frames, SHEET, f"sheet-{media.id}", stands_at(media))
    with st.container(key="panel", height=400, border=False), st.grid(min_column_width=WIDTH, gap="small"):
        for frame in shown:
            with st.container(gap="xxsmall"):
                picture(app, media.id, frame, link_to="")
                st.button(
                    "Find similar",
                    key=f"like-{frame.image}",
                    type="tertiary",
                    icon=":material/image_search:",
                    on_click=st.session_state.update,
                    args=({key: frame},),
                )


def similar(app: Pipeline, media: Media, frame: Frame, key: str) -> None:
    """What looks like one picture, in the whole library."""
    st.button("All frames", icon=":material/arrow_back:", type="tertiary", on_click=st.session_state.pop, args=(key,))
    with st.container(key="panel", height=400, border=False):
        if file := files.picture(app.picture(media.id, frame)):
            with st.container(horizontal=True):
                st.image(file, f"like {stamp(cue(frame))}", width=WIDTH)
        try:
            with st.spinner("Comparing pictures…"):
                found = app.similar(media.id, frame)
        except PipelineError as error:
            failed(error)
            return
        if not found:
            st.caption("Nothing elsewhere in the library looks like it.")
        with st.grid(min_column_width=WIDTH, gap="small"):
            for media_id, one, _ in found:
                other = media_id != media.id
                picture(app, media_id, one, media_id if other else "", app.get(media_id).title if other else "")


def picture(app: Pipeline, media_id: str, frame: Frame, link_to: str, title: str = "") -> None:
    """A picture that leads to its time."""
    file, at = files.picture(app.picture(media_id, frame)), cue(frame)
    if file:
        caption = f"{stamp(at)} {neutralise(title)}"
        st.image(file, caption, width="stretch", link=address(at, link_to), alt=f"The picture at {stamp(at)}")


def covers(app: Pipeline) -> None:
    """Every video that is asked, where none plays yet."""
    shown = page_of(app.list()[0], COVERS, "covers-page")
    with st.grid(min_column_width=160, key="covers"):
        for media in shown:
            with st.container(gap="xxsmall"):
                cover(app, media, link_to=address(0.0, media.id) if noun(media) == "video" else None)
                title = neutralise(media.title) if media.frames else link(0.0, media.id, words=neutralise(media.title))
                st.caption(f"{stamp(media.length)} · {title}")


def cover(app: Pipeline, media: Media, width: int | str = "stretch", link_to: str | None = None) -> None:
    """The picture that stands for a video, or a sign of what it is."""
    chosen = media.frames[len(media.frames) // 3] if media.frames else None
    if chosen and (file := files.picture(app.picture(media.id, chosen), files.SMALL)):
        if link_to:
            st.image(file, width=width, link=link_to, alt=f"Play {media.title}")
        else:  # no more than a picture, which a browser draws sooner
            style = "display: block; width: 100%; border-radius: 0.5rem"
            st.html(f'<img src="{file}" alt="" style="{style}">', width=width)
    else:
        with st.container(key=f"blank-{width}-{media.id}", width=width, horizontal_alignment="center"):
            st.markdown(
                ":gray[:material/subtitles:]" if noun(media) == "transcript" else ":gray[:material/graphic_eq:]"
            )
