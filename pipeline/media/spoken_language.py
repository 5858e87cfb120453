"""How likely languages are in windows of speech -> the languages to write each window down in. Pure.

A window of 30 s tells its language badly: of one lecture in English with a Dutch accent, a third was called Dutch, at
0.83. So windows vote, together with what was spoken before; and where one window disagrees it is written down in both
languages, of which the speech model itself finds one likelier.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.media.heard import Heard, Probabilities

BEFORE = 30.0  # s of speech, as much as which the language that was spoken before counts
CLEAR = 0.98  # probability at which a window of TELLING s needs no second opinion
LIKELY = 0.5  # below this a window has no opinion
TELLING = 3.0  # s of speech; less tells no language
SURE = -0.7  # average log probability, above which the words were written down in the right language


def candidates(told: Sequence[Probabilities], seconds: Sequence[float], before: str = "") -> Sequence[tuple[str, ...]]:
    """The language or languages of each window, where `seconds` are those of speech in it.

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
            found.append((usual,))
        elif likely >= CLEAR:
            found.append((own,))
        else:
            found.append((own, usual))
    return found


def best(heard: Sequence[Heard]) -> Heard:
    """Of one window in several languages, the one that the model finds likeliest."""
    return max(heard, key=lambda one: one.avg_logprob)


def is_sure(heard: Heard, seconds: float) -> bool:
    """Whether these words tell which language is spoken."""
    return bool(heard.words) and seconds >= TELLING and heard.avg_logprob >= SURE
