"""How well moments are found, questions refused and answers given, on questions whose answers are known.

In: questions (questions.py) and a Pipeline. Out: figures (metrics.py) for each way to find moments, side by side, and
for the answers of the model. Knows no file of questions and no command line.
"""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline import metrics
from pipeline.chat import intent, judge
from pipeline.chat.pictures import size
from pipeline.chat.prompt import Room, write
from pipeline.chat.tokens import text_tokens
from pipeline.errors import AnswerError, SettingsError, SourceError
from pipeline.metrics import Answered, Answers, Outcome, Point, Row
from pipeline.questions import Question, sample
from pipeline.search.around import LONGEST
from pipeline.search.moments import FUSION, Fusion
from pipeline.settings import Settings
from pipeline.types import Media, Moment, Progress
from pipeline.workflow import Pipeline

Report = Callable[[Progress], None]
FOUND = max(metrics.RANKS)  # moments asked for
SCREEN = ("screen", "caption")
FAILURES = 3  # questions in a row that the endpoint failed at: it is the endpoint, not a question
PRICED = 5  # questions that the cost of all is estimated from

HELP = """\
Settings, measured side by side; --settings names some of them:

  default                  all lists, fused as everywhere
  bm25, dense              one list alone, of windows
  hybrid                   these two, weighted alike
  sentences                the default without pictures and text on screen
  screen                   the default without pictures
  fused                    the default, its best not compared word by word
  LIST-half, LIST-double   the default with another weight of one list,
                           such as words-half
  random, middle           no evidence: moments anywhere, or the middle

Figures, for all media at once and inside the right one:

  R@k       share of the questions with a hit among the first k moments; a hit
            overlaps the answer by at least half of the shorter of the two
  MRR       mean of 1 / rank of the first hit
  IoU       mean temporal intersection over union of the best moment
  refused   share of the questions without an answer that were taken for it
  wrongly   share of the questions with an answer that were, too
  ms        median time to find the moments of a question
"""


@dataclass(frozen=True)
class Setting:
    """One way to find moments."""

    name: str
    find: Fusion | str  # how lists are fused, or the name of a baseline
    equal: tuple[str, ...] = ()  # settings that cannot differ from it in this library


def settings() -> dict[str, Fusion | str]:
    """Every setting by its name: the default first, the baselines that look at nothing last."""
    without = {name: weight for name, weight in FUSION.weights.items() if name != "picture"}
    found: dict[str, Fusion | str] = {
        "default": FUSION,
        "bm25": Fusion({"words": 1.0}, screen=False),
        "dense": Fusion({"meaning": 1.0}, screen=False),
        "hybrid": Fusion({"words": 1.0, "meaning": 1.0}, screen=False),
        "sentences": replace(FUSION, weights=without, screen=False),
        "screen": replace(FUSION, weights=without),
        "fused": replace(FUSION, late=0.0),
    }
    for name, weight in FUSION.weights.items():
        for suffix, factor in (("half", 0.5), ("double", 2.0)):
            changed = {**FUSION.weights, name: weight * factor}
            found[f"{name.replace(' ', '-')}-{suffix}"] = replace(FUSION, weights=changed)
    return found | {"random": "random", "middle": "middle"}


def choose(names: Collection[str], media: Sequence[Media]) -> list[Setting]:
    """These settings (none named: all) in their order, each with those that equal it for want of pictures or text.

    Raises SettingsError for a name that is not known.
    """
    known = settings()
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"There is no setting {unknown[0]!r} to evaluate. Give some of: {', '.join(known)}.")
    pictures = any(one.coverage.get("pictures") and one.coverage["pictures"].state == "read" for one in media)
    screen = any(passage.kind in SCREEN for one in media for passage in one.passages)
    kept: list[tuple[Fusion | str, Setting]] = []
    for name, find in known.items():
        if names and name not in names:
            continue
        looked = find
        if isinstance(find, Fusion):  # what is left of it in this library
            weights = {key: weight for key, weight in find.weights.items() if pictures or key != "picture"}
            looked = replace(find, weights=weights, screen=find.screen and screen)
        same = next((place for place, (other, _) in enumerate(kept) if other == looked), None)
        if same is None:
            kept.append((looked, Setting(name, find)))
        else:
            kept[same] = (looked, replace(kept[same][1], equal=(*kept[same][1].equal, name)))
    return [setting for _, setting in kept]


def measure(
    pipeline: Pipeline, questions: Sequence[Question], chosen: Sequence[Setting], report: Report
) -> Iterator[Row]:
    """The figures of each setting, in all media at once and inside the right one; as each is done."""
    for setting, scope, outcomes in _outcomes(pipeline, questions, chosen, report):
        yield from metrics.summarise(setting.name, scope, outcomes, setting.equal)


def refusals(
    pipeline: Pipeline, questions: Sequence[Question], chosen: Sequence[Setting], report: Report
) -> Iterator[Point]:
    """The refusal curve of each setting that is no baseline: what each threshold of nearness would refuse."""
    fused = [setting for setting in chosen if isinstance(setting.find, Fusion)]
    for setting, scope, outcomes in _outcomes(pipeline, questions, fused, report):
        yield from metrics.curve(setting.name, scope, outcomes)


