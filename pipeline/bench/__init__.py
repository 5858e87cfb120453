"""What reading a video and asking about it costs on this machine, step by step: against the plain way, and the floor.

In: a video and the settings. Out: a Row for each step. Each way of each step works in a process of its own (cost.py) in
a temporary folder, so that the library stays as it is. What is dear is measured on a sample, by all three ways on the
same, and told for the whole in proportion. Knows neither how the ways work nor what a person reads.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.bench import decoding, library, models
from pipeline.bench.cost import Cost, Fault, Way, measure
from pipeline.bench.talk import talk
from pipeline.bench.work import Work
from pipeline.disk import delete
from pipeline.errors import PipelineError, SettingsError
from pipeline.media import folder as folders
from pipeline.media import guard, screen, speech, video
from pipeline.search.embeddings import image_embedding_available
from pipeline.search.windows import units
from pipeline.settings import Settings
from pipeline.types import Progress

SECONDS, PICTURES, TEXTS, EMBEDDED = 120.0, 12, 256, 64  # that a sample holds
MEDIA = "0123456789abcdef" * 2  # the id of what is asked about


@dataclass(frozen=True)
class Step:
    """A step of reading or asking, and the three ways of doing it."""

    name: str
    ours: Way
    plain: Way
    floor: Way
    plain_is: str  # in words a person reads
    floor_is: str
    unit: str = "s"  # what it is a number of
    grows: bool = True  # with the length of the video


STEPS = {
    step.name: step
    for step in (
        Step("probe", decoding.probe, decoding.probe_plainly, decoding.open_barely,
             "moviepy opens it", "PyAV opens it, in this process", "file", grows=False),
        Step("frames", decoding.frames, decoding.frames_plainly, decoding.keyframes,
             "moviepy's write_images_sequence, to PNG", "keyframes decoded alone, no JPEG"),
        Step("look-alikes", decoding.marks, decoding.marks_plainly, decoding.thumbnails,
             "whole pictures compared, in colours", "pictures made small alone"),
        Step("ocr", models.screen_texts, models.screen_texts_plainly, models.boxes,
             "rapidocr with its defaults on every sampled picture", "its detector alone on the kept ones", "pictures"),
        Step("audio", decoding.sound, decoding.sound_plainly, decoding.packets,
             "moviepy's write_audiofile, 16 kHz WAV", "packets read, nothing decoded"),
        Step("speech", models.words, models.words_plainly, models.words_barely,
             "whisper.transcribe of all in one go, its defaults", "encoder and greedy decoder, all windows at once",
             "s of sound"),
        Step("text-embedding", models.text_vectors, models.text_vectors_plainly, models.text_vectors_barely,
             "a call for each text, and for the words of each sentence", "the model alone, sorted by length", "texts"),
        Step("image-embedding", models.picture_vectors, models.picture_vectors_plainly, models.picture_vectors_barely,
             "a call for every sampled picture", "the model alone on the kept ones", "pictures"),
        Step("insert", library.insert, library.insert_plainly, library.insert_barely,
             "a call for each row", "pymilvus alone, the same rows", "rows"),
        Step("open", library.open_library, library.open_plainly, library.open_barely,
             "all rows inserted anew", "pymilvus opens and loads it", "library", grows=False),
        Step("find", library.find, library.find_plainly, library.find_barely,
             "a LlamaIndex retriever for each list", "the embedding and the Milvus searches alone", "questions",
             grows=False),
        Step("first-word", library.first_word, library.first_word_plainly, library.first_word_barely,
             "found as above, a new connection for each question", "the same prompt, on a connection that is open",
             "questions", grows=False),
    )
}  # fmt: skip

_described = "".join(
    f"  {one.name:<16} plain: {one.plain_is}\n  {'':<16} floor: {one.floor_is}\n" for one in STEPS.values()
)
HELP = f"""Each step is measured beside a plain way of doing it and a floor, which can hardly be gone below:

