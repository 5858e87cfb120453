"""A question within a conversation -> what to look for. Pure; the cues are English.

A question that stands on its own is looked for as it is. One that leans on the conversation ("why?", "and
what about dropout?", "how does it work?") borrows the content words of the questions before it. One that
points along the video ("after that", "the previous slide") says from where. It does not know the search.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.chat import citations
from pipeline.chat.citations import cue
from pipeline.types import Moment, Passage, Turn
from pipeline.words import THE_VIDEO, content_words

BORROWED_FROM_EVIDENCE = 8  # words


@dataclass(frozen=True)
class Query:
    """What to look for."""

    text: str  # the question, and the words it borrows
    media: str | None = None  # media id that `after` and `before` are times of
    after: float | None = None  # s, the answer lies later than this
    before: float | None = None  # s, the answer lies earlier than this


_PIECE = r"(?:slide|part|section|topic|step|point|scene|chapter|example|thing|one|question|picture|frame|shot|minute)s?"
_END = r"(?=\s*(?:[?.!,;]|$))"  # the cue ends the clause
# Compiled when first asked, by `re`, which keeps them: together they take 30 ms.
_AFTER = (
    rf"\b(?:(?:right |just |directly |immediately |soon )?after (?:that|this|it)(?: {_PIECE})?{_END}"
    rf"|afterwards?\b|following that|(?:next|then|later)(?: on)?{_END}|(?:the |what )next {_PIECE}\b|what follows{_END}"
    rf"|(?:happens|comes|follows|said|says?) (?:next|then|later)\b)|^(?:and |so |but )?(?:then|next)\b"
)
_BEFORE = (
    rf"\b(?:(?:right |just |directly |immediately |shortly )?before (?:that|this|it)(?: {_PIECE})?{_END}|beforehand"
    rf"|(?:before|earlier|previously)(?: on)?{_END}|(?:the )?(?:previous|preceding) {_PIECE}\b"
    rf"|(?:said|says?|happened|came|comes) (?:earlier|previously))"
)
_OPENING = (
    r"^(?:ok(?:ay)?[,.]? )?(?:and|but|so|or|also|what about|how about|what else|anything else|why|how so|how come"
    r"|tell me more|say more|more|go on|continue|elaborate|really|are you sure|in what way|such as|like what)\b"
)
# "that" and "this" point back at the end of a clause or beside a verb or preposition; "says that CLIP ..." does not.
_POINTING = (
    r"\b(?:it|its|itself|them|those|these|former|latter|the same|such an? \w+"
    rf"|(?:that|this){_END}|(?:of|about|with|from|by|for|like|than|why|how|is|was|does|did|do) (?:that|this){_END}"
    r"|(?:that|this) (?:is|was|means?|does|did|works?|can|could|will|would|happen\w*|helps?|one|part|idea|method|way"
    r"|approach|case|step|model|number|slide|example|point|formula|figure|chart|graph|thing|value|result|problem))\b"
    r"|\b(?:why|how|when|where|does|did|is|was) (?:that|this)\b|\b(?:explain|describe|repeat|clarify) this\b"
)
_QUOTED = re.compile(r"(?<!\w)[\"“'‘][^\"“”'‘’]+[\"”'’](?!\w)")  # words meant as such: says "okay"


def resolve(question: str, history: Sequence[Turn], narrow: bool = False) -> Query:
    """Read a question, or what it is about, in the light of the turns before it, oldest first.

    narrow: borrow what was asked about and no words around it, for "how many times does she say it?".
    """
    if not history:
        return Query(question)
    best = next(iter(history[-1].evidence.moments), None)
    there = _spoken_of(history[-1]) if best else None
    after = there.end if there and re.search(_AFTER, question, re.IGNORECASE) else None
    before = there.start if there and after is None and re.search(_BEFORE, question, re.IGNORECASE) else None
    points = after is not None or before is not None
    if not (points or leans(question)):
        return Query(question)
    own = content_words(question)
    borrowed = _subject(history)
    if not own and best and not (narrow and borrowed):
        borrowed += _most_said(best)
    new = [word for word in dict.fromkeys(borrowed) if word not in own]
    return Query(" ".join([question, *new]), best.media if best and points else None, after, before)


def leans(question: str) -> bool:
    """Whether a question cannot be understood without the conversation before it."""
    question = question.strip()
    if re.search(_OPENING, question, re.IGNORECASE):
        return True
    rest = THE_VIDEO.sub(" ", question)  # "this video" is no pointing word, and a subject of its own
    if re.search(_POINTING, rest, re.IGNORECASE):
        return True
    return rest == question and not content_words(question) and not _QUOTED.search(question)


def _spoken_of(turn: Turn) -> Moment | Passage:
    """What "that" is after an answer: the sentence of the best moment that it cites first, else the whole moment."""
    best = turn.evidence.moments[0]
    for _, _, seconds in citations.find(turn.answer):
        for passage in best.passages:
            if cue(passage) <= seconds + 1 and seconds < passage.end:
                return passage
    return best


def _subject(history: Sequence[Turn]) -> tuple[str, ...]:
    """The content words of the last question; where that leaned on others too, theirs after its own."""
    words: tuple[str, ...] = ()
    for number in range(len(history) - 1, -1, -1):
        question = history[number].question
        words += content_words(question)
        if number == 0 or not leans(question):
            break
    return words


def _most_said(moment: Moment) -> tuple[str, ...]:
    """The commonest content words of a moment's passages."""
    counts = Counter(
        word
        for passage in moment.passages
        for sentence in re.split(r"[.!?\n]+", passage.text)
        for word in content_words(sentence)
    )
    return tuple(word for word, _ in counts.most_common(BORROWED_FROM_EVIDENCE))
