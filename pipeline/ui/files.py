"""Pictures and videos as addresses below this page: what looks at them reads them, no drawing does.

In: a file, as it is now. Out: an address, good until the file changes or the app ends. Streamlit's own way would read
each file at each drawing, make pictures smaller anew, and hold all that is shown in memory, a video whole. Every
request comes through the door; what was never drawn on a page is not served. Knows no library.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.ui.page import here

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

BELOW = "/library/"  # of the page's own address
SMALL = 256  # pixels, the width of a picture in a list
OFFERED = 20_000  # files that are remembered, those drawn last
SMALL_ONES = 2000  # of them that are held in memory, some 10 kB each
KEPT = {"Cache-Control": "private, max-age=86400"}  # by the browser: another version has another address


@dataclass(frozen=True)
class Offer:
    """A file that a page shows."""

    path: Path
    version: tuple[int, int, int]  # changed (ns), bytes, inode: what was checked is what is served
    kind: str  # what a browser is told that it is
    width: int  # pixels, to make a picture so small; 0 leaves it as it is


_offered: OrderedDict[str, Offer] = OrderedDict()
_lock = threading.Lock()


def picture(path: Path, width: int = 0) -> str | None:
    """The address of a JPEG; None where there is no such file."""
    return _offer(path, "image/jpeg", width)


def video(path: Path) -> str | None:
    """The address of what a browser plays: it finds out itself which kind it is. None where there is no such file."""
    return _offer(path, "video/mp4", 0)


def _offer(path: Path, kind: str, width: int) -> str | None:
    if (version := _version(path)) is None:
        return None
    offer = Offer(path, version, kind, width)
    name = hashlib.sha256(repr((os.fspath(path), version, width)).encode(errors="replace")).hexdigest()[:32]
    with _lock:
        _offered[name] = offer
        _offered.move_to_end(name)
        while len(_offered) > OFFERED:
            _offered.popitem(last=False)
    return f"{here().rstrip('/')}{BELOW}{name}"


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(path)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def route(base: str = "") -> "Route":
    """What serves them. `base`: the path below which the page is served, as server.baseUrlPath."""
    from starlette.routing import Route

    base = f"/{base.strip('/')}" if base.strip("/") else ""
    return Route(f"{base}{BELOW}{{name}}", _serve)


async def _serve(request: "Request") -> "Response":
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import FileResponse, Response

    offer = _offered.get(request.path_params["name"])
    if offer is None or _version(offer.path) != offer.version:
        return Response(status_code=404)
    if not offer.width:
        return FileResponse(offer.path, headers=KEPT, media_type=offer.kind)
    return Response(await run_in_threadpool(_smaller, offer), headers=KEPT, media_type=offer.kind)


@lru_cache(maxsize=SMALL_ONES)
def _smaller(offer: Offer) -> bytes:
    import io

    from PIL import Image

    with Image.open(offer.path) as image:
        image.draft("RGB", (offer.width, 1))  # decoded at a fraction of its size
        image.thumbnail((offer.width, 16 * offer.width))
        smaller = io.BytesIO()
        image.convert("RGB").save(smaller, "JPEG", quality=85)
    return smaller.getvalue()
