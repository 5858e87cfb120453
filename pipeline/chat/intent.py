"""A question -> what it asks for: the matter, the whole video, what comes after something, every place, now.

Pure; the cues are English, so a question in another language is "local". A cue counts only where the whole question
is built around it: "how do I select all the layers?" asks for no list of places. What is not sure is "local": a
search where an outline was wanted still shows something, an outline where a fact was wanted does not. It does not
know what was said before (followup.py does), where the player stands, or the search.
"""

import re
from dataclasses import dataclass

from pipeline.chat import cues
from pipeline.words import THE_VIDEO, content_words

LONGEST = 240  # characters; a longer question is about some matter
ANSWER_TOKENS = 40  # for what a model answers to ask()
KINDS = {
    "local": "a fact, a reason, an opinion, how to do something, one part of the video; all that is not below",
    "whole": "the whole video: its subject, a summary, all its topics or steps",
    "after": "what the video shows right after something",
    "before": "what the video shows right before something",
    "first": "when something is first mentioned or shown",
    "last": "when something is last mentioned or shown",
    "every": "all the places where something is mentioned or shown",
    "count": "how many times something is said or shown",
    "now": "what is on the screen, or was just said, at this moment",
}


@dataclass(frozen=True)
class Intent:
    """What a question asks for.

    "now" needs the position of the player: to a caller that does not know it, such a question is "local".
    "first" and "last" without `about` ask for the beginning and the end of the video.
    """

    kind: str  # one of KINDS
    about: str  # what to search for: the question without its cue ("the demo of CLIP"); "" for "whole" and "now"


def read(question: str, follows: bool = False) -> Intent:
    """What a question asks for, by the rules of cues.py.

    follows: whether it comes after an answer. Then "who is that?" and "what is it about?" point at the answer and are
    "local": followup.resolve gives them their subject. "What did she just say?" is "now" all the same.
    """
    local = Intent("local", question)
    if len(question) > LONGEST:
        return local
    text = _plain(question)
    matter = cues.IN_VIDEO.sub(" ", text).strip()
    for kind, rules in cues.RULES.items():
        if match := next(filter(None, (rule.fullmatch(matter) for rule in rules)), None):
            said = match.groupdict()
            about = _trim(said.get("about") or "") or _trim(said.get("who") or "")
            if kind in ("after", "before") and cues.NO_SUBJECT.fullmatch(about):
                return local  # of "after that" followup.resolve knows the time
            return local if follows and said.get("it") else Intent(kind, about)
    if _now(text, follows):
        return Intent("now", "")
    return Intent("whole", "") if _whole(text, follows) else local


def moves(question: str) -> bool:
    """Whether a question is about what happens in a picture, which no single one shows: "does he pick it up?"."""
    return bool(cues.MOTION.search(question))


def ask(question: str) -> list[dict]:
    """The messages that let a model decide instead. One call of at most ANSWER_TOKENS; then parse()."""
    kinds = "\n".join(f"{kind} = {meaning}" for kind, meaning in KINDS.items())
    rules = (
        f"Say what a question about a video asks for. The kinds are:\n{kinds}\n"
        "Answer with one line, KIND: WORDS. WORDS is what to look for in the video, copied from the question as it "
        "stands, without when, first, after and the like; - for local, whole and now. Nothing else."
    )
    shown = (
        ("what does he do right after he opens the box?", "after: he opens the box"),
        ("Which learning rate did they use before the change?", "local: -"),
        ("I have two minutes, what do I need to know?", "whole: -"),
    )
    turns = [
        {"role": role, "content": text}
        for example in shown
        for role, text in zip(("user", "assistant"), example, strict=True)
    ]
    return [{"role": "system", "content": rules}, *turns, {"role": "user", "content": question}]


def parse(answer: str, question: str) -> Intent | None:
    """The model's decision; None (then read() holds) unless it is a known kind, with words out of the question."""
    kind, _, words = answer.strip().partition(":")
    kind = kind.strip().lower()
    if kind not in KINDS or "\n" in words.strip():
        return None
    if kind in ("local", "whole", "now"):
        return Intent(kind, question if kind == "local" else "")
    pattern = r"\W+".join(map(re.escape, re.findall(r"\w+", words)))
    found = re.search(rf"\b{pattern}\b", question, re.IGNORECASE) if pattern else None
    return Intent(kind, found[0]) if found and not cues.NO_SUBJECT.fullmatch(found[0]) else None


def _plain(question: str) -> str:
    """Without manners and question mark; with ‹ › around what names the whole video."""
    text = cues.END_MANNERS.sub("", cues.MANNERS.sub("", " ".join(question.replace("’", "'").split())), count=1)
    text = re.sub(r"\b(what|who|where|when|how)'?s\b|\b(that|it|here)'s\b", r"\1\2 is", text, flags=re.IGNORECASE)
    return THE_VIDEO.sub(r"‹\g<0>›", text)


def _trim(about: str) -> str:
    """Without what says only that something is mentioned."""
    while (less := cues.EDGES.sub("", about).strip(" ,")) != about:
        about = less
    return re.sub("[‹›]", "", about)


def _now(text: str, follows: bool) -> bool:
    if cues.NOW.search(text) or (cues.NOW_IF_FIRST.search(text) and not follows):
        return True
    return bool(cues.NOW_IF_EMPTY.search(text)) and not content_words(cues.SEEN.sub("", text))


def _whole(text: str, follows: bool) -> bool:
    if not cues.WHOLE.search(text) or cues.PARTLY.search(text) or (follows and cues.POINTS.search(text)):
        return False
    besides = content_words(re.sub(cues.VIDEO, " ", cues.WHOLE.sub(" ", text)))
    return all(word in cues.BESIDES or word.isdigit() for word in besides)
