"""The door: strangers reach nothing, whoever has the password does, other sites do not; also on a real server."""

import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import streamlit as st
from chat_server import free_port
from served import ROOT, running
from streamlit.testing.v1 import AppTest

from pipeline.ui import sockets
from pipeline.ui.door import Door, Tries, has_login, is_here, refusal

starlette = pytest.importorskip("starlette.testclient")
PASSWORD = "eight or more"
INSIDE = "the page itself"
LINK = "/?video=abc&t=12"


async def page(scope, receive, send) -> None:
    """What the door protects."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (said := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": said["bytes"]})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": INSIDE.encode()})


class Clock:
    """Time that passes as it is told, and the waits that were asked for."""

    def __init__(self) -> None:
        self.time, self.waits = 1_000_000.0, []

    def now(self) -> float:
        return self.time

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def visitor(door: Door, host: str = "localhost", address: str = "127.0.0.1") -> "starlette.TestClient":
    """Somebody who reaches the page by this name, from this address."""

    async def reached(scope, receive, send) -> None:
        await door(scope | {"server": ("127.0.0.1", 8501)}, receive, send)

    return starlette.TestClient(reached, f"http://{host}", client=(address, 5000), follow_redirects=False)


def gets_in(one: "starlette.TestClient", **headers: str) -> bool:
    return one.get("/", headers=headers).text == INSIDE


def connects(one: "starlette.TestClient", **headers: str) -> bool:
    try:
        with one.websocket_connect(f"ws://{one.base_url.netloc.decode()}/_stcore/stream", headers=headers):
            return True
    except starlette.WebSocketDisconnect:
        return False


# -- without a lock


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "127.9.9.9"])
def test_without_a_lock_this_machine_gets_in(host):
    assert gets_in(visitor(Door(page), host))
    assert connects(visitor(Door(page), host))


@pytest.mark.parametrize("host", ["192.168.1.7:8501", "talks.example.org", "localhost.example.org", "127.0.0.1.nip.io"])
def test_without_a_lock_no_other_name_gets_in_and_the_reason_is_said(host):
    refused = visitor(Door(page), host).get(LINK)
    assert refused.status_code == 403
    assert "APP_PASSWORD" in refused.text
    assert INSIDE not in refused.text
    assert not connects(visitor(Door(page), host))


def test_without_a_lock_what_a_proxy_hands_on_stays_outside():
    for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
        assert not gets_in(visitor(Door(page)), **{header: "203.0.113.9"})


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:9999", "http://127.0.0.1", "null", "http://["]
)
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_no_other_site_connects_or_uploads(origin, password):
    one = visitor(Door(page, password), "localhost:8501")
    one.post("/", data={"password": password})
    assert gets_in(one)
    assert connects(one, Origin="http://localhost:8501")
    assert not connects(one, Origin=origin)
    assert one.put("/_stcore/upload_file/a/b", headers={"Origin": origin}).status_code == 403


def test_another_address_of_the_page_is_let_connect_where_it_is_named():
    one = visitor(Door(page, PASSWORD, origins=["https://talks.example.org"]))
    one.post("/", data={"password": PASSWORD})
    assert connects(one, Origin="https://talks.example.org")


def test_no_page_closes_the_library_that_all_share():
    """Streamlit forgets what is kept for all pages when any of them asks for it, logged in or not."""
    from streamlit.proto.BackMsg_pb2 import BackMsg

    rerun = BackMsg()
    rerun.rerun_script.query_string = "video=all"
    with visitor(Door(page)).websocket_connect("ws://localhost/_stcore/stream") as line:
        for sent in (BackMsg(clear_cache=True).SerializeToString(), rerun.SerializeToString(), b"no message"):
            line.send_bytes(sent)
        assert [line.receive_bytes(), line.receive_bytes()] == [rerun.SerializeToString(), b"no message"]


# -- with a password


@pytest.mark.parametrize("path", ["/", "/_stcore/host-config", "/media/x.mp4", "/component/x", "/static/index.html"])
def test_without_the_password_nothing_is_reached(path):
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
        answer = visitor(Door(page, PASSWORD), "talks.example.org").request(method, path)
        assert answer.status_code == 401
        assert INSIDE not in answer.text
    assert not connects(visitor(Door(page, PASSWORD)))


def test_whoever_watches_over_servers_learns_that_it_runs():
    assert visitor(Door(page, PASSWORD)).get("/_stcore/health").status_code == 200


def test_the_password_opens_it_and_a_link_leads_where_it_leads():
    one = visitor(Door(page, PASSWORD), "talks.example.org")
    assert 'type="password"' in one.get(LINK).text
    opened = one.post(LINK, data={"password": PASSWORD})
    assert (opened.status_code, opened.headers["location"]) == (303, LINK)
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert "samesite=lax" in opened.headers["set-cookie"].lower()
    assert PASSWORD not in str(opened.headers)
    assert gets_in(one)  # a reload does not ask again
    assert connects(one, Origin="http://talks.example.org")
    given = "; ".join(f"{name}={value}" for name, value in one.cookies.items())
    one.cookies.clear()
    assert gets_in(one, Cookie=f'path=/; other={{"of": "another app"}}; {given}')


def test_each_browser_has_a_name_of_its_own_that_outlives_a_restart():
    one, other = visitor(Door(page, PASSWORD)), visitor(Door(page, PASSWORD))
    for visit in (one, other):
        visit.post("/", data={"password": PASSWORD})
    names = [{n: v for n, v in visit.cookies.items() if n.startswith("person")} for visit in (one, other)]
    assert names[0] != names[1]
    assert all(re.fullmatch("[0-9a-f]{32}", value) for name in names for value in name.values())
    again = visitor(Door(page, PASSWORD))  # a new run, which asks for the password again
    ((name, mine),) = names[0].items()
    opened = again.post("/", data={"password": PASSWORD}, headers={"Cookie": f"{name}={mine}"})
    assert f"{name}={mine};" in str(opened.headers.get_list("set-cookie"))


def test_after_the_password_it_leads_to_no_other_site():
    for path in ("//evil.example/x", "/\\evil.example"):
        opened = visitor(Door(page, PASSWORD)).post(f"http://localhost{path}", data={"password": PASSWORD})
        assert opened.headers["location"].startswith("/evil.example")


def test_over_https_the_cookie_never_travels_in_the_open():
    opened = starlette.TestClient(Door(page, PASSWORD), "https://talks.example.org", follow_redirects=False)
    assert "; Secure" in opened.post("/", data={"password": PASSWORD}).headers["set-cookie"]


def test_a_cookie_that_is_made_up_changed_old_or_of_another_run_opens_nothing(clock):
    door = Door(page, PASSWORD, wait=clock.wait, now=clock.now)
    one = visitor(door)
    given = one.post("/", data={"password": PASSWORD}).headers.get_list("set-cookie")[0].partition(";")[0]
    name, _, value = given.partition("=")
    until, _, signed = value.partition(".")
    assert gets_in(visitor(door), Cookie=given)
    for changed in (f"{int(until) + 1}.{signed}", f"{until}.", f"{until}.{signed[:-1]}", "", ".", "x.y", "1.é"):
        assert not gets_in(visitor(door), Cookie=f"{name}={changed}".encode("latin-1"))
    assert not gets_in(visitor(Door(page, PASSWORD)), Cookie=given)
    clock.time += 8 * 24 * 3600
    assert not gets_in(visitor(door), Cookie=given)


@pytest.mark.parametrize("typed", ["", "wrong", PASSWORD.upper(), PASSWORD + "x", PASSWORD[:-1], "\udcff", "x" * 3000])
def test_what_is_not_the_password_opens_nothing(typed):
    one = visitor(Door(page, PASSWORD))
    body = b"password=" + typed.encode("utf-8", "surrogateescape")
    assert one.post("/", content=body).status_code == 401
    assert not gets_in(one)


def test_a_try_of_a_gigabyte_is_not_read():
    assert visitor(Door(page, PASSWORD)).post("/", content=b"password=" + b"x" * 100_000).status_code == 413


def test_wrong_tries_are_slowed_and_nobody_else_waits(clock):
    door = Door(page, PASSWORD, wait=clock.wait, now=clock.now)
    guesser = visitor(door, address="203.0.113.9")
    for _ in range(9):
        guesser.post("/", data={"password": "a guess"})
    assert clock.waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert visitor(door, address="203.0.113.10").post("/", data={"password": PASSWORD}).status_code == 303
    assert len(clock.waits) == 8


def test_addresses_of_one_household_are_slowed_together(clock):
    door = Door(page, PASSWORD, wait=clock.wait)
    for number in range(4):
        visitor(door, address=f"2001:db8::{number}").post("/", data={"password": "a guess"})
    assert clock.waits == [0.5, 1, 2]


def test_addresses_of_ipv4_are_told_apart_where_the_server_listens_on_both(clock):
    door = Door(page, PASSWORD, wait=clock.wait)
    for _ in range(2):
        visitor(door, address="::ffff:203.0.113.9").post("/", data={"password": "a guess"})
    assert clock.waits == [0.5]
    visitor(door, address="::ffff:203.0.113.10").post("/", data={"password": PASSWORD})
    assert clock.waits == [0.5]


def test_many_tries_at_once_are_no_faster():
    """While one is looked at, no other of that address is, not even the right one."""
    import asyncio

    async def run() -> tuple[bool | None, bool | None, bool | None]:
        gate = asyncio.Event()

        async def wait(_: float) -> None:
            await gate.wait()

        tries = Tries(PASSWORD, wait)
        await tries.is_right("203.0.113.9", "a guess")
        first = asyncio.create_task(tries.is_right("203.0.113.9", "another"))
        await asyncio.sleep(0)
        second = await tries.is_right("203.0.113.9", PASSWORD)
        gate.set()
        return second, await first, await tries.is_right("203.0.113.9", PASSWORD)

    assert asyncio.run(run()) == (None, False, True)


# -- starting


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_on_this_machine_alone_it_starts_without_a_lock(address):
    assert refusal(address, locked=False) == ""
    assert is_here(address)


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.168.1.7", "talks.example.org", "unix:///tmp/s"])
def test_where_others_reach_it_it_starts_with_a_lock_alone(address):
    assert "APP_PASSWORD" in refusal(address, locked=False)
    assert refusal(address, locked=True) == ""


@pytest.fixture
def login() -> Iterator[AppTest]:
    """The page where Streamlit's own login is set up."""
    has_login.cache_clear()
    st.cache_resource.clear()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": "x" * 32}
    yield page
    has_login.cache_clear()
    st.cache_resource.clear()


