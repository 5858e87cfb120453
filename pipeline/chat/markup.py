"""Text from a model or a transcript -> the same text, safe for a Markdown renderer that fetches what it names. Pure.

An image named in an answer is fetched as soon as it is drawn, and takes along whatever its address says. So
nothing that links, loads, or looks like the page's own parts survives; bold, lists, tables and code do.
"""

import re

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
