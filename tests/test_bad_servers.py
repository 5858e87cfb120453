"""A Milvus server that fails in any way: a line that says what to do, in time, and all is well once it is mended."""

import dataclasses
import itertools
import re

import pytest
from milvus_server import Gateway, Wire, serve_milvus
from test_index import found, write

from pipeline.errors import LibraryError
from pipeline.search import stores
from pipeline.search.index import Index

TOKEN = "root:very-private-token"
NAMES = map(str, itertools.count())


@pytest.fixture(scope="module")
def milvus(tmp_path_factory):
    with serve_milvus(tmp_path_factory.mktemp("milvus")) as port:
        yield port


@pytest.fixture
def short(monkeypatch):
    """The same deadlines, shorter."""
    monkeypatch.setattr(stores, "CALL_SECONDS", 6)
    monkeypatch.setattr(stores, "CONNECT_SECONDS", 6)


@pytest.fixture
def library(settings):
    """Opens an index of one video at an address: (index, its folders, its settings)."""
    opened = []

    def open_at(url):
        there = dataclasses.replace(settings, milvus_uri=url, milvus_token=TOKEN)
        folders = dict([write(there, next(NAMES), ["alpha speech", "beta bird"])])
        index = Index(there)
        opened.append(index)
        index.sync(folders)  # removes what another test left
        return index, folders, there

    yield open_at
    for index in opened:
        index.close()


@pytest.fixture
def wire(milvus):
    wire = Wire(milvus)
    yield wire
    wire.close()


@pytest.fixture
def gateway(milvus):
    gateway = Gateway(milvus)
    yield gateway
    gateway.close()


def words(index, folders):
    index.sync(folders)
    return [hit.item.text for hit in found(index.search("alpha", list(folders)), "words")]


def test_a_library_lives_on_a_server_as_it_does_in_a_file(milvus, library):
    index, folders, there = library(f"http://127.0.0.1:{milvus}")
    assert words(index, folders) == ["alpha speech"]
    second = Index(there)  # another process's: a server is held by nobody
    second.sync(folders)
    assert words(second, folders) == ["alpha speech"]
    second.close()


@pytest.mark.parametrize("fault", ["refused", "empty", "html", "redirect", "malformed", "drop", "hang", "drip"])
@pytest.mark.long
@pytest.mark.usefixtures("short")
def test_a_wire_that_fails_is_one_line_and_costs_nothing(wire, library, fault):
    index, folders, _ = library(wire.url)
    wire.set(fault)
    for _ in ("a search on an open connection", "one that must be opened anew"):
        with pytest.raises(LibraryError) as caught:
            words(index, folders)
        # gRPC tries some of these until the deadline, and some not.
        assert re.search("cannot be reached. Start it|did not answer in time. Check that it runs", str(caught.value))
        assert "\n" not in str(caught.value)
    wire.set("")
    for again in range(100):  # a try or two may still find the wire as it was
        try:
            assert words(index, folders) == ["alpha speech"]
            break
        except LibraryError:
            assert again < 99


def test_a_slow_wire_is_waited_for(wire, library):
    index, folders, _ = library(wire.url)
    wire.set("slow")
    assert words(index, folders) == ["alpha speech"]


FAULTS = {
    "UNAUTHENTICATED": r"refused the token\. Check MILVUS_TOKEN",  # 401
    "UNIMPLEMENTED": r"is no Milvus server of version 2\.5 or later\. Check MILVUS_URI",  # 404
    "RESOURCE_EXHAUSTED": r"is overloaded\. Wait a little",  # 429
    "INTERNAL": r"failed: told to.*See its log",  # 500
    "UNAVAILABLE": r"cannot be reached\. Start it",
    b"": "sent an answer without content",
    b"\xff\xfe\x00noise": "failed: .*See its log",
}


@pytest.mark.parametrize(("fault", "line"), FAULTS.items())
@pytest.mark.long
@pytest.mark.usefixtures("short")
def test_a_server_that_fails_is_one_line_and_costs_nothing(gateway, library, fault, line):
    index, folders, _ = library(gateway.url)
    gateway.fault, gateway.calls = fault, ("Search",)
    with pytest.raises(LibraryError, match=line) as caught:
        index.search("alpha")
    assert len(gateway.answered) < 40, "not tried without end"
    assert TOKEN not in f"{caught.value}{caught.value.__cause__}"
    gateway.fault = None
    assert words(index, folders) == ["alpha speech"]


def test_an_outage_while_rows_go_in_and_out_leaves_none_twice_and_none_behind(gateway, library):
    index, folders, there = library(gateway.url)
    more = folders | dict(write(there, next(NAMES), [f"delta {n} {m}" for m in range(4)]) for n in range(2))
    refused = 0
    for calls in (("Upsert",), ("Query",), ("Delete",), ("DescribeCollection",), ("Connect",)):
        gateway.calls = calls
        for asked in (more, folders):
            gateway.fault = None
            index.sync(folders if asked is more else more)
            if calls[0] not in ("Upsert", "Delete"):
                index.close()  # these are made on opening
            gateway.fault = "RESOURCE_EXHAUSTED"
            try:
                index.sync(asked)
            except LibraryError:
                refused += 1
    assert refused == 8
    gateway.fault = None
    index.sync(more)
    index.close()  # what it believes is forgotten
    index.sync(more)
    said = [hit.item.text for hit in found(index.search("delta", limit=100), "sentence words")]
    alone = [text for text in said if text.count("delta") == 1]
    assert sorted(alone) == sorted(f"delta {n} {m}" for m in range(4) for n in range(2))
