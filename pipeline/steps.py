"""The steps of reading one source into its folder: read, embed, describe, divide into chapters.

In: a path and the settings. Out: a media folder with its vectors, and Progress on the way. Each step does only what
the folder lacks, so that what was done, or paid for, is never done again. A source that is new can be asked about as
soon as its pictures are there; one that is read anew replaces what was read before when it is whole. Never opens the
vector store.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline import part_status
from pipeline.chat import captions, naming
from pipeline.disk import copy_whole, delete, hold, storage_errors
from pipeline.errors import AnswerError, EmbeddingError, MediaNotFound, ModelError, PipelineError, StorageError
from pipeline.media import folder as folders
from pipeline.media import guard, look, reading, subtitles, video
from pipeline.search import chapters, embeddings, vectors
from pipeline.settings import Settings
from pipeline.types import Coverage, Media, Passage, Progress

Report = Callable[[Progress], None]
TEXT_SHARE = 0.8  # of the time that embedding words takes: the windows, pairs and sentences, before single words
Ready = Callable[[str], None]
UNSEARCHABLE = "Not searchable yet: read the video again, or run a reindex."
SENTENCES = 4  # of a chapter, that the model names it by

log = logging.getLogger(__name__)


def read(path: Path, settings: Settings, again: bool, report: Report, ready: Ready = lambda media_id: None) -> Media:
    """Read a source into its folder, describe its frames where that is on, and embed it. Nothing is done twice.

    `ready` is told the id of the media as soon as it can be asked about. A reading that broke off is gone on with.
    Raises SourceError, StorageError, ModelError, BeingRead; EmbeddingError and AnswerError, which leave the folder
    read: the next call (again one that reads anew, where that broke off) embeds and describes only what is missing.
    What has no captions yet is embedded all the same.
    """
    media_id = video.identify(path, settings.limits)
    home = settings.data_dir / media_id
    before = _read_before(home)
    if before and not again:
        ready(media_id)
    # A record that is damaged stands in no list, but what was paid for stays with it.
    anew = (again and before) or (before is None and (home / folders.RECORD).exists())
    folder = folders.staging(settings.data_dir, media_id) if anew else home
    with hold(folder, make=True):
        try:
            media, failure = _read_into(folder, home, path, media_id, settings, report, ready)
        except PipelineError as error:
            if not folder.exists():
                raise MediaNotFound(f"{path.name} was removed while it was read.") from error
            if not any((folder / "frames").glob("[0-9]*.jpg")) and not (folder / folders.RECORD).exists():
                with suppress(StorageError):
                    delete(folder)  # bad input costs nothing stored
            raise
        if folder != home:
            folders.install(folder, settings.data_dir, media_id)
        folders.end(home)
    if failure:  # only now: an endpoint that is down must not cost what was read, nor that it can be searched
        raise failure
    return media


def _read_into(
    folder: Path, home: Path, path: Path, media_id: str, settings: Settings, report: Report, ready: Ready
) -> tuple[Media, AnswerError | None]:
    """All the steps in one folder: (the media, why its pictures could not all be described)."""
    media = _read_before(folder)
    if media is None or folder != home:
        how = f"{settings.frames_per_second:g}" + " exact" * settings.exact_frames
        if folder != home:  # who reads anew does so for what was changed since
            beside = [one.name for one in subtitles.find_beside(path)]
            how += f" {settings.screen_text} {settings.speech_engine} {settings.whisper_model} {beside}"
        folders.begin(folder, path, how)  # else it was begun, and has a record
        media = _read_before(folder)
    written = media or subtitles.is_subtitles(path)
    facts = None if written else guard.run(video.probe, path, limits=settings.limits)
    length = (media or facts).length if media or facts else 0.0
    known = {"length": length, "pictures": len(media.frames) if media else 0}
    coverage: dict[str, Coverage] = {}
    failure: PipelineError | None = None

    def tell(progress: Progress) -> None:
        report(replace(progress, **known))

    def keep(media: Media, told: Report = lambda progress: None) -> None:
        """Let the media be found as it is now. What failed to embed it is asked again when all has been read."""
        nonlocal coverage, failure
        known["pictures"] = len(media.frames)
        is_last = not part_status.parts(media)
        if folder == home:
            if is_last or not failure:
                coverage, failure = _embedded_so_far(media, folder, settings, told)
            media = replace(media, coverage={**media.coverage, **coverage})
        folders.save(media, folder)
        if folder == home:
            ready(media_id)
        if failure and is_last:
            raise failure

    if media is None:
        media = reading.begin_media(path, facts, media_id, folder, settings, tell)
        if media.frames or media.passages:  # else there is nothing to ask about yet
            keep(media, tell)
    else:
        if media.source != str(path):  # the same content elsewhere: playing goes on from there
            media = replace(media, source=str(path))
            folders.save(media, folder)
        more = reading.read_lost(media, path, folder, settings, tell)
        if more != media:
            media = replace(more, chapters=())
            keep(media, tell)
    if folder != home:
        _keep_paid(home, folder)
    if {"speech", "screen"} & set(part_status.parts(media)):
        media = reading.go_on(replace(media, chapters=()), path, folder, settings, tell, keep)
        keep(media, tell)
    media = embed(media, folder, settings, tell)  # before captions, which may take an hour: searchable by then
    media, undescribed = caption(media, folder, settings, tell)
    return divide(embed(media, folder, settings, tell), folder, settings, tell), undescribed


def _embedded_so_far(
    media: Media, folder: Path, settings: Settings, report: Report
) -> tuple[dict[str, Coverage], EmbeddingError | ModelError | None]:
    """Embed before the media is saved, so that what is found has vectors: (coverage, why it is not all)."""
    coverage, failure = {}, None
    for part, embed_part in (("text", _embed_text), ("pictures", _embed_frames)):
        try:
            coverage[part] = embed_part(media, folder, settings, report)
        except (EmbeddingError, ModelError) as error:
            log.warning("Not searchable yet: %s", error)
            coverage[part], failure = Coverage("off", note=UNSEARCHABLE), error
    return coverage, failure


def _keep_paid(home: Path, folder: Path) -> None:
    """Vectors and captions are named by what they were made of, so those of what stayed the same still fit.

    Raises StorageError.
    """
    with storage_errors(folder):
        (folder / "vectors").mkdir(exist_ok=True)
        for file in (home / captions.FILE, *(home / "vectors").glob("[!.]*.npz")):
            kept = folder / file.relative_to(home)
            if file.exists() and not kept.exists():
                copy_whole(file, kept)


def _read_before(folder: Path) -> Media | None:
    try:
        return folders.load(folder)
    except MediaNotFound:
        return None
    except StorageError as error:
        if not isinstance(error.__cause__, ValueError):  # not damaged, but out of reach
            raise
        log.warning("%s It is read anew.", error)
        return None


def caption(media: Media, folder: Path, settings: Settings, report: Report) -> tuple[Media, AnswerError | None]:
    """Describe the frames that have no caption yet, where CAPTIONS is on, and record how far that went.

    Returns the media with what there is among its passages, and why it is not all. Raises StorageError.
    """
    failure = None
    if settings.captions:
        try:
            captions.describe(media.frames, folder, settings, report)
        except AnswerError as error:
            failure = error
    elif "captions" in media.coverage or not captions.load(media.frames, folder, settings.vllm_model):
        return media, None  # else they were paid for before it was read anew
    now = folders.load(folder)  # another process may have read it anew, or removed it, which must hold
    made = captions.load(now.frames, folder, settings.vllm_model)
    # Another model's are replaced, but not by nothing.
    replaced = {one.image for one in made} if failure else {frame.image for frame in now.frames}
    others = [one for one in now.passages if not (one.kind == "caption" and one.image in replaced)]
    media = replace(
        now,
        passages=tuple(sorted([*others, *made], key=lambda p: (p.start, p.kind))),
        coverage={**now.coverage, "captions": _captioned(now, made, settings.vllm_model, failure)},
    )
    if media != now:
        folders.save(media, folder)
    return media, failure


def _captioned(media: Media, made: Sequence[Passage], model: str, failure: AnswerError | None) -> Coverage:
    if failure:
        return Coverage("partly" if made else "off", by=model if made else "", note=str(failure))
    if not media.frames:
        return Coverage("absent", note="There are no pictures to describe.")
    if without := len(media.frames) - len(made):
        note = f"{model} had no words for {without} of {len(media.frames)} pictures. Read the video again to ask anew."
        return Coverage("partly" if made else "absent", by=model, note=note)
    return Coverage("read", by=model)


def embed(media: Media, folder: Path, settings: Settings, report: Report) -> Media:
    """Embed what the folder lacks in the current embeddings, and record in its coverage what was used.

    Raises EmbeddingError, StorageError; ModelError where a named model cannot be had.
    """
    coverage = dict(media.coverage)
    try:
        for part, embed_part in (("text", _embed_text), ("pictures", _embed_frames)):
            coverage[part] = Coverage("off", note=UNSEARCHABLE)
            report(Progress(part, 0.0))
            coverage[part] = embed_part(media, folder, settings, report)
    finally:  # also when a service fails: what was read stays, and says how far it can be searched
        if coverage != media.coverage:
            # As it is now: another process may have read it anew, or removed it, which must hold.
            media = replace(folders.load(folder), coverage=coverage)
            folders.save(media, folder)
    return media


def divide(media: Media, folder: Path, settings: Settings, report: Report) -> Media:
    """Make the chapters of a media that has none, from what was embedded, and record them. Raises StorageError."""
    named = media.coverage.get("chapters", Coverage("off"))
    if media.chapters and not (named.state == "partly" and settings.vllm_base_url):  # else the model is asked anew
        return media
    report(Progress("chapters", 0.0))
    now = folders.load(folder)  # as it is now: another process may have read it anew, or removed it, which must hold
    known = vectors.load_vectors(folder, embeddings.text_reader(settings).name)
    try:
        changes = look.changes(folder, now.frames)
    except StorageError as error:  # a picture that is gone costs no chapters: what is said tells where they start
        log.warning("Chapters are made without the pictures: %s", error)
        changes = []
    made = chapters.cut(now, known, changes)
    coverage = Coverage("read" if made else "absent", by="own words" if made else "")
    if settings.vllm_base_url and len(made) > 1:
        said = [" ".join(one.text for one in chapters.outline(now, known, chapter, SENTENCES)) for chapter in made]
        try:
            titles = naming.name(settings, said)
            made = tuple(replace(one, title=title) for one, title in zip(made, titles, strict=True))
            coverage = Coverage("read", by=settings.vllm_model)
        except AnswerError as error:  # their own words name them as well, and it is said
            coverage = Coverage("partly", by="own words", note=f"The model did not name the chapters. {error}")
    media = replace(now, chapters=made, coverage={**now.coverage, "chapters": coverage})
    folders.save(media, folder)
    report(Progress("chapters", 1.0))
    return media


def _embed_text(media: Media, folder: Path, settings: Settings, report: Report) -> Coverage:
    if not media.passages:
        return Coverage("absent", note="There are no words to search.")
    model = embeddings.text_reader(settings)
    vectors.embed_text(folder, media, model, lambda done: report(Progress("text", TEXT_SHARE * done)))
    vectors.embed_words(
        folder, media, model, lambda done: report(Progress("text", TEXT_SHARE + (1 - TEXT_SHARE) * done))
    )
    return Coverage("read", by=model.name)


def _embed_frames(media: Media, folder: Path, settings: Settings, report: Report) -> Coverage:
    if not media.frames:
        return Coverage("absent", note="There are no pictures to search.")
    model = embeddings.image_reader(settings)
    try:
        vectors.embed_frames(folder, media, model, lambda done: report(Progress("pictures", done)))
    except ModelError as error:
        if settings.clip_model:  # named in the settings: used, or an error
            raise
        return part_status.off("pictures", str(error))
    return Coverage("read", by=model.name)
