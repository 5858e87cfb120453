"""A talk that the bench carries, and questions about it: words enough for a video of any length, each sentence once.

In: s. Out: passages, a sentence every 5 s, as a person says them. What is embedded, inserted and found is then the same
for every video of a length, whatever is said in it, and is there for one without words too. Pure.
"""

from pipeline.types import Passage

EVERY, LASTS = 5.0, 4.6  # s
# No two of these lengths have a common divisor: 8 x 7 x 9 x 5 x 11 sentences, 38 hours of them.
WHO = ("The committee", "A young engineer", "Our neighbour", "The harbour master", "Nobody", "The second encoder",
       "A retired teacher", "Everyone in the valley")  # fmt: skip
DID = ("measured", "repaired", "painted", "explained", "forgot", "compared", "photographed")
WHAT = ("the steel cables of the old bridge", "a green pigment that swallows red light", "the threshold of 0.3",
        "four hundred million pictures", "the elephant in the library", "the layers of the network",
        "a map of the coast", "the price of electricity, which had doubled within a year",
        "the recipe for bread")  # fmt: skip
WHERE = ("in the harbour", "on the third slide", "at school", "near the volcano",
         "in a room so small that the door had to stay open")  # fmt: skip
WHEN = ("in winter", "last week", "before the vote", "after the demonstration", "at half past nine", "twice a day",
        "during the long dry summer of the year before", "as the paper says", "while it rained", "by mistake",
        "because the first attempt had failed and there was no time for another one")  # fmt: skip
WARM = "Where is the bridge?"
QUESTIONS = (
    "Who measured the steel cables of the old bridge?",
    "What swallows red light?",
    "When did the committee forget the threshold?",
    "How many pictures were compared?",
    "Why had the price of electricity doubled?",
    "Where was the elephant photographed?",
    "Which recipe did our neighbour explain?",
    "What happened near the volcano?",
)


def talk(seconds: float) -> tuple[Passage, ...]:
    """The talk for so many seconds, one sentence at least."""
    return tuple(
        Passage(number * EVERY, number * EVERY + LASTS, _sentence(number), "speech")
        for number in range(max(1, int(seconds / EVERY)))
    )


def _sentence(number: int) -> str:
    return " ".join(part[number % len(part)] for part in (WHO, DID, WHAT, WHERE, WHEN)) + "."
