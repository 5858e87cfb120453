"""A Whisper checkpoint as OpenAI's are -> the same weights as faster-whisper reads them, without a network.

In: a .pt file of a multilingual model. Out: a folder: the weights as CTranslate2 keeps them, and the words.
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np

State = dict[str, np.ndarray]


def to_folder(checkpoint: Path, folder: Path, quantization: str = "float16") -> Path:
    """Write the folder; return its path."""
    import ctranslate2
    import torch

    held = torch.load(checkpoint, map_location="cpu", weights_only=True)
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
            _attention(layer.self_attention, f"{block}.attn", state, (("query", "key", "value"), ("out",)))
            if name == "decoder":
                _attention(layer.attention, f"{block}.cross_attn", state, (("query",), ("key", "value"), ("out",)))
            _linear(layer.ffn.linear_0, f"{block}.mlp.0", state)
            _linear(layer.ffn.linear_1, f"{block}.mlp.2", state)
            _norm(layer.ffn.layer_norm, f"{block}.mlp_ln", state)
    words = _words()
    spec.register_vocabulary(words)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [220, words.index("<|endoftext|>")]
    spec.config.lang_ids = list(range(words.index("<|en|>"), words.index("<|translate|>")))
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(words).save(str(folder / "tokenizer.json"))
    return folder


def _linear(spec: Any, name: str, state: State) -> None:
    spec.weight, spec.bias = state[f"{name}.weight"], state[f"{name}.bias"]


def _norm(spec: Any, name: str, state: State) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _attention(spec: Any, name: str, state: State, joined: tuple[tuple[str, ...], ...]) -> None:
    """Each linear layer holds several of OpenAI's, one above the other; that of the keys has no bias there."""
    for linear, parts in zip(spec.linear, joined, strict=True):
        weights = [state[f"{name}.{part}.weight"] for part in parts]
        none = np.zeros(len(weights[0]), np.float32)
        linear.weight = np.concatenate(weights)
        linear.bias = np.concatenate([state.get(f"{name}.{part}.bias", none) for part in parts])
    _norm(spec.layer_norm, f"{name}_ln", state)


def _words() -> list[str]:
    """All tokens of the multilingual models in order, their bytes as letters, as in GPT-2's vocabulary."""
    import whisper
    from tokenizers.pre_tokenizers import ByteLevel
    from whisper.tokenizer import get_tokenizer

    shown = [chr(one) for one in (*range(33, 127), *range(161, 173), *range(174, 256))]
    other = sorted(set(ByteLevel.alphabet()) - set(shown))  # these stand for the bytes that have no letter, in order
    bare = [one for one in range(256) if chr(one) not in shown]
    letters = {ord(one): one for one in shown} | dict(zip(bare, other, strict=True))
    with open(Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken", encoding="ascii") as file:
        tokens = [base64.b64decode(line.split()[0]) for line in file if line.strip()]
    special = get_tokenizer(multilingual=True).encoding.special_tokens_set
    ids = {get_tokenizer(multilingual=True).encoding.encode_single_token(one): one for one in special}
    return ["".join(letters[one] for one in token) for token in tokens] + [ids[one] for one in sorted(ids)]


def _tokenizer(words: list[str]) -> Any:
    """Tells words of tokens, not the other way round: how tokens are joined is left out."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    first = words.index("<|endoftext|>")
    last = words.index("<|notimestamps|>") + 1  # times are no words
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words[:first])}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in words[first:last]])
    tokenizer.add_tokens([AddedToken(word) for word in words[last:]])
    return tokenizer
