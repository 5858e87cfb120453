"""A conversation -> a file to keep or to pass on: Markdown with its pictures in a .zip, or JSON.

In: exchanges, titles, where the pictures lie, the address of the page. Out: bytes. A time is a link into the page:
?video=ID&t=SECONDS. Reads pictures, and knows nothing else of the disk.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pipeline import part_status
from pipeline.chat import exchange
from pipeline.chat.citations import check, cue, find
from pipeline.chat.exchange import Exchange
from pipeline.chat.markup import JOINER, neutralise, unlinked
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, Citation, Evidence, Frame, Passage

PICTURES = 2  # of each moment
KINDS = {  # the others are said
    "screen": "on screen: ",
    "caption": "the picture, as the model describes it: ",
    DOUBTFUL: "perhaps said (heard in doubt): ",
}
FINISHES = {
    "length": "The answer was cut off at the model's limit.",
    "interrupted": "The answer broke off.",
    "stopped": "The answer was stopped.",
}

_SIGNS = re.compile(r"([\\`*_\[\]<>#|~&$])|^(\s*)([-+]|\d+(?=[.)]))", re.MULTILINE)


def to_markdown(
    exchanges: Sequence[Exchange],
    titles: Mapping[str, str],
    picture: Callable[[str, Frame], Path],
    added: Callable[[Exchange], Path | None],
    page: str = "",
) -> bytes:
    """A .zip of chat.md and the frames/ and pictures that it shows.

    titles: media id -> title, of the media asked about first. picture: (media id, Frame) -> JPEG. added: the JPEG that
    came with a question. page: the address of the page, which times lead to. A picture that is gone is left out.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        put: set[str] = set()

        def show(name: str, path: Path | None, label: str) -> str:
            """The Markdown of a picture, put into the archive once; "" for one that is gone."""
            if name not in put:
                try:
                    content = path.read_bytes() if path else b""
                except OSError:
                    content = b""
                if not content:
                    return ""
                archive.writestr(name, content)  # JPEGs shrink no further
                put.add(name)
            return f"![{label}]({name})"

        def frame(media: str, one: Frame) -> str:
            name = f"frames/{media[:8]}-{Path(one.image).stem}.jpg"
            return show(name, picture(media, one), stamp(cue(one)))

        about = " and ".join(map(plain, titles.values())) if len(titles) <= 3 else f"{len(titles)} videos"
        parts = [f"# Questions about {about}" if about else "# Questions"]
        for one in exchanges:
            shown = show(f"pictures/{one.picture}", added(one), "the picture of this question") if one.picture else ""
            parts += [*_exchange(one, titles, frame, shown)]
        text = "\n\n".join(filter(None, parts)) + "\n"
        text = text.replace("](?video=", f"]({page}?video=")  # only our own links look so: see plain and _harmless
        archive.writestr("chat.md", text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def to_json(exchanges: Sequence[Exchange], titles: Mapping[str, str]) -> str:
    """All that is kept of the conversation, with the titles of the media."""
    return json.dumps({"titles": dict(titles), **json.loads(exchange.dump(exchanges))}, ensure_ascii=False, indent=1)


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _SIGNS.sub(lambda sign: f"{sign[2] or ''}\\{sign[1] or sign[3]}", unlinked(" ".join(text.split())))


def link(media: str, seconds: float) -> str:
    """A time that leads to the page."""
    return f"[{stamp(seconds)}](?video={media}&t={int(seconds)})"


def _exchange(
    one: Exchange, titles: Mapping[str, str], frame: Callable[[str, Frame], str], added: str
) -> Sequence[str]:
    evidence = one.evidence or Evidence(one.question)
    return [
        f"## {plain(one.question) or 'Where is this shown?'}",
        added,
        _with_links(one.text, check(one.text, evidence)),
        plain(one.error) and f"**{plain(one.error)}**",
        _how(one),
        *(f"> {plain(note)}" for note in _notes(one, evidence)),
        *_evidence(evidence, titles, frame),
    ]


def _notes(one: Exchange, evidence: Evidence) -> Sequence[str]:
    """What is to be said beside the answer; that nothing near was found only where it does not say so itself."""
    if evidence.near or one.answered_by in ("", "quotes"):
        return evidence.notes
    return (*part_status.not_found(evidence), *evidence.notes)


def _with_links(text: str, citations: Sequence[Citation]) -> str:
    """The answer as it was written, safe for readers that draw HTML, its times led to the media that they are of."""
    media_of = {one.time: one.media for one in citations}
    pieces, end = [], 0
    for start, stop, seconds in find(text):
        media = media_of.get(seconds, "")
        pieces += [_harmless(text[end:start]), link(media, seconds) if media else text[start:stop]]
        end = stop
    return "".join([*pieces, _harmless(text[end:])]).strip()


def _harmless(text: str) -> str:
    """Bold, lists and tables stay; what fetches or leads elsewhere does not, also where readers are less strict."""
    return neutralise(re.sub(r"\](?=\s+[(\[:])", f"]{JOINER}", text))


def _how(one: Exchange) -> str:
    when = f"Asked on {datetime.fromtimestamp(one.asked):%Y-%m-%d %H:%M}" if one.asked else ""
    at = f"at {stamp(one.at)} of the video" if one.at is not None else ""
    by = "answered with quotes" if one.answered_by == "quotes" else f"answered by {plain(one.answered_by)}"
    line = ", ".join(filter(None, [when, at, by if one.answered_by else ""]))
    ended = "" if one.error else FINISHES.get(one.finish or "", "")
    return " ".join(filter(None, [line and f"*{line[0].upper()}{line[1:]}.*", ended]))


def _evidence(evidence: Evidence, titles: Mapping[str, str], frame: Callable[[str, Frame], str]) -> Sequence[str]:
    if not evidence.moments:
        return []
    several = len({moment.media for moment in evidence.moments}) > 1
    parts = [f"### {'Evidence' if evidence.near else part_status.nearest(evidence)}"]
    for moment in evidence.moments:
        of = f" in {plain(titles.get(moment.media, 'a video'))}" if several else ""
        name = f" **{plain(moment.title)}**" if moment.title else ""
        lines = [f"- {link(moment.media, cue(moment))}–{stamp(moment.end)}{of}{name}"]
        lines += [f"  - {_passage(moment.media, passage)}" for passage in moment.passages]
        pictures = filter(None, (frame(moment.media, picture) for picture in moment.frames[:PICTURES]))
        parts.append("\n".join([*lines, *(f"\n  {picture}" for picture in pictures)]))
    return parts


def _passage(media: str, passage: Passage) -> str:
    return f"{link(media, cue(passage))} {KINDS.get(passage.kind, '')}{plain(passage.text)}"
