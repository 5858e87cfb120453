"""Speech that an OpenAI-compatible endpoint hears (POST /v1/audio/transcriptions): vLLM, Speaches, Parakeet and others.

In: the address, key and model of the settings; windows of sound, which are sent there. Out: words in seconds, as far as
the endpoint gives times: of words, of segments, or none. Source: https://platform.openai.com/docs/api-reference/audio
Knows not where in a video the sound lies.
"""

import io
import json
import math
import re
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.line import TooSlow, hold_line, in_time
from pipeline.media.heard import Heard, Word
from pipeline.media.openai_whisper import language_code
from pipeline.media.vad import RATE

if TYPE_CHECKING:
    import numpy as np
    import openai

    from pipeline.media.heard import Choose, Transcribe

ONE_TRY, WHOLE, CONNECT = 120.0, 400.0, 3.0  # s: one request; with what is tried again; to be reached
RETRIES = 2  # on 429, 5xx and lost connections
AT_ONCE = 4  # windows that are sent at a time


@dataclass(frozen=True)
class Service:
    """One endpoint, as an engine of speech.py: what others take as the name of weights is left empty here."""

    base_url: str
    key: str = field(repr=False)
    model: str

    def name(self, _: str = "") -> str:
        return self.model or "the speech endpoint"

    def require(self, _: str = "") -> None:
        """Raises ModelError where it does not answer, or refuses the key."""
        with self._client() as client:
            self._asked(lambda: client.models.list(timeout=CONNECT + 5), {404, 405, 501})  # many list no models

    def available(self, _: str = "") -> tuple[bool, str]:
        try:
            self.require()
        except ModelError as error:
            return False, str(error)
        return True, f"{self.name()} at {self.base_url}"

    def is_on_disk(self, _: str = "") -> bool:
        return True  # nothing is to be fetched

    def load(self, _: Path | None = None) -> "Transcribe":
        """What hears. It raises ModelError."""

        def transcribe(sounds: "Sequence[np.ndarray]", choose: "Choose") -> "list[Heard]":
            # Which language it is the endpoint tells by itself.
            with self._client() as client, ThreadPoolExecutor(AT_ONCE, "speech") as pool:
                return list(pool.map(partial(self._hear, client), sounds))

        return transcribe

    def _hear(self, client: "openai.OpenAI", sound: "np.ndarray") -> Heard:
        seconds, file = len(sound) / RATE, ("speech.wav", _wav(sound), "audio/wav")

        def ask(**more: Any) -> Any:
            # Raw: what is no transcript has no form that the client could give it.
            create = client.audio.transcriptions.with_raw_response.create
            return json.loads(create(model=self.model, file=file, timeout=ONE_TRY, **more).text)

        with_times = partial(ask, response_format="verbose_json", timestamp_granularities=["word", "segment"])
        said = self._asked(with_times, {400, 415, 422})
        if said is None:  # not every model gives times
            said = self._asked(partial(ask, response_format="json"), set())
        if not isinstance(said, dict) or not isinstance(said.get("text"), str):
            raise ModelError(f"{self._who} sent something that is no transcript. Check SPEECH_BASE_URL.")
        return _read(said, seconds)

    @property
    def _who(self) -> str:
        return f"The speech endpoint {self.base_url}"

    def _client(self) -> "openai.OpenAI":
        import openai

        return openai.OpenAI(
            base_url=self.base_url,
            api_key=self.key or "EMPTY",
            max_retries=RETRIES,
            timeout=openai.Timeout(ONE_TRY, connect=CONNECT),
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False,  # a redirect would carry the key along
                event_hooks={"response": [hold_line]},
            ),
        )

    def _asked(self, call: Any, bearable: set[int]) -> Any:
        """call(), within WHOLE s; None for a status that can be borne. Raises ModelError."""
        import openai

        try:
            return in_time(call, WHOLE)
        except openai.APIStatusError as error:
            status = error.status_code
            if status in bearable:
                return None
            if status in (401, 403):
                why = "refused the key. Check SPEECH_API_KEY."
            elif status == 404:
                why = f"does not serve {self.model} there. Check SPEECH_BASE_URL and SPEECH_MODEL."
            elif status == 429 or status >= 500:
                why = f"failed with status {status}, {RETRIES + 1} times. Try again later: what was heard is kept."
            elif 300 <= status < 400:
                why = f"points to another address (status {status}). Set that address instead."
            else:
                said = " ".join(str(error.body or error).split())
                said = said.replace(self.key, "***") if self.key else said
                why = f"refused the sound (status {status}): {said[:200]}. Check SPEECH_MODEL."
        except TooSlow:
            why = "did not answer in time. Check that it is not overloaded. What was heard is kept."
        except openai.APIConnectionError:
            why = "cannot be reached. Check SPEECH_BASE_URL and the network. What was heard is kept."
        except (openai.OpenAIError, ValueError):  # ValueError: what is not JSON
            why = "sent something that is no transcript. Check SPEECH_BASE_URL."
        raise ModelError(f"{self._who} {why}")


