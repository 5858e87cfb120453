"""Text from a model or a transcript -> the same text, safe where it is drawn, printed or names a file. Pure.

A Markdown renderer fetches what it is told to: an image named in an answer is fetched as soon as it is drawn, and
takes along whatever its address says. So nothing that links, loads, or looks like the page's own parts survives;
bold, lists, tables and code do.
"""

import re
from collections.abc import Collection, Mapping

from pipeline.chat.citations import find
from pipeline.words import root

JOINER = "\u2060"  # word joiner: draws nothing, allows no line break, and parts what only works joined
NARROW_SPACE = "\u202f"  # no-break

_PARTED = re.compile(
    r"""
      (?<=\])(?=[(\[:{\ue000])        # ](address), ][label], ]: definition, ]{attributes}
    | (?<=[!\\:])(?=\ue000)           # ![, \[ and :[ with a link of ours
    | (?<=<)(?=[A-Za-z/!?])           # tags, comments, <http://autolinks>
    | (?<=&)(?=[#A-Za-z])             # entities, which could spell what is parted here
    | (?<=\\)(?=[:/.@])               # escapes, likewise
    | (?<=:)(?=//)                    # http://...
    | (?<=[wW]{3})(?=\.)              # www....
    | (?<=@)(?=[\w-])                 # mail addresses
    | (?<=:)(?=[A-Za-z][\w-]*[\[{:/\ue000])  # :red[...], :material/..., :smile:
    | (?<=:)(?=(?:red|orange|yellow|green|blue|violet|gr[ae]y|rainbow|primary|small)\b)
    """,
    re.VERBOSE,
)
# A directive's name may hold a joiner, and an unknown directive swallows its label: :red[x], 1:02[x].
_DIRECTIVE = re.compile(r"(:[^\s:()\[\]{}]+)(?=[\[{\ue000])")
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_OURS = re.compile("[\ue000\ue001]")  # private use: stand for a link until the rest is safe
# What moves a terminal's cursor, colours it or types into it, and what turns the order of letters around.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NO_LETTER = re.compile("[\ud800-\udfff]")  # file names may hold them, and they cannot be sent
_NO_NAME = re.compile(r'[\\/:*?"<>|\n\t]+')
_DOLLAR = re.compile(r"(?<!\\)((?:\\\\)*)\$")  # not one that is escaped already


def neutralise(text: str) -> str:
    """Safe to draw as Markdown, for any text, so also for every beginning of one that is still arriving.

    Give it all the text so far, each time: a piece alone does not show what it completes. Joiners that are not seen
    part the signs of links, images, HTML and directives, in code too, since where code ends cannot be known
    while text arrives. Dollar signs outside code are escaped: two prices are no formula.
    """
    pieces = _CODE.split(unlinked(text))
    return "".join(piece if number % 2 else _DOLLAR.sub(r"\1\\$", piece) for number, piece in enumerate(pieces))


def unlinked(text: str) -> str:
    """With the signs of links, images, HTML and directives parted, and nothing else changed that is seen."""
    return _DIRECTIVE.sub(rf"\1{NARROW_SPACE}", _PARTED.sub(JOINER, _NO_LETTER.sub("\ufffd", text)))


def printable(text: str) -> str:
    """Safe to print on a terminal: lines and tabs stay, what else is no letter or sign shows as one that says so."""
    return UNSEEN.sub("\ufffd", text)


def file_name(title: str) -> str:
    """A title as the name of a file that a person keeps: one name, that shows what it is."""
    return " ".join(_NO_NAME.sub(" ", UNSEEN.sub("", title)).split()).strip(".")[:100] or "video"


def marked(text: str, wanted: Collection[str]) -> str:
    """Safe to draw, with each word marked whose root is wanted."""
    if not wanted:
        return neutralise(text)

    def mark(word: re.Match) -> str:
        if root(word[0]) not in wanted:
            return word[0]
        around = word.string[word.start() - 1 : word.start()], word.string[word.end() : word.end() + 1]
        before = JOINER if around[0] in ("\\", ":", "!") else ""  # which would undo the sign
        after = JOINER if around[1] in ("(", "[", "{", ":") else ""  # which would make a link of it
        return f"{before}:primary-background[{word[0]}]{after}"

    pieces = _CODE.split(neutralise(text))
    return "".join(piece if number % 2 else _WORD.sub(mark, piece) for number, piece in enumerate(pieces))


def linked(text: str, links: Mapping[float, str]) -> str:
    """Safe to draw, with each time that is cited in brackets put as `links` gives it: seconds -> Markdown of ours."""
    text = _OURS.sub("", text)
    put: list[str] = []
    for start, end, seconds in reversed(find(text)):
        if seconds in links:
            if text[start - 1 : start] == "[" and text[end : end + 1] == "]":  # the link shows that it is a time
                start, end = start - 1, end + 1
            text = f"{text[:start]}\ue000{len(put)}\ue001{text[end:]}"
            put.append(links[seconds])
    return re.sub("\ue000(\\d+)\ue001", lambda one: put[int(one[1])], neutralise(text))
