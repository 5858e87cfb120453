"""How good what was found is, in the standard figures of retrieval. Pure.

In: what came of each question. Out: figures for each setting, scope and kind of question, and the refusal curve. R@k
with temporal IoU is how moment retrieval is measured (Gao et al., TALL, ICCV 2017), MRR how question answering is
(Voorhees, TREC-8, 1999). Knows no library, no index and no model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from pipeline.types import Moment

Stretch = tuple[str, float, float]  # media id, start (s), end (s)
RANKS = (1, 5, 10)  # the k of R@k
STEP = 0.02  # between two thresholds of the refusal curve


@dataclass(frozen=True)
class Outcome:
    """What came of one question."""

    kind: str
    answerable: bool
    rank: int | None  # of the first moment that is a hit, from 1; None when none is
    iou: float  # of the best moment with the answer, 0-1
    near: bool | None  # whether it was taken for answerable; None where nobody decides that, as in a baseline
    nearness: float  # 0-1, what that was decided by
    ms: float | None  # to find the moments; None in a baseline


@dataclass(frozen=True)
class Row:
    """The figures of one setting in one scope for one kind of question. None: there is no such question."""

    setting: str
    scope: str  # "all" media at once, or inside the "right" one
    kind: str  # of question; "all" for all together
    questions: int  # that have an answer
    recall: tuple[float | None, ...]  # R@1, R@5, R@10: share of them with a hit among the first k moments
    mrr: float | None  # mean of 1 / rank of the first hit, 0 without one
    iou: float | None  # mean temporal intersection over union of the best moment and the answer
    unanswerable: int  # questions that have none
    refused: float | None  # share of the unanswerable that were rightly taken for it
    wrongly_refused: float | None  # share of the others that were, too
    ms: float | None  # a question, median
    equal: tuple[str, ...] = ()  # settings that cannot differ from this one in this library


@dataclass(frozen=True)
class Point:
    """One point of the refusal curve: what a threshold would refuse."""

    setting: str
    scope: str
    threshold: float  # of nearness: what is below it is refused
    refused: float | None  # share of the unanswerable questions
    wrongly_refused: float | None  # share of the answerable ones


@dataclass(frozen=True)
class Answered:
    """What became of one answer."""

    kind: str  # of the question
    verdict: str | None  # "right", "partly" or "wrong"; None when it was not judged
    supported: tuple[bool, ...]  # of each time that it cites: whether the evidence bears it out


@dataclass(frozen=True)
class Answers:
    """The figures of the answers to one kind of question."""

    kind: str  # "all" for all together
    questions: int
    right: float  # share of the questions, as the next three
    partly: float
    wrong: float
    not_judged: float
    cited: int  # times that the answers cite
    supported: float | None  # share of them that the evidence bears out


def rank_and_iou(moments: Sequence[Moment], answer: Stretch) -> tuple[int | None, float]:
    """(rank of the first hit from 1, IoU of the first moment) of moments, best first."""
    rank = next((number for number, moment in enumerate(moments, 1) if is_hit(moment, answer)), None)
    return rank, iou(moments[0], answer) if moments else 0.0


def is_hit(moment: Moment, answer: Stretch) -> bool:
    """Whether a moment overlaps the answer by at least half of the shorter of the two."""
    _, start, end = answer
    shared = _shared(moment, answer)
    return shared > 0 and shared >= min(moment.end - moment.start, end - start) / 2


def iou(moment: Moment, answer: Stretch) -> float:
    """Temporal intersection over union, 0-1; 0 in another media."""
    _, start, end = answer
    shared = _shared(moment, answer)
    return shared / ((moment.end - moment.start) + (end - start) - shared) if shared else 0.0


def summarise(setting: str, scope: str, outcomes: Sequence[Outcome], equal: tuple[str, ...] = ()) -> list[Row]:
    """A row for all outcomes together, then, where there is more than one kind, one for each."""
    return [_row(setting, scope, kind, group, equal) for kind, group in _by_kind(outcomes).items()]


def summarise_answers(answers: Sequence[Answered]) -> list[Answers]:
    """The same of answers."""
    found = []
    for kind, group in _by_kind(answers).items():
        shares = [_share([one.verdict == verdict for one in group]) for verdict in ("right", "partly", "wrong", None)]
        supported = [each for one in group for each in one.supported]
        found.append(Answers(kind, len(group), *shares, len(supported), _share(supported)))
    return found


def curve(setting: str, scope: str, outcomes: Sequence[Outcome]) -> list[Point]:
    """What each threshold would refuse, from the first that refuses nothing to the first that refuses all."""
    values = [one.nearness for one in outcomes]
    first, last = math.floor(min(values) / STEP), math.floor(max(values) / STEP) + 1
    return [
        Point(
            setting,
            scope,
            threshold,
            _share([one.nearness < threshold for one in outcomes if not one.answerable]),
            _share([one.nearness < threshold for one in outcomes if one.answerable]),
        )
        for threshold in (round(number * STEP, 2) for number in range(first, last + 1))
    ]


def _by_kind(ones: Sequence) -> dict[str, Sequence]:
    kinds = list(dict.fromkeys(one.kind for one in ones))
    each = {kind: [one for one in ones if one.kind == kind] for kind in kinds} if len(kinds) > 1 else {}
    return {"all": ones} | each


def _shared(moment: Moment, answer: Stretch) -> float:
    media, start, end = answer
    return max(0.0, min(moment.end, end) - max(moment.start, start)) if moment.media == media else 0.0


def _row(setting: str, scope: str, kind: str, outcomes: Sequence[Outcome], equal: tuple[str, ...]) -> Row:
    answerable = [one for one in outcomes if one.answerable]
    others = [one for one in outcomes if not one.answerable]
    ranks = [one.rank or math.inf for one in answerable]
    times = [one.ms for one in outcomes if one.ms is not None]
    return Row(
        setting,
        scope,
        kind,
        questions=len(answerable),
        recall=tuple(_share([rank <= k for rank in ranks]) for k in RANKS),
        mrr=_share([1 / rank for rank in ranks]),
        iou=_share([one.iou for one in answerable]),
        unanswerable=len(others),
        refused=_share([not one.near for one in others if one.near is not None]),
        wrongly_refused=_share([not one.near for one in answerable if one.near is not None]),
        ms=median(times) if times else None,
        equal=equal,
    )


def _share(values: Sequence[float]) -> float | None:
    return float(mean(values)) if values else None
