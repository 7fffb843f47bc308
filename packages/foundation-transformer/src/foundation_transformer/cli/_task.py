"""Data, model and loss of a run, as its settings have them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import (
    BatchLoader,
    Pairs,
    TextDataset,
    Tokenizer,
    TokenStream,
    TranslationDataset,
    read_pairs,
    split_pairs,
)
from foundation_nn.training import Sample
from foundation_seq import SamplingConfig, generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._corpus import read_corpus
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._size import batch_size_of
from foundation_transformer.cli._streams import printable
from foundation_transformer.cli._task_kind import Task
from foundation_transformer.cli._tokenizers import origin_of, tokenizer_for
from foundation_transformer.cli._tuning import tuning_loss, tuning_task
from foundation_transformer.config import TransformerConfig
from foundation_transformer.evaluation import score_translations
from foundation_transformer.recipes import (
    RandomWindows,
    consecutive_windows,
    language_model_loss,
    translation_loss,
)

#: So many held-out sentences, drawn by the seed, are translated for a metric at each evaluation.
_MAX_SCORED = 200


def make_task(
    settings: Settings,
    extras: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> Task:
    """Read the data; equal settings, extras and data give equal tasks.

    Parameters
    ----------
    settings : Settings
        Resolved, see ``_size``.
    extras : dict of str to Any, optional
        Those of a checkpoint, so that a run goes on with the ids it began with. By default
        tokenizers are trained on the data, or those of the model that is tuned.
    folder : path, optional
        Of the run, for the ids of large texts.
    progress : bool
        Whether to draw a bar where reading takes long.

    Raises
    ------
    OSError, ValueError
        If the data cannot be read or are too few.
    """
    if settings.task == "finetune":
        return tuning_task(settings)
    if settings.task == "translation":
        return _translation(settings, extras or {})
    return _language_model(settings, extras or {}, folder, progress)


def loss_of(settings: Settings) -> Callable[..., Any]:
    """Of a run."""
    if settings.task == "translation":
        return translation_loss(settings.smoothing)
    return tuning_loss if settings.task == "finetune" else language_model_loss


def read_columns(
    path: str | Path, columns: str | None, skip_header: bool, delimiter: str | None
) -> Pairs:
    """Pairs, with the columns as one types them.

    Raises
    ------
    OSError, ValueError
        If they cannot be read, or the columns are not two.
    """
    chosen: list[int] | list[str] | None = None
    if columns is not None:
        names = [name.strip() for name in columns.split(",")]
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            raise ValueError(f"columns: expected two of them, such as 1,3, got {columns!r}")
        numbers = [int(name) for name in names if name.isdecimal()]
        if 0 in numbers:
            raise ValueError(f"columns: they are counted from 1, got {columns!r}")
        chosen = [number - 1 for number in numbers] if len(numbers) == 2 else names
    separator = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    return read_pairs(path, delimiter=separator, header=skip_header, columns=chosen)


def _hold_out(settings: Settings, pairs: Pairs) -> tuple[list[Any], list[Any]]:
    """The pairs to train on, and those that are held out: of another file, or a share."""
    if settings.held_out is None:
        train, held_out, _ = split_pairs(pairs, validation=settings.held_out_share, test=0.0)
        return train, held_out
    table = settings.columns, settings.skip_header, settings.delimiter
    others = read_columns(settings.held_out, *table)
    print(others.report)
    if not others:
        raise ValueError(f"{settings.held_out}: no pair to hold out")
    return list(pairs), list(others)


def _translation(settings: Settings, tokenizers: Mapping[str, Any]) -> Task:
    pairs = read_columns(settings.data, settings.columns, settings.skip_header, settings.delimiter)
    print(pairs.report)
    train, held_out = _hold_out(settings, pairs)
    if not held_out and settings.held_out_share:
        raise ValueError(
            f"{settings.data}: {len(pairs)} pairs are too few to hold some out; "
            "--validation 0 holds out none"
        )
    source, target = (
        tokenizers.get(f"{side}_tokenizer") or tokenizer_for(settings, texts, lossless=False)
        for side, texts in zip(("source", "target"), zip(*train, strict=True), strict=True)
    )
    sides = source, target
    train_set = TranslationDataset(train, source, target, settings.max_len)
    config = TransformerConfig.tiny(
        **{
            "vocab_size": len(source),
            "target_vocab_size": len(target),
            "max_len": settings.max_len,
        }
        | settings.model
    )
    fits = [pair for pair in held_out if len(source.encode(pair[0])) < settings.max_len]
    scored = _drawn(fits, _MAX_SCORED, settings.seed)
    sources, references = ([pair[side] for pair in scored] for side in (0, 1))
    if settings.metric != "loss":
        print(f"{settings.metric} is that of {len(scored):,} of the {len(fits):,} held-out pairs")

    first_of: dict[str, str] = {}  # of a source that has several translations
    for given, wanted in fits:
        first_of.setdefault(given, wanted)
    shown = _spread(first_of, settings.samples)

    def samples(model: Transformer) -> list[str | Sample]:
        written = translate(model, list(shown), *sides)
        return [
            Sample(printable(given), printable(text), printable(expected))
            for (given, expected), text in zip(shown.items(), written, strict=True)
        ]

    # It asks for untokenized text, which this is; what ends in " ." was written so.
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)

    def metric(model: Transformer) -> float:
        scores = score_translations(
            translate(model, sources, *sides), references, settings.target_language
        )
        return float(getattr(scores, settings.metric))

    batch_size = batch_size_of(settings)
    loader = BatchLoader(train_set, batch_size, seed=settings.seed, prefetch=2)
    fingerprints = {"train": train_set.fingerprint}
    validation = None
    if held_out:
        held_out_set = TranslationDataset(held_out, source, target, settings.max_len)
        validation = BatchLoader(held_out_set, batch_size, shuffle=False, bucket=True)
        fingerprints["held_out"] = held_out_set.fingerprint
    return Task(
        config,
        lambda rng: Transformer(config, rng=rng),
        loss_of(settings),
        loader,
        validation,
        len(loader),
        {"source_tokenizer": source, "target_tokenizer": target},
        samples,
        {} if settings.metric == "loss" else {settings.metric: metric},
        fingerprints,
        origin_of(settings),
    )


def _language_model(
    settings: Settings, tokenizers: Mapping[str, Any], folder: Path | None, progress: bool
) -> Task:
    corpus = read_corpus(settings, tokenizers.get("tokenizer"), folder, progress)
    train, held_out, tokenizer = corpus.train, corpus.held_out, corpus.tokenizer
    length = settings.max_len
    holds_out = settings.held_out is not None or settings.held_out_share
    if len(train) <= length or (holds_out and len(held_out) <= length):
        raise ValueError(
            f"{settings.data}: too short, with {len(train)} tokens to train on and {len(held_out)} "
            f"held out, for windows of {length}; lower --max-len"
        )
    print(
        f"{settings.data}: {len(train):,} tokens in {train.num_documents:,} texts to train on, "
        f"{len(held_out):,} held out; {type(tokenizer).__name__} of {len(tokenizer):,}, "
        f"{corpus.origin}"
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

    def samples(model: CausalLM) -> list[str | Sample]:
        start = held_out.read(0, length // 2).tolist()
        rng = np.random.default_rng(settings.seed)
        new = generate(model, [start], length - len(start), SamplingConfig(temperature=0.8), rng)
        texts = start, new[0], held_out.read(len(start), length)
        return [Sample(*(_shown(tokenizer.decode(ids)) for ids in texts))]

    batches, validation = _batches_of_text(settings, train, held_out, tokenizer)
    return Task(
        config,
        lambda rng: CausalLM(config, rng=rng),
        loss_of(settings),
        batches,
        validation,
        len(batches) if settings.pack else None,
        {"tokenizer": tokenizer},
        samples if len(held_out) else None,
        {},
        {"train": train.fingerprint, "held_out": held_out.fingerprint},
        corpus.origin,
    )


def _batches_of_text(
    settings: Settings, train: TokenStream, held_out: TokenStream, tokenizer: Tokenizer
) -> tuple[Any, Any]:
    """Windows from anywhere in the text, or rows of whole texts; and those for evaluation."""
    length, batch_size = settings.max_len, batch_size_of(settings)
    if not settings.pack:
        rng = np.random.default_rng([settings.seed, 1])
        windows = RandomWindows(train, length, batch_size, rng)
        return windows, consecutive_windows(held_out, length, batch_size) if held_out else None
    pad_id = tokenizer.vocabulary.specials.pad_id
    rows = TextDataset.from_ids(train, length, pack=True, pad_id=pad_id)
    batches = BatchLoader(rows, batch_size, seed=settings.seed, prefetch=2)
    if not held_out:
        return batches, None
    rows = TextDataset.from_ids(held_out, length, pack=True, pad_id=pad_id)
    return batches, BatchLoader(rows, batch_size, shuffle=False)


def _drawn(pairs: list[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    """So many of them, drawn by the seed, in their order: in many files the shortest come first."""
    drawn = np.random.default_rng(seed).permutation(len(pairs))[:count]
    return [pairs[i] for i in sorted(drawn.tolist())]


def _spread(pairs: dict[str, str], count: int) -> dict[str, str]:
    """So many of them, from the beginning to the end: in many files the shortest come first."""
    chosen = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
    sources = list(pairs)
    return {sources[i]: pairs[sources[i]] for i in chosen.tolist()}


def _shown(text: str) -> str:
    """A text in which ends of lines can be seen and nothing else acts."""
    return printable(text.replace("\n", "⏎"))
