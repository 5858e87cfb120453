"""Texts in, unit vectors out: MiniLM on this computer, Mistral, or any OpenAI-compatible endpoint.

The door to every embedding; pictures are embedded in clip.py. The classes are LlamaIndex embeddings, so
that an index takes them as they are. Building one costs no model and no call. Knows nothing of media
folders (vectors.py) or Milvus.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.line import hold_line
from pipeline.search import minilm, nearness
from pipeline.search.base import Batched, clean, safe_name, unit
from pipeline.search.clip import image_embedding, image_embedding_available, image_reader
from pipeline.search.services import ONE_TRY, QUESTION, WHOLE, Service
from pipeline.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from llama_index.core.base.embeddings.base import BaseEmbedding

__all__ = ["image_embedding", "image_embedding_available", "image_reader", "text_embedding", "text_reader"]

LOCAL_TEXTS_A_BATCH = 64  # among more there are more of one length, which are read together
MISTRAL_MODEL = "mistral-embed"
MISTRAL_DIMENSION = 1024
TEXTS_A_BATCH = 32
CHARACTERS_A_BATCH = 40_000  # Mistral takes 16,384 tokens a request; English has about 4 characters a token
KEPT_OPEN = 300.0  # s that a connection to a service stays open, unused


def text_embedding(settings: Settings, wait: Callable[[float], None] = time.sleep) -> "BaseEmbedding":
    """The text embedding that the settings name: a LlamaIndex BaseEmbedding with `.name` and `.dimension`.

    `.dimension` is None until the first vector where only the endpoint knows it. Embedding raises
    ModelError (local weights) or EmbeddingError (a service). `wait(seconds)` passes the time between tries.
    """
    kind = settings.text_embedding_kind
    if kind == "mistral":
        return _mistral(settings, wait)
    return _openai(settings, wait) if kind == "openai" else _local()


def text_reader(settings: Settings) -> "BaseEmbedding | minilm.MiniLM":
    """The same for what reads a source: the local one without LlamaIndex, which takes longer to import than to use."""
    return minilm.MiniLM() if settings.text_embedding_kind == "local" else text_embedding(settings)


def near_enough(settings: Settings) -> float | None:
    """From which nearness on something counts as found; None where the embedding's scale was not measured."""
    return nearness.THRESHOLD if settings.text_embedding_kind == "local" else None


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, grouped so that no group is over the limits of a request."""
    group: list[str] = []
    size = 0
    for text in texts:
        if group and (len(group) >= TEXTS_A_BATCH or size + len(text) > CHARACTERS_A_BATCH):
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


@lru_cache(maxsize=1)
def _local() -> "BaseEmbedding":
    from llama_index.core.base.embeddings.base import BaseEmbedding

    class LocalEmbedding(Batched, BaseEmbedding):
        name: str = minilm.NAME
        dimension: int = minilm.DIMENSION

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return minilm.text_vectors(texts).tolist()

        def word_vectors(self, texts: list[str]) -> "list[np.ndarray]":
            """Of each text a unit vector for each of its content words, as it is meant there: float32 (words, 384)."""
            return minilm.word_vectors(texts)

    return LocalEmbedding(model_name="all-MiniLM-L6-v2", embed_batch_size=LOCAL_TEXTS_A_BATCH)


@lru_cache(maxsize=4)  # its connection stays open from one question to the next
def _mistral(settings: Settings, wait: Callable[[float], None]) -> "BaseEmbedding":
    import httpx2  # what mistralai speaks through, and whose errors it lets out
    from llama_index.embeddings.mistralai import MistralAIEmbedding
    from mistralai.client import Mistral
    from mistralai.client.errors import MistralError, NoResponseError

    class MistralEmbedding(Batched, MistralAIEmbedding):
        name: str = MISTRAL_MODEL
        dimension: int = MISTRAL_DIMENSION

        def _get_text_embeddings(self, texts: list[str], within: float = WHOLE) -> list[list[float]]:
            vectors: list[list[float]] = []
            for batch in batches([clean(text) for text in texts]):
                found = service.ask(self._call, batch, within)
                vectors += unit(found, len(batch), self.dimension, service.who).tolist()
            return vectors

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embeddings([query], QUESTION)[0]

        def _call(self, batch: list[str]) -> list[Any]:
            # The parent's call trusts the order of the answer; the index says it.
            data = self._client.embeddings.create(model=self.model_name, inputs=batch).data
            return [one.embedding for one in sorted(data, key=lambda one: one.index or 0)]

    service = Service(
        who="Mistral",
        key=settings.mistral_api_key,
        key_name="MISTRAL_API_KEY",
        errors=(MistralError, NoResponseError, httpx2.HTTPError),
        wait=wait,
    )
    embedding = MistralEmbedding(
        model_name=MISTRAL_MODEL, api_key=settings.mistral_api_key, embed_batch_size=TEXTS_A_BATCH
    )
    server = settings.mistral_base_url.rstrip("/").removesuffix("/v1")
    # A redirect would carry the key along.
    web = httpx2.Client(
        follow_redirects=False,
        event_hooks={"response": [hold_line]},
        limits=httpx2.Limits(keepalive_expiry=KEPT_OPEN),
    )
    client = Mistral(
        api_key=settings.mistral_api_key, server_url=server or None, client=web, timeout_ms=int(1000 * ONE_TRY)
    )
    embedding._client = client
    return embedding


@lru_cache(maxsize=4)
def _openai(settings: Settings, wait: Callable[[float], None]) -> "BaseEmbedding":
    import httpx
    import openai
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr

    class EndpointEmbedding(Batched, BaseEmbedding):
        name: str = safe_name(settings.embedding_model)
        _dimension: int | None = PrivateAttr(default=None)

        @property
        def dimension(self) -> int | None:
            return self._dimension

        def _get_text_embeddings(self, texts: list[str], within: float = WHOLE) -> list[list[float]]:
            vectors: list[list[float]] = []
            for batch in batches([clean(text) for text in texts]):
                array = unit(service.ask(call, batch, within), len(batch), self._dimension, service.who)
                self._dimension = array.shape[1]
                vectors += array.tolist()
            return vectors

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embeddings([query], QUESTION)[0]

    client = openai.OpenAI(
        base_url=settings.embedding_base_url,
        api_key=settings.embedding_api_key or "EMPTY",
        max_retries=0,
        timeout=openai.Timeout(ONE_TRY, connect=3),
        http_client=openai.DefaultHttpxClient(
            follow_redirects=False,  # a redirect would carry the key along
            event_hooks={"response": [hold_line]},
            limits=httpx.Limits(keepalive_expiry=KEPT_OPEN),
        ),
    )

    def call(batch: list[str]) -> list[list[float]] | None:
        # The client asks for base64 when nothing is said, which not every server can send.
        answer = client.embeddings.create(model=settings.embedding_model, input=batch, encoding_format="float")
        data = getattr(answer, "data", None)  # a web page with status 200 arrives as a string
        if not isinstance(data, list):
            return None
        return [one.embedding for one in sorted(data, key=lambda one: one.index or 0)]

    service = Service(
        who=f"The embedding endpoint {settings.embedding_base_url}",
        key=settings.embedding_api_key,
        key_name="EMBEDDING_API_KEY",
        errors=(openai.OpenAIError, ValueError),  # ValueError: what is not JSON
        wait=wait,
    )
    return EndpointEmbedding(model_name=settings.embedding_model, embed_batch_size=TEXTS_A_BATCH)
