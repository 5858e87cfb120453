"""Media folders in, ranked hits out: LlamaIndex's MultiModalVectorStoreIndex over the Milvus collections.

The folders are the truth and the collections a projection of them: sync() makes the second match the
first, from vectors that the folders hold. What was put in of each folder is written down beside them (index.json), so
that a start need not look into those that stayed as they were. Knows no video, no answer, and no Milvus call
(stores.py).
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.disk import write_whole
from pipeline.errors import LibraryError, MediaNotFound, ModelError, StorageError
from pipeline.search.base import clean
from pipeline.search.embeddings import image_embedding, text_embedding
from pipeline.search.nodes import make_node, node_id, to_hit
from pipeline.search.stores import IMAGE, MADE_ANEW, Ids, Stores, check_ids, open_stores, text_kind
from pipeline.search.vectors import key_of, load_vectors, vectors_path
from pipeline.search.windows import units
from pipeline.settings import Settings
from pipeline.types import Hit, Media
from pipeline.words import content_words

NODES_A_STEP = 500  # inserted between two reports of progress
QUESTION_CHARACTERS = 4000  # what is searched for of a longer question

# By list: how it is asked for, and which level of text it does not want.
TEXT_LISTS = {
    "words": ("text_search", "sentence"),
    "meaning": ("default", "sentence"),
    "sentence words": ("text_search", "window"),
    "sentence meaning": ("default", "window"),
}
LISTS = (*TEXT_LISTS, "picture")

RECORD = "index.json"  # in the data folder: of each media, what its folder looked like and which rows it gave
# By media id: its folder, and what loads what it holds, which raises MediaNotFound, StorageError.
Folders = Mapping[str, tuple[Path, Callable[[], Media]]]

log = logging.getLogger(__name__)


class Index:
    """The searchable library. Opened on first use; share one between threads.

    Every method raises LibraryBusy or LibraryError where the vector store cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._stores: Stores | None = None
        self._text: Any = None
        self._image: Any = None
        self._asked: dict[str, tuple[Stores, Any]] = {}  # by kind: what is searched, and with it the stores it is of
        self._rows: dict[str, dict[str, Ids]] = {}  # by kind, by media id: the row ids in the collection
        self._seen: dict[str, tuple] = {}  # by media id: what its folder looked like when it was synced
        self._version: object = None  # of the folders that the collections match
        self._behind: set[str] = set()  # media ids whose texts mostly have no vector of the current embedding
        self._unread: dict[str, str] = {}  # by media id: why its folder could not be looked into
        self._notes: list[str] = []  # what was mended and nobody was told yet

    def sync(
        self, folders: Folders, report: Callable[[float], None] = lambda fraction: None, version: object = None
    ) -> None:
        """Insert what the folders have and the collections lack; remove what the folders no longer have.

        A folder that cannot be looked into keeps no other from it: unread() tells. Quick when nothing changed. `report`
        is told the fraction that is done; `version` says which state of the folders it is: see is_in_step. Raises
        StorageError too, where the disk is full.
        """
        with self._lock, self._whole_or_reopened():
            check_ids(folders)
            stores = self._opened()
            self._unread = {}
            stamps = {media_id: self._stamp(folder) for media_id, (folder, _) in folders.items()}
            changed = [media_id for media_id, stamp in stamps.items() if self._seen.get(media_id) != stamp]
            gone = {one for rows in self._rows.values() for one in rows} - folders.keys()
            for media_id in gone | (self._seen.keys() - folders.keys()):
                self._remove(stores, media_id)
            trimmed = False
            for number, media_id in enumerate(changed):
                done, share = number / len(changed), 1 / len(changed)
                folder, load = folders[media_id]
                try:
                    media = load()
                except (MediaNotFound, StorageError) as error:  # removed just now, or damaged: nothing can be shown
                    self._remove(stores, media_id)
                    if isinstance(error, StorageError):
                        self._unread[media_id] = str(error)
                    continue
                try:
                    found = self._wanted(folder, media)
                except StorageError as error:
                    log.warning("%s is not searched: %s", media.title, error)
                    self._unread[media_id] = str(error)
                    continue
                trimmed |= self._sync_one(media, found, lambda part, d=done, s=share: report(d + s * part))
                self._seen[media_id] = stamps[media_id]
            if trimmed and not stores.agree(self._rows):
                log.warning("The search index lost rows that it was not told to. They are put in again.")
                self.close()
                self.sync(folders, report, version)
                return
            if gone or changed:
                self._write_down()
            self._version = None if self._unread else version
            report(1.0)

    def is_in_step(self, version: object) -> bool:
        """Whether the last sync() brought all of this version in."""
        with self._lock:
            return self._stores is not None and version is self._version

    def _remove(self, stores: Stores, media_id: str) -> None:
        if any(media_id in rows for rows in self._rows.values()):
            stores.check_room()
            stores.delete(media_id)
        self._seen.pop(media_id, None)
        self._behind.discard(media_id)
        for rows in self._rows.values():
            rows.pop(media_id, None)

    def _write_down(self) -> None:
        """What a later start need not look into again. Without it all is looked into, so nothing depends on it."""
        media = {
            media_id: [stamp, self._digests(media_id), media_id in self._behind]
            for media_id, stamp in self._seen.items()
        }
        record = {"texts": self._text.name, "pictures": self._image.name, "media": media}
        try:
            write_whole(self._settings.data_dir / RECORD, json.dumps(record))
        except StorageError as error:
            log.warning("The next start takes longer: %s", error)

    def _read_record(self) -> None:
        """Take what was written down as seen, where the collections hold the very rows that it tells of."""
        try:
            record = json.loads((self._settings.data_dir / RECORD).read_bytes())
            if (record["texts"], record["pictures"]) != (self._text.name, self._image.name):
                return
            for media_id, (stamp, digests, behind) in record["media"].items():
                if digests == self._digests(media_id):
                    self._seen[media_id] = tuple(stamp)
                    (self._behind.add if behind else self._behind.discard)(media_id)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._seen = {}  # none, or none of ours: all is looked into

    def _digests(self, media_id: str) -> dict[str, str]:
        return {kind: rows[media_id].digest() for kind, rows in sorted(self._rows.items()) if media_id in rows}

    def rebuild(self, folders: Folders, report: Callable[[float], None] = lambda fraction: None) -> None:
        """Drop the collections of the current embeddings and make them anew from the folders. Embeds nothing."""
        with self._lock, self._whole_or_reopened():
            self._connected().check_room()  # before anything goes
            self._connected().drop()  # not opened: a collection that does not fit must not stand in the way
            self._rows, self._seen, self._asked, self._version = {}, {}, {}, None
            self.sync(folders, report)

    def search(
        self,
        question: str,
        media_ids: Sequence[str] | None = None,
        limit: int = 100,
        after: float | None = None,
        before: float | None = None,
        wanted: Collection[str] = LISTS,
    ) -> dict[str, list[Hit]]:
        """Ranked lists by name, each best first and at most `limit` long: those `wanted` that something was found for.

        "words" (BM25) and "meaning" hold windows, "sentence words" and "sentence meaning" sentences and pairs of
        them; all four also hold texts on screen and captions. "picture" holds frames. Scores of meaning and picture
        are cosines. Looks in these media (None: in all), and where given only at what stands after and before these
        seconds. Finds what the last sync() put in. Raises EmbeddingError, ModelError too.
        """
        text = clean(question.strip(), QUESTION_CHARACTERS)
        if not text or (media_ids is not None and not media_ids):
            return {}
        ids = None if media_ids is None else sorted(check_ids(media_ids))
        with self._lock:
            stores = self._opened()
            kinds = [kind for kind, rows in self._rows.items() if any(one in rows for one in ids or rows)]
        lists: dict[str, list[Hit]] = {}

        def ask_in_words(retriever: Any) -> Any:
            return retriever.text_to_image_retrieve(text)

        with self._whole_or_reopened(LibraryError, stores), stores.errors():
            if asked := [one for one in TEXT_LISTS if one in wanted and any(kind != IMAGE for kind in kinds)]:
                bundles = self._bundles(text, {TEXT_LISTS[one][0] for one in asked})
                indexes = [self._to_ask(stores, kind) for kind in kinds if kind != IMAGE]
                for found_by in asked:
                    mode, unwanted = TEXT_LISTS[found_by]
                    hits: list[Hit] = []
                    for index in indexes:
                        retriever = _retriever(index, ids, limit, after, before, mode, unwanted)
                        hits += [to_hit(one, found_by) for one in retriever.text_retrieve(bundles[mode])]
                    if hits:  # of several languages: their scores compare as those of the shards of one index do
                        lists[found_by] = sorted(hits, key=lambda hit: -hit.score)[:limit]
            if (
                "picture" in wanted
                and IMAGE in kinds
                and (hits := self._pictures(stores, ask_in_words, ids, limit, after, before))
            ):
                lists["picture"] = hits
        return lists

    def search_by_picture(self, picture: bytes, media_ids: Sequence[str] | None = None, limit: int = 100) -> list[Hit]:
        """Frames that show what this JPEG shows, by CLIP, best first; scores are cosines. [] where CLIP is off.

        Looks in these media (None: in all); finds what the last sync() put in. Raises ModelError where CLIP is named
        in the settings and cannot be had.
        """
        if media_ids is not None and not media_ids:
            return []
        ids = None if media_ids is None else sorted(check_ids(media_ids))
        with self._lock:
            stores = self._opened()
            held = self._rows.get(IMAGE, {})
        if not any(one in held for one in ids or held):
            return []

        def ask(retriever: Any) -> Any:
            from llama_index.core.schema import QueryBundle

            return retriever.image_to_image_retrieve(QueryBundle("", image_path=BytesIO(picture)))

        with self._whole_or_reopened(LibraryError, stores), stores.errors():
            return self._pictures(stores, ask, ids, limit, None, None)

    def _bundles(self, text: str, modes: Collection[str]) -> dict[str, Any]:
        """The question as each mode takes it: embedded, or in words, where those that carry the subject count twice."""
        from llama_index.core.schema import QueryBundle

        bundles = {"text_search": QueryBundle(" ".join([text, *content_words(text)]), embedding=[])}
        if "default" in modes:
            bundles["default"] = QueryBundle(text, embedding=self._text.get_query_embedding(text))
        return bundles

    def behind(self) -> frozenset[str]:
        """The ids of the media, as of the last sync(), whose texts mostly lack vectors of the current embedding."""
        return frozenset(self._behind)

    def pictured(self) -> frozenset[str]:
        """The ids of the media, as of the last sync(), whose frames are there in the CLIP that is set."""
        with self._lock:
            return frozenset(self._rows.get(IMAGE, ()))

    def unread(self) -> Mapping[str, str]:
        """By media id, why its folder could not be looked into, as of the last sync(): what it had stays as it was."""
        return dict(self._unread)

    def notes(self) -> list[str]:
        """What was mended since this was asked last, in words a person reads."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def describe(self) -> str:
        """What is open and what it holds, in one line, such as "Milvus Lite: 8 texts (384-d), 0 pictures"."""
        with self._lock:
            stores, holds = self._opened(), []
            for name, is_image in (("texts", False), ("pictures", True)):
                kinds = [kind for kind in self._rows if (kind == IMAGE) == is_image]
                dimension = f" ({stores.get(kinds[0]).dim}-d)" if kinds else ""
                holds.append(
                    f"{sum(len(ids) for kind in kinds for ids in self._rows[kind].values())} {name}{dimension}"
                )
        return f"{stores.where}: {', '.join(holds)}"

    def close(self) -> None:
        """Let go of the vector store, so that another process can open it. The next call opens it again."""
        with self._lock:
            if self._stores:
                self._stores.close()
            self._stores, self._rows, self._seen, self._asked, self._version = None, {}, {}, {}, None

    def _connected(self) -> Stores:
        if self._stores is None:
            self._text = self._text or text_embedding(self._settings)
            self._image = self._image or image_embedding(self._settings)
            self._stores = open_stores(self._settings, self._text.name, self._image.name)
            self._notes += filter(None, [self._stores.note])
        return self._stores

    def _opened(self) -> Stores:
        """The stores, with every collection open that the current embeddings have, and its rows known."""
        if self._stores is None:
            with self._whole_or_reopened():
                stores = self._connected()
                # Opened even while no folder has vectors: rows of removed videos must be found.
                for kind, dimensions in stores.existing().items():
                    embedding = self._image if kind == IMAGE else self._text
                    if embedding.dimension in dimensions:
                        self._open(kind, embedding.dimension)
                    elif embedding.dimension is None and len(dimensions) == 1:
                        self._open(kind, dimensions[0])
                self._read_record()
        return self._stores

    @contextmanager
    def _whole_or_reopened(
        self, failure: type[BaseException] = BaseException, stores: Stores | None = None
    ) -> Iterator[None]:
        """After a failure half-way nothing is known of the rows: the next call opens and looks again.

        `stores`: what was used. Where another thread has opened others meanwhile, those stay.
        """
        try:
            yield
        except failure:
            with self._lock:
                if stores is None or stores is self._stores:
                    self.close()
            raise

    def _stamp(self, folder: Path) -> tuple:
        paths = (
            f"{folder}/media.json",
            vectors_path(folder, self._text.name),
            vectors_path(folder, self._image.name),
        )
        return tuple(map(_written, paths))

    def _wanted(self, folder: Path, media: Media) -> dict[str, tuple[Sequence[Any], dict[str, Any]]]:
        """By kind, what of a media is searched, and the vectors that its folder has. Raises StorageError."""
        found = {
            text_kind(media.language): (units(media.passages), self._text.name),
            IMAGE: ([(frame, "frame") for frame in media.frames], self._image.name),
        }
        return {kind: (items, load_vectors(folder, name) if items else {}) for kind, (items, name) in found.items()}

    def _sync_one(
        self,
        media: Media,
        found: Mapping[str, tuple[Sequence[Any], dict[str, Any]]],
        report: Callable[[float], None],
    ) -> bool:
        """Bring the rows of one media to what its folder holds; whether any were in the way."""
        trimmed = False
        for kind in {*found, *self._rows}:  # the others too: the language may have been told anew
            items, vectors = found.get(kind, ((), {}))
            wanted = {node_id(media.id, *one): one for one in items if key_of(one[0]) in vectors}
            if kind in found and kind != IMAGE:
                (self._behind.add if 2 * len(wanted) < len(items) else self._behind.discard)(media.id)
            if wanted:
                self._open(kind, len(next(iter(vectors.values()))))
            rows = self._rows.get(kind, {})
            have = set(rows.get(media.id, ()))
            new = [make_node(media.id, *one, vectors[key_of(one[0])]) for row, one in wanted.items() if row not in have]
            if new or have - wanted.keys():
                self._stores.check_room()
            for first in range(0, len(new), NODES_A_STEP):
                # A fresh index each time: one that was given no pictures takes its picture store for empty.
                with self._stores.errors():
                    self._multi_modal(self._stores, kind).insert_nodes(new[first : first + NODES_A_STEP])
                report((first + NODES_A_STEP) / (len(new) + NODES_A_STEP))
            if stale := have - wanted.keys():
                self._stores.delete_rows(kind, media.id, stale)
                trimmed = True
            if wanted:
                rows[media.id] = Ids(wanted)
            else:
                rows.pop(media.id, None)
        return trimmed

    def _open(self, kind: str, dimension: int) -> None:
        """Open the collection of this kind, if it is not open yet, and learn what rows it has."""
        store = self._stores.get(kind)
        if store is None:
            self._stores.open(kind, dimension)
            rows = self._stores.rows(kind)
            if rows is None:
                log.warning("%s held rows twice, or that are not of this library. %s", kind, MADE_ANEW)
                self._stores.empty(kind)
                self._notes.append(MADE_ANEW)
                rows = {}
            self._rows[kind] = rows
        elif store.dim != dimension:
            name = vectors_path(Path(), self._image.name if kind == IMAGE else self._text.name)
            raise LibraryError(
                f"Some videos have vectors of {dimension} numbers and others of {store.dim}: the model behind the "
                f"embedding changed. Delete {name} in each video's folder, then run: python -m pipeline reindex"
            )

    def _multi_modal(self, stores: Stores, kind: str) -> Any:
        from llama_index.core.indices import MultiModalVectorStoreIndex

        return MultiModalVectorStoreIndex.from_vector_store(
            stores.get(kind),  # for pictures alone too, since it cannot do without; never asked for text then
            embed_model=self._text,
            image_vector_store=stores.get(IMAGE),
            image_embed_model=self._image,
            transformations=[self._text],  # never run, since nodes come whole; LlamaIndex's own load a tokenizer
        )

    def _to_ask(self, stores: Stores, kind: str) -> Any:
        """The same, made once: it takes as long as a small search."""
        stores.get(kind)  # says so where it was closed
        known = self._asked.get(kind)
        if known is None or known[0] is not stores:
            known = self._asked[kind] = (stores, self._multi_modal(stores, kind))
        return known[1]

    def _pictures(
        self,
        stores: Stores,
        ask: Callable[[Any], Any],
        ids: list[str] | None,
        limit: int,
        after: float | None,
        before: float | None,
    ) -> list[Hit]:
        try:
            found = ask(_retriever(self._to_ask(stores, IMAGE), ids, limit, after, before))
        except ModelError as error:
            if self._settings.clip_model:  # named in the settings: used, or an error
                raise
            log.warning("Pictures were not searched: %s", error)
            return []
        return [to_hit(one, "picture") for one in found]


def _written(path: str | Path) -> int:
    """When a file was written (ns); 0 where there is none, -1 where it cannot be told: to look into it says why."""
    try:
        return os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        return -1


def _retriever(
    index: Any,
    ids: list[str] | None,
    limit: int,
    after: float | None,
    before: float | None,
    mode: str = "default",
    unwanted: str = "",
) -> Any:
    from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

    window = [MetadataFilter(key="level", value=unwanted, operator=FilterOperator.NE)] if unwanted else []
    if after is not None:
        window.append(MetadataFilter(key="end", value=float(after), operator=FilterOperator.GT))
    if before is not None:
        window.append(MetadataFilter(key="start", value=float(before), operator=FilterOperator.LT))
    return index.as_retriever(
        similarity_top_k=limit,
        image_similarity_top_k=limit,
        vector_store_query_mode=mode,
        doc_ids=ids,
        filters=MetadataFilters(filters=window) if window else None,
    )
