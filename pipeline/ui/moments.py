"""A moment to keep or to send: a clip, a GIF, a picture, a link that opens the page there."""

import os

import streamlit as st

from pipeline.chat.markup import file_name
from pipeline.errors import PipelineError
from pipeline.times import seconds, stamp
from pipeline.types import Media
from pipeline.ui.page import failed, here, noun, stands_at
from pipeline.workflow import Pipeline

LONG = 10.0  # s, of a clip that nobody gave an end
FORMS = {"mp4": "Clip", "gif": "GIF", "jpg": "Picture", "link": "Link"}
MIMES = {"mp4": "video/mp4", "gif": "image/gif", "jpg": "image/jpeg"}


def save_button(app: Pipeline, media: Media) -> None:
    """Save or share what the player shows now."""
    if st.button("Save or share", icon=":material/ios_share:", type="tertiary", key="share"):
        start = stands_at(media)
        save(app, media, start, min(start + LONG, media.length))


@st.dialog("Save or share this moment", icon=":material/ios_share:")
def save(app: Pipeline, media: Media, start: float, end: float) -> None:
    of = f"{media.id}-{start:.1f}"  # else what was typed for another moment is taken for this one's
    plays = noun(media) == "video" and os.path.isfile(media.source)
    forms = [form for form in FORMS if (plays and media.frames) or form == "link"]
    form = st.segmented_control(
        "As",
        forms,
        format_func=FORMS.get,
        default=forms[0],
        required=True,
        key=f"form-{of}",
        label_visibility="collapsed",
    )
    begin, until = st.columns(2)
    start = begin.text_input("From" if form in ("mp4", "gif") else "At", stamp(start), key=f"from-{of}")
    if form in ("mp4", "gif"):
        end = until.text_input("To", stamp(-(-end // 1)), key=f"to-{of}")
    first, last = seconds(start), seconds(end) if isinstance(end, str) else end
    if first is None or last is None or first >= media.length or (form in ("mp4", "gif") and last <= first):
        st.warning(f"Give times such as 1:05, within {stamp(media.length)}.")
    elif form == "link":
        st.code(f"{here()}?video={media.id}&t={first:g}", language=None, wrap_lines=True)
        st.caption("It opens this page at that second, on any machine that reaches it.")
    elif st.button(f"Make the {FORMS[form].lower()}", type="primary", icon=":material/content_cut:", key="make"):
        make(app, media, first, min(last, media.length), form)


def make(app: Pipeline, media: Media, start: float, end: float, form: str) -> None:
    try:
        with st.spinner("Cutting it…"):
            file = app.moment_file(media, start, end, form)
    except PipelineError as error:
        failed(error)
        return
    if form == "mp4":
        st.video(str(file))
    else:
        st.image(str(file))
    st.download_button(
        f"Download ({file.stat().st_size / 1e6:.1f} MB)",
        file.read_bytes(),
        f"{file_name(media.title)} {stamp(start).replace(':', '.')}.{form}",
        MIMES[form],
        icon=":material/download:",
        on_click="ignore",
        type="primary",
    )
