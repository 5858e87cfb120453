"""Evidence -> the lines of a prompt, quoted so that they stay quoted. Pure; knows no tokens and no order."""

import re
from collections.abc import Mapping

from pipeline.chat.citations import cue
from pipeline.times import stamp
from pipeline.types import DOUBTFUL, Moment, Passage

KINDS = {"speech": "said", "subtitle": "subtitle", "screen": "on screen", "caption": "picture shows"} | {
    DOUBTFUL: "perhaps said (heard in doubt)"
}
TITLE = 150  # characters
_UNSEEN = re.compile(  # and their kin: what orders letters, joins them, or carries a hidden text in tags
    "[\x00-\x08\x0e-\x1b\x7f\x80-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
    r"|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"  # in Persian, and in 👩‍🔬, they have a meaning
)
_TAG = re.compile(r"<(?=\s*[|｜¦/／!?\w])")
# The fence itself in other signs and other alphabets, which a model may read as the fence.
_FENCE = re.compile(
    r"[<＜﹤‹〈⟨〈˂ᐸ❮❰⟪《«≺⧼](?=[\s\u200c\u200d]*[/／∕⁄\\]?[\s\u200c\u200d]*"
    "[eеέèéêëｅ][vѵνｖ][iіıιíｉ][dԁｄ][eеέèéêëｅ][nոпｎ][cсϲｃ][eеέèéêëｅ])",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[\[［](?=\s*[/／]?\s*(?:[A-Z_]{3,}\d*|control_\d+)\s*[\]］])")
_TIME = re.compile(r"[\[［【〔](?=\s*\d+\s*[:：]\s*\d)")
IS_IT, LIKE_IT = "it is this picture", "looks like the picture"  # why a moment was found by a picture


def write_line(passage: Passage) -> str:
    return f'[{stamp(cue(passage))}] {KINDS.get(passage.kind, passage.kind)}: "{one_line(passage.text)}"\n'


def write_chapter(moment: Moment) -> str:
    return f"Chapter [{stamp(moment.start)}]: {one_line(moment.title)[:TITLE]}\n"


def write_heading(media: str, titles: Mapping[str, str], number: int = 0) -> str:
    """number: which of several it is, from 1; what is said of it outside of the evidence calls it by this alone."""
    return f"Video{f' {number}' if number else ''}: {one_line(titles.get(media, ''))[:TITLE] or 'without a title'}\n"


def one_line(text: str) -> str:
    """Quoted data: no line of its own, no time label of its own."""
    return " ".join(_TIME.sub("(", plain(text)).split())


def plain(text: str) -> str:
    """Without what ends a fence or is a sign of a chat template: </evidence>, <|end|>, [INST], [IMG].

    Letters that are not seen go first: they hide such a sign from whoever looks for it, not from a model.
    """
    return _SIGN.sub("(", _FENCE.sub("(", _TAG.sub("‹", _UNSEEN.sub("", text)))).strip()
