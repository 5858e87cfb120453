"""What Streamlit runs: as `__main__` for each drawing of the page, and once for the `app` that it serves.

All that is served is below, behind the door that every request comes through; the page itself is in pipeline/ui. It is
imported while the browser fetches what every page needs, so it shows no later than an empty one.
"""

import contextlib
import importlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
from dotenv import load_dotenv
from starlette.middleware import Middleware

from pipeline import logs
from pipeline.settings import lock
from pipeline.ui import door, files, sockets


@contextlib.asynccontextmanager
async def served(_: st.App) -> AsyncIterator[None]:
    """What goes on beside serving: the page is imported, which takes less than a browser takes to come."""
    sockets.send_at_once()
    threading.Thread(target=lambda: importlib.import_module("pipeline.ui.screen"), daemon=True).start()
    yield


if __name__ == "__main__":
    from pipeline.ui.screen import main

    main()
else:
    load_dotenv(Path(__file__).with_name(".env"))  # once: what is written there later holds after a restart
    logs.begin(logging.WARNING)
    sys.setswitchinterval(0.0005)  # s; who is answered waits less for the pages that are drawn meanwhile
    password, users = lock()
    if reason := door.refusal(st.get_option("server.address"), bool(password) or door.has_login()):
        sys.exit(reason)
    if users and not door.has_login():
        sys.exit(
            "APP_USERS is set, and Streamlit's own login is not ([auth] in .streamlit/secrets.toml). Set it up too."
        )
    origins = st.get_option("server.corsAllowedOrigins")
    app = st.App(
        __file__,
        lifespan=served,
        routes=[files.route(st.get_option("server.baseUrlPath"))],
        middleware=[Middleware(door.Door, password, door.has_login(), users, origins)],
    )
