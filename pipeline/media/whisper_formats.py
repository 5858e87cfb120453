"""Whisper's weights as OpenAI keeps them (a .pt file) <-> as CTranslate2 keeps them (a folder). The numbers are equal.

In: one of the two. Out: the other. Layout of model.bin: ctranslate2/specs/model_spec.py, binary version 6; names of the
layers: ctranslate2/specs/whisper_spec.py and whisper/model.py. Knows neither engines nor where weights come from.
"""

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    State = Mapping[str, np.ndarray]

VERSION = 6  # of model.bin
TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # numbers of CTranslate2 -> NumPy's names
WINDOW = 1500  # encoded frames of a window
MULTILINGUAL = 51_865  # tokens, or more
# CTranslate2's linear layers hold several of OpenAI's, one above the other; that of the keys has no bias there.
SELF = (("query", "key", "value"), ("out",))
CROSS = (("query",), ("key", "value"), ("out",))


# -- a folder -> OpenAI's


def read_folder(folder: Path) -> "tuple[dict[str, int], dict[str, np.ndarray], list[list[int]]]":
    """(dimensions, tensors, alignment heads) as OpenAI names them. Raises OSError, ValueError, KeyError."""
    held = dict(_tensors((folder / "model.bin").read_bytes()))
    config = json.loads((folder / "config.json").read_text())
    tokens, width = held["decoder/embeddings/weight"].shape
    layers = {
        side: sum(
            name.startswith(f"{side}/layer_") and "ffn/linear_0/weight" in name and "scale" not in name for name in held
        )
        for side in ("encoder", "decoder")
    }
    dims = {
        "n_mels": held["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": WINDOW,
        "n_audio_state": width,
        "n_audio_head": int(held["encoder/num_heads"]),
        "n_audio_layer": layers["encoder"],
        "n_vocab": tokens,
        "n_text_ctx": held["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": width,
        "n_text_head": int(held["decoder/num_heads"]),
        "n_text_layer": layers["decoder"],
    }
    state = {
        "decoder.token_embedding.weight": held["decoder/embeddings/weight"],
        "decoder.positional_embedding": held["decoder/position_encodings/encodings"],
        "encoder.positional_embedding": held["encoder/position_encodings/encodings"],
    }
    for conv in ("conv1", "conv2"):
        state |= _renamed(held, f"encoder/{conv}", f"encoder.{conv}")
    state |= _renamed(held, "encoder/layer_norm", "encoder.ln_post") | _renamed(
        held, "decoder/layer_norm", "decoder.ln"
    )
    for side, many in layers.items():
        for number in range(many):
            theirs, ours = f"{side}/layer_{number}", f"{side}.blocks.{number}"
            state |= _parted(held, f"{theirs}/self_attention", f"{ours}.attn", SELF)
            if side == "decoder":
                state |= _parted(held, f"{theirs}/attention", f"{ours}.cross_attn", CROSS)
            state |= _renamed(held, f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
            state |= _renamed(held, f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")
            state |= _renamed(held, f"{theirs}/ffn/layer_norm", f"{ours}.mlp_ln")
    return dims, {name: one.astype("float32") for name, one in state.items()}, config["alignment_heads"]


def _tensors(data: bytes) -> "Iterator[tuple[str, np.ndarray]]":
    """The names and values in a model.bin."""
    import numpy as np

    at = 0

    def take(form: str) -> tuple:
        nonlocal at
        if at + struct.calcsize(form) > len(data):
            raise ValueError("model.bin is cut short")
        found = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return found

    def text() -> str:
        (size,) = take("<H")
        return take(f"<{size}s")[0].rstrip(b"\0").decode()

    (version,) = take("<I")
    if version != VERSION or text() != "WhisperSpec":
        raise ValueError("no Whisper weights of CTranslate2")
    _, many = take("<II")
    scales: dict[str, np.ndarray] = {}
    whole: dict[str, np.ndarray] = {}
    for _ in range(many):
        name, (rank,) = text(), take("<B")
        shape, (kind,), (size,) = take(f"<{rank}I"), take("<B"), take("<I")
        if kind not in TYPES:
            raise ValueError(f"{name} is of a type that cannot be read ({kind})")
        value = np.frombuffer(data, TYPES[kind], size // np.dtype(TYPES[kind]).itemsize, at).reshape(shape)
        at += size
        (scales if name.endswith("_scale") else whole)[name] = value
    for name, value in whole.items():
        if (scale := scales.get(f"{name}_scale")) is not None:  # of 8 bits
            value = value.astype("float32") / scale.reshape(scale.shape + (1,) * (value.ndim - scale.ndim))
        yield name, value


def _renamed(held: "State", theirs: str, ours: str) -> "dict[str, np.ndarray]":
    names = ("gamma", "beta") if f"{theirs}/gamma" in held else ("weight", "bias")
    return {f"{ours}.{new}": held[f"{theirs}/{old}"] for old, new in zip(names, ("weight", "bias"), strict=True)}


def _parted(held: "State", theirs: str, ours: str, joined: tuple[tuple[str, ...], ...]) -> "dict[str, np.ndarray]":
    import numpy as np

    state = _renamed(held, f"{theirs}/layer_norm", f"{ours}_ln")
    for number, parts in enumerate(joined):
        for name in ("weight", "bias"):
            every = np.split(held[f"{theirs}/linear_{number}/{name}"], len(parts))
            state |= {f"{ours}.{part}.{name}": one for part, one in zip(parts, every, strict=True)}
    return {name: one for name, one in state.items() if not name.endswith("key.bias")}


# -- OpenAI's -> a folder


def write_folder(checkpoint: Path, folder: Path, quantization: str = "float16") -> Path:
    """Write a .pt file as CTranslate2 reads it, into a folder; return that. Raises what torch.load does."""
    import ctranslate2
    import torch

    held = torch.load(checkpoint, map_location="cpu", weights_only=True)  # numbers alone: no code in it is run
    dims, state = held["dims"], {name: one.float().numpy() for name, one in held["model_state_dict"].items()}
    spec = ctranslate2.specs.WhisperSpec(
        dims["n_audio_layer"], dims["n_audio_head"], dims["n_text_layer"], dims["n_text_head"]
    )
    for conv in ("conv1", "conv2"):
        _linear(getattr(spec.encoder, conv), f"encoder.{conv}", state)
    _norm(spec.encoder.layer_norm, "encoder.ln_post", state)
    _norm(spec.decoder.layer_norm, "decoder.ln", state)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = state["decoder.token_embedding.weight"]
    for side, name in ((spec.encoder, "encoder"), (spec.decoder, "decoder")):
        side.position_encodings.encodings = state[f"{name}.positional_embedding"]
        for number, layer in enumerate(side.layer):
            block = f"{name}.blocks.{number}"
            _attention(layer.self_attention, f"{block}.attn", state, SELF)
            if name == "decoder":
                _attention(layer.attention, f"{block}.cross_attn", state, CROSS)
            _linear(layer.ffn.linear_0, f"{block}.mlp.0", state)
            _linear(layer.ffn.linear_1, f"{block}.mlp.2", state)
            _norm(layer.ffn.layer_norm, f"{block}.mlp_ln", state)
    tokenizer = _openai_tokenizer(dims["n_vocab"])
    words = _words(tokenizer)
    spec.register_vocabulary(words)
    spec.config.suppress_ids = [*tokenizer.non_speech_tokens]
    spec.config.suppress_ids_begin = [*tokenizer.encode(" "), tokenizer.eot]
    spec.config.lang_ids = [*tokenizer.all_language_tokens] if dims["n_vocab"] >= MULTILINGUAL else []
    # As Whisper takes them where it does not know the model: all heads of the later layers.
    spec.config.alignment_heads = [
        [layer, head]
        for layer in range(dims["n_text_layer"] // 2, dims["n_text_layer"])
        for head in range(dims["n_text_head"])
    ]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": dims["n_mels"]}))
    _tokenizer(words, tokenizer).save(str(folder / "tokenizer.json"))
    return folder


def _linear(spec: Any, name: str, state: "State") -> None:
    spec.weight, spec.bias = state[f"{name}.weight"], state[f"{name}.bias"]


def _norm(spec: Any, name: str, state: "State") -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _attention(spec: Any, name: str, state: "State", joined: tuple[tuple[str, ...], ...]) -> None:
    import numpy as np

    for linear, parts in zip(spec.linear, joined, strict=True):
        weights = [state[f"{name}.{part}.weight"] for part in parts]
        none = np.zeros(len(weights[0]), np.float32)
        linear.weight = np.concatenate(weights)
        linear.bias = np.concatenate([state.get(f"{name}.{part}.bias", none) for part in parts])
    _norm(spec.layer_norm, f"{name}_ln", state)


def _openai_tokenizer(n_vocab: int) -> Any:
    from whisper.tokenizer import get_tokenizer

    is_multilingual = n_vocab >= MULTILINGUAL
    languages = n_vocab - 51_765 - int(is_multilingual)
    return get_tokenizer(is_multilingual, num_languages=languages, language="en", task="transcribe")


def _ranks(tokenizer: Any) -> dict[bytes, int]:
    """The tokens that are text, as bytes, with their numbers."""
    import whisper

    name = tokenizer.encoding.name.split("/")[-1].removesuffix(".tiktoken")
    with open(Path(whisper.__file__).parent / "assets" / f"{name}.tiktoken", encoding="ascii") as file:
        pairs = (line.split() for line in file if line.strip())
        return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _letters() -> dict[int, str]:
    """The letter that stands for each byte in GPT-2's vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    bare = [one for one in range(256) if one not in shown]
    return {one: chr(one) for one in shown} | {one: chr(256 + number) for number, one in enumerate(bare)}


def _words(tokenizer: Any) -> list[str]:
    """All tokens in the order of their numbers, their bytes as letters."""
    letters = _letters()
    text = sorted(_ranks(tokenizer).items(), key=lambda one: one[1])
    special = {number: token for token, number in tokenizer.encoding._special_tokens.items()}
    return ["".join(letters[byte] for byte in token) for token, _ in text] + [special[one] for one in sorted(special)]


def _merges(ranks: dict[bytes, int], letters: dict[int, str]) -> list[tuple[str, str]]:
    """Which two tokens make each longer one: those that are joined last as its bytes are, likelier pairs first."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda one: one[1]):
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            joined = [ranks.get(parts[n] + parts[n + 1], rank) for n in range(len(parts) - 1)]
            at = min(range(len(joined)), key=lambda n: joined[n])
            if joined[at] >= rank:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            merges.append(tuple("".join(letters[byte] for byte in part) for part in parts))
    return merges


def _tokenizer(words: list[str], openai: Any) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    first = openai.eot
    last = openai.no_timestamps + 1  # times are no words
    merges = _merges(_ranks(openai), _letters())
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words[:first])}, merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in words[first:last]])
    tokenizer.add_tokens([AddedToken(word) for word in words[last:]])
    return tokenizer
