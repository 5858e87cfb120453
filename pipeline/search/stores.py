"""The Milvus collections, texts (one for each analyzer) and images: open, list, delete, close.

The only file that knows Milvus.

In: settings, the names of the embeddings. Out: LlamaIndex vector stores and their row ids. Does not know
what a node holds, nor that media folders exist.
"""

import hashlib
import importlib
import json
import logging
import re
import shutil
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.disk import storage_errors
from pipeline.errors import LibraryError, StorageError
from pipeline.search.lease import Lease
from pipeline.settings import Settings

if TYPE_CHECKING:
    from llama_index.vector_stores.milvus import MilvusVectorStore
    from pymilvus import MilvusClient

LITE_FILE, DAMAGED = "library.db", "library.db.damaged"
CONNECT_SECONDS = 8
STARTING_SECONDS = 25  # until Milvus Lite, started with the connection, answers; on a busy machine it takes its time
CALL_SECONDS = 25  # a call that is not answered by then fails
LOAD = {"service": "milvus.proto.milvus.MilvusService", "method": "LoadCollection"}
LOADED_A_SECOND = 2_000_000  # bytes of its file that Milvus Lite loads at least, on a machine with much else to do
LITE_ROOM = 100_000_000  # bytes free; on a full disk Milvus Lite hangs, or says it stored what it did not
CALLS = ("has_collection", "describe_collection", "drop_collection", "query", "query_iterator", "search",
         "hybrid_search", "insert", "upsert", "delete")  # fmt: skip
