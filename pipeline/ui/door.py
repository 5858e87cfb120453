"""The door of the page: who is let in, asked before anything is drawn, opened or stored.

It stands before Streamlit as ASGI middleware: pages, uploads, media and the page's own connection all come through
it. Without a lock it opens to this machine alone, by the names of this machine; with APP_PASSWORD to whoever has given
it; with Streamlit's own login ([auth] in .streamlit/secrets.toml) that asks, and `may_enter` lets the page be drawn.
Knows no library. What comes in: requests. What goes out: the same, or a refusal in words.

Whoever gave the password carries a signed cookie for a week. Its key is made as the app starts and is written
nowhere: a reload does not ask again, a restart does, and nothing on the disk lets anyone in. Another cookie, of a year,
tells browsers apart: behind a lock each has conversations of its own, as each account of a login has.
"""

import asyncio
import base64
import functools
import hashlib
import hmac
import html
import ipaddress
import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import streamlit as st

from pipeline.settings import lock
from pipeline.ui import files

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

WEEK = 7 * 24 * 3600  # s, that the cookie of who gave the password holds
YEAR = 365 * 24 * 3600  # s, that the one which tells browsers apart holds
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # s, before the answer to a try; doubled with each wrong one
ADDRESSES = 10_000  # of which wrong tries are counted
LONGEST_TRY = 4096  # bytes of what is typed
LET_IN, PERSON = "door", "person"  # what the cookies are called, before the port
OPEN = "/_stcore/health"  # tells "ok" and nothing else, to whoever watches over servers
PROXIED = (b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"forwarded")
# What a browser may do on the page, whatever is drawn there: fetch nothing from elsewhere, be framed by nobody.
# Streamlit runs its charts and its components as code of its own, and draws pictures from memory.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MEND = (
    "Set APP_PASSWORD in .env or in the environment, or set up Streamlit's own login ([auth] in "
    ".streamlit/secrets.toml), and start it again. For this machine alone start it without --server.address, and open "
    "it as http://localhost."
)
ELSEWHERE = f"This page is reached from elsewhere, and nothing protects it, so it shows nothing. {MEND}"


def refusal(address: str | None, locked: bool) -> str:
    """Why the app is not to be served on this address, and how to mend it; "" where it may be.

    address: what it would listen on; None or "" is every interface.
    """
    if locked or is_here(address or ""):
        return ""
    return (
        f"It would listen on {address or 'every address of this machine'}, where others reach it, and nothing "
        f"protects it, so it was not started. {MEND}"
    )


def is_here(host: str) -> bool:
    """Whether this name or address, with or without a port, is one by which only this machine reaches itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return _is_bare_loopback(host)


def _is_bare_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback  # ::1 without its brackets
    except ValueError:
        return False


@functools.cache  # as the app was started: a file that goes meanwhile opens nothing
def has_login() -> bool:
    """Whether Streamlit's own login is set up."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets


def may_enter(users: Collection[str]) -> bool:
    """Whether the page may be drawn; where Streamlit's own login is set up and nobody is logged in, draws the way in.

    users: the e-mail addresses that are let in, in small letters; none is everyone whom the provider knows.
    """
    if not has_login():
        return True
    if not st.user.get("is_logged_in"):
        st.markdown("## Chat with your video")
        st.button("Log in", type="primary", icon=":material/login:", on_click=st.login)
        return False
    if not is_welcome(st.user.to_dict(), users):
        st.error("This account is not let in here. Ask whoever runs this page to add it to APP_USERS.")
        st.button("Log out", on_click=st.logout)
        return False
    return True


def person() -> str:
    """Whose conversations this page shows: 32 hex digits, or "" without a lock, where one person is let in."""
    if has_login():
        who = [str(st.user.get(name) or "") for name in ("iss", "sub", "email")]
        return _digest("\n".join(who[:2] if who[1] else who)).hex()[:32]
    if not lock()[0]:
        return ""
    given = st.context.cookies.get(f"{PERSON}-{st.get_option('server.port')}", "")
    return given if _is_person(given) else st.session_state.setdefault("person", secrets.token_hex(16))


