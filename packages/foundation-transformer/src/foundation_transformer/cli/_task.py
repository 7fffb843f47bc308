"""Data, model and loss of a run, as its settings have them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import (
    BatchLoader,
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    TranslationDataset,
    WordTokenizer,
    read_pairs,
    split_pairs,
)
from foundation_seq import SamplingConfig, generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._streams import printable
from foundation_transformer.config import TransformerConfig
from foundation_transformer.evaluation import score_translations
from foundation_transformer.recipes import (
    RandomWindows,
    consecutive_windows,
    language_model_loss,
    translation_loss,
)

_KINDS = {"word": WordTokenizer, "char": CharTokenizer, "bpe": BPETokenizer}
#: So many held-out sentences are translated for a metric at each evaluation.
_MAX_SCORED = 200


@dataclass(frozen=True)
class Task:
    """What differs between the kinds of runs.

    Attributes
    ----------
    make_model : callable
        From a generator.
    loss : callable
    batches, validation : iterable
    batches_per_epoch : int or None
        None if there are no epochs.
    tokenizers : dict of str to Tokenizer
        As a checkpoint has them.
    samples : callable
    metrics : dict of str to callable
    """

    make_model: Callable[[np.random.Generator], Any]
    loss: Callable[..., Any]
    batches: Any
    validation: Iterable[Any]
    batches_per_epoch: int | None
    tokenizers: dict[str, Tokenizer]
    samples: Callable[[Any], Sequence[str]]
    metrics: dict[str, Callable[[Any], float]]


def make_task(settings: Settings) -> Task:
    """Read the data, train the tokenizers; equal settings and data give equal tasks.

    Raises
    ------
    OSError, ValueError
        If the data cannot be read or are too few.
    """
    make = _translation if settings.task == "translation" else _language_model
    return make(settings)


def loss_of(settings: Settings) -> Callable[..., Any]:
    """Of a run."""
    if settings.task == "translation":
        return translation_loss(settings.label_smoothing)
    return language_model_loss


def _tokenizer(settings: Settings, default: str, texts: Iterable[str], lossless: bool) -> Tokenizer:
    """Train the tokenizer of a run; words always normalise their text, others only if not lossless.

    Sentences that look the same must get the same ids, also when the model is used: the tokenizer
    does it, because everything goes through it. A language model must see the text as it is.
    """
    name = settings.tokenizer or default
    kind: Any = _KINDS[name]
    options = {} if name == "word" else {"lossless": lossless}
    tokenizer: Tokenizer = kind.train(texts, max_size=settings.vocab_size, **options)
    return tokenizer


def _translation(settings: Settings) -> Task:
    pairs = read_pairs(settings.data)
    print(pairs.report)
    train, held_out, _ = split_pairs(pairs, validation=settings.validation, test=0.0)
    if not train or not held_out:
        raise ValueError(f"{settings.data}: {len(pairs)} pairs are too few to hold some out")
    source, target = (
        _tokenizer(settings, "word", side, lossless=False) for side in zip(*train, strict=True)
    )
    sides = source, target
    sets = [
        TranslationDataset(part, source, target, settings.max_len) for part in (train, held_out)
    ]
    config = TransformerConfig.tiny(
        **{
            "vocab_size": len(source),
            "target_vocab_size": len(target),
            "max_len": settings.max_len,
        }
        | settings.model
    )
    fits = [pair for pair in held_out if len(source.encode(pair[0])) < settings.max_len]
    sources, references = ([pair[side] for pair in fits[:_MAX_SCORED]] for side in (0, 1))

    def samples(model: Transformer) -> list[str]:
        shown = sources[: settings.samples]
        written = translate(model, shown, *sides)
        return [printable(f"{s} → {t}") for s, t in zip(shown, written, strict=True)]

    # It asks for untokenized text, which this is; what ends in " ." was written so.
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)

    def metric(model: Transformer) -> float:
        scores = score_translations(translate(model, sources, *sides), references)
        return float(getattr(scores, settings.metric))

    loader = BatchLoader(sets[0], settings.batch_size, seed=settings.seed, prefetch=2)
    return Task(
        lambda rng: Transformer(config, rng=rng),
        loss_of(settings),
        loader,
        BatchLoader(sets[1], settings.batch_size, shuffle=False, bucket=True),
        len(loader),
        {"source_tokenizer": source, "target_tokenizer": target},
        samples,
        {} if settings.metric == "loss" else {settings.metric: metric},
    )


def _language_model(settings: Settings) -> Task:
    text = read_text(Path(settings.data))
    cut = len(text) - round(len(text) * settings.validation)
    tokenizer = _tokenizer(settings, "char", [text[:cut]], lossless=True)
    train, held_out = (np.array(tokenizer.encode(part)) for part in (text[:cut], text[cut:]))
    length = settings.max_len
    if min(len(train), len(held_out)) <= length:
        raise ValueError(
            f"{settings.data}: too short, with {len(train)} tokens to train on and {len(held_out)} "
            f"held out, for windows of {length}; lower --max-len"
        )
    config = TransformerConfig.gpt2(
        **{
            "vocab_size": len(tokenizer),
            "max_len": length,
            "d_model": 128,
            "num_heads": 4,
            "num_layers": 4,
            "bias": False,
        }
        | settings.model
    )

    def samples(model: CausalLM) -> list[str]:
        start, rng = held_out[: length // 2].tolist(), np.random.default_rng(settings.seed)
        new = generate(model, [start], length - len(start), SamplingConfig(temperature=0.8), rng)
        return [f"{tokenizer.decode(start)!r} → {tokenizer.decode(new[0])!r}"]

    return Task(
        lambda rng: CausalLM(config, rng=rng),
        loss_of(settings),
        RandomWindows(
            train, length, settings.batch_size, np.random.default_rng([settings.seed, 1])
        ),
        consecutive_windows(held_out, length, settings.batch_size),
        None,
        {"tokenizer": tokenizer},
        samples,
        {},
    )


def read_text(path: Path) -> str:
    """A text in UTF-8.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8; convert it first, e.g. with iconv") from None
