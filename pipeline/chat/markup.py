"""Text from a model or a transcript -> the same text, safe for a Markdown renderer that fetches what it names. Pure.

An image named in an answer is fetched as soon as it is drawn, and takes along whatever its address says. So
nothing that links, loads, or looks like the page's own parts survives; bold, lists, tables and code do.
"""

import re
from collections.abc import Collection, Mapping

from pipeline.chat.citations import find
from pipeline.words import root

JOINER = "\u2060"  # word joiner: draws nothing, allows no line break, and parts what only works joined
NARROW_SPACE = "\u202f"  # no-break

_PARTED = re.compile(
    r"""
      (?<=\])(?=[(\[:{])              # ](address), ][label], ]: definition, ]{attributes}
    | (?<=<)(?=[A-Za-z/!?])           # tags, comments, <http://autolinks>
    | (?<=&)(?=[#A-Za-z])             # entities, which could spell what is parted here
    | (?<=\\)(?=[:/.@])               # escapes, likewise
    | (?<=:)(?=//)                    # http://...
    | (?<=[wW]{3})(?=\.)              # www....
    | (?<=@)(?=[\w-])                 # mail addresses
    | (?<=:)(?=[A-Za-z][\w-]*[\[{:/]) # :red[...], :material/..., :smile:
    | (?<=:)(?=(?:red|orange|yellow|green|blue|violet|gr[ae]y|rainbow|primary|small)\b)
    """,
    re.VERBOSE,
)
# A directive's name may hold a joiner, and an unknown directive swallows its label: :red[x], 1:02[x].
_DIRECTIVE = re.compile(r"(:[^\s:()\[\]{}]+)(?=[\[{])")
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_OURS = re.compile("[\ue000\ue001]")  # private use: stand for a link until the rest is safe
_DOLLAR = re.compile(r"(?<!\\)((?:\\\\)*)\$")  # not one that is escaped already


def neutralise(text: str) -> str:
    """Safe to draw as Markdown, for any text, so also for every beginning of one that is still arriving.

    Give it all the text so far, each time: a piece alone does not show what it completes. Joiners that are not seen
    part the signs of links, images, HTML and directives, in code too, since where code ends cannot be known
    while text arrives. Dollar signs outside code are escaped: two prices are no formula.
    """
    parted = _DIRECTIVE.sub(rf"\1{NARROW_SPACE}", _PARTED.sub(JOINER, text))
    pieces = _CODE.split(parted)
    return "".join(piece if number % 2 else _DOLLAR.sub(r"\1\\$", piece) for number, piece in enumerate(pieces))


def marked(text: str, wanted: Collection[str]) -> str:
    """Safe to draw, with each word marked whose root is wanted."""
    if not wanted:
        return neutralise(text)

    def mark(word: re.Match) -> str:
        return f":primary-background[{word[0]}]" if root(word[0]) in wanted else word[0]

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
