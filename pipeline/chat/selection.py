"""What of evidence and conversation goes into a request of so many tokens: the most telling first. Pure.

Moments that are ranked lose their worst; moments that are an outline or a list of places, in the order of the source,
are thinned out evenly, since their end tells as much as their beginning. Knows no endpoint and no message.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pipeline.chat.lines import plain, write_chapter, write_line
from pipeline.chat.tokens import image_tokens, text_tokens
from pipeline.types import Evidence, Frame, Moment, Passage, Turn

IN_ORDER = ("whole", "first", "last", "every", "count")  # kinds whose moments stand in the order of the source
TURNS = 3  # the last ones, when they fit
TURN_LENGTH = 600  # characters kept of an earlier answer
LABEL = 15  # tokens, of the time before a picture

One = TypeVar("One")


class Selection:
    """What was taken, each piece once, and what it costs."""

    def __init__(self, free: int, images: int, picture_of: Callable[[str, Frame], tuple[int, int]]) -> None:
        """free: tokens to spend. picture_of: (media id, Frame) -> (width, height) in pixels."""
        self.passages: dict[tuple[str, Passage], float] = {}  # (media id, Passage) -> s, where it stands in the order
        self.chapters: dict[tuple[str, float], Moment] = {}  # by (media id, start), s
        self.frames: dict[tuple[str, Frame], None] = {}  # (media id, Frame)
        self.turns: list[tuple[str, str]] = []  # (question, answer), oldest first
        self.spent = 0  # tokens
        self._free, self._images, self._picture_of = free, images, picture_of

    def holds(self, moment: Moment) -> bool:
        """Whether the moment's title is in it."""
        return (moment.media, moment.start) in self.chapters

    def left(self, moment: Moment) -> list[Passage]:
        """The passages of the moment that were not taken, with it or with another."""
        return [passage for passage in moment.passages if (moment.media, passage) not in self.passages]

    def add_passage(self, moment: Moment, passage: Passage, most: int | None = None) -> bool:
        if not self._pay(text_tokens(write_line(passage)), most):
            return False
        # A sentence may begin a little before the chapter that it belongs to.
        self.passages[moment.media, passage] = max(passage.start, moment.start) if moment.title else passage.start
        return True

    def add_chapter(self, moment: Moment, most: int | None = None) -> bool:
        if moment.title and not self.holds(moment):
            if not self._pay(text_tokens(write_chapter(moment)), most):
                return False
            self.chapters[moment.media, moment.start] = moment
        return True

    def add_moment(self, moment: Moment, most: int | None = None) -> bool:
        """Its title and its words, up to the first that do not fit."""
        return self.add_chapter(moment, most) and all(
            self.add_passage(moment, passage, most) for passage in self.left(moment)
        )

    def add_frames(self, media: str, frames: Sequence[Frame]) -> bool:
        for key in ((media, frame) for frame in frames):
            if key not in self.frames:
                if len(self.frames) >= self._images or not self._pay(self.cost(*key)):
                    return False
                self.frames[key] = None
        return True

    def add_turns(self, history: Sequence[Turn]) -> None:
        for turn in reversed(history[-TURNS:]):
            question, answer = _short(plain(turn.question)), _short(plain(turn.answer))
            if not (question and answer):
                continue  # nothing had arrived; chat templates refuse an empty message
            if not self._pay(text_tokens(question) + text_tokens(answer) + 10):
                break
            self.turns.insert(0, (question, answer))

    def cost(self, media: str, frame: Frame) -> int:
        return image_tokens(*self._picture_of(media, frame)) + LABEL

    def fitting(self, items: Sequence[One], cost: Callable[[One], int], share: float = 1.0) -> list[One]:
        """As many of the items as this share of what is left pays for, spread evenly over all of them."""
        costs = {number: cost(item) for number, item in enumerate(items)}
        left = int((self._free - self.spent) * share)
        for count in range(len(items), 0, -1):
            chosen = spread(range(len(items)), count)
            if sum(costs[number] for number in chosen) <= left:
                return [items[number] for number in chosen]
        return []

    @property
    def images_left(self) -> int:
        return self._images - len(self.frames)

    def _pay(self, tokens: int, most: int | None = None) -> bool:
        """Spend them, unless that makes more than `most` (all that is free) in all."""
        if self.spent + tokens > (self._free if most is None else most):
            return False
        self.spent += tokens
        return True


def select(
    evidence: Evidence,
    history: Sequence[Turn],
    free: int,
    images: int,
    picture_of: Callable[[str, Frame], tuple[int, int]],
) -> Selection:
    """The part of it that `free` tokens and so many images can carry."""
    taken = Selection(free, images, picture_of)
    (_select_in_order if evidence.kind in IN_ORDER else _select_ranked)(taken, evidence, history, free)
    return taken


def _select_ranked(taken: Selection, evidence: Evidence, history: Sequence[Turn], free: int) -> None:
    """The top moment's words and the top frame stay longest; then the older turns; the worst moments go first."""
    for moment in evidence.moments[:1]:
        taken.add_moment(moment, free // 2)  # so that the top frame still fits beside them
    top = evidence.top_frame
    frames_fit = top is None or taken.add_frames(top[0], [top[1]])
    taken.add_turns(history)
    words_fit = True  # once a piece is left out, so are all worse ones of its kind
    for moment in evidence.moments:
        words_fit = words_fit and taken.add_moment(moment)
        frames_fit = frames_fit and taken.add_frames(moment.media, moment.frames[:1])
    for moment in evidence.moments:
        frames_fit = frames_fit and taken.add_frames(moment.media, moment.frames[1:])


def _select_in_order(taken: Selection, evidence: Evidence, history: Sequence[Turn], free: int) -> None:
    """Titles, one passage of each moment, the conversation, pictures, then second passages, and so on."""
    titled = [moment for moment in evidence.moments if moment.title]
    for moment in taken.fitting(titled, lambda one: text_tokens(write_chapter(one)), share=0.5):
        taken.add_chapter(moment)
    kept = [moment for moment in evidence.moments if not moment.title or taken.holds(moment)]
    _add_layer(taken, kept)
    taken.add_turns(history)
    shown = spread([moment for moment in kept if moment.frames], taken.images_left)
    for moment in taken.fitting(shown, lambda one: taken.cost(one.media, one.frames[0])):
        taken.add_frames(moment.media, moment.frames[:1])
    while _add_layer(taken, kept):
        pass
    for moment in shown:
        taken.add_frames(moment.media, moment.frames[1:])


def _add_layer(taken: Selection, moments: Sequence[Moment]) -> bool:
    """One more passage of each moment, or of as many as can have one, spread evenly. False: none was added."""
    layer: dict[tuple[str, Passage], Moment] = {}  # moments that overlap may have the same next one
    for moment in moments:
        for passage in taken.left(moment)[:1]:
            layer.setdefault((moment.media, passage), moment)
    chosen = taken.fitting(list(layer), lambda key: text_tokens(write_line(key[1])))
    for key in chosen:
        taken.add_passage(layer[key], key[1])
    return bool(chosen)


def spread(items: Sequence[One], count: int) -> list[One]:
    """`count` of the items, evenly from the first to the last; all where there are no more."""
    if count >= len(items):
        return list(items)
    if count < 2:
        return list(items[: max(0, count)])
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]


def _short(text: str) -> str:
    return text if len(text) <= TURN_LENGTH else text[:TURN_LENGTH].rsplit(maxsplit=1)[0] + " …"
