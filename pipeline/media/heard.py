"""What a speech engine gives for a window of sound: words with their times, and how sure the model is of them. Pure.

Times are seconds from the start of the window. The probabilities are the model's own, as Whisper defines them
(https://arxiv.org/abs/2212.04356, section 4.5).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


HOP, FRAMES = 160, 3000  # samples of a frame of Whisper's spectrogram; frames of a window


def frames(sound: "np.ndarray") -> int:
    """How many frames of Whisper's spectrogram hold sound: the rest of a window is padding."""
    return min(FRAMES, len(sound) // HOP)


@dataclass(frozen=True)
class Word:
    """A word, a part of one, or a sign: joined without anything between them, they are the text."""

    start: float  # s
    end: float  # s
    text: str  # with the space before it, where the language has spaces
    probability: float = 1.0  # 0-1


@dataclass(frozen=True)
class Heard:
    """What was heard in one window."""

    words: tuple[Word, ...] = ()
    language: str = ""  # ISO 639-1, that it was written down in
    avg_logprob: float = 0.0  # mean log probability of the tokens
    no_speech_prob: float = 0.0  # 0-1, that nobody speaks

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


Probabilities = Mapping[str, float]  # language -> probability
Choose = Callable[[Sequence[Probabilities]], Sequence[str]]  # of each window -> the language to write it down in
# (float32 mono at 16 kHz, 30 s at most each; how languages are chosen) -> what was heard in each
Transcribe = Callable[[Sequence["np.ndarray"], Choose], Sequence[Heard]]
