"""The words of a question that say what it is about. Pure; English."""

import re

_FUNCTION_WORDS = """
a about above across after afterwards again against all also although always am an and another any anybody
anyone anything are aren't around as at away back be because been before being below between both but by can can't
cannot could couldn't did didn't do does doesn't doing don't down during each either else ever every everything
few for from further get gets go goes going gone got had has have having he he'd he's hello her here hers herself
hey hi him himself his how however i i'm i've if in instead into is isn't it it's its itself just later least less
let let's like lot many may maybe me might more most much must my near need neither never no nobody none nor not
nothing now of off ok okay on once one ones only onto or other others our out over own per perhaps please quite
rather really right s same see seen shall she she's should since so some somebody someone something soon still
such sure t than thank thanks that that's the their theirs them themselves then there there's these they they're
thing things this those though through thus till to together too towards under until up upon us use very via want
was wasn't way we we're well were weren't what what's whatever when where where's whether which while who who's
whom whose why will with within without won't would yes yet you your yours"""
# What every question about a video may say, whatever it is about.
_ASKING_WORDS = """
answer ask asked begin call called come comes describe detail details discuss discussed discusses elaborate
end ends example examples exactly explain explained explains explanation first frame give given gives happen
happened happens happening know last list look looks mean means meaning mention mentioned mentions minute minutes
moment moments name named next often overview part parts point points question questions reason refer say saying
says said scene scenes screen second seconds section sections show showed showing shown shows slide slides speak
speaks speaker start starts step steps stop summarise summarize summary talk talked talking talks tell telling
tells think thought time times today topic video clip film movie lecture meeting presentation recording episode
tutorial understand word words work works previous previously earlier following follow follows"""
_EMPTY = frozenset(f"{_FUNCTION_WORDS} {_ASKING_WORDS}".split())

_VIDEO = (
    r"(?:video|clip|film|movie|documentary|talk|lecture|lesson|keynote|presentation|demo|tutorial|screencast|webinar"
    r"|meeting|recording|episode|podcast|footage|vlog)"
)
_PARTED = r"(?:class|course|stream)"  # the whole only where the words around say so
_SIZE = r"(?:(?:whole|entire|full|complete|short|long|last|recent|online|youtube|training|team|zoom) )*"
# What names all of what is watched: "this whole talk", "the recording", "our last meeting". CLIP is a model.
THE_VIDEO = re.compile(
    r"\b(?!\w+ (?-i:CLIP)\b)(?!that talk (?:about|of|on)\b)"
    rf"(?:(?:this|our) {_SIZE}(?:{_VIDEO}|{_PARTED})|(?:the|that) {_SIZE}{_VIDEO}"
    rf"|(?:the )?(?:whole|entire|full|complete) (?:{_VIDEO}|{_PARTED}))\b",
    re.IGNORECASE,
)


def content_words(text: str) -> tuple[str, ...]:
    """The words that carry the subject, lower case, each once, in order. Other scripts count as content.

    So do words in capitals (CLIP, US, WHO), unless a whole sentence is.
    """
    text = text.replace("’", "'")
    return tuple(dict.fromkeys(text[start:end].lower() for start, end in content_spans(text)))


def content_spans(text: str) -> list[tuple[int, int]]:
    """Where its content words stand, each time that they do: from which character to before which."""
    words = list(re.finditer(r"[^\W_]+(?:['’.+#-][^\W_]+)*[+#]*", text.replace("’", "'")))
    names = {word[0].lower() for word in words if len(word[0]) > 1 and word[0].isupper()}
    if len(words) > 2 and text.isupper():
        names = set()
    return [word.span() for word in words if (lower := word[0].lower()) not in _EMPTY or lower in names]


def root(word: str) -> str:
    """A rough stem, enough to see that "layers" and "layer", or "trained" and "training", belong together."""
    word = re.sub(r"'s?$", "", word.lower())
    for ending in ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


def roots(text: str) -> set[str]:
    """The roots of its content words."""
    return {root(word) for word in content_words(text)}
