"""A voice for the tests: words that are really said, by eSpeak NG, whose library and voices come in a package.

In: words. Out: sound. The same words sound the same each time.
"""

import ctypes
from functools import cache

import numpy as np

RATE = 16_000  # Hz
WORDS = "The committee discussed the harbour bridge. Its steel cables were measured in winter."
SYNCHRONOUS, UTF8 = 2, 1  # espeak-ng/speak_lib.h: AUDIO_OUTPUT_SYNCHRONOUS, espeakCHARS_UTF8


@cache
def say(words: str, voice: str = "en-us", speed: int = 150) -> np.ndarray:
    """Float32 mono at 16 kHz. `voice`: a language, such as "de". `speed`: words a minute."""
    library, rate = _library()
    pieces: list[bytes] = []

    @_HEAR
    def hear(samples, many, _events):
        pieces.append(ctypes.string_at(samples, many * 2) if samples and many > 0 else b"")
        return 0

    library.espeak_SetSynthCallback(hear)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0, f"eSpeak has no voice {voice}"
    library.espeak_SetParameter(1, speed, 0)
    text = words.encode()
    assert library.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF8, None, None) == 0
    library.espeak_Synchronize()
    sound = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768
    times = np.arange(round(len(sound) * RATE / rate)) * (rate / RATE)
    return np.interp(times, np.arange(len(sound)), sound).astype(np.float32)


def speak(seconds: float) -> np.ndarray:
    """WORDS, again and again, with a second of silence after each time: float32 mono at 16 kHz."""
    one = np.concatenate([say(WORDS), np.zeros(RATE, np.float32)])
    many = round(seconds * RATE)
    return np.tile(one, -(-many // len(one)) if many else 0)[:many]


_HEAR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    """(the library, Hz of its sound)."""
    import espeakng_loader

    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    assert rate > 0, "eSpeak cannot be started"
    return library, rate
