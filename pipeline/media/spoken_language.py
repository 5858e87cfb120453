"""How likely languages are in windows of speech -> the languages to write each window down in. Pure.

A window of 30 s tells its language badly: of one lecture in English with a Dutch accent, a third was called Dutch, at
0.83. So windows vote, together with what was spoken before. Where one window disagrees, and the words that were
written down in the usual language are improbable, it is written down in its own too, and the likelier words count.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.media.heard import Heard, Probabilities

BEFORE = 30.0  # s of speech, as much as which the language that was spoken before counts
CLEAR = 0.98  # probability at which a window of TELLING s needs no second opinion
LIKELY = 0.5  # below this a window has no opinion
TELLING = 3.0  # s of speech; less tells no language
GOOD = -0.4  # average log probability, above which nobody asks for other words: the lecture has -0.1, in Dutch -0.9
SURE = -0.7  # average log probability, above which the words were written down in the right language


@dataclass(frozen=True)
class Told:
    """The language of one window."""

    first: str  # to write it down in
    second: str = ""  # the same, where the words in the first are no good; "" for none


def choose(told: Sequence[Probabilities], seconds: Sequence[float], before: str = "") -> Sequence[Told]:
    """The language of each window, where `seconds` are those of speech in it.

    `before`: the language that was spoken before these, "" where none is known.
    """
    votes: Counter[str] = Counter({before: BEFORE} if before else {})
    for probabilities, spoken in zip(told, seconds, strict=True):
        for language, probability in probabilities.items():
            votes[language] += probability * spoken
    usual = max(votes, key=lambda one: votes[one]) if votes else ""
    found = []
    for probabilities, spoken in zip(told, seconds, strict=True):
        own = max(probabilities, key=lambda one: probabilities[one]) if probabilities else usual
        likely = probabilities.get(own, 0.0)
        if own == usual or likely < LIKELY or spoken < TELLING:
            found.append(Told(usual))
        elif likely >= CLEAR:
            found.append(Told(own))
        else:
            found.append(Told(usual, own))
    return found


def is_good(heard: Heard) -> bool:
    """Whether these words need no other language."""
    return heard.avg_logprob >= GOOD


def best(heard: Sequence[Heard]) -> Heard:
    """Of one window in several languages, the one that the model finds likeliest."""
    return max(heard, key=lambda one: one.avg_logprob)


def is_sure(heard: Heard, seconds: float) -> bool:
    """Whether these words tell which language is spoken."""
    return bool(heard.words) and seconds >= TELLING and heard.avg_logprob >= SURE