ROWS_A_CALL = 1000  # deleted
ROWS_A_PAGE = 16_000  # looked at; each page makes Milvus Lite go through all rows
# Milvus Lite's own choice, and its IVF_FLAT, find 59 of the 100 nearest of 100,000 rows, and 15 of those in one video
# of an hour, whatever nlist and nprobe say; comparing all takes 30 ms of CPU there. A server's own choice is a graph.
LITE_INDEX, SERVER_INDEX = "FLAT", "AUTOINDEX"
FACTS = ("doc_id", "start", "end", "image", "kind")  # of a node's metadata, what comes back of a row beside its text
IMAGE = "image"
ENGLISH = "text"
MADE_ANEW = "The search index was damaged. It was made anew from the folders: nothing is lost, read or paid again."
CLOSED = "The search index was closed while it was searched, after a fault or by another part of the app. Try again."
UNKNOWN = "text_standard"  # words as they are: no stemmer for this language, or the language is not known
STEMMERS = {
    "ar": "arabic", "da": "danish", "nl": "dutch", "fi": "finnish", "fr": "french", "de": "german", "el": "greek",
    "hu": "hungarian", "it": "italian", "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
# By kind of collection: what Milvus makes words of a text with. An analyzer belongs to a collection, so there is
# one for each.
ANALYZERS: dict[str, dict] = {
    ENGLISH: {
        "tokenizer": "standard",
        "filter": [
            "lowercase",
            {"type": "stop", "stop_words": ["_english_"]},
            {"type": "stemmer", "language": "english"},
        ],
    },
    **{
        f"text_{language}": {
            "tokenizer": "standard",
            "filter": ["lowercase", {"type": "stemmer", "language": language}],
        }
        for language in dict.fromkeys(STEMMERS.values())
    },
    "text_chinese": {"tokenizer": "jieba"},
    UNKNOWN: {"tokenizer": "standard", "filter": ["lowercase"]},
}
KINDS = (*ANALYZERS, IMAGE)

_ID = re.compile("[0-9a-f]{32}")

log = logging.getLogger(__name__)


def text_kind(language: str) -> str:
    """The kind of collection that texts of a language (ISO 639-1, "" when not known) belong into."""
    special = {"en": ENGLISH, "zh": "text_chinese"}
    return special.get(language) or (f"text_{STEMMERS[language]}" if language in STEMMERS else UNKNOWN)


def load(settings: Settings) -> None:
    """Import what opening takes, and open nothing: who only looks at the page keeps the index from nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # milvus-lite imports pkg_resources
        importlib.import_module("llama_index.vector_stores.milvus")
        if not settings.milvus_uri:
            importlib.import_module("milvus_lite")


def open_stores(settings: Settings, text_name: str, image_name: str) -> "Stores":
    """Connect to Milvus Lite in the data folder, or to the server that MILVUS_URI names.

    Raises LibraryBusy when another process holds the Lite file; LibraryError when the file or the server
    cannot be opened; StorageError when the data folder cannot be written.
    """
    names = {kind: image_name if kind == IMAGE else text_name for kind in KINDS}
    if settings.milvus_uri:
        return Stores(settings.milvus_uri, settings.milvus_token, names, None)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The data folder {settings.data_dir} cannot be made. Set DATA_DIR to a folder that can be written."
        ) from error
    path = settings.data_dir / LITE_FILE
    lease = Lease(path)
    try:
        note = MADE_ANEW if lease.last() and _is_torn(path) else ""
        if note:
            log.warning(note)
            _put_aside(path)
        return Stores(str(path), "", names, lease, note)
    except BaseException:
        _release(path, lease)
        raise


def _is_torn(path: Path) -> bool:
    """Whether a Milvus Lite file is no whole database. Milvus opens many that are none, and finds what it still can."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as database:
            return database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.OperationalError as error:  # it cannot be looked at: Milvus says why
        log.warning("%s was not checked: %s", path, error)
        return False
    except sqlite3.DatabaseError:
        return True


def _put_aside(path: Path) -> None:
    """Make room for a new file. Raises StorageError."""
    with storage_errors(path):
        for beside in ("-journal", "-wal", "-shm"):  # first: they would be taken for those of the new one
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.replace(path.with_name(DAMAGED))


class Ids(Collection[str]):
    """Row ids, 16 bytes each: of a thousand hours there are millions."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._packed = b"".join(sorted(map(_packed, set(ids))))

    @classmethod
    def of(cls, packed: bytes) -> "Ids":
        """From 16 bytes for each; one that is there twice counts once."""
        ids = cls()
        ids._packed = b"".join(sorted({packed[at : at + 16] for at in range(0, len(packed), 16)}))
        return ids

    def __len__(self) -> int:
        return len(self._packed) // 16

    def __iter__(self) -> Iterator[str]:
        return (self._packed[at : at + 16].hex() for at in range(0, len(self._packed), 16))

    def __contains__(self, one: object) -> bool:
        return one in set(self)

    def digest(self) -> str:
        """The same for the same ids."""
        return hashlib.sha256(self._packed).hexdigest()[:32]


class NoIdOfOurs(ValueError):
    """Something else than 32 hex digits, where an id must stand."""


def _packed(one: str) -> bytes:
    if not _ID.fullmatch(one):
        raise NoIdOfOurs(f"{one!r} is no id of ours")
    return bytes.fromhex(one)


class Stores:
    """An open library: the collections of text and the one of images, of the current embeddings.

    `note`: what was wrong with it when it was opened, in words a person reads; "" for nothing.

    Collections of other embeddings lie beside them untouched. Methods raise LibraryError. Any number of
    threads may search; one at a time may write.
    """

    def __init__(self, uri: str, token: str, names: dict[str, str], lease: "Lease | None", note: str = "") -> None:
        self.note = note
        self._is_closed = False
        self.where = "Milvus Lite" if lease else uri
        self._lease = lease
        self._names = names
        self._open: dict[str, MilvusVectorStore] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # milvus-lite imports pkg_resources
            from pymilvus import MilvusClient

            if lease:
                importlib.import_module("milvus_lite")
        # pymilvus prints a traceback of each error that it raises; here they are raised as LibraryError.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        # On a busy machine Milvus Lite takes seconds to listen, and a server may come back at any time: to knock again
        # after 1, 3, 5, 9, 16 and 26 s is too seldom.
        options: dict[str, Any] = {"grpc.initial_reconnect_backoff_ms": 200, "grpc.max_reconnect_backoff_ms": 500}
        if lease:  # Milvus Lite hangs up on pymilvus's keepalive pings, with a line on standard error each time
            options |= {"grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": 0}
        size = Path(uri).stat().st_size if lease and Path(uri).exists() else 0
        self._loading = CALL_SECONDS + size // LOADED_A_SECOND  # s
        limit = {
            "methodConfig": [
                {"name": [{}], "timeout": f"{CALL_SECONDS}s"},
                {"name": [LOAD], "timeout": f"{self._loading}s"},
            ]
        }
        self._connection = {
            "uri": uri,
            "token": token,
            "timeout": STARTING_SECONDS if lease else CONNECT_SECONDS,
            "dedicated": True,  # closing one really closes it
            "grpc_options": {**options, "grpc.service_config": json.dumps(limit)},
        }
        with self.errors():
            self._client = _bounded(MilvusClient(**self._connection))
            self._client.list_collections(timeout=self._connection["timeout"])

    def get(self, kind: str) -> "MilvusVectorStore | None":
        """The store of this kind if it is open. Raises LibraryError once all were closed, by another thread."""
        if self._is_closed:
            raise LibraryError(CLOSED)
        return self._open.get(kind)

    def existing(self) -> dict[str, list[int]]:
        """The collections that the current embeddings have: the dimensions of each, by kind."""
        with self.errors():
            names = self._client.list_collections(timeout=CONNECT_SECONDS)
        found: dict[str, list[int]] = {}
        for kind, embedding in self._names.items():
            prefix = collection_name(kind, embedding, 0).removesuffix("0")
            ends = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
            if dimensions := sorted(int(end) for end in ends if end.isdecimal()):
                found[kind] = dimensions
        return found

    def open(self, kind: str, dimension: int) -> "MilvusVectorStore":
        """The store of this kind, its collection made if need be. Vectors have `dimension` numbers."""
        if kind in self._open:
            return self._open[kind]
        from llama_index.vector_stores.milvus import MilvusVectorStore
        from llama_index.vector_stores.milvus.utils import BM25BuiltInFunction

        name = collection_name(kind, self._names[kind], dimension)
        words: dict[str, Any] = {}
        if kind != IMAGE:
            analyzer = BM25BuiltInFunction(analyzer_params=ANALYZERS[kind])
            words = {"enable_sparse": True, "sparse_embedding_function": analyzer}
        with self.errors():
            if self._client.has_collection(name, timeout=CONNECT_SECONDS):
                self._check_dimension(name, dimension)
                if self._lease:  # else the first search loads it, which of a hundred hours takes longer than a call may
                    self._client.load_collection(name, timeout=self._loading)
            else:
                self.check_room()
            store = MilvusVectorStore(
                collection_name=name,
                dim=dimension,
                similarity_metric="COSINE",
                batch_size=ROWS_A_CALL,
                index_config={"index_type": LITE_INDEX if self._lease else SERVER_INDEX},
                # Lite looks through all rows for each that it replaces, and nobody else writes into its file.
                upsert_mode=not self._lease,
                use_async_client=False,
                output_fields=[*FACTS],  # neither the vectors nor the node as it was, which takes twice as long to make
                **self._connection,
                **words,
            )
        _bounded(store.client)
        self._open[kind] = store
        return store

    def check_room(self) -> None:
        """StorageError when the disk has too little room for Milvus Lite to write. Ask before adding or deleting."""
        folder = Path(self._connection["uri"]).parent
        if not self._lease:
            return
        with storage_errors(folder):
            free = shutil.disk_usage(folder).free
        if free < LITE_ROOM:
            raise StorageError(
                f"The disk of {folder} is full ({free / 1e6:.0f} MB free). "
                f"Make {LITE_ROOM / 1e6:.0f} MB of room, then try again; nothing that was read is lost."
            )

    def rows(self, kind: str) -> "dict[str, Ids] | None":
        """The ids of all rows of an open store, by media id; None where one is there twice, or is none of ours."""
        packed: dict[str, bytearray] = defaultdict(bytearray)
        store = self._open[kind]
        with self.errors():
            # An iterator, since one query ends at 16,384 rows.
            pages = store.client.query_iterator(
                store.collection_name, batch_size=ROWS_A_PAGE, filter="", output_fields=["id", "doc_id"]
            )
            try:
                while page := pages.next():
                    for row in page:
                        packed[row["doc_id"]] += _packed(row["id"])
            except NoIdOfOurs:
                return None
            finally:
                pages.close()
        try:
            check_ids(packed)
        except ValueError:
            return None
        found = {media_id: Ids.of(bytes(ids)) for media_id, ids in packed.items()}
        return found if self.agree({kind: found}) else None

    def agree(self, rows: "Mapping[str, Mapping[str, Ids]]") -> bool:
        """Whether the open stores hold as many rows as these, by kind and media id.

        A row may be there twice in Milvus Lite, and one that is deleted takes another's of the same id with it. A
        server keeps a row once, and other processes write into it meanwhile.
        """
        return not self._lease or all(self._count(kind) == sum(map(len, of.values())) for kind, of in rows.items())

    def _count(self, kind: str) -> int:
        store = self._open[kind]
        with self.errors():
            (counted,) = store.client.query(store.collection_name, filter="", output_fields=["count(*)"])
        return counted["count(*)"]

    def empty(self, kind: str) -> None:
        """Make the collection of an open store anew, without rows."""
        store = self._open.pop(kind)
        with self.errors():
            store.client.drop_collection(store.collection_name)
            store.client.close()
        self.open(kind, store.dim)

    def delete(self, media_id: str) -> None:
        """Remove every row of one media from the open stores."""
        from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

        check_ids([media_id])
        with self.errors():
            for store in self._open.values():
                # Not store.delete(): it stops at 16,384 rows and leaves the others without a word.
                store.delete_nodes(filters=MetadataFilters(filters=[MetadataFilter(key="doc_id", value=media_id)]))

    def delete_rows(self, kind: str, media_id: str, ids: Collection[str]) -> None:
        """Remove these rows of one media from an open store. Ask agree() whether no other went with them."""
        from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

        check_ids([media_id])
        ids = sorted(check_ids(ids))
        with self.errors():
            for first in range(0, len(ids), ROWS_A_CALL):
                self._open[kind].delete_nodes(
                    node_ids=ids[first : first + ROWS_A_CALL],
                    filters=MetadataFilters(filters=[MetadataFilter(key="doc_id", value=media_id)]),
                )

    def drop(self) -> None:
        """Remove the collections of the current embeddings, whole. The folders still hold every vector."""
        with self.errors():
            for kind, dimensions in self.existing().items():
                for dimension in dimensions:
                    name = collection_name(kind, self._names[kind], dimension)
                    self._client.drop_collection(name, timeout=CALL_SECONDS)
            for store in self._open.values():
                store.client.close()
            self._open.clear()

    def close(self) -> None:
        """Let go of the connection and, where it is Milvus Lite, of its file. May be called twice."""
        self._is_closed = True
        for store in self._open.values():
            store.client.close()
        self._open.clear()
        self._client.close()
        if self._lease:
            _release(Path(self._connection["uri"]), self._lease)
            self._lease = None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what Milvus raises inside the block into LibraryError."""
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError, ValueError) as error:
            if self._is_closed:
                raise LibraryError(CLOSED) from error
            if isinstance(error, ValueError):
                raise
            raise LibraryError(self._words(error)) from error
        except IndexError as error:  # LlamaIndex takes the first result of an answer that holds none
            raise LibraryError(
                f"{self.where} sent an answer without content. Try again; if that does not help, see its log. "
                "Nothing that was read is lost."
            ) from error

    def _words(self, error: Exception) -> str:
        said = " ".join(_codes(error))
        if not self._connection["uri"].startswith(("http://", "https://")):
            if "DEADLINE_EXCEEDED" in said:
                return "The search index did not answer in time. Is the disk full? Make room, then try again."
            return (
                f"The search index {LITE_FILE} in the data folder failed: {_first_line(error)}. Try again; if that "
                f"does not help, delete {LITE_FILE} and run: python -m pipeline reindex (nothing is read again)."
            )
        if "UNAUTHENTICATED" in said or "PERMISSION_DENIED" in said:
            return f"The Milvus server {self.where} refused the token. Check MILVUS_TOKEN."
        again = "Nothing that was read is lost."
        if "DEADLINE_EXCEEDED" in said:
            return (
                f"The Milvus server {self.where} did not answer in time. Check that it runs and is not overloaded, "
                f"then try again. {again}"
            )
        if "UNAVAILABLE" in said or "Fail connecting" in str(error):
            return f"The Milvus server {self.where} cannot be reached. Start it, or check MILVUS_URI. {again}"
        if "RESOURCE_EXHAUSTED" in said or "rate limit" in str(error).lower():
            return f"The Milvus server {self.where} is overloaded. Wait a little, then try again. {again}"
        if "UNIMPLEMENTED" in said:
            return f"What answers at {self.where} is no Milvus server of version 2.5 or later. Check MILVUS_URI."
        return f"The Milvus server {self.where} failed: {_first_line(error)}. See its log, or check MILVUS_URI. {again}"

    def _check_dimension(self, name: str, dimension: int) -> None:
        fields = self._client.describe_collection(name, timeout=CONNECT_SECONDS)["fields"]
        found = next((field["params"].get("dim") for field in fields if field["name"] == "embedding"), None)
        if found != dimension:
            raise LibraryError(
                f"The collection {name} holds vectors of {found} numbers, and the embedding gives {dimension}. "
                "Run: python -m pipeline reindex"
            )


