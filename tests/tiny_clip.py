"""A CLIP model of the real format with small random weights: what CLIPModel.from_pretrained takes, in 1 MB.

It embeds into 512 dimensions like ViT-B/32, so it stands where the real one stands. What it finds means nothing.
"""

import json
from pathlib import Path


def make_clip(folder: Path) -> Path:
    """Write config.json, model.safetensors, the tokenizer and preprocessor_config.json; return the folder."""
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e</w>\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"})
    )
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": 64},
                "crop_size": {"height": 64, "width": 64},
                "do_resize": True,
                "do_center_crop": True,
                "do_normalize": True,
            }
        )
    )
    end = vocabulary["<|endoftext|>"]
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={
            **layers,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": 77,
            "bos_token_id": vocabulary["<|startoftext|>"],
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={**layers, "image_size": 64, "patch_size": 32},
        projection_dim=512,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    return folder


def _vocabulary() -> dict[str, int]:
    """The 256 byte symbols of byte-level BPE, alone and at the end of a word, one merge, and the two marks."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = (chr(256 + place) for place in range(256 - len(printable)))
    symbols = [*map(chr, printable), *others]
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), "th", "the</w>", "<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}
