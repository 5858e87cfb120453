"""The passages of each chapter in, a title for each out, taken from their own words.

A heading that stands on the screen comes first, then a phrase that this chapter says and the others do not, then the
opening of a sentence. Pure. Knows neither vectors nor how chapters are found.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log, log1p

from pipeline.types import Passage
from pipeline.words import content_words, root

SCREEN = "screen"
LONGEST = 60  # characters of a title
MOST_WORDS = 7  # of a title that was a sentence
LINES = 4  # of a screen, among which its heading is
EVERYWHERE = 0.5  # of the chapters: a line that stands in more of them is a logo, a name or a menu
SETTLED = 5.0  # s that a heading stands with which a chapter begins, to be its title


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What is said in any talk and is no subject, besides the words without content.
_TALK = _set(
    """
able account actually add added adding already anyway area based basically better big bit bring build case change
check choose click clicking common couple course create created cut day deal different done drag easily easy effect
end enough exact fact feel figure find fine finally friends full fun great good guess guy guys hand hard hear help
helpful hold hope idea important include inside instance interested interesting kind left leave little live long main
make makes making mm mm-hmm move new nice notice number okay old open order pick place possible pretty press problem
process pull put ready remember right run running select set side similar simple simply small sort sound special
specific start stay stuff sudden suppose sure take takes taking time today top touch true try trying turn type uh uh-huh
um use used useful uses using usually various version want wanted wants watch welcome whole wonderful word worth
write yeah yep zero zone ah aw eh er hm oh mhm ll ve re don gonna gotta wanna alright hmm mmm one two three four five
six seven eight nine ten hundred thousand percent year years people ahead allow allows become called completely
correct correctly directly especially keep left-hand right-hand lets next obviously option own particular second
similarly slightly thank third together total ways wrong otherwise eleven twelve sixteen twenty whatever
    """
)
_JOINING = _set("of for in and & the de du des der von und")
_DETERMINERS = _set("a an the this that these those my your our his her its their some any each every no")
# What stands before a verb: the word after it opens no phrase.
_BEFORE_VERBS = _set(
    """
