"""``foundation demo``: train a translator, measure it, show it."""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
import time
from pathlib import Path

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import HeatMap, plot_attention
from foundation_data import (
    BatchLoader,
    Pairs,
    TranslationDataset,
    WordTokenizer,
    corpora,
    read_pairs,
    split_pairs,
)
from foundation_nn import checkpoint, no_grad, summary
from foundation_nn.plotting import plot_history
from foundation_nn.training import Progress, Trainer

from foundation_transformer._positions import SinusoidalPositions
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._translate import CHECKPOINT, translate_lines
from foundation_transformer.config import TransformerConfig
from foundation_transformer.evaluation import score_translations
from foundation_transformer.plotting import plot_positions
from foundation_transformer.recipes import train_translator

BATCH_SIZE = 64
MAX_LEN = 64
#: Larger held-out parts are sampled for the scores, so that these take seconds.
MAX_SCORED = 2000


def demo(options: argparse.Namespace) -> None:
    """Run the demo with the parsed options of the command line."""
    folder = options.out or Path("runs", _name(options))
    if options.interactive:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: nothing there yet; train first, without --interactive"
            )
        translate_lines(folder)
        return
    rng = np.random.default_rng(options.seed)

    pairs = _read(options)
    train, _, test = split_pairs(pairs, validation=0.0, test=0.1)
    if not train or not test:
        raise ValueError(
            f"{pairs.report.name}: {len(pairs)} pairs are too few to train on and to hold some "
            "out; a few hundred is the least"
        )
    tokenizers = _train_tokenizers(train)
    train_set, test_set = (TranslationDataset(part, *tokenizers, MAX_LEN) for part in (train, test))
    _describe_data(train_set, test_set, tokenizers, test)

    _require_writable(folder)

    config = TransformerConfig.tiny(
        vocab_size=len(tokenizers[0]), target_vocab_size=len(tokenizers[1]), max_len=MAX_LEN
    )
    model = Transformer(config, rng=rng)
    print(f"\n{summary(model)}\n")

    epochs = options.epochs or max(4, min(30, 120_000 // len(train_set)))
    print(f"Training for {epochs} epochs; Ctrl-C stops early and keeps what was learnt.")
    started = time.perf_counter()
    trainer = train_translator(
        model,
        BatchLoader(train_set, BATCH_SIZE, seed=options.seed),
        epochs=epochs,
        max_seconds=options.max_seconds,
        validation=BatchLoader(test_set, BATCH_SIZE, shuffle=False, bucket=True),
        rng=rng,
        callbacks=[Progress()],
    )
    seconds = time.perf_counter() - started
    _save(folder, trainer, tokenizers)
    print(
        f"Trained {trainer.steps:,} steps in {seconds:.0f} s "
        f"({trainer.history.tokens_per_second:,.0f} target tokens/s)."
    )
    if trainer.stopped_by == "interrupt":
        print("Interrupted; what was learnt so far is a working checkpoint.")
    else:
        _show_translations(model, tokenizers, test, rng)
        _draw(folder, trainer, model, tokenizers, test)
    _say_what_next(folder, options)


def _name(options: argparse.Namespace) -> str:
    if options.data is None:
        return f"emoji-{options.source}-{options.target}"
    return str(options.data.name).removesuffix(".gz").rpartition(".")[0] or options.data.name


def _require_writable(folder: Path) -> None:
    """Find out before training, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        place = folder / CHECKPOINT
        others = [place] if place.is_file() else list(place.glob("*"))
        if others and not (place / "checkpoint.json").is_file():
            raise ValueError(
                f"{place}: exists and is not a checkpoint; choose another folder with --out"
            )
    except OSError as error:
        raise OSError(
            f"{folder}: cannot be written to ({error.strerror}); choose another folder with --out"
        ) from None


def _read(options: argparse.Namespace) -> Pairs:
    if options.data is None:
        pairs = corpora.emoji_pairs(options.source, options.target)
    else:
        pairs = read_pairs(options.data)
    print(pairs.report)
    return pairs


def _train_tokenizers(train: list[tuple[str, str]]) -> tuple[WordTokenizer, WordTokenizer]:
    # In a large corpus a word that occurs once is mostly a slip or a name.
    min_freq = 1 if len(train) < 20_000 else 2
    source, target = zip(*train, strict=True)
    return (
        WordTokenizer.train(source, min_freq=min_freq, max_size=16_000),
        WordTokenizer.train(target, min_freq=min_freq, max_size=16_000),
    )


def _describe_data(
    train_set: TranslationDataset,
    test_set: TranslationDataset,
    tokenizers: tuple[WordTokenizer, WordTokenizer],
    test: list[tuple[str, str]],
) -> None:
    print(
        f"\n{len(train_set):,} pairs to train on, {len(test_set):,} held out"
        " (chosen by a hash of the source)"
    )
    for part in (train_set, test_set):
        if part.report.num_dropped:
            print(f"dropped: {part.report.summary}")
    for side, tokenizer, texts in zip(
        ("source", "target"), tokenizers, zip(*test, strict=True), strict=True
    ):
        print(
            f"{side} vocabulary: {len(tokenizer):,} words; "
            f"{tokenizer.unknown_rate(texts):.1%} of the held-out words are not in it"
        )


def _save(folder: Path, trainer: Trainer, tokenizers: tuple[WordTokenizer, WordTokenizer]) -> None:
    checkpoint.save(
        folder / CHECKPOINT,
        trainer.model,
        trainer.optimizer,
        source_tokenizer=tokenizers[0],
        target_tokenizer=tokenizers[1],
        history=trainer.history,
    )


def _show_translations(
    model: Transformer,
    tokenizers: tuple[WordTokenizer, WordTokenizer],
    test: list[tuple[str, str]],
    rng: np.random.Generator,
) -> None:
    chosen = rng.permutation(len(test))[:MAX_SCORED]
    fits = [test[i] for i in chosen if len(tokenizers[0].encode(test[i][0])) < MAX_LEN]
    sources, references = ([pair[side] for pair in fits] for side in (0, 1))
    translations = translate(model, sources, *tokenizers)
    scores = score_translations(translations, references)
    print(
        f"\nHeld-out pairs: BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}, "
        f"exact match {scores.exact:.3f}  ({len(fits):,} sentences, greedy)\n"
        f"BLEU signature: {scores.signature}\n"
    )
    for source, reference, translation in list(zip(sources, references, translations, strict=True))[
        :12
    ]:
        print(f"  {source}\n    = {translation}")
        if translation != reference:
            print(f"    ≠ {reference}")


def _draw(
    folder: Path,
    trainer: Trainer,
    model: Transformer,
    tokenizers: tuple[WordTokenizer, WordTokenizer],
    test: list[tuple[str, str]],
) -> None:
    plot_history(trainer.history, folder / "loss.png", "Training the translator")
    maps = [_cross_attention(model, tokenizers, source) for source in _telling(test, tokenizers)]
    plot_attention(
        maps,
        folder / "attention.png",
        "Where the translation looks: cross-attention of the last layer, mean of its heads",
    )
    if isinstance(model.positions, SinusoidalPositions):
        plot_positions(model.positions, folder / "positions.png")


def _telling(
    test: list[tuple[str, str]], tokenizers: tuple[WordTokenizer, WordTokenizer], count: int = 4
) -> list[str]:
    """Held-out sentences worth a picture: of readable length, of known words, and unlike."""
    source_tokenizer, target_tokenizer = tokenizers
    lengths = [len(target_tokenizer.tokenize(target)) for _, target in test]
    by_fit = sorted(range(len(test)), key=lambda i: abs(lengths[i] - 7))
    chosen: list[str] = []
    words: set[str] = set()
    # Second time round, whatever is there will do.
    for strict in (True, False):
        for i in by_fit:
            source = test[i][0]
            tokens = source_tokenizer.tokenize(source)
            fresh = words.isdisjoint(tokens) and all(
                token in source_tokenizer.vocabulary for token in tokens
            )
            if len(chosen) < count and source not in chosen and (fresh or not strict):
                chosen.append(source)
                words.update(tokens)
    return chosen


def _cross_attention(
    model: Transformer, tokenizers: tuple[WordTokenizer, WordTokenizer], sentence: str
) -> HeatMap:
    """The weights with which the translation of a sentence was written."""
    source_tokenizer, target_tokenizer = tokenizers
    (translation,) = translate(model, [sentence], *tokenizers)
    source = source_tokenizer.encode(sentence, add_eos=True)
    target = target_tokenizer.encode(translation, add_bos=True)
    with no_grad(), capture_attention(model) as maps:
        model(np.array([source]), np.array([target]))
    cross = [m for m in maps if m.kind == "cross"][-1]

    def words(tokenizer: WordTokenizer, ids: list[int]) -> list[str]:
        return [str(token) for token in tokenizer.vocabulary.to_tokens(ids)]

    # The row that reads a token writes the next one; it is named after what it writes.
    written = [*target[1:], target_tokenizer.vocabulary.specials.eos_id]
    return HeatMap(
        cross.weights[0].mean(axis=0),
        words(source_tokenizer, source),
        words(target_tokenizer, written),
    )


def _say_what_next(folder: Path, options: argparse.Namespace) -> None:
    print("\nWritten:")
    for path in sorted(folder.iterdir()):
        if path.name == CHECKPOINT or path.suffix == ".png":
            print(f"  {path}{'/' if path.is_dir() else ''}")
    launcher = os.environ.get("FOUNDATION_DEMO")  # set where the demo is not on the PATH
    if launcher is None:
        command = shlex.join(["foundation", "translate", str(folder)])
    else:
        given = [] if options.out is None else ["--out", str(options.out)]
        given += [] if options.data is None else ["--data", str(options.data)]
        given += [] if options.source == "en" else ["--from", options.source]
        given += [] if options.target == "fr" else ["--to", options.target]
        command = f"{launcher} {shlex.join([*given, '--interactive'])}"
    print(f"\nTo translate what you type:\n  {command}")
