"""The values that travel between the steps. Pure: nothing here opens, loads or computes anything.

Times are seconds from the first picture or sound of the source, as floats.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SPOKEN = ("speech", "subtitle")  # the kinds of passage that are said
SHOWN = ("screen", "caption")  # the kinds that are seen
DOUBTFUL = "doubtful"  # the kind of what may have been said: the speech model itself doubts it, so it is never "said"


@dataclass(frozen=True)
class Frame:
    """One picture and how long it stands."""

    start: float  # s, the time in the source that this very picture shows
    end: float  # s, until when the source looks the same
    image: str  # path inside the media folder, such as "frames/000005.000.jpg"


@dataclass(frozen=True)
class Passage:
    """The smallest stretch of words that is found and quoted: a sentence, a screen of text, a caption."""

    start: float  # s
    end: float  # s
    text: str
    kind: str  # "speech", "subtitle", "screen", "caption" or "doubtful"
    image: str = ""  # the frame that a caption describes, path inside the media folder


@dataclass(frozen=True)
class Chapter:
    """A stretch of one source about one thing."""

    start: float  # s
    end: float  # s, where the next one starts
    title: str


@dataclass(frozen=True)
class Coverage:
    """How far one part of a source was read."""

    state: str  # "read", "reading" (being read now), "partly", "absent" (the source has none), "off" (could not be
    # read), or "doubtful" (something was found, and none of it is sure)
    by: str = ""  # what read it, such as "whisper base" or "talk.srt"; "" when nothing did
    note: str = ""  # what is missing and the next step; "" when there is nothing to say
    until: float | None = None  # s, how far it was read, where the rest is still to come; None: there is no rest
    lost: bool = False  # whether a crash of the decoder cost the rest; the next reading tries it again


@dataclass(frozen=True)
class Media:
    """One source that was read. The folder named by its id holds it all."""

    id: str  # first 32 hex digits of the SHA-256 of the content
    title: str
    source: str  # where the original was when it was read; it may have moved since
    unit: str  # what start and end count: "second"
    length: float  # s
    language: str  # ISO 639-1 code of the speech, "" when not known
    frames: tuple[Frame, ...] = ()
    passages: tuple[Passage, ...] = ()
    chapters: tuple[Chapter, ...] = ()  # in order, without gaps, from 0 to the length; () when not made yet
    coverage: Mapping[str, Coverage] = field(default_factory=dict)  # by part: frames, speech, ..., chapters


@dataclass(frozen=True)
class Listed:
    """A media as lists show it, without what was read: a library has thousands of hours."""

    id: str
    title: str
    source: str
    unit: str
    length: float  # s
    language: str
    frames: tuple[Frame, ...] = ()  # the one that stands for it; () where it has none
    coverage: Mapping[str, Coverage] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """One item that a search list returned. Scores compare only within one list."""

    media: str  # media id
    item: Frame | Passage
    score: float  # higher is better
    found_by: str  # the list: "words" (BM25), "meaning" (text embedding), the same of "sentence words" and
    # "sentence meaning", or "picture" (CLIP)


@dataclass(frozen=True)
class Moment:
    """A stretch of one source that may hold the answer."""

    media: str  # media id
    start: float  # s
    end: float  # s
    score: float  # fused by rank; compares only within one question
    passages: tuple[Passage, ...] = ()  # in the order of the source
    frames: tuple[Frame, ...] = ()  # best first
    why: tuple[str, ...] = ()  # why it was found, in words a person reads
    title: str = ""  # of the chapter, where the moment is one


@dataclass(frozen=True)
class Gap:
    """A part of what was asked that may hold the answer, and was not looked at, or not all of it: see part_status."""

    part: str  # "speech", "subtitles", "screen", "frames", "pictures", "text", or "index": nothing of it is searchable
    state: str  # "off", "partly", "reading" or "doubtful": see Coverage
    what: str  # in words, such as "Speech was not heard"
    why: str = ""  # and what to do about it; "" where there is nothing to say
    next: str = ""  # what to do then
    titles: tuple[str, ...] = ()  # of the media that it is about, the first few; () where only one was asked
    count: int = 1  # media that it is about
    asked: int = 1  # media that were asked


@dataclass(frozen=True)
class Evidence:
    """What was found for one question."""

    question: str
    moments: tuple[Moment, ...] = ()  # best first; in the order of the source where the kind asks for it
    kind: str = "local"  # what the question asks for: see chat/intent.py
    nearness: float = 1.0  # 0-1, how near the best of them is to the question
    near: bool = True  # False: nothing is near enough to the question to be an answer; the moments are the nearest
    notes: tuple[str, ...] = ()  # what was not done and why, in words a person reads
    asked: int = 1  # media that were asked
    looked_at: tuple[str, ...] = ()  # what of them, in words such as "text on the screen"; () where it is not known
    not_looked_at: tuple[Gap, ...] = ()  # what of them may hold the answer as well

    @property
    def top_frame(self) -> tuple[str, Frame] | None:
        """(media id, best frame of the best moment that has one), or None."""
        return next(((m.media, m.frames[0]) for m in self.moments if m.frames), None)


@dataclass(frozen=True)
class Citation:
    """A time that an answer names."""

    time: float  # s
    supported: bool  # whether that time lies in the evidence that was sent
    media: str = ""  # id of the media that it is of; "" where the evidence does not tell


@dataclass(frozen=True)
class Turn:
    """One question that was answered."""

    question: str
    answer: str
    evidence: Evidence


@dataclass(frozen=True)
class Progress:
    """How far a long job is."""

    step: str  # "frames", "speech", "screen", "captions", "text", "pictures", "chapters", "index" or "waiting"
    fraction: float  # 0-1 within this step
    note: str = ""  # what a person reads beside the bar
    length: float = 0.0  # s of the source; 0 while it is not known
    pictures: int = 0  # kept of the source; 0 while it is not known
    speed: float = 0.0  # s of the source that this step does in one s; 0 while it is not known
    left: float | None = None  # s that this step will still take; None while it is not known


@dataclass(frozen=True)
class Estimate:
    """What reading a source will take, before it begins."""

    length: float  # s of the source
    steps: Mapping[str, tuple[float, float]]  # s of work by step, (at least, at most); steps of no weight left out
    disk: int  # bytes in the data folder
    tokens: Mapping[str, int]  # by service, such as "captions by pixtral"; {} where nothing is asked
    notes: tuple[str, ...] = ()  # what will be left out, or was done before, in words a person reads

    @property
    def work(self) -> tuple[float, float]:
        """(at least, at most) s of all steps: "speech" and "screen" go on beside each other."""
        beside = [self.steps[step] for step in ("speech", "screen") if step in self.steps]
        alone = [span for step, span in self.steps.items() if step not in ("speech", "screen")]
        spans = [*alone, tuple(map(max, zip(*beside, strict=True)))] if beside else alone
        return sum(least for least, _ in spans), sum(most for _, most in spans)