i you he she it we they who to not can could will would shall should may might must do does did don't let's lets i'll
you'll we'll they'll you'd we'd i'd you've we've i've they've cannot can't won't didn't doesn't please then just also
    """
)
_WORD = re.compile(r"[^\W_]+(?:['’.+#&/-][^\W_]+)*[+#]*")
_CLAUSE = re.compile(r"[.!?…;:,。！？、\n]+(?:\s|$)|[。！？、]|\s[-–—]+\s|[()\[\]{}\"“”«»|<>]")
_ADDRESS = re.compile(
    r"https?:|www\.|@|\w\.(?:com|org|net|io|ai|edu|ch|de)\b|localhost|\w:\w|\\|\w/\w+/", re.IGNORECASE
)
_HANGING = re.compile(r"(?:\s+(?:to|of|for|in|on|with|and|or|the|a|an|&))+$", re.IGNORECASE)  # the line goes on
_MARKUP = re.compile(r"</?\w[^>]*>|[*#`<>|~]+")
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>|\{[^}]*\}|^\s*>>\s*|[♪♫#*_`~]+")


def entitle(chapters: Sequence[Sequence[Passage]], spans: Sequence[tuple[float, float]]) -> list[str]:
    """A title for each chapter, no two the same: at most 60 characters, mostly 2-7 words, as they are written.

    A chapter without any word that could be its title is called by its number, "Part 2".
    """
    chapters = _without_furniture(chapters)
    found = _phrases(chapters)
    titles: list[str] = []
    taken: list[frozenset[str]] = []
    for number, (passages, span, phrases) in enumerate(zip(chapters, spans, found, strict=True), start=1):
        nothing = f"Part {number}" if len(chapters) > 1 else "The whole video"
        for title in (*_headings(passages, *span), *phrases, *_openings(passages), nothing):
            roots = frozenset(root(word) for word in _WORD.findall(title))
            if not any(roots <= other for other in taken):
                break
        titles.append(title)
        taken.append(roots)
    return titles


def _without_furniture(chapters: Sequence[Sequence[Passage]]) -> list[list[Passage]]:
    """The same, but for addresses on the screen and lines that stand there in most chapters; empty screens go."""
    stands_in = Counter(
        line for ps in chapters for line in {_plain(one) for p in ps if p.kind == SCREEN for one in p.text.splitlines()}
    )
    most = max(1, len(chapters) * EVERYWHERE)

    def clean(passage: Passage) -> Passage:
        lines = (" ".join(line.split()) for line in passage.text.splitlines())
        kept = [line for line in lines if stands_in[_plain(line)] <= most and not _ADDRESS.search(line)]
        return replace(passage, text="\n".join(line for line in kept if line))

    cleaned = [[clean(p) if p.kind == SCREEN else p for p in passages] for passages in chapters]
    return [[p for p in passages if p.text] for passages in cleaned]


def _plain(line: str) -> str:
    """What is the same in two readings of one line."""
    return "".join(c for c in line.casefold() if c.isalpha())


def _headings(passages: Sequence[Passage], start: float, end: float) -> list[str]:
    """The headings on the screen: the one with which the chapter begins, then those that stand longest."""
    seconds: Counter[str] = Counter()
    opening = ""
    for passage in sorted((p for p in passages if p.kind == SCREEN), key=lambda p: p.start):
        if heading := _heading(passage.text.splitlines()[:LINES]):
            stands = min(end, passage.end) - max(start, passage.start)
            seconds[heading] += stands
            if not opening and passage.start <= start + SETTLED and stands >= SETTLED:
                opening = heading
    return sorted(seconds, key=lambda heading: (heading != opening, -seconds[heading]))


def _heading(lines: Sequence[str]) -> str:
    """The first line that looks like a heading, or ""; one that says nothing by itself has the next beside it."""
    for n, line in enumerate(lines):
        line = _MARKUP.sub(" ", line).strip(" .:;,-–—•·")
        letters = sum(c.isalpha() for c in line)
        if letters < max(2, 0.7 * len(line.replace(" ", ""))) or not line or line[0].islower():
            continue
        words = line.split()
        if len(words) <= 2 and not content_words(line):  # "What", "Get it"
            if n + 1 < len(lines):
                return _short(_HANGING.sub("", f"{line}: {lines[n + 1]}"))
        elif letters >= 4 and len(words) <= 2 * MOST_WORDS and max(map(len, words)) > 3:
            return _short(_HANGING.sub("", line))
    return ""


def _short(text: str) -> str:
    """The text, cut between words where it is too long for a title."""
    if len(text) <= LONGEST:
        return text
    head = text[:LONGEST]
    return (head.rsplit(" ", 1)[0] if " " in head else head[:-1]).rstrip(" .,;:-–&") + "…"


def _phrases(chapters: Sequence[Sequence[Passage]]) -> list[list[str]]:
    """For each chapter its phrases, the most telling first.

    Telling is what is said often here (C-value: Frantzi, Ananiadou and Mima 2000, where a longer phrase that is said
    as often wins), in few other chapters (tf-idf), and soon (YAKE: Campos et al. 2020).
    """
    counts, forms, firsts = [], [], []
    for passages in chapters:
        count: Counter[tuple[str, ...]] = Counter()
        form: dict[tuple[str, ...], Counter[str]] = {}
        first: dict[tuple[str, ...], float] = {}
        whole: set[tuple[str, ...]] = set()
        spoken = [p for p in passages if p.kind != SCREEN] or list(passages)
        for at, passage in enumerate(spoken):
            for words, is_whole in _candidates(passage.text):
                key = tuple(root(w) for w in words)
                count[key] += 1
                if is_whole:
                    whole.add(key)
                form.setdefault(key, Counter())[" ".join(words)] += 1
                first.setdefault(key, at / len(spoken))
        count = Counter({key: times for key, times in count.items() if key in whole})  # never only a part
        counts.append(count), forms.append(form), firsts.append(first)
    found_in = Counter(word for count in counts for word in {word for key in count for word in key})
    return [_ranked(*these, found_in, len(chapters)) for these in zip(counts, forms, firsts, strict=True)]


def _candidates(text: str) -> Iterator[tuple[list[str], bool]]:
    """Runs of one to four words within a clause that look like a name for something.

    They start and end with a word that carries something, open behind no "we" or "to", as verbs do, and end before
    no "the" or "a", as verbs do. With each comes whether it is as long as it can be; those with an "of" in them are.
    """
    for clause in _CLAUSE.split(_ASIDE.sub(" ", text)):
        words = _WORD.findall(clause)
        small = ["", *(word.lower().replace("’", "'") for word in words), ""]
        carries = [_carries(word) for word in small]
        for first in range(1, len(words) + 1):
            if not carries[first] or small[first - 1] in _BEFORE_VERBS:
                continue
            for last in range(first, min(first + 4, len(words) + 1)):
                if not carries[last]:
                    if small[last] not in _JOINING or (small[last] == "the" and carries[last - 1]):
                        break  # "models of the world", but not "train the model"
                elif small[last + 1] not in _DETERMINERS:
                    is_plain = all(carries[first : last + 1])
                    is_whole = not carries[first - 1] and not carries[last + 1]
                    if is_plain or is_whole:
                        yield words[first - 1 : last], is_whole


def _carries(word: str) -> bool:
    if len(word) < 2 or word[0].isdigit() or word in _TALK or word in _JOINING:
        return False
    return not word.endswith(("ly", "n't", "'re", "'ll", "'ve", "'m", "'d")) and bool(content_words(word))


def _ranked(
    count: Counter[tuple[str, ...]],
    forms: dict[tuple[str, ...], Counter[str]],
    firsts: dict[tuple[str, ...], float],
    found_in: Counter[str],
    chapters: int,
) -> list[str]:
    def rarity(key: tuple[str, ...]) -> float:
        weights = [log1p(chapters / found_in[w]) for w in key if w not in _JOINING]
        return sum(weights) / max(1, len(weights))

    longer: dict[tuple[str, ...], list[int]] = {}
    for key, times in count.items():
        if times > 1:
            for a in range(len(key)):
                for b in range(a + 1, len(key) + 1):
                    if b - a < len(key):
                        longer.setdefault(key[a:b], []).append(times)
    scores = {}
    for key, times in count.items():
        own = times - (sum(longer[key]) / len(longer[key]) if key in longer else 0)
        once = 0.6 if times == 1 else 1.0
        weight = log(1 + len(key), 2) if len(key) > 1 else 0.5
        scores[key] = once * weight * log1p(max(0.0, own)) * rarity(key) * (1.2 - 0.4 * firsts[key])
    best = sorted((key for key in scores if scores[key] > 0), key=lambda key: -scores[key])[:12]
    titles = []
    for key in best:
        title = _written(forms[key])
        if len(key) == 1:  # one word says little: the next best stands beside it
            other = next((k for k in best if len(k) < 3 and not set(k) & set(key)), None)
            title += f", {_written(forms[other])}" if other else ""
        if len(title) <= LONGEST:
            titles.append(title[0].upper() + title[1:])
    return titles


def _written(form: Counter[str]) -> str:
    return form.most_common(1)[0][0]


def _openings(passages: Sequence[Passage]) -> Iterator[str]:
    """The first words of what is said or shown: whole when they fit, else cut between words."""
    for passage in sorted(passages, key=lambda p: p.kind == SCREEN):
        for line in passage.text.splitlines():
            words = _ASIDE.sub(" ", line).split()
            opening = " ".join(words[:MOST_WORDS]).rstrip(".,;:")
            if sum(c.isalpha() for c in opening) > 1:
                yield _short(opening if len(words) <= MOST_WORDS else f"{opening}…")