def test_before_streamlits_own_login_no_library_is_opened(login, tmp_path):
    login.run()
    assert [button.label for button in login.button] == ["Log in"]
    assert not (tmp_path / "data").exists()


def test_behind_streamlits_own_login_the_home_folder_may_be_read(login, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.settings._home", lambda: (tmp_path / "home",))
    monkeypatch.setattr("pipeline.ui.door.may_enter", lambda users: True)
    for folder in ("home", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.srt").write_text("1\n00:00:00,500 --> 00:00:03,000\nWelcome.\n")
    login.run()
    login.text_input(key="path").set_value(str(tmp_path / "elsewhere/talk.srt")).run()
    assert not login.exception
    assert "MEDIA" in login.error[0].value
    login.text_input(key="path").set_value(str(tmp_path / "home/talk.srt")).run()
    assert not login.error
    assert login.button(key="read-plan")


def logged_in_as(**facts: object) -> dict[str, str]:
    """The header of somebody whom Streamlit's own login let in."""
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    told = json.dumps({"is_logged_in": True, "origin": "http://localhost", **facts})
    return {"Cookie": f"_streamlit_user={create_signed_value(get_cookie_secret(), '_streamlit_user', told).decode()}"}


def test_only_who_is_logged_in_and_welcome_uploads_and_is_given_pictures():
    one = visitor(Door(page, login=True, users=["me@example.org"]), "talks.example.org")
    welcome = logged_in_as(email="Me@example.org")
    upload = partial(one.put, "/_stcore/upload_file/a/b")
    assert gets_in(one)  # the page itself asks who it is
    assert upload(headers=welcome).status_code == 200
    assert upload().status_code == 401
    assert upload(headers=logged_in_as(email="other@example.org")).status_code == 401
    for unverified in (False, "false"):
        assert upload(headers=logged_in_as(email="me@example.org", email_verified=unverified)).status_code == 401
    assert one.get("/media/x.jpg").status_code == one.get("/_stcore/metrics").status_code == 401
    assert one.get("/media/x.jpg", headers=welcome).status_code == 200
    assert one.get("/library/" + "0" * 32).status_code == 401
    assert one.get("/library/" + "0" * 32, headers=welcome).status_code == 200
    assert upload(headers={"Cookie": "_streamlit_user=" + welcome["Cookie"][20:].lower()}).status_code == 401


# -- a real server


def status(url: str, method: str = "GET", **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def shakes_hands(address: str, *headers: str) -> bool:
    """Whether the page's own connection is opened to who asks so."""
    host = address.removeprefix("http://")
    lines = [
        "GET /_stcore/stream HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==",
        *headers,
    ]
    with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2])), timeout=20) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        return b" 101 " in line.recv(200).partition(b"\r\n")[0]


