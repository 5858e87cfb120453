"""Pictures and videos as addresses: what a page showed is served, in parts and small, and nothing else."""

import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.ui import files


@pytest.fixture
def browser() -> TestClient:
    return TestClient(Starlette(routes=[files.route()]))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (1024, 576), "teal").save(path)
    return path


def test_a_video_is_read_in_the_parts_that_are_asked_for(browser, tmp_path):
    video = tmp_path / "talk.mp4"
    video.write_bytes(bytes(range(100)))
    part = browser.get(files.video(video), headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == bytes(range(10, 20))
    assert part.headers["content-type"] == "video/mp4"


def test_a_picture_comes_as_it_is_or_small(browser, picture):
    assert browser.get(files.picture(picture)).content == picture.read_bytes()
    small = browser.get(files.picture(picture, files.SMALL)).content
    assert Image.open(io.BytesIO(small)).size == (256, 144)


def test_what_no_page_showed_is_not_served(browser, picture):
    for name in ("picture.jpg", "0" * 32, str(picture), f"..%2f{picture.name}"):
        assert browser.get(f"{files.BELOW}{name}").status_code == 404


def test_what_took_the_place_of_a_file_is_not_served(browser, picture, tmp_path):
    address = files.picture(picture)
    (tmp_path / "secret").write_text("what nobody was shown")
    picture.unlink()
    picture.symlink_to(tmp_path / "secret")
    assert browser.get(address).status_code == 404
    assert files.picture(picture) != address


def test_a_file_that_is_not_there_has_no_address(tmp_path):
    assert files.picture(tmp_path / "gone.jpg") is None
    assert files.video(tmp_path / "a\0b.mp4") is None


def test_below_the_path_of_a_proxy_it_is_served_there(picture):
    name = files.picture(picture).rpartition("/")[2]
    assert TestClient(Starlette(routes=[files.route("talks")])).get(f"/talks{files.BELOW}{name}").status_code == 200
