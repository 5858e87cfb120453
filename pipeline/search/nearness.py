"""How near the best that was found is to a question: whether it may be in the video at all. Pure.

A logistic regression on three things: the best cosine of a sentence and of a window, and the share of the question's
content words that the best moment holds in any form. Fitted on 413 questions of TutorialVQA dev (Colas et al., LREC
2020), asked of the whole collection and of the right video, against 237 questions about meetings (QMSum val: Zhong et
al., NAACL 2021) asked of the same tutorials. The cosines are those of all-MiniLM-L6-v2; other embeddings have other
scales.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence

from pipeline.types import Hit, Moment
from pipeline.words import roots

# Below it, of the 1,238 questions of TutorialVQA dev, 2 % are refused in the whole collection and 5 % in the right
# video, and of 235 unanswerable ones 91 % and 99 %: `python -m pipeline evaluate --curve` gives the whole curve.
THRESHOLD = 0.4
# Cosine of a picture and a text that belong together: LAION-400M kept such pairs (Schuhmann et al., 2021; ViT-B/32).
SEEN = 0.3
ENGLISH = re.compile(
    r"\b(?:the|what|how|why|which|who|where|when|does|did|are|can|this|that|there|with|about)\b", re.IGNORECASE
)


def is_measured(question: str, languages: Collection[str]) -> bool:
    """Whether a question and what was found for it are of the kind that the regression was fitted on: English."""
    return set(languages) <= {"en", ""} and bool(ENGLISH.search(question))


def nearness(question: str, lists: Mapping[str, Sequence[Hit]], found: Sequence[Moment]) -> float:
    """0-1, from the ranked lists and the moments made of them, best first; 0 where nothing was found."""
    if not found:
        return 0.0
    wanted = roots(question)
    if not lists.keys() - {"picture"}:
        return 1.0  # nothing is said or written in it, and how near a picture is was not measured
    if not wanted or any(hit.score >= SEEN for hit in lists.get("picture", ())[:1]):
        return 1.0
    held = {one for passage in found[0].passages for one in roots(passage.text)}
    shared = len(wanted & held) / len(wanted)
    sentence, window = (lists.get(name, ())[:1] for name in ("sentence meaning", "meaning"))
    if sentence and window:
        logit = 5.7 * sentence[0].score + 8.4 * window[0].score + 3.8 * shared - 6.8
    else:
        logit = 8.7 * shared - 3.2  # by words alone, fitted on the same questions
    return 1 / (1 + math.exp(-logit))