def test_a_stranger_reaches_nothing_on_a_running_server(tmp_path: Path):
    with running(tmp_path / "data", APP_PASSWORD=PASSWORD, STREAMLIT_SERVER_ADDRESS="0.0.0.0") as server:
        assert status(f"{server.address}/_stcore/health") == 200
        for path in ("/", LINK, "/_stcore/host-config", "/_stcore/metrics", "/_stcore/script-health-check",
                     "/_stcore/agent/openapi.json", "/_stcore/bidi-components/x", "/component/x", "/media/x.mp4",
                     "/library/x", "/static/index.html", "/app/static/x", "/app.py", "/../app.py"):  # fmt: skip
            assert status(server.address + path) == 401, path
        assert status(f"{server.address}/_stcore/upload_file/a/b", "PUT") == 401
        assert not shakes_hands(server.address)
        assert not (tmp_path / "data").exists()  # no library was opened

        visit = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with visit.open(server.address + LINK, f"password={PASSWORD}".encode(), timeout=20) as opened:
            assert opened.url == server.address + LINK
            assert b"Streamlit" in opened.read()
        cookie = next(f"{one.name}={one.value}" for h in visit.handlers for one in getattr(h, "cookiejar", ()))
        same, other = f"Origin: {server.address}", "Origin: http://127.0.0.1:9"
        assert shakes_hands(server.address, f"Cookie: {cookie}", same)
        assert not shakes_hands(server.address, f"Cookie: {cookie}", other)
        upload = f"{server.address}/_stcore/upload_file/a/b"
        assert status(upload, "PUT", Cookie=cookie, Origin="http://127.0.0.1:9") == 403
        assert status(upload, "PUT", Cookie=cookie, Origin=server.address) == 403  # it carries no token of the page
        assert status(f"{server.address}/media/../app.py", Cookie=cookie) in (400, 404)


@pytest.mark.parametrize("told", [["--server.address=0.0.0.0"], ["--server.address=::"], ["--server.address="]])
def test_a_server_that_others_would_reach_does_not_start_without_a_lock(tmp_path, told):
    options = ["--server.headless=true", f"--server.port={free_port()}", *told]
    refused = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options],
        cwd=ROOT, env=os.environ | {"DATA_DIR": str(tmp_path / "data")}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "APP_PASSWORD" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data").exists()


def test_what_is_small_is_sent_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listens:  # as Streamlit makes it
        listens.bind(("127.0.0.1", 0))
        listens.listen()
        sockets.send_at_once()
        with socket.create_connection(listens.getsockname()), listens.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
