"""A source -> what reading it will take: minutes, disk, tokens. Loads no model and decodes next to nothing.

In: a path, the settings, and what the steps of earlier readings took on this machine (`speeds.json` in the data
folder). Out: an Estimate, and what a person reads of it. Knows not how anything is read.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pipeline import part_status
from pipeline.chat import captions
from pipeline.chat.tokens import image_tokens, text_tokens
from pipeline.disk import write_whole
from pipeline.errors import StorageError
from pipeline.media import guard, screen, speech, subtitles, video
from pipeline.media.picture import LONG_SIDE
from pipeline.media.source import check, is_allowed
from pipeline.search import embeddings
from pipeline.settings import Limits, Settings
from pipeline.types import Estimate, Media, Progress

FILE = "speeds.json"  # by step: s of work and how much was done in it, of the last few readings
FADING = 0.5  # how much of what earlier readings took still counts after each

# s of work for one s of the source ("frames", "speech"), or for one picture; on two cores of a laptop.
USUAL = {"frames": 1 / 40, "screen": 0.7, "pictures": 0.09, "captions": 1.0, "text": 1 / 150}
LEARNED = ("frames", "speech", "screen", "pictures", "captions")  # the others are done in between, and quick
# The same for Whisper, by its name; an unknown file is taken for base.
HEARING = {"tiny": 1 / 8, "base": 1 / 4.5, "small": 1 / 1.6, "medium": 2.0, "large": 4.0, "turbo": 1.5}
FASTER = 3.5  # times less that faster-whisper takes
DOUBT = (0.6, 1.7)  # least and most of what another machine took
MEASURED = (0.8, 1.3)  # the same of what this one took
# Of the pictures that are looked at, those kept: a talk with slides keeps few, a film all and its cuts.
KEPT = (0.2, 1.3)
SPOKEN = (0.2, 1.0)  # of the sound, what is speech
START = 5.0  # s to load what reads
WORDS = 2.6  # a second, of fast speech
TOKENS_A_WORD = 1.35
TIMES_EMBEDDED = 4.5  # how often a word is embedded: in its sentence, two pairs and overlapping windows
A_PIXEL = 0.13  # bytes of a JPEG
A_SECOND = 1600  # bytes of vectors and record, of what is said


def estimate(path: Path, settings: Settings, before: Media | None = None) -> Estimate:
    """What reading the source at path will take. `before`: the media that was read of it, if any was.

    Raises SourceError where it cannot be read, StorageError.
    """
    if before and not part_status.parts(before):
        return Estimate(before.length, {}, 0, {}, ("It was read before; only what is missing is done.",))
    check(path, settings.limits)
    touched = path.stat()
    if subtitles.is_subtitles(path):
        return Estimate(0.0, {"text": (1.0, 5.0)}, 20 * touched.st_size, {})
    facts = _facts(path, touched.st_size, touched.st_mtime_ns, touched.st_ctime_ns, settings.limits)
    costs = _costs(settings)
    notes = []
    sampled = max(1.0, facts.length * settings.frames_per_second) if facts.has_video else 0.0
    pictures = (len(before.frames),) * 2 if before else (math.ceil(KEPT[0] * sampled), math.ceil(KEPT[1] * sampled))
    shown = _left(before, "frames") * facts.length
    steps = {"frames": _span(costs["frames"], shown, shown)} if sampled else {}
    written = _is_written(path, facts, settings.limits)
    if facts.has_video and settings.screen_text and screen.available()[0]:
        steps["screen"] = _span(costs["screen"], *(_left(before, "screen") * many for many in pictures))
    elif facts.has_video and not settings.screen_text:
        notes.append(f"SCREEN_TEXT is off: {part_status.not_done('screen')}.")
    if written:
        notes.append(f"What is said is read from {written}.")
    elif facts.has_audio:
        length = _left(before, "speech") * facts.length
        steps["speech"] = _span(costs["speech"], SPOKEN[0] * length, SPOKEN[1] * length)
        if not speech.is_on_disk(*speech.chosen(settings)):
            notes.append(
                "Whisper's weights are not on this machine yet: they are fetched first, if they can be; else "
                f"{part_status.not_done('speech')}."
            )
    if facts.has_video and embeddings.image_embedding_available(settings)[0]:
        steps["pictures"] = _span(costs["pictures"], *pictures)
    elif facts.has_video and not settings.captions:
        notes.append(
            "CLIP's weights are not on this machine yet: they are fetched first, if they can be; else "
            f"{part_status.not_done('pictures')}."
        )
    if settings.captions and facts.has_video:
        steps["captions"] = _span(costs["captions"], *pictures)
    if written or "speech" in steps:
        steps["text"] = _span(costs["text"], SPOKEN[0] * facts.length, facts.length)
    if before:
        notes.append(part_status.told(before))
    return Estimate(
        length=facts.length,
        steps={step: (least, most) for step, (least, most) in steps.items() if most > 0},
        disk=0 if before else _disk(facts, pictures),
        tokens=_tokens(facts, settings, pictures, bool(written or "speech" in steps)),
        notes=tuple(notes),
    )


@lru_cache(maxsize=1000)
def _facts(path: Path, size: int, changed: int, touched: int, limits: Limits) -> video.Facts:
    """Of a file as it is now: pages ask again and again."""
    return guard.run(video.probe, path, limits=limits)


def together(estimates: Sequence[Estimate]) -> Estimate:
    """What reading several sources, one after another, will take."""
    spans = [one.work for one in estimates if one.steps]
    tokens: Counter[str] = Counter()
    for one in estimates:
        tokens.update(one.tokens)
    return Estimate(
        length=sum(one.length for one in estimates),
        steps={"all": (sum(least for least, _ in spans), sum(most for _, most in spans))} if spans else {},
        disk=sum(one.disk for one in estimates),
        tokens=dict(tokens),
    )


def say(estimate: Estimate) -> str:
    """What a person reads before it begins, in one line."""
    least, most = estimate.work
    said = []
    if estimate.steps:
        said.append(f"Reading it takes {_minutes(least + START, most + START)}")
    if estimate.disk:
        said.append(f"{_size(estimate.disk)} of disk")
    said += [f"about {_round(many):,} tokens ({service})" for service, many in estimate.tokens.items()]
    return " ".join(filter(None, [", ".join(said) + "." * bool(said), *estimate.notes]))


def learn(settings: Settings, progress: Progress, work: float) -> None:
    """Keep what a finished step took: `progress.fraction` of it in `work` s."""
    step = _name(progress.step, settings)
    amount = progress.fraction * (progress.length if progress.step in ("frames", "speech") else progress.pictures)
    if progress.step not in LEARNED or amount <= 0 or work <= 0:
        return
    known = _known(settings)
    before = known.get(step, (0.0, 0.0))
    known[step] = tuple(FADING * old + new for old, new in zip(before, (work, amount), strict=True))
    try:
        write_whole(settings.data_dir / FILE, json.dumps(known, indent=1))
    except StorageError:
        return  # an estimate is not worth a reading


def _known(settings: Settings) -> dict[str, tuple[float, float]]:
    """By step: s of work, and what was done in it. {} where nothing was measured, or the file is damaged."""
    try:
        known = json.loads((settings.data_dir / FILE).read_bytes())
        known = {str(step): (float(work), float(amount)) for step, (work, amount) in known.items()}
        return {step: one for step, one in known.items() if min(one) > 0 and math.isfinite(sum(one))}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _costs(settings: Settings) -> dict[str, tuple[float, float]]:
    """(least, most) s of work for one s of the source or one picture, by step."""
    usual = USUAL | {"speech": _hearing(settings)}
    known, costs = _known(settings), {}
    for step, cost in usual.items():
        doubt = DOUBT
        if measured := known.get(_name(step, settings)):
            cost, doubt = measured[0] / measured[1], MEASURED
        costs[step] = (cost * doubt[0], cost * doubt[1])
    return costs


def _hearing(settings: Settings) -> float:
    """s of work for one s of speech, on a machine where nothing was measured yet."""
    model = Path(settings.whisper_model).stem.removeprefix("faster-").removeprefix("whisper-").removeprefix("distil-")
    cost = next((cost for name, cost in HEARING.items() if model.startswith(name)), HEARING["base"])
    is_slow = speech.engine_name(settings.whisper_model, settings.speech_engine) == "whisper"
    return cost if is_slow and not settings.speech_base_url else cost / FASTER


def _name(step: str, settings: Settings) -> str:
    """Under which name the cost of a step is kept: that of a model is another's with another model."""
    model = {
        "speech": speech.name(*speech.chosen(settings)),
        "captions": settings.vllm_model,
        "pictures": settings.clip_model,
    }
    return f"{step} {model[step]}".strip() if step in model else step