def _wav(sound: "np.ndarray") -> bytes:
    import numpy as np

    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def _read(said: dict, seconds: float) -> Heard:
    """What an endpoint said, of a window of so many seconds. Whatever is missing or makes no sense is left out."""
    text = said["text"].strip()
    segments = [one for one in said.get("segments") or () if isinstance(one, dict) and _is_timed(one, "text")]
    words = [one for one in said.get("words") or () if isinstance(one, dict) and _is_timed(one, "word")]
    if words:
        found = _with_signs(text, words)
    elif segments:
        found = [word for one in segments for word in _spread(one["text"], float(one["start"]), float(one["end"]))]
    else:
        found = _spread(text, 0.0, seconds)
    return Heard(
        tuple(Word(min(one.start, seconds), min(one.end, seconds), one.text, one.probability) for one in found),
        language_code(said.get("language")),
        _mean(segments, "avg_logprob"),
        _mean(segments, "no_speech_prob"),
    )


def _with_signs(text: str, words: list[dict]) -> list[Word]:
    """Words come without the signs around them, and the text has these: each word, with what follows on it."""
    begins, at = [], 0
    for one in words:
        begin = text.lower().find(one["word"].strip().lower(), at)
        if begin < 0:  # the text is another, such as one with numbers written out
            return [Word(float(w["start"]), float(w["end"]), f" {w['word'].strip()}") for w in words]
        after = begin + len(one["word"].strip())
        while begin > at and not text[begin - 1].isspace():  # an opening quote
            begin -= 1
        begins.append(max(at, begin - 1))
        at = after
    begins[0] = 0
    return [
        Word(float(one["start"]), float(one["end"]), text[begin:end])
        for one, begin, end in zip(words, begins, [*begins[1:], len(text)], strict=True)
    ]


def _spread(text: str, start: float, end: float) -> list[Word]:
    """The words of a text whose own times are known, each as long as it has letters."""
    words = re.findall(r"\S+", text)
    per_letter = (end - start) / max(1, sum(map(len, words)))
    begins = [*accumulate((len(word) * per_letter for word in words), initial=start)]
    return [Word(begin, until, f" {word}") for word, (begin, until) in zip(words, pairwise(begins), strict=True)]


def _is_timed(one: dict, text: str) -> bool:
    times = one.get("start"), one.get("end")
    return (
        isinstance(one.get(text), str)
        and all(isinstance(time, int | float) and math.isfinite(time) and time >= 0 for time in times)
        and times[0] <= times[1]
    )


def _mean(segments: list[dict], key: str) -> float:
    values = [one[key] for one in segments if isinstance(one.get(key), int | float) and math.isfinite(one[key])]
    return fmean(values) if values else 0.0