{_described}
Ratios are of CPU seconds: user and system, of all cores and of the processes that a step starts. Imports and the
loading of models are not counted, but for open, which is measured whole; probe starts the process that decodes, as
reading does once for each part. Peak memory is of the process, or of one that it started, with the models in it.
What is dear is measured on a sample, by all three ways on the same: {SECONDS:.0f} s, {PICTURES} pictures read, \
{EMBEDDED} embedded,
{TEXTS} texts; frames and audio are read whole too. Words to embed, insert and find are those of a talk that the bench
carries, a sentence every 5 s, with the local embedding, in a Milvus Lite file of its own; vectors of the pictures
there are made up. No library is touched.
"""


@dataclass(frozen=True)
class Row:
    """What one step costs."""

    step: str
    off: str = ""  # why it was not measured and what to do next, in words a person reads
    sample: str = ""  # what was measured, such as "120 of 3,600 s"
    cpu: float | None = None  # s, of the whole video, or of one question
    wall: float | None = None  # s, of the same
    speed: float | None = None  # s of the video that it does in one s; None where it does not grow with the video
    memory: float | None = None  # MiB at most
    to_plain: float | None = None  # so many times less CPU than the plain way
    to_floor: float | None = None  # so many times the CPU of the floor
    ours: Cost | None = None  # of these three in proportion to the sample, as the ratios are
    plain: Cost | None = None
    floor: Cost | None = None
    note: str = ""  # what went wrong in the plain way or the floor


def choose(names: Sequence[str]) -> list[Step]:
    """The steps of these names in their order, all where there are none. Raises SettingsError for an unknown one."""
    if unknown := [name for name in names if name not in STEPS]:
        raise SettingsError(f"There is no step {unknown[0]}. Known are: {', '.join(STEPS)}.")
    return [step for step in STEPS.values() if not names or step.name in names]


def run(
    path: Path,
    settings: Settings,
    steps: Sequence[Step],
    whole: bool = False,
    repeat: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Iterator[Row]:
    """Measure these steps, each as soon as it is asked for; with `whole` without samples.

    Of `repeat` times, in turn with the other ways, that of least CPU counts. Raises SourceError.
    """
    facts = guard.run(video.probe, path, limits=settings.limits)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        own = replace(
            settings,
            data_dir=folder / "data",
            media_roots=(*settings.media_roots, folder),
            text_embedding="local",
            milvus_uri="",
            captions=False,
        )
        (own.data_dir / MEDIA).mkdir(parents=True)
        bench = _Bench(path, facts, own, folder, whole, repeat)
        for number, step in enumerate(steps):
            report(Progress("bench", number / len(steps), step.name))
            yield bench.row(step)


@dataclass
class _Bench:
    """One video, and what was prepared of it so far."""

    path: Path
    facts: video.Facts
    settings: Settings
    folder: Path
    whole: bool
    repeat: int

    def row(self, step: Step) -> Row:
        try:
            if why := self._missing(step):
                return Row(step.name, off=why)
            work, wholes = self._prepared(step)
            costs, notes = self._costs(step, work)
        except (PipelineError, Fault) as error:
            return Row(step.name, off=f"It failed. {_last_line(error)}")
        ours, plain, floor = (cost and cost.of(many) for cost, many in zip(costs, wholes, strict=True))
        told, sampled = ours, costs[0].done
        if work.video != self.path:  # cheap, and how much memory it takes shows over hours
            told = self._measured(step.ours, replace(work, video=self.path))
        of = "" if sampled >= wholes[0] else f"of {wholes[0]:,.0f} "
        return Row(
            step.name,
            sample=f"{sampled:,.0f} {of}{step.unit}",
            cpu=told.cpu,
            wall=told.wall,
            speed=self.facts.length / told.wall if step.grows else None,
            memory=told.memory,
            to_plain=plain and plain.cpu / ours.cpu,
            to_floor=floor and ours.cpu / floor.cpu,
            ours=ours,
            plain=plain,
            floor=floor,
            note=" ".join(notes),
        )

    def _missing(self, step: Step) -> str:
        """Why it cannot be measured and what to do next; "" where it can."""
        if step.name in ("frames", "look-alikes", "ocr", "image-embedding") and not self.facts.has_video:
            return "The file holds no picture."
        if step.name in ("audio", "speech") and not self.facts.has_audio:
            return "The file has no sound."
        if step.name == "ocr" and not self.settings.screen_text:
            return "Text on the screen is not read: SCREEN_TEXT is off. Set SCREEN_TEXT=on."
        if step.name == "first-word" and not self.settings.vllm_base_url:
            return "No model answers. Set VLLM_BASE_URL to an OpenAI-compatible endpoint."
        there, what = {
            "ocr": screen.available,
            "speech": lambda: speech.available(*speech.chosen(self.settings)),
            "image-embedding": lambda: image_embedding_available(self.settings),
        }.get(step.name, lambda: (True, ""))()
        if step.name == "speech" and there and not self._spoken:
            return "Nothing is heard in its sound."
        return "" if there else what

    def _prepared(self, step: Step) -> tuple[Work, tuple[float, float, float]]:
        """What its ways are given, and how much all of it is: to ours, to the plain way, to the floor."""
        work, length = self._work, self.facts.length
        texts = len(units(talk(length)))
        match step.name:
            case "frames" | "look-alikes" | "audio":
                video = self._stretch if step.name != "look-alikes" else self.path
                return replace(work, video=video), (length, length, length)
            case "ocr" | "image-embedding":
                kept, sampled = len(self._kept), max(1, math.ceil(length * self.settings.frames_per_second))
                some = self._spread(PICTURES if step.name == "ocr" else EMBEDDED)
                return replace(work, pictures=some), (kept, max(kept, sampled), kept)
            case "speech":
                return work, (self._spoken,) * 3
            case "text-embedding":
                self._make_library()
                return work, (texts,) * 3
            case "insert":
                self._make_library()
                return work, (texts + len(self._kept),) * 3
            case "open" | "find":
                self._make_library()
            case "first-word":
                self._make_library()
                self._measured(library.make_prompts, work)
        return work, (1, 1, 1)

    def _costs(self, step: Step, work: Work) -> tuple[list[Cost | None], list[str]]:
        """The least of each way, None for one that failed, and why it did."""
        ways, notes = {"ours": step.ours, "the plain way": step.plain, "the floor": step.floor}, []
        least: dict[str, Cost] = {}
        for _ in range(self.repeat):
            for name, way in list(ways.items()):
                try:
                    cost = self._measured(way, work)
                except (PipelineError, Fault) as error:
                    if name == "ours":
                        raise
                    notes.append(f"{name} failed: {_last_line(error)}")
                    del ways[name]
                    continue
                least[name] = min(cost, least.get(name, cost), key=lambda one: one.cpu)
        return [least.get("ours"), least.get("the plain way"), least.get("the floor")], notes

    def _measured(self, way: Way, work: Work, *given: float) -> Cost:
        """In a new folder, which is gone thereafter."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            return measure(way, replace(work, folder=folder), *given, folder=self.folder)
        finally:
            with suppress(PipelineError):
                delete(folder)

    # -- what is prepared once, when it is first needed

    @property
    def _work(self) -> Work:
        return Work(
            settings=self.settings,
            folder=self.folder,
            video=self.path,
            media=self.settings.data_dir / MEDIA,
            texts=10**9 if self.whole else TEXTS,
            sound=self.folder / "sound.npy",
            prompts=self.folder / "prompts.json",
        )

    @cached_property
    def _stretch(self) -> Path:
        """The file, or its first minutes."""
        if self.whole or self.facts.length <= SECONDS * 1.25:
            return self.path
        try:
            measure(decoding.stretch, self._work, SECONDS, folder=self.folder)
        except (PipelineError, Fault):  # what cannot be copied is measured whole
            return self.path
        return self.folder / f"stretch{self.path.suffix}"

    @cached_property
    def _kept(self) -> list[Path]:
        """The pictures that are kept of all of it."""
        if not self.facts.has_video:
            return []
        media = self.settings.data_dir / MEDIA
        measure(decoding.frames, replace(self._work, folder=media), folder=self.folder)
        return [media / frame.image for frame in video.frames_in(media)]

    def _spread(self, many: int) -> tuple[Path, ...]:
        """At most so many of them, from all over the video."""
        count = len(self._kept) if self.whole else min(many, len(self._kept))
        return tuple(self._kept[number * len(self._kept) // count] for number in range(count))

    @cached_property
    def _spoken(self) -> float:
        """How many s of the sound hold any, once a stretch of it was chosen."""
        return self._measured(decoding.choose_sound, self._work, math.inf if self.whole else SECONDS).done

    def _make_library(self) -> None:
        """What is asked, once, of the pictures that are kept."""
        if not (self._work.media / folders.RECORD).exists():
            _ = self._kept
            self._measured(library.make_library, self._work)


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
