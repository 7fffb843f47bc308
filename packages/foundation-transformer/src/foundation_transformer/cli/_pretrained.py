"""A model with its tokenizer, published or trained here, for the commands that use one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation_data import Tokenizer
from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.cli._folder import find_checkpoint, kind_of
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


def is_published(path: Path) -> bool:
    """Whether this looks like a published model, rather than a checkpoint of ours."""
    return path.suffix == ".gguf" or (path / "config.json").is_file()


def load_any(path: Path) -> checkpoint.Checkpoint:
    """A checkpoint of ours, or a published model as if it were one.

    Raises
    ------
    OSError, ValueError
        If there is neither.
    """
    if is_published(path):
        loaded, tokenizer = load_with_tokenizer(path)
        return checkpoint.Checkpoint(loaded.model, {"tokenizer": tokenizer}, None)
    return checkpoint.load(find_checkpoint(path))


def language_model(path: Path) -> tuple[CausalLM, Any]:
    """A language model of either kind, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded = load_any(path)
    tokenizer = loaded.extras.get("tokenizer")
    if not isinstance(loaded.model, CausalLM) or tokenizer is None:
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}, not a language model with its tokenizer"
        )
    return loaded.model, tokenizer


def text_encoder(path: Path) -> tuple[TextEncoder, Any]:
    """A published text encoder, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded, tokenizer = load_with_tokenizer(path)
    if not isinstance(loaded.model, TextEncoder):
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}; expected a text encoder such as MiniLM"
        )
    return loaded.model, tokenizer
