"""The ways of inserting into the library, opening it, finding in it, and waiting for the first word of an answer.

In: a Work. Each is measured up to its second `yield`; see cost.py. All but opening begin with an open library.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bench.models import first_of, forward
from pipeline.bench.talk import QUESTIONS, WARM, talk
from pipeline.bench.work import Work
from pipeline.chat.pictures import data_url
from pipeline.finding import HITS
from pipeline.media import folder as folders
from pipeline.media import video
from pipeline.search import minilm, vectors
from pipeline.search.clip import DEFAULT_MODEL
from pipeline.search.embeddings import image_embedding, image_embedding_available, text_embedding
from pipeline.search.index import Index
from pipeline.search.nodes import make_node
from pipeline.search.stores import ENGLISH, IMAGE, LITE_FILE, Stores, open_stores
from pipeline.search.weights import load_clip
from pipeline.search.windows import units
from pipeline.settings import Settings
from pipeline.types import Coverage, Media
from pipeline.workflow import Pipeline, build

if TYPE_CHECKING:
    import openai
    from llama_index.core.schema import BaseNode
    from llama_index.vector_stores.milvus import MilvusVectorStore

    from pipeline.chat.reply import Reply

ROWS = 1000  # inserted by one call, at most
LEVELS = ("sentence", "window")  # of texts: each list is asked for without one of them
JPEG = "image/jpeg"
PICTURES = 64  # that are inserted at most
ASKED = 2  # questions to the model; with one to warm up, as many as one person may ask at a time
DIMENSION = 512  # of a picture's vector, as CLIP ViT-B/32 has it
TOKENS = 64  # of an answer that is not waited for


class _Made:
    """An image embedding that makes its vectors up: where they are is all the same to what is measured."""

    def __init__(self, name: str) -> None:
        self.name, self.dimension = name, DIMENSION

    def get_image_embedding_batch(self, paths: Sequence[str]) -> list[list[float]]:
        import numpy as np

        made = np.random.default_rng(len(paths)).normal(size=(len(paths), DIMENSION))
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).tolist()


def make_library(work: Work) -> Iterator[float | None]:
    """A media of the pictures that are there and of the bench's talk, as long as the video; embedded and inserted."""
    yield
    facts = video.probe(work.video, work.settings.limits)
    media = Media(
        id=work.media.name,
        title="bench",
        source=str(work.video),
        unit="second",
        length=facts.length,
        language="en",
        frames=tuple(video.frames_in(work.media)) if facts.has_video else (),
        passages=talk(facts.length),
        coverage={"speech": Coverage("read", "bench")},
    )
    text = text_embedding(work.settings)
    vectors.embed_text(work.media, media, text, lambda done: None)
    vectors.embed_words(work.media, media, text, lambda done: None)
    if media.frames:
        vectors.embed_frames(work.media, media, _Made(image_embedding(work.settings).name), lambda done: None)
    folders.save(media, work.media)
    with closing(build(work.settings)) as pipeline:
        pipeline.index()
    yield len(units(media.passages))


# -- inserting


def insert(work: Work) -> Iterator[float | None]:
    own, first, media = _own(work), *_two(work)
    with closing(Index(own)) as index:
        index.sync({first.id: (work.media, lambda: first)})
        yield
        index.sync({one.id: (work.media, lambda one=one: one) for one in (first, media)})
        yield sum(map(len, _nodes(work, media)))


def insert_plainly(work: Work) -> Iterator[float | None]:
    """Each by a call of its own."""
    with _empty_stores(work) as (stores, nodes):
        yield
        for store, of_store in zip(stores, nodes, strict=True):
            for node in of_store:
                store.add([node])
        yield sum(map(len, nodes))


def insert_barely(work: Work) -> Iterator[float | None]:
    from llama_index.core.vector_stores.utils import node_to_metadata_dict

    with _empty_stores(work) as (stores, nodes):
        rows = [
            [
                node_to_metadata_dict(node, remove_text=True)
                | {"text": node.text, "id": node.node_id, "embedding": node.embedding}
                for node in of_store
            ]
            for of_store in nodes
        ]
        yield
        for store, of_store in zip(stores, rows, strict=True):
            for first in range(0, len(of_store), ROWS):
                store.client.insert(store.collection_name, of_store[first : first + ROWS])
        yield sum(map(len, rows))


@contextmanager
def _empty_stores(work: Work) -> "Iterator[tuple[list[MilvusVectorStore], list[list[BaseNode]]]]":
    """New collections of texts and pictures that took one row each, and the nodes that they are to take."""
    first, media = _two(work)
    with _stores(_own(work)) as opened:
        pairs = [
            (opened.open(kind, len(warm[0].embedding)), warm, nodes)
            for kind, warm, nodes in zip((ENGLISH, IMAGE), _nodes(work, first), _nodes(work, media), strict=True)
            if warm
        ]
        for store, warm, _ in pairs:
            store.add(warm[:1])
        yield [store for store, _, _ in pairs], [nodes for _, _, nodes in pairs]


