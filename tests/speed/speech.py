"""What hearing costs: faster-whisper against openai-whisper, in one run.

    python tests/speed/speech.py [--weights base.pt] [--sound talk.wav] [--threads 2] [--repeat 3]

Without weights it makes random ones of the shape of Whisper base, which say 90 words in each window of 30 s, whatever
they hear. Each way hears the same sound, in turns, as often as asked, and the best of each counts. CPU seconds are of
all threads; the ratio is so many times less CPU than openai-whisper, greedy, needs.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
LINES = (
    "The committee discussed the harbour bridge again.",
    "Its steel cables were measured every winter since.",
    "Nobody expected such an elephant in the library.",
    "A yellow tram climbs slowly towards the old market.",
    "Plants make sugar out of water and plain sunlight.",
    "Seven sailors slept below deck during that storm.",
    "Her grandmother kept bees behind the village school.",
    "Volcanoes build new islands where the ocean is deep.",
    "This theorem needs no more than a ruler and patience.",
    "Tomorrow we shall repair the clock above the door.",
    "Fresh bread smells best before anybody has woken up.",
)
SECONDS = 29.5 / len(LINES)


@contextmanager
def half_precision(model: Any) -> Iterator[None]:
    """openai-whisper's encoder alone in bfloat16."""
    import torch

    forward = model.encoder.forward

    def encode(mel: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return forward(mel).float()

    model.encoder.forward = encode
    try:
        yield
    finally:
        model.encoder.forward = forward


def ways(weights: Path, folder: Path) -> dict[str, Callable]:
    """By name: what hears a sound, and gives its words."""
    import whisper
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    from whisper_folder import to_folder

    from pipeline.media.faster_whisper import _threads

    home = to_folder(weights, folder)
    theirs = whisper.load_model(str(weights), device="cpu")
    fast = WhisperModel(str(home), device="cpu", compute_type="int8", cpu_threads=_threads())
    full = WhisperModel(str(home), device="cpu", compute_type="float32", cpu_threads=_threads())
    batches = BatchedInferencePipeline(fast)

    def openai(beams: int | None, encoder_in_half: bool = False) -> Callable:
        def hear(sound: object) -> str:
            with half_precision(theirs) if encoder_in_half else nullcontext():
                done = theirs.transcribe(sound, beam_size=beams, fp16=False, condition_on_previous_text=False)
            return done["text"]

        return hear

    def faster(model: object, beams: int, **more: object) -> Callable:
        def hear(sound: object) -> str:
            said, _ = model.transcribe(sound, beam_size=beams, condition_on_previous_text=False, **more)
            return "".join(one.text for one in said)

        return hear

    def batched(sound: object) -> str:
        clips = [{"start": n, "end": min(n + 30, len(sound) / 16_000)} for n in range(0, len(sound) // 16_000, 30)]
        said, _ = batches.transcribe(sound, beam_size=1, clip_timestamps=clips, without_timestamps=False)
        return "".join(one.text for one in said)

    return {
        "openai-whisper, greedy": openai(None),
        "the same, encoder in bf16": openai(None, encoder_in_half=True),
        "faster-whisper int8, greedy": faster(fast, 1),
        "faster-whisper float32, greedy": faster(full, 1),
        "faster-whisper int8, batched": batched,
        "openai-whisper, 5 beams": openai(5),
        "faster-whisper int8, 5 beams": faster(fast, 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="a .pt file of a multilingual model")
    parser.add_argument("--sound", type=Path, help="else 30 s of a buzzing voice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="ways whose names hold this, and the first")
    parser.add_argument("--words", action="store_true", help="print what each heard")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # before any library is imported that takes threads
    import numpy as np
    import torch
    from make_film import speak
    from tiny_whisper import make_checkpoint

    from pipeline.media import video

    torch.set_num_threads(given.threads)
    sound = speak(30)
    if given.sound:
        sound = np.concatenate([one for one in video.read_sound(given.sound) if not isinstance(one, str)])
    with tempfile.TemporaryDirectory() as home:
        weights = given.weights
        if not weights:
            said = tuple((n * SECONDS, (n + 1) * SECONDS, line) for n, line in enumerate(LINES))
            weights = make_checkpoint(Path(home) / "base.pt", said, width=512, heads=8, layers=6)
        best: dict[str, tuple[float, float, str]] = {}
        every = ways(weights, Path(home) / "base")
        (first, *_) = every
        every = {name: hear for name, hear in every.items() if name == first or given.only in name}
        for hear in every.values():
            hear(sound[: 2 * 16_000])
        for _ in range(given.repeat):
            for name, hear in every.items():
                cpu, wall = time.process_time(), time.perf_counter()
                text = hear(sound)
                took = time.process_time() - cpu, time.perf_counter() - wall, text
                best[name] = min(best.get(name, took), took)
                print(f"{name}: {took[0]:.2f} CPU s", file=sys.stderr, flush=True)
    base = best[first]
    print(f"{len(sound) / 16_000:.0f} s of sound, {given.threads} threads, best of {given.repeat}")
    print(f"{'way':34}{'CPU s':>8}{'wall s':>8}{'ratio':>7}  words as the first")
    for name, (cpu, wall, text) in best.items():
        print(f"{name:34}{cpu:8.2f}{wall:8.2f}{base[0] / cpu:7.2f}  {_alike(base[2], text)}")
        if given.words:
            print(f"    {text.strip()}")


def _alike(one: str, other: str) -> str:
    import difflib

    ours, theirs = one.lower().split(), other.lower().split()
    return f"{difflib.SequenceMatcher(None, ours, theirs, autojunk=False).ratio():.0%} of {len(ours)}"


if __name__ == "__main__":
    main()
