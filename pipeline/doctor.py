"""Check every part of the setup: what works, what is off, what is broken, and the exact next step.

In: a Pipeline. Out: one Check a part. Knows no page and no command line: both show the same checks.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import part_status
from pipeline.disk import storage_errors
from pipeline.errors import LibraryBusy, PipelineError
from pipeline.media.source import is_allowed
from pipeline.settings import ANYWHERE
from pipeline.workflow import Pipeline

LOW_DISK = 1_000_000_000  # bytes; an hour of video takes about 100 MB


@dataclass(frozen=True)
class Check:
    """The state of one part."""

    part: str
    state: str  # "ok", "off" or "broken"
    found: str  # what is there
    next: str = ""  # the next step, "" when nothing is to be done


def check_all(pipeline: Pipeline) -> list[Check]:
    """Check every part. Asks the configured services once each; downloads nothing."""
    checks: list[tuple[str, Callable[[Pipeline], Check]]] = [
        ("data folder", _data_folder),
        ("ffmpeg", _ffmpeg),
        ("speech", _speech),
        ("text on screen", _screen),
        ("text embedding", _text_embedding),
        ("image embedding", _image_embedding),
        ("reranker", _reranker),
        ("vector store", _vector_store),
        ("answers", _answers),
        ("captions", _captions),
        ("video files", _files),
        ("page", _page),
    ]
    return [_checked(part, check, pipeline) for part, check in checks]


def _checked(part: str, check: Callable[[Pipeline], Check], pipeline: Pipeline) -> Check:
    try:
        return check(pipeline)
    except PipelineError as error:
        return Check(part, "broken", "does not work", str(error))


def _data_folder(pipeline: Pipeline) -> Check:
    folder = pipeline.settings.data_dir
    with storage_errors(folder), tempfile.TemporaryFile(dir=folder):  # can it be written
        free = shutil.disk_usage(folder).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < LOW_DISK:
        return Check("data folder", "broken", found, "Free some space, or set DATA_DIR to a folder on another disk.")
    return Check("data folder", "ok", found)


def _ffmpeg(pipeline: Pipeline) -> Check:
    from pipeline.media.clips import ffmpeg_version

    return Check("ffmpeg", "ok", ffmpeg_version())


def _speech(pipeline: Pipeline) -> Check:
    from pipeline.media import speech

    there, where = speech.available(*speech.chosen(pipeline.settings))
    if there:
        return Check("speech", "ok", where)
    return Check(
        "speech",
        "broken" if speech.is_named(pipeline.settings) else "off",
        f"subtitles are read; {part_status.not_done('speech')}",
        where,
    )


def _screen(pipeline: Pipeline) -> Check:
    from pipeline.media import screen

    if not pipeline.settings.screen_text:
        found = f"{part_status.not_done('screen')}: SCREEN_TEXT is off"
        return Check("text on screen", "off", found, "Set SCREEN_TEXT=on.")
    there, where = screen.available()
    if there:
        return Check("text on screen", "ok", where)
    return Check("text on screen", "broken", part_status.not_done("screen"), where)


def _text_embedding(pipeline: Pipeline) -> Check:
    from pipeline.search import embeddings

    model = embeddings.text_embedding(pipeline.settings)
    size = len(model.get_query_embedding("hello"))  # a service answers only with the right key
    found = f"{model.name}, {size}-d"
    if pipeline.settings.text_embedding_kind != "local":
        return Check("text embedding", "ok", found)
    return Check(
        "text embedding",
        "ok",
        f"{found}, on this machine",
        "For mistral-embed (1024-d) set MISTRAL_API_KEY, then reindex.",
    )


def _image_embedding(pipeline: Pipeline) -> Check:
    from pipeline.search import embeddings

    there, where = embeddings.image_embedding_available(pipeline.settings)
    if there:
        return Check("image embedding", "ok", where)
    state = "broken" if pipeline.settings.clip_model else "off"
    found = f"{part_status.not_done('pictures')}; they are found by their time and the text on them"
    return Check("image embedding", state, found, where)


def _reranker(pipeline: Pipeline) -> Check:
    from pipeline.search import rerank

    named = pipeline.settings.reranker
    if not named:
        return Check(
            "reranker",
            "off",
            "moments stand in the order of the search",
            "RERANKER names a cross-encoder that orders what was found: about 2 s a question on a CPU for a small one.",
        )
    there, where = rerank.available(named)
    if there:
        return Check("reranker", "ok", f"{where} orders what was found")
    return Check("reranker", "broken", "its weights are not here", where)


def _vector_store(pipeline: Pipeline) -> Check:
    try:
        found = pipeline.index_facts()
    except LibraryBusy as busy:
        return Check("vector store", "off", "open in another process, which answers questions", str(busy))
    if behind := pipeline.not_embedded():
        found += f"; not searchable with this text embedding: {_some([media.title for media in behind])}"
        return Check("vector store", "broken", found, "Run `python -m pipeline reindex`; nothing is read again.")
    return Check("vector store", "ok", found)


def _answers(pipeline: Pipeline) -> Check:
    settings = pipeline.settings
    if not settings.vllm_base_url:
        return Check(
            "answers",
            "off",
            "no model: answers are quotes from the video",
            "Set VLLM_BASE_URL to an OpenAI-compatible endpoint, such as http://localhost:8000/v1.",
        )
    from pipeline.chat import vision

    facts = vision.probe(settings)
    if not facts.model_known:
        return Check(
            "answers",
            "broken",
            f"{settings.vllm_base_url} does not serve {settings.vllm_model}",
            f"Set VLLM_MODEL to one of: {', '.join(facts.models)}." if facts.models else "Set VLLM_MODEL to its model.",
        )
    context = f"{facts.context_length} tokens of context" if facts.context_length else "context length not said"
    images = "image limit not said" if facts.image_limit is None else f"{facts.image_limit} images a prompt"
    if facts.image_limit_is_floor:
        images = f"at least {images}"
    if facts.image_limit == 0:
        return Check(
            "answers", "broken", f"{settings.vllm_model} sees no images", "Set VLLM_MODEL to a model that does."
        )
    return Check("answers", "ok", f"{settings.vllm_model} at {settings.vllm_base_url}, {context}, {images}")


def _captions(pipeline: Pipeline) -> Check:
    if not pipeline.settings.captions:
        return Check(
            "captions",
            "off",
            part_status.not_done("captions"),
            "Set CAPTIONS=on beside VLLM_BASE_URL and read the videos again; what it costs is said before it starts.",
        )
    found = f"{pipeline.settings.vllm_model} describes each picture once, when a video is read"
    without = [
        m.title for m in pipeline.everything()[0] if m.frames and not any(p.kind == "caption" for p in m.passages)
    ]
    if without:
        return Check("captions", "ok", f"{found}; not yet in {_some(without)}", "Read these videos again.")
    return Check("captions", "ok", found)


def _files(pipeline: Pipeline) -> Check:
    media = pipeline.list()[0]
    gone = [one.title for one in media if not os.path.isfile(one.source)]
    if gone:
        return Check(
            "video files",
            "off",
            f"no longer where they were read: {_some(gone)}. Questions work, without playing and looking closer",
            "Put the files back, or read them from where they are now: nothing is read twice.",
        )
    limits = pipeline.settings.limits
    if outside := [one for one in media if not is_allowed(Path(one.source), limits)]:
        return Check(
            "video files",
            "off",
            f"outside MEDIA_ROOTS: {_some([one.title for one in outside])}. Questions work, "
            "without playing and looking closer",
            "Set MEDIA_ROOTS to "
            + os.pathsep.join(map(str, (*limits.roots, Path(os.path.realpath(outside[0].source)).parent))),
        )
    return Check("video files", "ok", f"{len(media)} where they were read: they can be played and looked at closer")


def _page(pipeline: Pipeline) -> Check:
    roots = pipeline.settings.media_roots
    may = "any file that you may read" if ANYWHERE in roots else f"files in {', '.join(map(str, roots))}"
    if pipeline.settings.app_password:
        return Check("page", "ok", f"asks for a password; reads {may}")
    return Check(
        "page",
        "off",
        f"opens to this machine alone, unless Streamlit's own login is set up; reads {may}",
        "To open it to a network set APP_PASSWORD, then start it with --server.address=0.0.0.0, behind https.",
    )


def _some(titles: Sequence[str]) -> str:
    return ", ".join(titles[:3]) + (", …" if len(titles) > 3 else "")