def _bounded(client: "MilvusClient") -> "MilvusClient":
    """The same client, its calls ending in time: pymilvus tries one that fails 75 times, unless it has a limit."""
    for name in CALLS:
        setattr(client, name, partial(getattr(client, name), timeout=CALL_SECONDS))
    return client


def collection_name(kind: str, embedding: str, dimension: int) -> str:
    """Such as text_german_local_all_minilm_l6_v2_384: another embedding or dimension is another collection."""
    return f"{kind}_{re.sub('[^A-Za-z0-9]+', '_', embedding)}_{dimension}"


def check_ids(ids: Collection[str]) -> Collection[str]:
    """The ids, if each is 32 hex digits. ValueError otherwise: ids stand raw in Milvus filters."""
    for one in ids:
        _packed(one)
    return ids


def _codes(error: BaseException) -> Iterator[str]:
    """The gRPC status names of an error and its cause: pymilvus wraps the telling one."""
    for one in (error, error.__cause__):  # no further: pymilvus raises errors from themselves
        code = getattr(one, "code", None)
        yield str(code() if callable(code) else code)


def _first_line(error: Exception) -> str:
    """What Milvus said, without what pymilvus tells of its own tries and channels."""
    text = str(getattr(error, "message", "") or getattr(error, "details", lambda: "")() or error)
    text = re.sub(r"^\[\w+\] Retry [^,]*, (?:StatusCode\.\w+, |message=)?", "", text).partition(", channel_state=")[0]
    return (text.strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _release(path: Path, lease: Lease) -> None:
    if lease.last():
        # Closing the client leaves Milvus Lite's own process running; it goes with its server object.
        from milvus_lite.server_manager import server_manager_instance

        if str(path.resolve()) in server_manager_instance._servers:
            server_manager_instance.release_server(str(path))
    lease.end()
