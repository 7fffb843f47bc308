"""Data, model and loss of a run in which a head learns labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import Tokenizer, TuningExample, read_examples
from foundation_nn.training import Batches as CutBatches
from foundation_nn.training import Sample, batches

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.cli._learner import learner_of, require_change
from foundation_transformer.cli._lessons import split
from foundation_transformer.cli._pretrained import load_base, record_of
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._size import batch_size_of
from foundation_transformer.cli._streams import printable
from foundation_transformer.cli._task_kind import Task
from foundation_transformer.recipes import (
    classification_accuracy,
    classification_loss,
    padded,
)


def labelling_task(settings: Settings, examples: list[TuningExample]) -> Task:
    """Read the base, and make a task of texts with labels.

    Raises
    ------
    OSError, ValueError
        If the base is neither a language model nor an encoder with its tokenizer, there are fewer
        than two labels, or a label is held out and never learnt.
    """
    place = Path(str(settings.base))
    base = load_base(place, settings.compact)
    model, tokenizer = base.model, base.tokenizer
    if not isinstance(model, CausalLM | TextEncoder) or tokenizer is None:
        raise ValueError(
            f"{settings.base}: expected a language model or a text encoder, with its tokenizer"
        )
    if settings.held_out is None:
        train, held_out = split(examples, settings.held_out_share)
    else:
        train, held_out = examples, read_examples(settings.held_out)
    counts = Counter(each.label for each in train)
    labels = sorted(counts)
    if len(labels) < 2:
        raise ValueError(f"{settings.data}: expected at least two labels, got {labels!r:.80}")
    for each in held_out:
        if each.label not in counts:
            raise ValueError(
                f"{settings.held_out or settings.data}, line {each.line}: the label {each.label!r} "
                "is held out, and no text to learn from has it"
            )
    length = min(settings.max_len, model.config.max_len)
    rows, num_cut = _rows(tokenizer, train, length)
    others, others_cut = _rows(tokenizer, held_out, length)
    print(f"{len(train):,} texts to learn from, {len(held_out):,} held out")
    print("labels: " + ", ".join(f"{printable(name)} ({counts[name]:,})" for name in labels))
    if num_cut or others_cut:
        print(f"{num_cut + others_cut:,} longer than {length} tokens: their ends were cut off")
    require_change(settings, model)
    record = record_of(place)
    fingerprints = {"train": _digest(rows, train), "base": record.sha256}
    kept: dict[str, Any] = {"tokenizer": tokenizer}
    if settings.rank is not None:
        kept["base"] = record
    validation = None
    if held_out:
        fingerprints["held_out"] = _digest(others, held_out)
        validation = _batches(others, held_out, labels, batch_size_of(settings), None)
    loader = _batches(
        rows, train, labels, batch_size_of(settings), np.random.default_rng(settings.seed)
    )
    metrics: dict[str, Callable[[Any], float]] = {}
    if validation is not None:
        metrics["accuracy"] = lambda learner: classification_accuracy(learner, validation)
    return Task(
        model.config,
        lambda rng: learner_of(settings, TextClassifier(model, labels, rng=rng), rng),
        classification_loss,
        loader,
        validation,
        len(loader),
        kept,
        _samples(settings, held_out, others, labels) if held_out else None,
        metrics,
        fingerprints,
        f"that of {settings.base}",
        f"TextClassifier on a {type(model).__name__}",
    )


def _rows(
    tokenizer: Tokenizer, examples: Sequence[TuningExample], length: int
) -> tuple[list[list[int]], int]:
    """Each text with what stands around it, and how many were too long."""
    room = length - tokenizer.frame.size
    if room < 1:
        raise ValueError(f"--max-len {length}: leaves no room for a text")
    encoded = [tokenizer.encode(each.text) for each in examples]
    rows = [tokenizer.frame.around(ids[:room]) for ids in encoded]
    return rows, sum(len(ids) > room for ids in encoded)


def _batches(
    rows: list[list[int]],
    examples: Sequence[TuningExample],
    labels: list[str],
    batch_size: int,
    rng: np.random.Generator | None,
) -> CutBatches[Any]:
    numbers = {label: i for i, label in enumerate(labels)}
    targets = np.array([numbers[each.label] for each in examples])
    return batches(*padded(rows), targets, batch_size=batch_size, rng=rng)


def _digest(rows: list[list[int]], examples: Sequence[TuningExample]) -> str:
    """A checksum of the ids and labels."""
    pairs = [(ids, each.label) for ids, each in zip(rows, examples, strict=True)]
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def _samples(
    settings: Settings,
    held_out: Sequence[TuningExample],
    rows: list[list[int]],
    labels: list[str],
) -> Callable[[Any], list[str | Sample]]:
    """What the model says of some texts that are held out."""
    count = min(settings.samples, len(held_out))
    places = np.linspace(0, len(held_out) - 1, count).round().astype(int).tolist()

    def samples(learner: Any) -> list[str | Sample]:
        found: list[str | Sample] = []
        for i in places:
            best = int(learner(np.array([rows[i]])).data.argmax())
            texts = held_out[i].text, labels[best], held_out[i].label
            found.append(Sample(*(printable(text.replace("\n", "⏎")) for text in texts)))
        return found

    return samples