def _span(cost: tuple[float, float], least: float, most: float) -> tuple[float, float]:
    return cost[0] * least, cost[1] * most


def _left(before: Media | None, part: str) -> float:
    """0-1, how much of a part is still to be read."""
    if before is None:
        return 1.0
    until = before.coverage[part].until if part in before.coverage else None
    return 0.0 if until is None or not before.length else max(0.0, 1 - until / before.length)


def _is_written(path: Path, facts: video.Facts, limits: Limits) -> str:
    """Where what is said stands written, "" where it does not seem to."""
    beside = [one for one in subtitles.find_beside(path) if is_allowed(one, limits)]
    if beside:
        return beside[0].name
    return "the subtitles inside the file" if any(codec not in video.BITMAPS for _, codec, _ in facts.subtitles) else ""


def _disk(facts: video.Facts, pictures: tuple[int, int]) -> int:
    shrunk = min(1.0, LONG_SIDE / max(facts.width, facts.height, 1))
    pixels = facts.width * facts.height * shrunk**2
    return round(sum(pictures) / 2 * (pixels * A_PIXEL + 2 * A_SECOND) + facts.length * A_SECOND)


def _tokens(facts: video.Facts, settings: Settings, pictures: tuple[int, int], words: bool) -> dict[str, int]:
    tokens = {}
    if settings.captions and facts.has_video:
        one = image_tokens(facts.width, facts.height) + text_tokens(captions.INSTRUCTIONS) + captions.ANSWER
        tokens[f"captions by {settings.vllm_model}"] = round(sum(pictures) / 2 * one)
    if words and settings.text_embedding_kind != "local":
        service = "mistral-embed" if settings.text_embedding_kind == "mistral" else settings.embedding_model
        tokens[service] = round(facts.length * WORDS * TOKENS_A_WORD * TIMES_EMBEDDED)
    return tokens


def _minutes(least: float, most: float) -> str:
    """A span of time as a person says it."""
    if most < 60:
        return "less than a minute"
    if most < 90 * 60:
        low, high = max(1, round(least / 60)), math.ceil(most / 60)
        return f"about {high} minutes" if high <= low + 1 else f"{low} to {high} minutes"
    low, high = max(0.5, round(least / 1800) / 2), math.ceil(most / 1800) / 2
    return f"about {high:g} hours" if high <= low + 0.5 else f"{low:g} to {high:g} hours"


def _size(many: int) -> str:
    return f"about {max(1, _round(many / 1e6))} MB" if many < 1e9 else f"about {_round(many / 1e8) / 10:g} GB"


def _round(many: float) -> int:
    """To two figures: it is an estimate."""
    return int(float(f"{many:.2g}"))