def _two(work: Work) -> tuple[Media, Media]:
    """A media of one passage and one picture, and one of as many as are to be inserted."""
    media = first_of(work)
    return (
        replace(media, id="0" * 32, passages=media.passages[:1], frames=media.frames[:1]),
        replace(media, frames=media.frames[:PICTURES]),
    )


def _nodes(work: Work, media: Media) -> "tuple[list[BaseNode], list[BaseNode]]":
    """Of its texts and of its pictures, those that have vectors."""
    items = (
        (text_embedding(work.settings).name, units(media.passages)),
        (image_embedding(work.settings).name, [(frame, "frame") for frame in media.frames]),
    )
    found = []
    for name, wanted in items:
        have = vectors.load_vectors(work.media, name)
        found.append(
            [make_node(media.id, *one, have[key]) for one in wanted if (key := vectors.key_of(one[0])) in have]
        )
    return tuple(found)


def _own(work: Work) -> Settings:
    """The settings with an empty library."""
    return replace(work.settings, data_dir=work.folder / "data")


@contextmanager
def _stores(settings: Settings) -> Iterator[Stores]:
    with closing(open_stores(settings, text_embedding(settings).name, image_embedding(settings).name)) as stores:
        yield stores


# -- opening


def open_library(work: Work) -> Iterator[float | None]:
    yield
    with closing(build(work.settings)) as pipeline:
        pipeline.index()
        yield 1


def open_plainly(work: Work) -> Iterator[float | None]:
    """All is inserted anew."""
    yield
    with closing(Index(_own(work))) as index:
        index.sync({work.media.name: (work.media, lambda: folders.load(work.media))})
        yield 1


def open_barely(work: Work) -> Iterator[float | None]:
    yield
    from pymilvus import MilvusClient

    with closing(MilvusClient(str(work.settings.data_dir / LITE_FILE))) as client:
        for name in client.list_collections():
            client.load_collection(name)
        yield 1


# -- finding


def find(work: Work) -> Iterator[float | None]:
    with closing(build(work.settings)) as pipeline:
        pipeline.find(WARM, [work.media.name])
        yield
        for question in QUESTIONS:
            pipeline.find(question, [work.media.name])
        yield len(QUESTIONS)


def find_plainly(work: Work) -> Iterator[float | None]:
    with _retrievers(work) as ask:
        ask(WARM)
        yield
        for question in QUESTIONS:
            ask(question)
        yield len(QUESTIONS)


def find_barely(work: Work) -> Iterator[float | None]:
    import torch

    by_text, by_picture = _embeddings(work)
    torch.set_num_threads(1)  # one short text gains nothing from a second
    with _stores(work.settings) as stores:
        opened = {kind: stores.open(kind, dimensions[0]) for kind, dimensions in stores.existing().items()}

        def search(kind: str, field: str, asked: "str | list[float]", unwanted: str = "") -> None:
            level = f' and level != "{unwanted}"' if unwanted else ""
            opened[kind].client.search(
                opened[kind].collection_name,
                data=[asked],
                anns_field=field,
                filter=f'doc_id in ["{work.media.name}"]{level}',
                limit=HITS,
                output_fields=["_node_content", "_node_type", "text"] if kind == ENGLISH else ["_node_content"],
            )

        def ask(question: str) -> None:
            meaning = by_text(question)
            for unwanted in LEVELS:
                search(ENGLISH, "embedding", meaning, unwanted)
                search(ENGLISH, "sparse_embedding", question, unwanted)
            if by_picture and IMAGE in opened:
                search(IMAGE, "embedding", by_picture(question))

        ask(WARM)
        yield
        for question in QUESTIONS:
            ask(question)
        yield len(QUESTIONS)


