"""Frames and passages to LlamaIndex nodes, and what was retrieved back to hits. Knows no store and no model."""

import hashlib
from typing import TYPE_CHECKING, Any

from pipeline.errors import LibraryError
from pipeline.search.base import clean
from pipeline.search.vectors import key_of
from pipeline.types import Frame, Hit, Passage

if TYPE_CHECKING:
    from llama_index.core.schema import BaseNode, NodeWithScore

ROW_CHARACTERS = 16_000  # Milvus takes 65,535 bytes of text a row


def node_id(media_id: str, item: Passage | Frame, level: str) -> str:
    """32 hex digits that stay the same as long as the item does, so that inserting twice changes nothing."""
    what = f"{item.kind} {item.image}" if isinstance(item, Passage) else "frame"
    content = f"{media_id}\n{item.start!r}\n{item.end!r}\n{key_of(item)}\n{what}\n{level}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def make_node(media_id: str, item: Passage | Frame, level: str, vector: Any) -> "BaseNode":
    """A passage or a frame as LlamaIndex stores it, with its vector, so that nothing is embedded on the way.

    `level` is what windows.units says of a passage, and "frame" for a frame.
    """
    from llama_index.core.schema import ImageNode, NodeRelationship, RelatedNodeInfo, TextNode

    facts: dict[str, Any] = {"start": item.start, "end": item.end, "image": item.image, "level": level}
    if isinstance(item, Passage):
        facts["kind"] = item.kind
    common = {
        "id_": node_id(media_id, item, level),
        "embedding": vector.tolist(),
        "metadata": facts,
        "excluded_embed_metadata_keys": list(facts),  # else they count as words of the passage
        "excluded_llm_metadata_keys": list(facts),
        "relationships": {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=media_id)},
    }
    if isinstance(item, Frame):
        return ImageNode(**common)  # without text: with it, it would enter the text collection too
    return TextNode(text=clean(item.text, ROW_CHARACTERS), **common)


def to_hit(found: "NodeWithScore", found_by: str) -> Hit:
    """What a retriever found, as the frame or passage that was put in."""
    facts = found.node.metadata
    media_id, kind, image = facts["doc_id"], facts["kind"], facts["image"]
    if not media_id or facts["start"] is None:
        raise LibraryError("The search index holds a row of no video. Run: python -m pipeline reindex")
    start, end = float(facts["start"]), float(facts["end"])
    item = Passage(start, end, found.node.text, kind, image) if kind else Frame(start, end, image)
    return Hit(media_id, item, float(found.score or 0.0), found_by)
