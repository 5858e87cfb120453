"""The app on one page: read, index, find, ask.

In: paths and questions. Out: media folders, evidence and replies. Knows no page and no command line;
what each step does is known by media/, search/ and chat/ alone.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

from pipeline import child, estimate, finding, looking, matching, part_status
from pipeline.chat import endpoint, intent, quotes
from pipeline.chat.intent import Intent
from pipeline.chat.reply import Reply
from pipeline.disk import hold, storage_errors
from pipeline.errors import (
    BeingRead,
    DecoderCrashed,
    LibraryBusy,
    LibraryError,
    MediaNotFound,
    ModelError,
    PartLost,
    PipelineError,
    SourceError,
    StorageError,
)
from pipeline.finding import Lists
from pipeline.media import added, pasted, screen, sources, subtitles, uploads
from pipeline.media import folder as folders
from pipeline.media.catalogue import Catalogue
from pipeline.playing import Playable, Player
from pipeline.readings import BROKE_OFF, Reading, Readings
from pipeline.search import embeddings, late, moments, rerank, stores, vectors
from pipeline.search.index import Folders, Index
from pipeline.search.moments import Fusion
from pipeline.settings import Settings
from pipeline.steps import divide, embed
from pipeline.steps import read as read_here
from pipeline.talks import Talk
from pipeline.types import Coverage, Estimate, Evidence, Frame, Listed, Media, Progress, Turn
from pipeline.waiting import Waiting
from pipeline.worker import Worker

Report = Callable[[Progress], None]
Ready = Callable[[str], None]
log = logging.getLogger(__name__)
MOMENTS = 5  # found for one question
CROWD, CROWD_SECONDS = 3, 30.0  # more questions than that in so many s come from several people
TALKS = 100  # conversations that are held in memory though no page shows them


def build(settings: Settings | None = None) -> "Pipeline":
    """The library with everything wired: from the environment, or from the given settings.

    The processes that it starts get the environment as it is now.
    """
    child.remember()
    return Pipeline(settings or Settings.from_env())


class Pipeline:
    """Reads sources into the library and answers questions about them. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._queue = Readings(self._read_next, self._drop, Waiting(settings.data_dir))
        self._index: Index | None = None
        self._opening = threading.Lock()
        self._syncing = threading.Lock()
        self._warming: threading.Thread | None = None
        self._hurry = threading.Event()  # somebody waits for what is loaded
        self._player = Player(settings.limits)
        # By media id ("" is the whole library) and person. A page that is open keeps its own alive, too.
        self._talks: WeakValueDictionary[tuple[str, str], Talk] = WeakValueDictionary()
        self._recent_talks: deque[Talk] = deque(maxlen=TALKS)
        self._one_talk = threading.Lock()
        self._asked: deque[float] = deque(maxlen=CROWD + 1)  # when the last questions to a model were asked
        with storage_errors(settings.data_dir):
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        folders.sweep(settings.data_dir)
        self._catalogue = Catalogue(settings.data_dir)

    # -- reading. A path that is text is taken as a person pasted it: see media/pasted.py.

    def estimate(self, path: str | Path, again: bool = False) -> Estimate:
        """What reading a source will take: minutes, disk, tokens. Quick. Raises SourceError, StorageError."""
        path = self._path(path)
        before = None if again else next((one for one in self.list()[0] if one.source == str(path)), None)
        return estimate.estimate(path, self.settings, self.get(before.id) if before else None)

    def sources(self, path: str | Path) -> Sequence[Path]:
        """The file at a path, or all videos and transcripts of a folder. Raises SourceError."""
        return sources.sources(self._path(path), self.settings.limits)

    def ingest(self, path: str | Path, again: bool = False, report: Report = lambda progress: None) -> Media:
        """Read a source and bring the index up to date. What was read before is not read twice.

        A part that was lost to a crash of a decoder says so in its coverage; the next call reads it again.
        Raises PipelineError. When another process holds the index the source is read all the same, and the
        holder takes it in: LibraryBusy is not raised here.
        """
        return self._indexed(self.read(path, again, report), report)

    def _indexed(self, media: Media, report: Report) -> Media:
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
        path = self._path(path)
        return self._read(path, again, report, lambda media_id: None, Worker(path, self.settings, again))

    def _read(self, path: Path, again: bool, report: Report, ready: Ready, worker: Worker) -> Media:
        folders.require(self.settings.data_dir)
        try:
            if subtitles.is_subtitles(path):  # nothing is decoded, so nothing can crash
                return read_here(path, self.settings, again, worker.while_wanted(report), ready)
            return self.get(worker.run(report, ready))
        except SourceError as error:
            if not isinstance(error, DecoderCrashed):  # which another try may read
                uploads.discard(self.settings.data_dir, path)  # bad input costs nothing stored
            raise

    @property
    def readings(self) -> dict[str, Reading]:
        """The readings that were started, by path: the last of each."""
        return dict(self._queue.by_path)  # pages look through it while others add to it

    def start(self, path: str | Path, again: bool = False) -> Reading:
        """Ingest in the background, one source after another. The same path twice is one reading.

        Raises StorageError; SourceError for what can be no path. What is wrong with the source, the reading tells.
        """
        path = self._path(path)
        folders.require(self.settings.data_dir)
        return self._queue.add(path, again, self._worker(path, again))

    def take_up(self) -> "Pipeline":
        """Go on with what an app that ended had left to be read, once by itself; show what waits for a person.

        For a page, which stays to read it. Returns the library itself. Raises StorageError.
        """
        waiting = self.broken_off()
        self._queue.take_up(self._worker)
        for path, again, media_id in waiting:  # unless it is gone on with by now
            reading = Reading(path, again, self._worker(path, again), self._queue, media_id=media_id)
            self._queue.show_broken_off(reading, BROKE_OFF)
        return self

    def _path(self, given: str | Path) -> Path:
        return pasted.to_path(given, dict.fromkeys(Path(one.source).parent for one in self.list()[0]))

    def _worker(self, path: Path, again: bool) -> Worker:
        return Worker(path, self.settings, again)

    def broken_off(self) -> Sequence[tuple[Path, bool, str]]:
        """What nobody goes on with: (source, whether it was read anew, id of what can be asked about so far or "")."""
        return folders.broken_off(self.settings.data_dir)

    def _read_next(self, reading: Reading) -> None:
        def ready(media_id: str) -> None:
            reading.media_id = media_id

        media = self._read(reading.path, reading.again, reading.show, ready, reading.worker)
        reading.media_id = self._indexed(media, reading.show).id
        if why := part_status.why_lost(media):
            reading.again = False  # to try again reads what was lost, not all of it
            raise PartLost(why)

    def _drop(self, reading: Reading) -> None:
        uploads.discard(self.settings.data_dir, reading.path)  # unless there is something to ask about
        folders.put_off(self.settings.data_dir, reading.path)

    def upload(self, name: str, content: BinaryIO) -> Path:
        """Store an uploaded file below the data folder and return its path. The name is only a hint."""
        folders.require(self.settings.data_dir)
        return uploads.store(self.settings.data_dir, name, content)

    # -- the library

    def list(self) -> tuple[Sequence[Listed], Sequence[str]]:
        """Every media, newest first, and a line for each folder that cannot be read. Costs nothing while none changes.

        get() gives what was read of one.
        """
        listing = self._catalogue.look()
        return listing.media, listing.problems

    def everything(self) -> tuple[Sequence[Media], Sequence[str]]:
        """As list(), each with all that was read of it: about half a MB and 5 ms for an hour."""
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
        with contextlib.suppress(StorageError):  # a damaged record
            source = self.get(folder.name).source
            for reading in self.readings.values():  # also one that waits, or reads it anew
                if reading.media_id == folder.name or str(reading.path) == source:
                    reading.cancel()
                    self._queue.leave_out(reading)  # it can neither be opened nor gone on with
        with self._one_talk:  # nothing writes into a folder that goes
            for key, talk in list(self._talks.items()):
                if key[0] == folder.name:
                    del self._talks[key]
                    talk.close()
            folders.remove(self.settings.data_dir, folder.name)
        # The folder is gone, and with it the media; its rows go now or whenever the index is next in step.
        with contextlib.suppress(LibraryError, StorageError):
            self.index()
        return folder.name

    def reindex(self, report: Report = lambda progress: None) -> tuple[int, Sequence[str]]:
        """Make the index anew from the folders: (how many media it holds, a line for each that could not be had).

        Nothing is read again; only what has no vectors in the current embedding is embedded. Where another process
        holds the index, that one takes the vectors in. Raises EmbeddingError, ModelError, LibraryError, and
        StorageError where it is not one folder's.
        """
        listed, problems = self.list()
        ids, failed = [one.id for one in listed], list(problems)
        unasked = replace(self.settings, vllm_base_url="", captions=False)  # a whole library is not named by the model
        for number, media_id in enumerate(ids):
            folder = self.settings.data_dir / media_id
            # Removed meanwhile, or read by a process that embeds it too.
            with contextlib.suppress(MediaNotFound, BeingRead):
                try:
                    media = self.get(media_id)
                    report(Progress("reindex", number / len(ids), media.title))
                    with hold(folder):
                        media = embed(media, folder, self.settings, lambda progress: None)
                        if not part_status.parts(media):
                            divide(media, folder, unasked, lambda progress: None)
                except StorageError as error:  # its own: the others are made anew all the same
                    log.warning("%s was left as it is: %s", folder.name, error)
                    failed.append(str(error))
        try:
            with self._syncing:
                self._opened().rebuild(self._folders(self._catalogue.look().by_id))
                unread = self._opened().unread()
                failed += [why for why in unread.values() if why not in failed]
        except LibraryBusy as busy:
            report(Progress("index", 1.0, str(busy)))
            unread = {}
        report(Progress("reindex", 1.0))
        return len(set(ids) - unread.keys()), tuple(failed)

    def index(self) -> Mapping[str, Listed]:
        """Bring the vector store to what the folders hold, and give that, by id. Raises LibraryBusy, LibraryError."""
        with self._syncing:  # listed within: an older list would take rows just inserted for removed ones
            listing, index = self._catalogue.look(), self._opened()
            if not index.is_in_step(listing):
                index.sync(self._folders(listing.by_id), version=listing)
        return listing.by_id

    # -- questions

    def warm(self, after: float = 0.0) -> None:
        """Load what questions need, in the background, so that the first one need not wait. Returns at once.

        `after`: s to begin in, unless it is needed sooner.
        """
        with self._opening:
            if self._warming is None:
                self._warming = threading.Thread(target=self._warm, args=(after,), daemon=True, name="warming")
                self._warming.start()

    def _warm(self, after: float) -> None:
        self._hurry.wait(after)
        try:
            embedding = embeddings.text_embedding(self.settings)
            if self.settings.text_embedding_kind == "local":
                embedding.get_query_embedding("warm")
        except PipelineError as error:  # the first question says it
            log.warning("The text embedding was not loaded: %s", error)
        stores.load(self.settings)
        intent.read("Which colour has the leaf?")
        if self.settings.vllm_base_url:
            endpoint.load()

    def find(
        self,
        question: str,
        media_ids: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        limit: int = MOMENTS,
        at: tuple[str, float] | None = None,
        fusion: Fusion = moments.FUSION,
        meant: Intent | None = None,
        picture: bytes | Path | None = None,
    ) -> Evidence:
        """Evidence for the question, from these media or from all of them: see Evidence.kind for its order.

        A follow-up finds its moments from the conversation. `at` is where the player stands: media id and seconds.
        `meant` is what the question asks for, where it was decided already. `picture` comes with the question, or
        alone: then it is asked where it is shown.
        Raises LibraryError, EmbeddingError, MediaNotFound; SourceError for a picture that cannot be used.
        """
        jpeg = added.to_jpeg(picture, self.settings.limits) if picture is not None else None
        ids = None if media_ids is None else [self.get(media_id).id for media_id in media_ids]
        at = at and (self.get(at[0]).id, at[1])
        known = self.index()
        scope = list(known) if ids is None else ids
        behind = [known[media_id] for media_id in self._opened().behind() if media_id in scope and media_id in known]
        if behind and len(behind) == len(scope):
            others = f" and {len(behind) - 1} more" if len(behind) > 1 else ""
            raise LibraryError(
                f"{behind[0].title}{others} cannot be searched yet: the words are not embedded with the text embedding "
                "that is set now. Run `python -m pipeline reindex`; nothing is read again."
            )

        def search(text: str, hits: int, after: float | None, before: float | None, wanted: Collection[str]) -> Lists:
            return self._opened().search(text, ids, hits, after, before, wanted)

        library = finding.Library(
            search=search,
            get=self.get,
            languages=lambda ids: {known[media_id].language for media_id in ids if media_id in known},
            vectors=lambda media_id: vectors.load_vectors(
                self.settings.data_dir / media_id, embeddings.text_embedding(self.settings).name
            ),
            scope=[media_id for media_id in scope if media_id in known],
            threshold=embeddings.near_enough(self.settings),
            by_word=late.comparer(self.settings),
            rerank=rerank.reranker(self.settings),
        )
        if jpeg:
            held = self._held(library.scope)
            evidence = matching.gather(
                question.strip() or matching.ONLY_A_PICTURE,
                matching.alike(jpeg, held),
                self._opened().search_by_picture(jpeg, ids, finding.HITS),
                lambda: self._words_on(jpeg),
                limit,
                fusion,
                library,
            )
        else:
            meant = meant or intent.read(question, follows=bool(history))
            evidence = finding.gather(question, meant, history, limit, at, fusion, library)
        looked_at, not_looked_at = part_status.look(
            [known[media_id] for media_id in library.scope],
            self._unsearched(behind),
            self._pictures_now(known, library.scope),
            by_looks=jpeg is not None,
        )
        evidence = replace(evidence, asked=len(library.scope), looked_at=looked_at, not_looked_at=not_looked_at)
        notes = (*evidence.notes, *self._opened().notes(), *part_status.limits(evidence))
        return replace(evidence, notes=notes)

    def _unsearched(self, behind: Sequence[Listed]) -> dict[str, Coverage]:
        """By id, why nothing of a media is searched: its vectors are of another embedding, or it cannot be read."""
        why = Coverage(
            "off", note=f"They are not embedded with the text embedding that is set now. {part_status.REINDEX}"
        )
        unread = self._opened().unread()
        return {one.id: why for one in behind} | {one: Coverage("off", note=note) for one, note in unread.items()}

    def _pictures_now(self, known: Mapping[str, Listed], scope: Sequence[str]) -> dict[str, Coverage]:
        """By id, whether CLIP searches the pictures of a media now: it may have been set, or lost, since."""
        there, why = embeddings.image_embedding_available(self.settings)
        pictured = self._opened().pictured() if there else frozenset()
        missing = Coverage(
            "off", note=f"They are not embedded with the CLIP that is set now. {part_status.REINDEX}" if there else why
        )
        found = {}
        for media_id in scope:
            before = known[media_id].coverage.get("pictures")
            if media_id in pictured:
                found[media_id] = Coverage("read")
            elif known[media_id].frames and (there or not before or before.state != "off"):  # else it says why itself
                found[media_id] = missing
        return found

    def similar(self, media_id: str, frame: Frame, limit: int = 8) -> Sequence[tuple[str, Frame, float]]:
        """Other places in the library that look like a kept frame: (media id, frame, likeness 0-1), most alike first.

        By CLIP where it is there, else by looks alone. Neither the frame nor its neighbours are among them.
        Raises LibraryError, MediaNotFound, StorageError; ModelError where a named CLIP cannot be had.
        """
        folder = self.folder(media_id)
        with storage_errors(folder / frame.image):
            jpeg = (folder / frame.image).read_bytes()
        known = self.index()
        wanted = matching.apart_from(folder.name, frame)
        views = self._opened().search_by_picture(jpeg, list(known), finding.HITS)
        hits = [hit for hit in views if wanted(hit.media, hit.item)]
        hits = hits or matching.same(matching.alike(jpeg, self._held(known), wanted))
        return [(hit.media, hit.item, hit.score) for hit in matching.thinned(hits, limit)]

    def _held(self, media_ids: Collection[str]) -> matching.Held:
        held = {}
        for media_id in media_ids:
            with contextlib.suppress(MediaNotFound, StorageError):  # removed meanwhile, or damaged: it hides no other
                held[media_id] = (self.settings.data_dir / media_id, self.get(media_id))
        return held

    def _words_on(self, jpeg: bytes) -> str:
        """What can be read on a picture, where text on pictures is read."""
        if not self.settings.screen_text:
            return ""
        try:
            return screen.read_picture(jpeg)
        except ModelError as error:
            log.warning("The words on the picture of a question were not read: %s", error)
            return ""

    def not_embedded(self, media_ids: Sequence[str] | None = None) -> Sequence[Media]:
        """Those of these media (None: of all) whose words lack vectors of the text embedding that is set."""
        embedding = embeddings.text_embedding(self.settings)
        name, words = embedding.name, hasattr(embedding, "word_vectors")
        ids = [one.id for one in self.list()[0]] if media_ids is None else media_ids
        return [
            media
            for media_id, media in ((media_id, self.get(media_id)) for media_id in ids)
            if vectors.missing(self.settings.data_dir / media_id, media.passages, name, words)
        ]

    def ask(
        self,
        question: str,
        media_ids: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        limit: int = MOMENTS,
        at: tuple[str, float] | None = None,
        picture: bytes | Path | None = None,
        found: Callable[[Evidence], None] = lambda evidence: None,
    ) -> Reply:
        """Find evidence and answer from it: with the configured model, else by quoting. Iterate the reply for words.

        `picture` as for find. `found` is told the evidence as soon as it is there, before a model is asked.
        Raises what find raises; the reply raises AnswerError while it is read.
        """
        if not self.settings.vllm_base_url:
            evidence = self.find(question, media_ids, history, limit, at, picture=picture)
            found(evidence)
            return quotes.answer(evidence, self._titles(evidence))
        from pipeline.chat import decide, vision

        crowded = self._is_crowded()
        jpeg = added.to_jpeg(picture, self.settings.limits) if picture is not None else None
        ruled = None if jpeg else intent.read(question, follows=bool(history))
        self.warm()
        self._warmed()  # else what is loaded meanwhile would take the model's time to decide
        deciding = ThreadPoolExecutor(1, "deciding")
        decided = deciding.submit(
            lambda: None if jpeg else decide.decide(self.settings, question, follows=bool(history))
        )
        deciding.shutdown(wait=False)
        # What the rules see is shown while the model is asked: it seldom sees anything else.
        evidence = self.find(question, media_ids, history, limit, at, meant=ruled, picture=jpeg)
        found(evidence)
        if (meant := decided.result()) != ruled:
            evidence = self.find(question, media_ids, history, limit, at, meant=meant)
            found(evidence)
        seconds = 0.0 if crowded else looking.SECONDS
        evidence = looking.look_closer(
            evidence, self.get, lambda media_id: self.settings.data_dir / media_id, self.settings, seconds
        )
        return vision.answer(self.settings, evidence, self._titles(evidence), history, self.picture, added=jpeg)

    def _is_crowded(self) -> bool:
        """Whether so much is asked that looking closer, which takes a core for seconds, would keep others waiting."""
        now = time.monotonic()
        self._asked.append(now)
        return len(self._asked) > CROWD and now - self._asked[0] < CROWD_SECONDS

    def talk(self, media_id: str | None = None, person: str = "") -> Talk:
        """The conversation about a media (None: about the whole library), the same one each time it is asked for.

        person: whose it is, 32 hex digits; "" where one person uses the library. Raises MediaNotFound, StorageError.
        """
        folder = self.folder(media_id) if media_id else self.settings.data_dir
        key = folder.name if media_id else ""

        def ask(
            question: str,
            history: Sequence[Turn],
            at: float | None,
            picture: bytes | None,
            found: Callable[[Evidence], None],
        ) -> Reply:
            where = (key, at) if key and at is not None else None
            return self.ask(question, [key] if key else None, history, at=where, picture=picture, found=found)

        with self._one_talk:
            talk = self._talks.get((key, person))
            if talk and talk.exchanges and not talk.is_kept():
                talk.close()  # another process removed the video, and it was read anew
                talk = None
            talk = self._talks[key, person] = talk or Talk(folder, ask, self.settings.limits, person)
            if talk not in self._recent_talks:
                self._recent_talks.append(talk)
            return talk

    def _titles(self, evidence: Evidence) -> dict[str, str]:
        return {moment.media: self.get(moment.media).title for moment in evidence.moments}

    def picture(self, media_id: str, frame: Frame) -> Path:
        """The JPEG of a frame."""
        return self.settings.data_dir / media_id / frame.image

    def transcript(self, media_id: str, form: str) -> bytes:
        """What is said in a media, as a file: `form` is "vtt", "srt" or "txt". Raises MediaNotFound, StorageError."""
        folder = self.folder(media_id)
        if form == "srt":
            return subtitles.srt(subtitles.read(folder / "transcript.vtt").segments).encode()
        with storage_errors(folder):
            return (folder / f"transcript.{form}").read_bytes()

    def playable(self, media: Media, seconds: float) -> Playable:
        """What a browser can play of a media around a time: the original, or a clip cut from it.

        Raises SourceError when the original is gone or cannot be cut, StorageError.
        """
        return self._player.playable(media, self.folder(media.id), seconds)

    def moment_file(self, media: Media, start: float, end: float, form: str) -> Path:
        """A moment as a file to keep: `form` is "mp4", "gif", or "jpg" for the picture at its start.

        Raises SourceError when the original is gone or holds nothing there, StorageError.
        """
        return self._player.moment_file(media, self.folder(media.id), start, end, form)

    def index_facts(self) -> str:
        """Where the index is and what it holds. Raises LibraryBusy, LibraryError."""
        return self._opened().describe()

    def close(self) -> None:
        """End what is being answered, and let go of the vector store, so that another process can open it."""
        for talk in list(self._talks.values()):
            talk.stop()
        self._queue.close()
        with self._opening:
            if self._index:
                self._index.close()
                self._index = None

    def _warmed(self) -> None:
        """Return once nothing is loaded beside: two threads that import one large library can trip over each other."""
        with self._opening:
            warming = self._warming
        if warming:
            self._hurry.set()
            warming.join()

    def _opened(self) -> Index:
        self._warmed()
        with self._opening:
            if self._index is None:
                self._index = Index(self.settings)
            return self._index

    def _folders(self, media_ids: Collection[str]) -> Folders:
        folder_of = self.settings.data_dir.joinpath
        return {one: (folder_of(one), partial(folders.load, folder_of(one))) for one in media_ids}
