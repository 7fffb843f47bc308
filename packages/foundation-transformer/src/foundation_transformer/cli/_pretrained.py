"""A model with its tokenizer, published or trained here, for the commands that use one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundation_data import Tokenizer
from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.cli._folder import find_checkpoint, kind_of
from foundation_transformer.pretrained import (
    GenerationDefaults,
    Pretrained,
    load_pretrained,
)
from foundation_transformer.pretrained._hub_cache import cached_model


def load_with_tokenizer(path: Path, compact: bool = False) -> tuple[Pretrained, Tokenizer]:
    """Load both.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is no such model, or no tokenizer with it.
    """
    loaded = load_pretrained(path, compact)
    if loaded.tokenizer is None:
        raise ValueError(
            f"{path}: no tokenizer beside the weights; expected tokenizer.json, or vocab.json and "
            "merges.txt"
        )
    return loaded, loaded.tokenizer


def is_published(path: Path) -> bool:
    """Whether this looks like a published model, rather than a checkpoint of ours."""
    if path.suffix == ".gguf" or (path / "config.json").is_file():
        return True
    return not path.exists() and cached_model(str(path)) is not None


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


@dataclass(frozen=True)
class Writer:
    """A language model with its tokenizer, published or trained here.

    Attributes
    ----------
    model : CausalLM
    tokenizer : Tokenizer
    stop_ids : list of int
        Tokens that end a text.
    generation : GenerationDefaults
        How it is meant to write; of a model trained here, nothing is said.
    chat_template : ChatTemplate or None
        How it was taught to read a conversation; None if it was not.
    """

    model: CausalLM
    tokenizer: Tokenizer
    stop_ids: list[int]
    generation: GenerationDefaults
    chat_template: ChatTemplate | None = None


def language_model(path: Path, compact: bool = False) -> Writer:
    """A language model of either kind.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is none.
    """
    if is_published(path):
        loaded = load_pretrained(path, compact)
    else:
        saved = checkpoint.load(find_checkpoint(path))
        loaded = Pretrained(saved.model, saved.extras.get("tokenizer"))
    if not isinstance(loaded.model, CausalLM) or loaded.tokenizer is None:
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}, not a language model with its tokenizer"
        )
    return Writer(
        loaded.model, loaded.tokenizer, loaded.stop_ids, loaded.generation, loaded.chat_template
    )


def _of_either_kind(path: Path) -> Pretrained:
    """A published model with its tokenizer, or one that was trained here."""
    if is_published(path) or not path.exists():
        return load_with_tokenizer(path)[0]
    saved = checkpoint.load(find_checkpoint(path))
    tokenizer = saved.extras.get("tokenizer")
    if tokenizer is None:
        raise ValueError(f"{path}: holds {kind_of(saved.model)} without its tokenizer")
    return Pretrained(saved.model, tokenizer)


def text_encoder(path: Path) -> Pretrained:
    """A text encoder of either kind, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded = _of_either_kind(path)
    if not isinstance(loaded.model, TextEncoder):
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}; expected a text encoder such as MiniLM"
        )
    return loaded


def text_classifier(path: Path) -> Pretrained:
    """A model of either kind with a head that classifies, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded = _of_either_kind(path)
    if not isinstance(loaded.model, TextClassifier):
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}; expected one with a head that classifies"
        )
    return loaded
