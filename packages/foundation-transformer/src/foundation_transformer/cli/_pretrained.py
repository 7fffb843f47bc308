"""A model with its tokenizer, published or trained here, for the commands that use one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundation_data import Tokenizer
from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.adapters import Lora
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.cli._folder import find_checkpoint, kind_of
from foundation_transformer.pretrained import (
    BaseModel,
    GenerationDefaults,
    Pretrained,
    find_model,
    load_pretrained,
)
from foundation_transformer.pretrained._hub_cache import cached_model


def load_with_tokenizer(
    path: Path, compact: bool = False, base: Path | None = None
) -> tuple[Pretrained, Tokenizer]:
    """A model, published or of a run, and its tokenizer; ``base`` as for :func:`load_run`.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is no such model, or no tokenizer with it.
    """
    loaded = _loaded(path, compact, base)
    if loaded.tokenizer is None:
        raise ValueError(
            f"{path}: no tokenizer beside the weights; expected tokenizer.json, a model of "
            "SentencePiece, or vocab.json with merges.txt or source.spm and target.spm"
        )
    return loaded, loaded.tokenizer


def is_published(path: Path) -> bool:
    """Whether this looks like a published model, rather than a checkpoint of ours."""
    if path.suffix == ".gguf" or (path / "config.json").is_file():
        return True
    return not path.exists() and cached_model(str(path)) is not None


def _loaded(path: Path, compact: bool, base: Path | None) -> Pretrained:
    if path.exists() and not is_published(path):
        return load_run(path, compact, base)
    if base is not None and path.exists():
        raise ValueError(f"--base: does nothing, for {path} is a published model")
    return load_pretrained(path, compact)


def load_base(path: Path, compact: bool = False) -> Pretrained:
    """A model to use or to tune: a published one, or that of a run.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is none.
    """
    if is_published(path) or not path.exists():  # which says that it is not there
        return load_pretrained(path, compact)
    if compact:
        raise ValueError(
            f"--compact: is for a published model, and {path} is a run; leave it out, or write the "
            "run as one first: foundation export RUN --to hf --out FOLDER"
        )
    return load_run(path)


def record_of(path: Path) -> BaseModel:
    """Where a base is, and its checksum.

    Raises
    ------
    OSError
        If it is not there.
    """
    return BaseModel.of(find_model(path) if is_published(path) else find_checkpoint(path))


def load_run(path: Path, compact: bool = False, base: Path | None = None) -> Pretrained:
    """The model of a run, and what was saved beside it.

    A change that was learnt beside another model is put around that one: merged into its weights,
    unless they are of one byte.

    Parameters
    ----------
    path : path
        The run, or a checkpoint.
    compact : bool
        Keep the weights of a published base in one byte each.
    base : path, optional
        Where the base of a change is now, if it was moved.

    Raises
    ------
    OSError, ValueError
        If there is no such run, or its base is not there, or another one than it was.
    """
    saved = checkpoint.load(find_checkpoint(path))
    model, extras = saved.model, saved.extras
    if isinstance(model, Lora):
        record: BaseModel = extras["base"]
        change = model
        change.attach(load_base(record.find(base), compact).model)
        model = change.model  # the base, or the classifier around it
        if not compact:
            change.merge()
    elif base is not None:
        raise ValueError(f"--base: does nothing, for {path} holds all its weights")
    elif compact:
        raise ValueError(f"--compact: does nothing, for {path} holds the weights of a run")
    return Pretrained(
        model,
        extras.get("tokenizer"),
        extras.get("chat_template"),
        extras.get("generation", GenerationDefaults()),
    )


def load_any(path: Path, base: Path | None = None) -> checkpoint.Checkpoint:
    """A checkpoint of ours, or a published model as if it were one.

    ``base`` is as for :func:`load_run`.

    Raises
    ------
    OSError, ValueError
        If there is neither.
    """
    if is_published(path):
        loaded, tokenizer = load_with_tokenizer(path, base=base)
        extras: dict[str, object] = {"tokenizer": tokenizer}
        if loaded.target_tokenizer is not None:
            extras = {
                "source_tokenizer": tokenizer,
                "target_tokenizer": loaded.target_tokenizer,
                "decoding": loaded.translator.decoding,
            }
        return checkpoint.Checkpoint(loaded.model, extras, None)
    saved = checkpoint.load(find_checkpoint(path))
    if isinstance(saved.model, Lora):
        return saved._replace(model=load_run(path, base=base).model)
    if base is not None:
        raise ValueError(f"--base: does nothing, for {path} holds all its weights")
    return saved


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


def language_model(path: Path, compact: bool = False, base: Path | None = None) -> Writer:
    """A language model of either kind; ``base`` as for :func:`load_run`.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is none.
    """
    loaded = _loaded(path, compact, base)
    if not isinstance(loaded.model, CausalLM) or loaded.tokenizer is None:
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}, not a language model with its tokenizer"
        )
    return Writer(
        loaded.model, loaded.tokenizer, loaded.stop_ids, loaded.generation, loaded.chat_template
    )


def text_encoder(path: Path) -> Pretrained:
    """A text encoder of either kind, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded, _ = load_with_tokenizer(path)
    if not isinstance(loaded.model, TextEncoder):
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}; expected a text encoder such as MiniLM"
        )
    return loaded


def text_classifier(path: Path, base: Path | None = None) -> Pretrained:
    """A model of either kind with a head that classifies, and its tokenizer.

    ``base`` is as for :func:`load_run`.

    Raises
    ------
    OSError, ValueError
        If there is none.
    """
    loaded, _ = load_with_tokenizer(path, base=base)
    if not isinstance(loaded.model, TextClassifier):
        raise ValueError(
            f"{path}: holds {kind_of(loaded.model)}; expected one with a head that classifies"
        )
    return loaded