def with_expected(settings: Settings, questions: Sequence[Question]) -> list[Question]:
    """Those whose expected answer is known. Raises SettingsError without an endpoint, SourceError without any."""
    if not settings.vllm_base_url:
        raise SettingsError("Judging answers needs a model. Set VLLM_BASE_URL to an OpenAI-compatible endpoint.")
    found = [question for question in questions if question.expected]
    if not found:
        raise SourceError('None of these questions has an expected answer. Give some an "answer".')
    return found


def cost(pipeline: Pipeline, questions: Sequence[Question]) -> str:
    """About what asking and judging these will take, in words; estimated from a few of them."""
    tokens = 0
    few = sample(questions, PRICED)
    for question in few:
        evidence, room = pipeline.find(question.text, [question.media]), Room()
        prompt = write(evidence, {}, (), room, lambda media, frame: size(pipeline.picture(media, frame).read_bytes()))
        # The answer is paid for twice: when it is written, and when it is judged.
        tokens += sum(text_tokens(message["content"]) for message in intent.ask(question.text)) + intent.ANSWER_TOKENS
        tokens += prompt.tokens + 2 * room.reserved + judge.tokens(question.text, question.expected)
    each = float(f"{tokens / len(few):.2g}")
    count = f"{len(questions):,} question{'s' * (len(questions) > 1)}"
    return f"{count} x at most about {each:,.0f} tokens = {len(questions) * each:,.0f} tokens"


def answers(
    pipeline: Pipeline, questions: Sequence[Question], report: Report, note: Callable[[str], None]
) -> list[Answers]:
    """Ask each question of its media and let the model judge the answer: figures for each kind of question.

    `note` is told of each that was not judged, and why.

    Raises AnswerError when the endpoint fails several times in a row.
    """
    answered, failures = [], 0
    for number, question in enumerate(questions, 1):
        verdict, supported = None, ()
        try:
            reply = pipeline.ask(question.text, [question.media])
            for _ in reply:
                pass
            supported = tuple(citation.supported for citation in reply.citations)
            said = judge.judge(pipeline.settings, question.text, question.expected, reply.text)
            verdict, why = judge.parse(said), f"the model said {said!r}"
            failures = 0
        except AnswerError as error:
            why, failures = str(error), failures + 1
            if failures == FAILURES:
                raise
        if verdict is None:
            note(f"not judged: {question.text} ({why})")
        answered.append(Answered(question.kind, verdict, supported))
        report(Progress("answers", number / len(questions), f"{number} of {len(questions)}"))
    return metrics.summarise_answers(answered)


def _outcomes(
    pipeline: Pipeline, questions: Sequence[Question], chosen: Sequence[Setting], report: Report
) -> Iterator[tuple[Setting, str, list[Outcome]]]:
    media = pipeline.everything()[0]
    scopes = ("all", "right") if len(media) > 1 else ("right",)
    total, done = len(chosen) * len(scopes) * len(questions), 0
    for setting in chosen:
        for scope in scopes:
            find = _finder(pipeline, setting.find, scope, media)
            find(questions[0])  # models are loaded before anything is timed
            outcomes = []
            for question in questions:
                outcomes.append(find(question))
                done += 1
                report(
                    Progress("evaluate", done / total, f"{setting.name}, {scope}: {len(outcomes)} of {len(questions)}")
                )
            yield setting, scope, outcomes


def _finder(
    pipeline: Pipeline, find: Fusion | str, scope: str, media: Sequence[Media]
) -> Callable[[Question], Outcome]:
    dice = random.Random(0)
    places = sorted(media, key=lambda one: one.id)  # the same whatever was read last
    by_id = {one.id: one for one in media}

    def baseline(question: Question) -> list[Moment]:
        among = [by_id[question.media]] if scope == "right" else places
        if find == "middle":
            return [_moment(one, one.length / 2) for one in dice.sample(among, min(FOUND, len(among)))]
        return [_moment(one, dice.uniform(0, one.length)) for one in dice.choices(among, k=FOUND)]

    def ask(question: Question) -> Outcome:
        near, nearness, ms = None, 1.0, None
        if isinstance(find, Fusion):
            begin = time.perf_counter()
            evidence = pipeline.find(
                question.text, [question.media] if scope == "right" else None, limit=FOUND, fusion=find
            )
            ms = 1000 * (time.perf_counter() - begin)
            moments, near, nearness = evidence.moments, evidence.near, evidence.nearness
        else:
            moments = baseline(question)
        rank, iou = metrics.rank_and_iou(moments, question.answer) if question.answer else (None, 0.0)
        return Outcome(question.kind, question.answer is not None, rank, iou, near, nearness, ms)

    return ask


def _moment(media: Media, middle: float) -> Moment:
    """As long as a found moment may be, around a time; all of it inside the media."""
    start = max(0.0, min(middle - LONGEST / 2, media.length - LONGEST))
    return Moment(media.id, start, min(start + LONGEST, media.length), 0.0)
