"""No key gets out: the short form of canaries.py, in this process."""

import io
import logging

import pytest
from faults import canaries

from pipeline import logs


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return canaries.inside(tmp_path_factory.mktemp("canaries"), canaries.SHORT, each=6)


@pytest.mark.long
def test_no_key_is_found_on_any_surface_after_any_fault(rows):
    print(f"\n{canaries.table(rows)}")
    assert not [one for row in rows for one in row.found]
    assert all(row.searched for row in rows[:5])


def test_a_key_that_is_logged_is_masked(tmp_path):
    assert not canaries.masked_log(tmp_path).found


def test_a_key_in_what_fails_is_masked_whichever_handler_writes_it(monkeypatch):
    """As Streamlit's and the server's do, which ask no other for its form."""
    key = canaries.CANARIES["VLLM_API_KEY"]
    monkeypatch.setenv("VLLM_API_KEY", key)
    factory, heard = logging.getLogRecordFactory(), io.StringIO()
    logger = logging.Logger("a logger with a handler of its own")
    logger.addHandler(logging.StreamHandler(heard))
    try:
        logs.begin(logging.WARNING)
        try:
            raise ValueError(f"Bearer {key}\x1b[2J")
        except ValueError:
            logger.exception("Uncaught: %s", key)
    finally:
        logging.setLogRecordFactory(factory)
    assert "ValueError: Bearer ***" in heard.getvalue()
    assert "Uncaught: ***" in heard.getvalue()
    assert key not in heard.getvalue()
    assert "\x1b" not in heard.getvalue()


def test_a_canary_would_be_found():
    """The search itself, whole or in part, and the password of user:password."""
    for name, key in canaries.CANARIES.items():
        assert canaries.canaries_in(f"... {key} ...") == {name}
        assert canaries.canaries_in(f"... {key.rpartition(':')[2][:20]}*** ...") == {name}