def _is_person(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def is_welcome(visitor: Mapping[str, object], users: Collection[str]) -> bool:
    """Whether what Streamlit's own login says of a visitor is of somebody who is let in."""
    if not visitor.get("is_logged_in"):
        return False
    unverified = str(visitor.get("email_verified")).lower() == "false"  # some providers say it as text
    return not users or (str(visitor.get("email")).lower() in users and not unverified)


class Tries:
    """Tries to guess the password: one at a time from each address, and slower with each wrong one.

    Nobody else waits. Safe within one event loop.
    """

    def __init__(self, password: str, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._digest = _digest(password)
        self._wait = wait
        self._wrong: OrderedDict[str, int] = OrderedDict()
        self._busy: set[str] = set()

    async def is_right(self, address: str, typed: str) -> bool | None:
        """Whether it is the password; None, unlooked at, where another try of this address still waits."""
        who = _household(address)
        if who in self._busy:
            return None
        self._busy.add(who)
        try:
            if wrong := self._wrong.get(who, 0):
                await self._wait(min(FIRST_WAIT * 2 ** (wrong - 1), LONGEST_WAIT))
            if hmac.compare_digest(_digest(typed), self._digest):
                self._wrong.pop(who, None)
                return True
            self._wrong[who] = wrong + 1
            self._wrong.move_to_end(who)
            if len(self._wrong) > ADDRESSES:
                self._wrong.popitem(last=False)
            return False
        finally:
            self._busy.discard(who)


class Door:
    """Middleware around all that is served.

    password: "" asks for none. login, users: whether Streamlit's own login is set up, and whom it lets in. origins:
    other addresses of the page, such as https://talks.example.org, whose scripts may connect to it.
    """

    def __init__(
        self,
        app: "ASGIApp",
        password: str = "",
        login: bool = False,
        users: Collection[str] = (),
        origins: Collection[str] = (),
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._password, self._login, self._users = bool(password), login, frozenset(users)
        self._origins = frozenset(origins)
        self._tries = Tries(password, wait)
        self._key = secrets.token_bytes(32)
        self._now = now

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._connection(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        method = scope["method"]
        if method in ("GET", "HEAD") and scope["path"] == OPEN:
            await self._app(scope, receive, send)
        elif not self._is_reached_as_it_may(scope):
            await _say(send, 403, _page(ELSEWHERE))
        elif self._password and not self._knows(scope):
            await self._ask(scope, receive, send)
        elif method not in ("GET", "HEAD", "OPTIONS") and not self._is_of_this_page(scope):
            await _say(send, 403, "Another site sent this.", "text/plain")
        elif self._login and _is_private(scope) and not is_welcome(_visitor(scope), self._users):
            await _say(send, 401, "Log in first.", "text/plain")
        else:
            await self._app(scope, receive, send)

    async def _connection(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        welcome = self._is_reached_as_it_may(scope) and self._is_of_this_page(scope)
        if welcome and (not self._password or self._knows(scope)):
            await self._app(scope, _without_clearing(receive), send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it was accepted: the server answers 403

    def _is_reached_as_it_may(self, scope: "Scope") -> bool:
        """Whether a lock protects the page, or it is reached from this machine by a name of this machine.

        A site elsewhere may give its own name this machine's address, and read what it is then sent; a proxy hands on
        what others ask.
        """
        if self._password or self._login:
            return True
        listens = (scope.get("server") or ("",))[0]
        proxied = any(name in PROXIED for name, _ in scope["headers"])
        return not proxied and is_here(_header(scope, b"host")) and is_here(listens)

    def _is_of_this_page(self, scope: "Scope") -> bool:
        """Whether a script of this page sends it, or no script of any page."""
        origin = _header(scope, b"origin")
        try:
            return not origin or origin in self._origins or urlsplit(origin).netloc == _header(scope, b"host")
        except ValueError:  # no address at all
            return False

    # -- the password

    async def _ask(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """The page that asks for the password, at every address, so that a link leads where it leads after it."""
        if scope["method"] != "POST":
            if b"text/html" in _header(scope, b"accept").encode() or scope["path"] == "/":
                await _say(send, 401, _page())
            else:
                await _say(send, 401, "The password is asked for on the page.", "text/plain")
            return
        typed = await _typed(receive)
        if typed is None:
            await _say(send, 413, _page("That is too long."))
            return
        right = await self._tries.is_right((scope.get("client") or ("",))[0], typed)
        if right:
            await send({"type": "http.response.start", "status": 303, "headers": [*self._given(scope), _back(scope)]})
            await send({"type": "http.response.body"})
        elif right is None:
            await _say(send, 429, _page("Another try from your address is still looked at. Wait a little."))
        else:
            await _say(send, 401, _page("That is not the password."))

    def _given(self, scope: "Scope") -> list[tuple[bytes, bytes]]:
        until = str(int(self._now() + WEEK))
        safe = "; Secure" if scope.get("scheme") == "https" else ""
        known = _cookies(scope).get(_cookie_name(scope, PERSON), "")
        given = (
            (LET_IN, f"{until}.{self._signed(until)}", WEEK),
            (PERSON, known if _is_person(known) else secrets.token_hex(16), YEAR),
        )
        return [
            (
                b"set-cookie",
                f"{_cookie_name(scope, name)}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{safe}".encode(),
            )
            for name, value, age in given
        ]

    def _knows(self, scope: "Scope") -> bool:
        """Whether whoever sends this has given the password."""
        until, _, signed = _cookies(scope).get(_cookie_name(scope, LET_IN), "").partition(".")
        genuine = hmac.compare_digest(signed.encode(), self._signed(until).encode())
        return genuine and int(until) > self._now()

    def _signed(self, until: str) -> str:
        signed = hmac.digest(self._key, until.encode(), "sha256")
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def _digest(text: str) -> bytes:
    """Of one length, whatever was typed: comparing tells nothing of how long it is."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _household(address: str) -> str:
    """The address, of IPv6 the network that one household has."""
    try:
        one = ipaddress.ip_address(address)
        if one.version == 6 and one.ipv4_mapped:  # of IPv4, where the server listens on both
            one = one.ipv4_mapped
        return str(ipaddress.ip_network(f"{one}/64", strict=False)) if one.version == 6 else str(one)
    except ValueError:
        return address


def _cookie_name(scope: "Scope", name: str) -> str:
    """Browsers keep cookies by host, not by port."""
    return f"{name}-{(scope.get('server') or ('', 0))[1]}"


def _cookies(scope: "Scope") -> dict[str, str]:
    """As Streamlit reads them: one that another app on this machine has set, in a form of its own, hides no other."""
    from starlette.requests import cookie_parser

    return cookie_parser(_header(scope, b"cookie"))


def _is_private(scope: "Scope") -> bool:
    """Whether whoever is not logged in has no need of it: uploads, pictures, downloads, how many people are here."""
    path = scope["path"]
    shown = "/media/" in path or files.BELOW in path
    return scope["method"] in ("PUT", "POST", "DELETE") or shown or path.endswith("/_stcore/metrics")


def _without_clearing(receive: "Receive") -> "Receive":
    """What a page sends, but for the wish to forget what all pages share, which Streamlit grants to anyone.

    That is the open library: another would be opened beside it.
    """
    from google.protobuf.message import DecodeError
    from streamlit.proto.BackMsg_pb2 import BackMsg

    async def heard() -> "Message":
        while True:
            message = await receive()
            try:
                if BackMsg.FromString(message.get("bytes") or b"").WhichOneof("type") != "clear_cache":
                    return message
            except DecodeError:  # Streamlit hangs up
                return message

    return heard


def _visitor(scope: "Scope") -> dict[str, object]:
    """What the cookie of Streamlit's own login says, where it is genuine: as Streamlit reads it for the page."""
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
    from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

    given = _get_signed_cookie_with_chunks(_cookies(scope), USER_COOKIE_NAME)
    return json.loads(given) if given else {}


def _header(scope: "Scope", name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


async def _typed(receive: "Receive") -> str | None:
    """The password of a form; None for what is too long to be one."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LONGEST_TRY:
            return None
        if not message.get("more_body"):
            return parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0].strip()


def _back(scope: "Scope") -> tuple[bytes, bytes]:
    """To where it was asked, never to another site: a path that begins with two slashes names one."""
    path, query = scope.get("raw_path") or b"/", scope.get("query_string", b"")
    return b"location", b"/" + path.lstrip(b"/\\") + (b"?" + query if query else b"")


def _with_headers(send: "Send") -> "Send":
    async def told(message: "Message") -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            ours = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", ()), *(one for one in ours if one[0] not in there)]
        await send(message)

    return told


async def _say(send: "Send", status: int, text: str, kind: str = "text/html") -> None:
    body = text.encode()
    headers = {"content-type": f"{kind}; charset=utf-8", "content-length": str(len(body)), "cache-control": "no-store"}
    if kind == "text/html":
        headers["content-security-policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
        )
    start = {"type": "http.response.start", "status": status}
    await send(start | {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
    await send({"type": "http.response.body", "body": body})


def _page(says: str = "") -> str:
    """The page before the page: it asks for the password, or says why there is none to give."""
    form = """<form method="post"><input type="password" name="password" aria-label="Password" placeholder="Password"
autocomplete="current-password" autofocus required><button>Open</button></form>"""
    said = f"<p role=alert>{html.escape(says)}</p>" if says else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Chat with your video</title>
<meta name="viewport" content="width=device-width">
<style>:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }}
body {{ max-width: 26rem; margin: 20vh auto; padding: 0 1rem }} form {{ display: flex; gap: .5rem }}
input, button {{ font: inherit; padding: .5rem .8rem; border-radius: .6rem; border: 1px solid #8888 }}
input {{ flex: 1; min-width: 0 }} button {{ background: #2563eb; border-color: #2563eb; color: #fff }}</style>
<h1>Chat with your video</h1>{said}{"" if says == ELSEWHERE else form}</html>"""
