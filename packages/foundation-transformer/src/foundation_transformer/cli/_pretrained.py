"""A published model with its tokenizer, for the commands that use one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation_data import Tokenizer

from foundation_transformer.pretrained import Pretrained, load_pretrained


def load_with_tokenizer(path: Path, compact: bool = False) -> tuple[Pretrained, Any]:
    """Load both.

    Raises
    ------
    ValueError
        If there is no tokenizer that can be read.
    """
    loaded = load_pretrained(path, compact)
    if loaded.tokenizer is None:
        raise ValueError(
            f"{path}: no tokenizer of a supported kind; expected byte-level BPE or WordPiece"
        )
    return loaded, Tokenizer.from_dict(loaded.tokenizer)
