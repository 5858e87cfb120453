"""What hearing costs, and what it gets wrong: ours beside faster-whisper's own ways and openai-whisper, in one run.

    python tests/speed/speech.py [--minutes 10] [--threads 2] [--only NAME,NAME] [--words]

With the weights of Whisper base that come with the library. A talk: the recordings of ../shared one after another, else
a synthetic voice. A film: music, noise, applause and tones, and a sentence every minute. Each way hears both. CPU
seconds are of all threads and are told for an hour of either; the ratio is so many times less CPU than openai-whisper.
Wrong: of the words of the recordings whose words are known, how many are wrong, missing or too many. Invented: words in
ten minutes of what has none.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "media"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RATE = 16_000
SENTENCE = "Nobody expected such an elephant in the library."
TALKS = ("speech/physicsworks_audio.webm", "video/laion400m_slide_talk.mp4")
Way = Callable[["np.ndarray"], str]


def known() -> dict[str, tuple[Path, str]]:
    """By name: a recording, and the words that are said in it."""
    folder, found = SHARED / "speech", {}
    if not folder.is_dir():
        return {}
    turbo = json.loads((folder / "physicsworks_whisper_turbo.json").read_text())
    found["lecture"] = (folder / "physicsworks_audio.webm", "".join(one["text"] for one in turbo["segments"]))
    words = json.loads((folder / "librivox_0870.words.json").read_text().splitlines()[0])["t"]
    found["reading"] = (folder / "librivox_0870.wav", words)
    found["speech"] = (
        folder / "jfk.flac",
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
    )
    for test in json.loads((folder / "leopard_words.json").read_text())["tests"]["language_tests"]:
        if (path := folder / f"leopard_{test['audio_file']}").is_file():
            found[f"sentence ({test['language']})"] = (path, test["transcript"])
    return found


def wrong(words: str, heard: str) -> tuple[int, int]:
    """(words that are wrong, missing or too many; words)."""

    def split(text: str) -> list[str]:
        return re.sub(r"[^\w' ]+", " ", text.lower().replace("mr.", "mister").replace("mr ", "mister ")).split()

    said, other = split(words), split(heard)
    row = list(range(len(other) + 1))
    for n, one in enumerate(said, 1):
        before, row[0] = row[0], n
        for k, two in enumerate(other, 1):
            before, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, before + (one != two))
    return row[-1], len(said)


def talk(seconds: float) -> "np.ndarray":
    import numpy as np
    from voice import speak

    from pipeline.media import video

    if not SHARED.is_dir():
        return speak(seconds)
    blocks = [one for name in TALKS for one in video.read_sound(SHARED / name) if not isinstance(one, str)]
    sound = np.concatenate(blocks)
    return np.tile(sound, -(-round(seconds * RATE) // len(sound)))[: round(seconds * RATE)]


def wordless(seconds: float) -> "np.ndarray":
    """A minute of each kind of sound that has no words, in turn."""
    import numpy as np
    from test_speech import clapping, music, pink, siren, tone

    kinds = (0.3 * music(60), 0.2 * pink(60), 0.3 * clapping(60), 0.2 * tone(60), 0.004 * pink(60), 0.2 * siren(60))
    sound = np.concatenate(kinds)
    return np.tile(sound, -(-round(seconds * RATE) // len(sound)))[: round(seconds * RATE)].astype(np.float32)


def film(seconds: float) -> "np.ndarray":
    from voice import say

    sound, sentence = wordless(seconds).copy(), say(SENTENCE)
    for at in range(20 * RATE, len(sound) - len(sentence), 60 * RATE):
        sound[at : at + len(sentence)] += sentence
    return sound


def ways() -> dict[str, Way]:
    """By name: what hears a sound, and gives its words."""
    import whisper
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    from pipeline.media import speech, whisper_base
    from pipeline.media.openai_whisper import from_folder

    home = whisper_base.join()
    theirs, fast = from_folder(home), WhisperModel(str(home), device="cpu", compute_type="int8", cpu_threads=_threads())
    batches = BatchedInferencePipeline(fast)

    def ours(engine: str) -> Way:
        using = speech.load("", engine)

        def hear(sound: "np.ndarray") -> str:
            blocks = (sound[n : n + RATE] for n in range(0, len(sound), RATE))
            every = speech.hear(blocks, "", engine, using=using)
            return " ".join(text for stretch in every for _, _, text in stretch.segments)

        return hear

    def openai(sound: "np.ndarray") -> str:
        whisper.torch.set_num_threads(_threads())
        return theirs.transcribe(sound, beam_size=5, fp16=False, condition_on_previous_text=False)["text"]

    def plain(sound: "np.ndarray") -> str:
        return "".join(one.text for one in fast.transcribe(sound, beam_size=5, condition_on_previous_text=False)[0])

    def batched(sound: "np.ndarray") -> str:
        return "".join(one.text for one in batches.transcribe(sound, beam_size=5, batch_size=8)[0])

    return {
        "openai-whisper": openai,
        "faster-whisper": plain,
        "faster-whisper, batched": batched,
        "ours on faster-whisper": ours("faster-whisper"),
        "ours on openai-whisper": ours("whisper"),
    }


def _threads() -> int:
    from pipeline.cores import cores

    return cores()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of talk, of film, and of what has no words")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="ways whose names hold one of these")
    parser.add_argument("--words", action="store_true", help="print what each heard where nothing is said")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # before any library is imported that takes threads
    import numpy as np
    from faster_whisper.audio import decode_audio

    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or cache
        every = ways()
    chosen = [one for one in every if any(name in one for name in given.only.split(","))]
    seconds = given.minutes * 60
    sounds = {"talk": talk(seconds), "film": film(seconds)}
    nothing, recordings = wordless(seconds), known()
    print(f"{given.minutes:g} min of each, {given.threads} threads, Whisper base")
    print(f"{'way':26}{'talk, CPU s/h':>14}{'ratio':>7}{'film, CPU s/h':>14}{'ratio':>7}{'wrong':>16}{'invented':>10}")
    base: dict[str, float] = {}
    for name in chosen:
        hear = every[name]
        hear(np.concatenate([sounds["talk"][: 5 * RATE]]))
        cost = {}
        for kind, sound in sounds.items():
            begun = time.process_time()
            hear(sound)
            cost[kind] = (time.process_time() - begun) * 3600 / seconds
        base = base or cost
        errors = [wrong(words, hear(decode_audio(str(path)))) for path, words in recordings.values()]
        bad, many = (sum(column) for column in zip(*errors, strict=True)) if errors else (0, 0)
        heard = hear(nothing)
        row = "".join(f"{cost[kind]:14.0f}{base[kind] / cost[kind]:7.1f}" for kind in sounds)
        rate = f"{bad} of {many} {bad / many:5.1%}" if many else "not known"
        invented = len(re.findall(r"[^\W_]+", heard))
        print(f"{name:26}{row}{rate:>16}{invented:10}", flush=True)
        if given.words and heard.strip():
            print(f"    {heard.strip()[:500]}")


if __name__ == "__main__":
    main()
