"""What a speech model heard -> the sentences that were said, and those that may have been. Pure.

Whisper makes words up where nobody speaks, and says itself how sure it is. No measure tells alone: a quiet lecture has
a no-speech probability of 0.4, and names that it does not know are improbable words. Thresholds are Whisper's own
where it has them (https://arxiv.org/abs/2212.04356), else measured: see tests/speed/speech.py.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean

from pipeline.media.heard import Heard, Word
from pipeline.media.passages import by_sentence

REPEATED = 2.4  # how well text packs that turns in circles: Whisper's own limit
NO_SPEECH, IMPROBABLE = 0.6, -1.0  # together they say that nobody speaks: Whisper's own limits
UNSURE = -0.8  # average log probability of a window below which its less probable sentences are in doubt
FASTEST = 30.0  # letters a second; fast English has 20
FASTEST_SIGNS = 12.0  # the same of Chinese, Japanese and Korean, where a sign is a syllable or more
PROBABLE, UNLIKELY = 0.5, 0.3  # mean probability of a sentence's words: from here it is sure, below this made up
WORDS, TIMES = 4, 4  # so many words that stand so often in a window are a loop
# What stands at the end of many videos that Whisper was trained on, and is said at the end of some.
PHANTOMS = re.compile(
    r"thank(s| you)( so much| very much)? for watching|(please )?(like and )?subscribe|amara\.org"
    r"|see you (in the )?next (video|time)|subtitles? (by|created)|captions? by|transcri(bed|ption) by"
    r"|untertitel|sous-?titr|subt[ií]tulos|sottotitoli|legendas|napisy|altyaz[ıi]|ondertiteld|undertekst|titulky"
    r"|субтитры|продолжение следует|редактор субтитров"
    r"|ご視聴ありがとう|チャンネル登録|字幕|谢谢观看|謝謝觀看|시청해 주셔서 감사합니다|구독",
    re.IGNORECASE,
)
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def is_loop(heard: Heard) -> bool:
    """Whether the text turns in circles, as Whisper's does on what it does not understand."""
    text = heard.text
    packed = len(text.encode()) / len(zlib.compress(text.encode())) if text else 0.0
    words = text.lower().split()
    runs = Counter(tuple(words[n : n + WORDS]) for n in range(len(words) - WORDS + 1))
    return packed > REPEATED or max(runs.values(), default=0) >= TIMES


def judged(heard: Heard, seconds: float) -> Iterator[tuple[Sequence[Word], bool]]:
    """The sentences of a window, each with whether it is sure that it was said. What is made up is left out.

    `seconds`: how long it is.
    """
    is_silent = heard.no_speech_prob > NO_SPEECH and heard.avg_logprob < IMPROBABLE
    if is_silent or is_loop(heard) or _is_too_fast(heard.text, seconds):
        return
    lasts = heard.words[-1].end - heard.words[0].start if heard.words else 0.0
    for place in by_sentence([word.text for word in heard.words], lasts):
        words = heard.words[place]
        text = "".join(word.text for word in words).strip()
        spoken = [word.probability for word in words if re.search(r"\w", word.text)]
        if not spoken or fmean(spoken) < UNLIKELY:
            continue
        doubts = heard.avg_logprob < UNSURE or heard.no_speech_prob > NO_SPEECH or fmean(spoken) < PROBABLE
        if doubts and PHANTOMS.search(text):
            continue
        is_unsure = heard.avg_logprob < IMPROBABLE or (heard.avg_logprob < UNSURE and fmean(spoken) < PROBABLE)
        yield words, not is_unsure


def _is_too_fast(text: str, seconds: float) -> bool:
    """Whether nobody can say it in this time."""
    signs = len(_SIGN.findall(text))
    return (len(text.strip()) - signs) / FASTEST + signs / FASTEST_SIGNS > seconds
