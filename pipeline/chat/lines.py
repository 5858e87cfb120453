"""Evidence -> the lines of a prompt, quoted so that they stay quoted. Pure; knows no tokens and no order."""

import re
from collections.abc import Mapping

from pipeline.chat.citations import cue
from pipeline.times import stamp
from pipeline.types import Moment, Passage

KINDS = {"speech": "said", "subtitle": "subtitle", "screen": "on screen", "caption": "picture shows"}
TITLE = 150  # characters
IS_IT, LIKE_IT = "it is this picture", "looks like the picture"  # why a moment was found by a picture


def write_line(passage: Passage) -> str:
    return f'[{stamp(cue(passage))}] {KINDS.get(passage.kind, passage.kind)}: "{one_line(passage.text)}"\n'


def write_chapter(moment: Moment) -> str:
    return f"Chapter [{stamp(moment.start)}]: {one_line(moment.title)[:TITLE]}\n"


def write_heading(media: str, titles: Mapping[str, str]) -> str:
    return f"Video: {one_line(titles.get(media, ''))[:TITLE] or 'without a title'}\n"


def one_line(text: str) -> str:
    """Quoted data: no line of its own, no time label of its own."""
    return " ".join(re.sub(r"\[(?=\s*\d+:\d)", "(", plain(text)).split())


def plain(text: str) -> str:
    """Without what ends a fence or is a sign of a chat template: </evidence>, <|end|>, [INST], [IMG]."""
    return re.sub(r"\[(?=\s*/?\s*[A-Z_]{3,}\s*\])", "(", re.sub(r"<(?=\s*[|/!?\w])", "‹", text)).strip()
