"""The app on one page: read, index, find, ask.

In: paths and questions. Out: media folders, evidence and replies. Knows no page and no command line;
what each step does is known by media/, search/ and chat/ alone.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline.chat import followup, quotes
from pipeline.chat.reply import Reply
from pipeline.errors import LibraryBusy, LibraryError, MediaNotFound, PipelineError, SourceError, StorageError
from pipeline.media import clips, uploads, video
from pipeline.media import folder as folders
from pipeline.media.disk import storage_errors
from pipeline.search import embeddings, moments, vectors
from pipeline.search.index import Index
from pipeline.settings import Settings
from pipeline.types import Evidence, Frame, Media, Moment, Progress, Turn
from pipeline.worker import Worker, embed

Report = Callable[[Progress], None]
MOMENTS = 5  # found for one question
LARGEST_PLAYED = 500_000_000  # bytes; Streamlit holds what it plays in memory, whole
CLIP = 60.0  # s, of a file that browsers cannot play, cut at a time; the same for every time within it
CLIP_LEAD = 5.0  # s, before
CLIP_TAIL = 15.0  # s, after: a moment at its end can be seen to the end
FOLLOWING = 45.0  # s, how much of what comes right after (or before) a moment counts as "after that"


def build(settings: Settings | None = None) -> "Pipeline":
    """The library with everything wired: from the environment, or from the given settings."""
    return Pipeline(settings or Settings.from_env())


@dataclass(frozen=True)
class Playable:
    """A file that browsers play."""

    path: Path
    offset: float = 0.0  # s, the time in the source at which it begins
    whole: bool = True  # whether it is all of the source
    why: str = ""  # why it is not the source itself, in words a person reads


@dataclass
class Reading:
    """One source that is being read in the background. Filled by its thread, polled by the page."""

    path: Path
    progress: dict[str, Progress] = field(default_factory=dict)  # the last of each step, in the order of the steps
    media_id: str = ""  # set when done
    error: PipelineError | None = None  # set when failed
    done: bool = False


class Pipeline:
    """Reads sources into the library and answers questions about them. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.readings: dict[str, Reading] = {}
        self._index: Index | None = None
        self._opening = threading.Lock()
        self._syncing = threading.Lock()
        self._one_reader = threading.Lock()
        self._one_cutter = threading.Lock()
        self._plays: dict[str, bool] = {}  # by media id: whether browsers play the original
        with storage_errors(settings.data_dir):
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        folders.sweep(settings.data_dir)

    # -- reading

    def ingest(self, path: str | Path, again: bool = False, report: Report = lambda progress: None) -> Media:
        """Read a source and bring the index up to date. What was read before is not read twice.

        Raises PipelineError. When another process holds the index the source is read all the same, and the
        holder takes it in: LibraryBusy is not raised here.
        """
        media = self.read(path, again, report)
        report(Progress("index", 0.0))
        try:
            self.index()
        except LibraryBusy as busy:
            report(Progress("index", 1.0, str(busy)))
        else:
            report(Progress("index", 1.0))
        return media

    def read(self, path: str | Path, again: bool = False, report: Report = lambda progress: None) -> Media:
        """Read a source into its folder, vectors included, in a process of its own. Raises PipelineError."""
        if not str(path).strip():
            raise SourceError("There is no path. Give the path of a video.")
        path = _absolute(path)
        try:
            return self.get(Worker(path, self.settings, again).run(report))
        except SourceError:
            uploads.discard(self.settings.data_dir, path)  # bad input costs nothing stored
            raise

    def start(self, path: str | Path, again: bool = False) -> Reading:
        """Ingest in the background, one source at a time. The same path twice is one reading."""
        path = _absolute(path)
        running = self.readings.get(str(path))
        if running and not running.done:
            return running
        reading = self.readings[str(path)] = Reading(path)
        threading.Thread(target=self._run, args=(reading, again), daemon=True, name=f"reading {path.name}").start()
        return reading

    def _run(self, reading: Reading, again: bool) -> None:
        def report(progress: Progress) -> None:
            reading.progress = reading.progress | {progress.step: progress}

        try:
            report(Progress("waiting", 0.0))
            with self._one_reader:
                report(Progress("waiting", 1.0))
                reading.media_id = self.ingest(reading.path, again, report).id
        except PipelineError as error:
            reading.error = error
        except Exception as bug:
            reading.error = PipelineError(f"{reading.path.name} was not read: a fault in this app. Its log says where.")
            reading.error.__cause__ = bug
            raise
        finally:
            reading.done = True

    def upload(self, name: str, content: BinaryIO) -> Path:
        """Store an uploaded file below the data folder and return its path. The name is only a hint."""
        return uploads.store(self.settings.data_dir, name, content)

    # -- the library

    def list(self) -> tuple[Sequence[Media], Sequence[str]]:
        """Every media, newest first, and a line for each folder that cannot be read."""
        return folders.list_media(self.settings.data_dir)

    def get(self, media_id: str) -> Media:
        """The media with this id, or the one whose id starts with it. Raises MediaNotFound."""
        return folders.load(self.folder(media_id))

    def folder(self, media_id: str) -> Path:
        """The folder of a media by its id or the start of it. Raises MediaNotFound."""
        return folders.locate(self.settings.data_dir, media_id)

    def remove(self, media_id: str) -> str:
        """Remove a media: its folder, its vectors, and the file if it was uploaded. Returns the whole id.

        The original file is left alone. When another process holds the index, it drops the rows itself.
        """
        folder = self.folder(media_id)
        folders.remove(self.settings.data_dir, folder.name)
        # The folder is gone, and with it the media; its rows go now or whenever the index is next in step.
        with contextlib.suppress(LibraryError, StorageError):
            self.index()
        return folder.name

    def reindex(self, report: Report = lambda progress: None) -> int:
        """Make the index anew from the folders. Returns how many media it holds.

        Nothing is read again; only what has no vectors in the current embedding is embedded. Where another process
        holds the index, that one takes the vectors in.
        """
        ids = [one.id for one in self.list()[0]]
        for number, media_id in enumerate(ids):
            with contextlib.suppress(MediaNotFound):  # removed meanwhile
                media = self.get(media_id)
                report(Progress("reindex", number / len(ids), media.title))
                embed(media, self.settings.data_dir / media_id, self.settings, lambda progress: None)
        try:
            with self._syncing:
                self._opened().rebuild(self._folders())
        except LibraryBusy as busy:
            report(Progress("index", 1.0, str(busy)))
        report(Progress("reindex", 1.0))
        return len(ids)

    def index(self) -> None:
        """Bring the vector store to what the folders hold. Raises LibraryBusy, LibraryError."""
        with self._syncing:  # listed within: an older list would take rows just inserted for removed ones
            self._opened().sync(self._folders())

    # -- questions

    def find(
        self,
        question: str,
        media_ids: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        limit: int = MOMENTS,
    ) -> Evidence:
        """Moments that may answer the question, best first: in these media, or in all of them.

        A follow-up finds its moments from the conversation. Raises LibraryError, EmbeddingError, MediaNotFound.
        """
        ids = None if media_ids is None else [self.get(media_id).id for media_id in media_ids]
        self.index()
        query = followup.resolve(question, history)
        lists = self._opened().search(query.text, ids, 8 * limit, query.after, query.before)
        found_words = any(hit.found_by != "picture" for hits in lists for hit in hits)
        if not found_words and (behind := self.not_embedded(ids)):
            raise LibraryError(
                f"{behind[0].title} cannot be searched yet: its words are not embedded with the text embedding that is "
                "set now. Run `python -m pipeline reindex`; nothing is read again."
            )
        named = {hit.media for hits in lists for hit in hits} | {m for m in (query.media,) if m}
        known = {media_id: self.get(media_id) for media_id in named}
        found = moments.fuse(lists, {i: m.frames for i, m in known.items()}, limit)
        beside = self._beside(query, known)
        if beside:
            found = [beside, *(m for m in found if m.media != beside.media or _apart(m, beside))][:limit]
        return Evidence(question, tuple(found))

    def not_embedded(self, media_ids: Sequence[str] | None = None) -> Sequence[Media]:
        """Those of these media (None: of all) whose words lack vectors of the text embedding that is set."""
        name = embeddings.text_embedding(self.settings).name
        return [
            media
            for media_id, (folder, media) in self._folders().items()
            if (media_ids is None or media_id in media_ids) and vectors.missing(folder, media.passages, name)
        ]

    def _beside(self, query: followup.Query, known: dict[str, Media]) -> Moment | None:
        if query.after is not None:
            return moments.following(known[query.media], query.after, FOLLOWING)
        if query.before is not None:
            return moments.preceding(known[query.media], query.before, FOLLOWING)
        return None

    def ask(
        self,
        question: str,
        media_ids: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        limit: int = MOMENTS,
    ) -> Reply:
        """Find evidence and answer from it: with the configured model, else by quoting. Iterate the reply for words.

        Raises what find raises; the reply raises AnswerError while it is read.
        """
        evidence = self.find(question, media_ids, history, limit)
        titles = {m.media: self.get(m.media).title for m in evidence.moments}
        if not self.settings.vllm_base_url:
            return quotes.answer(evidence, titles)
        from pipeline.chat import vision

        return vision.answer(self.settings, evidence, titles, history, self.picture)

    def picture(self, media_id: str, frame: Frame) -> Path:
        """The JPEG of a frame."""
        return self.settings.data_dir / media_id / frame.image

    def playable(self, media: Media, seconds: float) -> "Playable":
        """What a browser can play of a media around a time: the original, or a clip cut from it.

        Raises SourceError when the original is gone or cannot be cut.
        """
        source = Path(media.source)
        if media.id not in self._plays:
            self._plays[media.id] = video.plays_in_browser(video.probe(source))
        if self._plays[media.id] and source.stat().st_size <= LARGEST_PLAYED:
            return Playable(source)
        why = (
            "This file is too large to play whole"
            if self._plays[media.id]
            else "Browsers cannot play this kind of file"
        )
        start = max(0.0, CLIP * (seconds // CLIP) - CLIP_LEAD)
        end = min(start + CLIP_LEAD + CLIP + CLIP_TAIL, media.length)
        clip = self.folder(media.id) / "clips" / f"{start:08.0f}.mp4"
        with self._one_cutter:
            if not clip.exists():
                clip.parent.mkdir(exist_ok=True)
                clips.cut(source, start, end, clip)
        return Playable(clip, start, start == 0 and end >= media.length, why)

    def index_facts(self) -> str:
        """Where the index is and what it holds. Raises LibraryBusy, LibraryError."""
        return self._opened().describe()

    def close(self) -> None:
        """Let go of the vector store, so that another process can open it."""
        with self._opening:
            if self._index:
                self._index.close()
                self._index = None

    def _opened(self) -> Index:
        with self._opening:
            if self._index is None:
                self._index = Index(self.settings)
            return self._index

    def _folders(self) -> dict[str, tuple[Path, Media]]:
        media, _ = self.list()
        return {one.id: (self.settings.data_dir / one.id, one) for one in media}


def _absolute(path: str | Path) -> Path:
    with contextlib.suppress(RuntimeError):  # "~talk.mp4" is a file, and nobody's home
        path = Path(path).expanduser()
    return Path(path).absolute()


def _apart(one: Moment, other: Moment) -> bool:
    return one.end <= other.start or other.end <= one.start
