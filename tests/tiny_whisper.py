"""A Whisper checkpoint of the real format whose words are known: small enough to make, load and run in a second.

In: a path. Out: a .pt file as OpenAI's are. It hears nothing: for every window of speech it says SAID, in English.
The weights are random but for the positions of the decoder, each of which points to the token that is to come there.
"""

from collections.abc import Sequence
from pathlib import Path

SAID = (
    "The committee discussed the harbour bridge.",
    "Its steel cables were measured in winter.",
    "Nobody expected such an elephant in the library.",
)
WIDTH = 32


def make_checkpoint(
    path: Path, said: Sequence[str] = SAID, width: int = WIDTH, heads: int = 2, layers: int = 1
) -> Path:
    """Write the checkpoint; return its path. It has the vocabulary of the multilingual models."""
    import torch
    from whisper.model import ModelDimensions, Whisper
    from whisper.tokenizer import get_tokenizer

    torch.manual_seed(0)
    dims = ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=width, n_audio_head=heads, n_audio_layer=layers,
        n_vocab=51865, n_text_ctx=448, n_text_state=width, n_text_head=heads, n_text_layer=layers,
    )  # fmt: skip
    model = Whisper(dims)
    tokenizer = get_tokenizer(multilingual=True, language="en", task="transcribe")
    tokens = [tokenizer.to_language_token("en"), tokenizer.transcribe, tokenizer.no_timestamps]
    tokens += [*tokenizer.encode("".join(f" {sentence}" for sentence in said)), tokenizer.eot]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
        words = torch.nn.functional.normalize(torch.randn(dims.n_vocab, width), dim=1)
        model.decoder.token_embedding.weight.copy_(words)
        model.decoder.positional_embedding.copy_(10 * words[tokenizer.eot])
        model.decoder.positional_embedding[: len(tokens)] = 10 * words[tokens]
        model.decoder.ln.weight.fill_(20.0)  # a clear winner at each step: no guessing at higher temperatures
        model.decoder.ln.bias.zero_()
    state = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({"dims": vars(dims), "model_state_dict": state}, path)
    return path
