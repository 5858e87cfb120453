"""A cross-encoder of the real format with random weights: what AutoModelForSequenceClassification takes, in 0.2 MB.

Its scores differ much from text to text, and mean nothing.
"""

import string
from pathlib import Path

TOKENS = 64  # question and text together


def make_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write a BERT with this many labels and a WordPiece vocabulary of letters; return the folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    symbols = string.ascii_lowercase + string.digits + string.punctuation
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *symbols, *(f"##{one}" for one in symbols)]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        num_labels=labels,
        initializer_range=0.5,
    )
    torch.manual_seed(labels)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