@contextmanager
def _retrievers(work: Work) -> "Iterator[Callable[[str], None]]":
    """What asks for the same lists, each by a LlamaIndex retriever of its own, which embeds the question anew."""
    from llama_index.core import VectorStoreIndex
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

    class Plain(BaseEmbedding):
        _embed: Any = PrivateAttr()

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._embed(query)

        _get_text_embedding = _get_query_embedding

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._embed(query)

    def plain(embed: "Callable[[str], list[float]]") -> Plain:
        made = Plain()
        made._embed = embed
        return made

    by_text, by_picture = _embeddings(work)
    with _stores(work.settings) as stores:
        opened = {kind: stores.open(kind, dimensions[0]) for kind, dimensions in stores.existing().items()}

        def retriever(kind: str, embed: "Callable[[str], list[float]]", mode: str, unwanted: str = "") -> Any:
            level = [MetadataFilter(key="level", value=unwanted, operator=FilterOperator.NE)] if unwanted else []
            return VectorStoreIndex.from_vector_store(opened[kind], embed_model=plain(embed)).as_retriever(
                similarity_top_k=HITS,
                vector_store_query_mode=mode,
                doc_ids=[work.media.name],
                filters=MetadataFilters(filters=level) if level else None,
            )

        every = [retriever(ENGLISH, by_text, mode, level) for mode in ("default", "text_search") for level in LEVELS]
        if by_picture and IMAGE in opened:
            every.append(retriever(IMAGE, by_picture, "default"))

        def ask(question: str) -> None:
            for one in every:
                one.retrieve(question)

        yield ask


def _embeddings(work: Work) -> "tuple[Callable[[str], list[float]], Callable[[str], list[float]] | None]":
    """What embeds a question by the model alone, to find texts, and to find pictures where CLIP is there."""
    import torch

    model, tokenizer = minilm.load()

    def by_text(question: str) -> list[float]:
        return forward(model, tokenizer, [question]).mean(1)[0].tolist()

    if not image_embedding_available(work.settings)[0]:
        return by_text, None
    clip, clip_tokenizer, _, device = load_clip(work.settings.clip_model or DEFAULT_MODEL)

    def by_picture(question: str) -> list[float]:
        with torch.inference_mode():
            inputs = clip_tokenizer([question], truncation=True, return_tensors="pt").to(device)
            return clip.get_text_features(**inputs).pooler_output[0].tolist()

    return by_text, by_picture


# -- the first word of an answer


def make_prompts(work: Work) -> Iterator[float | None]:
    """Keep what the model is sent for each question. The endpoint has then seen it, for all ways alike."""
    yield
    with _copied(work) as pipeline:
        prompts = []
        for question in QUESTIONS[:ASKED]:
            reply = _first_word(pipeline, work, question)
            prompts.append([_drawn(message, pipeline.settings.data_dir) for message in reply.sent])
        work.prompts.write_text(json.dumps(prompts))
    yield ASKED


def first_word(work: Work) -> Iterator[float | None]:
    with _copied(work) as pipeline:
        _first_word(pipeline, work, WARM)
        yield
        for question in QUESTIONS[:ASKED]:
            _first_word(pipeline, work, question)
        yield ASKED


def first_word_plainly(work: Work) -> Iterator[float | None]:
    """The lists as found plainly, then a client of its own for each question."""
    prompts = json.loads(work.prompts.read_text())
    with _retrievers(work) as ask:
        ask(WARM)
        with _client(work) as client:
            _say(client, work, [{"role": "user", "content": "Say yes."}])
        yield
        for question, messages in zip(QUESTIONS, prompts, strict=False):
            ask(question)
            with _client(work) as client:
                _say(client, work, messages)
        yield len(prompts)


def first_word_barely(work: Work) -> Iterator[float | None]:
    prompts = json.loads(work.prompts.read_text())
    with _client(work) as client:
        _say(client, work, [{"role": "user", "content": "Say yes."}])
        yield
        for messages in prompts:
            _say(client, work, messages)
        yield len(prompts)


@contextmanager
def _copied(work: Work) -> Iterator[Pipeline]:
    """A library that nothing was looked at closer in."""
    own = _own(work)
    shutil.copytree(work.settings.data_dir, own.data_dir)
    with closing(build(own)) as pipeline:
        yield pipeline


def _first_word(pipeline: Pipeline, work: Work, question: str) -> "Reply":
    reply = pipeline.ask(question, [work.media.name])
    next(iter(reply), None)
    reply.stop()
    return reply


def _client(work: Work) -> "openai.OpenAI":
    import openai

    return openai.OpenAI(base_url=work.settings.vllm_base_url, api_key=work.settings.vllm_api_key or "EMPTY")


def _say(client: "openai.OpenAI", work: Work, messages: list[dict]) -> None:
    with client.chat.completions.create(
        model=work.settings.vllm_model, messages=messages, max_tokens=TOKENS, stream=True
    ) as stream:
        next((1 for event in stream if event.choices and event.choices[0].delta.content), None)


def _drawn(message: dict, data_dir: Path) -> dict:
    """A message as it was sent, its pictures in it."""
    if isinstance(message["content"], str):
        return message
    parts = [
        {"type": "image_url", "image_url": {"url": data_url((data_dir / p["media"] / p["file"]).read_bytes(), JPEG)}}
        if p["type"] == "picture"
        else p
        for p in message["content"]
    ]
    return message | {"content": parts}
