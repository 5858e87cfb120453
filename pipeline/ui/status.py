"""What works, what is off and the next step: the same facts as `python -m pipeline doctor`."""

import streamlit as st

from pipeline.chat.markup import neutralise
from pipeline.doctor import Check, check_all
from pipeline.ui.page import BROKEN, STATES
from pipeline.workflow import Pipeline


def status(app: Pipeline) -> None:
    panel = st.expander("Status", icon=":material/monitor_heart:", on_change="rerun", key="status")
    with panel:
        if not panel.open:  # checking asks services and takes a moment: only for those who look
            return
        for check in checks(app):
            st.markdown(f"{STATES.get(check.state, BROKEN)} **{check.part}** {neutralise(check.found)}")
            if check.next:
                st.caption(neutralise(check.next))
        st.button("Check again", on_click=checks.clear, width="stretch")


@st.cache_resource(ttl=300, show_spinner="Checking every part…")
def checks(_app: Pipeline) -> list[Check]:
    return check_all(_app)
