"""The sidebar's list of what can be asked: every video with its picture, length and what was read of it."""

import streamlit as st

from pipeline import part_status
from pipeline.chat.markup import neutralise
from pipeline.times import stamp
from pipeline.types import Media
from pipeline.ui.contents import cover
from pipeline.ui.page import ALL, Open, choose, noun, told
from pipeline.ui.reading import reading_of
from pipeline.workflow import Pipeline

FEW = 5  # a shorter list needs no search
FIRST, MORE = 12, 24  # of the list, that are drawn; what each click adds
PROBLEMS = 3  # folders that cannot be read, that are named


def library(app: Pipeline, open: Open) -> None:
    listed, problems = app.list()
    st.button("Add videos", icon=":material/add:", width="stretch", key="add", on_click=choose, args=(None,))
    if len(listed) > 1:
        st.button(
            "Ask all videos",
            icon=":material/video_library:",
            type="primary" if open.library else "secondary",
            width="stretch",
            key="all",
            on_click=choose,
            args=(ALL,),
        )
    if not listed:
        st.caption("Videos you add are kept here.")
    wanted = ""
    if len(listed) > FEW:
        wanted = st.text_input(
            "Search titles",
            placeholder="Search titles",
            label_visibility="collapsed",
            key="titles",
            icon=":material/search:",
        )
    shown = [one for one in listed if all(word in one.title.lower() for word in wanted.lower().split())]
    if wanted and not shown:
        st.caption(f"No title holds “{neutralise(wanted)}”.")
    many = st.session_state.get("listed", FIRST)
    opened = open.asked.id if open.asked else ""
    first = [one for number, one in enumerate(shown) if number < many or one.id == opened]
    with st.container(key="library", gap="xsmall"):
        for one in first:
            card(app, one, opened=one.id == opened)
    if len(shown) > many:
        st.button(
            f"Show more of {len(shown)}",
            icon=":material/expand_more:",
            key="more-videos",
            type="tertiary",
            width="stretch",
            on_click=lambda: st.session_state.update(listed=many + MORE),
        )
    for problem in problems[:PROBLEMS]:
        st.warning(neutralise(problem), icon=":material/warning:")
    if len(problems) > PROBLEMS:
        st.caption(f"and {len(problems) - PROBLEMS} more that cannot be read")


def card(app: Pipeline, media: Media, opened: bool) -> None:
    """One video: click to open it."""
    with st.container(
        key=f"{'opened' if opened else 'card'}-{media.id}",
        horizontal=True,
        vertical_alignment="center",
        gap="xsmall",
        wrap=False,
    ):
        cover(app, media, width=64)
        with st.container(gap=None):
            st.button(
                neutralise(media.title),
                key=f"open-{media.id}",
                type="tertiary",
                on_click=choose,
                args=(media.id,),
                help=None,
                width="stretch",
            )
            read = ":blue[:material/hourglass_top:] being read" if reading_of(app, media) else read_of(media)
            st.caption(f"{stamp(media.length)} · {read}")
        if opened:
            menu(app, media)


def read_of(media: Media) -> str:
    """What was read of it and what was not, in a few words."""
    missing, there = part_status.in_short(media)
    return "; ".join(filter(None, [missing and f":orange[:material/warning:] {missing}", there]))


def menu(app: Pipeline, media: Media) -> None:
    with st.popover("Remove it", icon=":material/more_vert:", type="tertiary", key="more"):
        st.caption("Removes its pictures, words, chat and index. The original file stays where it is.")
        st.button(f"Remove this {noun(media)}", icon=":material/delete:", on_click=remove, args=(app, media))


@told
def remove(app: Pipeline, media: Media) -> None:
    app.remove(media.id)
    st.toast(f"Removed {neutralise(media.title)}.", icon=":material/delete:")
    choose(None)
