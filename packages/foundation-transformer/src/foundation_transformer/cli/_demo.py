"""``foundation demo``: train a translator, measure it, show it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from foundation_data import (
    BatchLoader,
    CorpusReport,
    TranslationDataset,
    WordTokenizer,
    corpora,
    split_pairs,
)
from foundation_nn import checkpoint, summary
from foundation_nn.distributed import launch
from foundation_nn.training import Progress

from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._folder import CHECKPOINT, place_for, writable
from foundation_transformer.cli._processes import Crew, how_many, start
from foundation_transformer.cli._show import Tokenizers, draw, show_translations
from foundation_transformer.cli._status import DONE, INTERRUPTED
from foundation_transformer.cli._streams import obeying
from foundation_transformer.cli._task import read_columns
from foundation_transformer.cli._translate import translate_lines
from foundation_transformer.config import TransformerConfig
from foundation_transformer.recipes import train_translator

BATCH_SIZE = 64
MAX_LEN = 64


def demo(options: argparse.Namespace) -> int:
    """Run the demo with the parsed options of the command line; returns the exit status."""
    folder = options.out or Path("runs", _name(options))
    if options.interactive:
        greedy = {
            "beam_size": 1,
            "length_penalty": None,
            "n_best": None,
            "batch_size": 1,
            "prefix": None,
        }
        return translate_lines(argparse.Namespace(folder=folder, file=None, out=None, **greedy))
    if launch.is_launched():  # by this command, in another process: see below
        return _train(options, folder, _read(options))
    with writable(folder):
        data = _read(options)
        data.describe()
        count = how_many(options)
        if_interrupted = place_for(folder, interrupted=True)
        if count > 1:
            status = start(count, options.arguments)
        else:
            status = _train(options, folder, data)
        if status not in (DONE, INTERRUPTED):
            raise SystemExit(status)  # what happened was said by the processes
    interrupted = status == INTERRUPTED
    place = if_interrupted if interrupted else place_for(folder, interrupted=False)
    written = [place]
    try:
        if interrupted:
            print("Interrupted; what was learnt so far is a working checkpoint.")
        else:
            language = options.target if options.data is None else None
            rng = np.random.default_rng(options.seed)
            model, extras, _ = checkpoint.load(place)
            show_translations(model, data.tokenizers, data.test, rng, language)
            written += draw(folder, extras["history"], model, data.tokenizers, data.test)
    except KeyboardInterrupt:
        print("\nInterrupted; the trained model is saved.")
        interrupted = True
    _say_what_next(written, folder, options)
    return INTERRUPTED if interrupted else DONE


def _name(options: argparse.Namespace) -> str:
    if options.data is None:
        return f"emoji-{options.source}-{options.target}"
    return str(options.data.name).removesuffix(".gz").rpartition(".")[0] or options.data.name


@dataclass(frozen=True)
class _Corpus:
    """The pairs of the demo: to train on, and held out."""

    report: CorpusReport
    train_set: TranslationDataset
    test_set: TranslationDataset
    test: list[tuple[str, str]]
    tokenizers: Tokenizers

    def describe(self) -> None:
        """Say what is trained on and how much of what is held out is known."""
        print(self.report)
        print(
            f"\n{len(self.train_set):,} pairs to train on, {len(self.test_set):,} held out"
            " (chosen by a hash of the source)"
        )
        for part in (self.train_set, self.test_set):
            if part.report.num_dropped:
                print(f"dropped: {part.report.summary}")
        sides = zip(*self.test, strict=True)
        for side, tokenizer, texts in zip(
            ("source", "target"), self.tokenizers, sides, strict=True
        ):
            print(
                f"{side} vocabulary: {len(tokenizer):,} words; "
                f"{tokenizer.unknown_rate(texts):.1%} of the held-out words are not in it"
            )


def _read(options: argparse.Namespace) -> _Corpus:
    """Read the pairs, hold some out, and make the words of the others the vocabularies."""
    if options.data is None:
        pairs = corpora.emoji_pairs(options.source, options.target)
    else:
        pairs = read_columns(options.data, options.columns, options.skip_header, options.delimiter)
    train, _, test = split_pairs(pairs, validation=0.0, test=0.1)
    if not train or not test:
        raise ValueError(
            f"{pairs.report.name}: {len(pairs)} pairs are too few to train on and to hold some "
            "out; a few hundred is the least"
        )
    tokenizers = _train_tokenizers(train)
    train_set, test_set = (TranslationDataset(part, *tokenizers, MAX_LEN) for part in (train, test))
    return _Corpus(pairs.report, train_set, test_set, test, tokenizers)


def _train_tokenizers(train: list[tuple[str, str]]) -> Tokenizers:
    # In a large corpus a word that occurs once is mostly a slip or a name.
    min_freq = 1 if len(train) < 20_000 else 2
    source, target = zip(*train, strict=True)
    return (
        WordTokenizer.train(source, min_freq=min_freq, max_size=16_000),
        WordTokenizer.train(target, min_freq=min_freq, max_size=16_000),
    )


def _train(options: argparse.Namespace, folder: Path, data: _Corpus) -> int:
    """Train and save, in one process or, with the others, in several; returns the exit status."""
    crew: Crew = options.crew
    rng = np.random.default_rng(options.seed)
    source, target = data.tokenizers
    config = TransformerConfig.tiny(
        vocab_size=len(source), target_vocab_size=len(target), max_len=MAX_LEN
    )
    model = Transformer(config, rng=rng)
    print(f"\n{summary(model)}\n")
    if crew.size > 1:
        print(f"{crew.line()}.")

    epochs = options.epochs or max(4, min(30, 120_000 // len(data.train_set)))
    print(f"Training for {epochs} epochs; Ctrl-C stops early and keeps what was learnt.")
    started = time.perf_counter()
    trainer = train_translator(
        model,
        BatchLoader(data.train_set, BATCH_SIZE, seed=options.seed),
        epochs=epochs,
        max_seconds=options.max_seconds,
        validation=BatchLoader(data.test_set, BATCH_SIZE, shuffle=False, bucket=True),
        rng=rng,
        callbacks=[] if options.quiet else [Progress(obeying(sys.stderr))],
        comm=crew.comm,
    )
    print(
        f"Trained {trainer.steps:,} steps in {time.perf_counter() - started:.0f} s "
        f"({trainer.history.tokens_per_second:,.0f} target tokens/s)."
    )
    interrupted = trainer.stopped_by == "interrupt"

    def save() -> None:
        checkpoint.save(
            place_for(folder, interrupted),
            model,
            trainer.optimizer,
            source_tokenizer=source,
            target_tokenizer=target,
            history=trainer.history,
        )

    crew.first(save)
    return INTERRUPTED if interrupted else DONE


def _say_what_next(written: list[Path], folder: Path, options: argparse.Namespace) -> None:
    print("\nWritten:")
    for path in written:
        print(f"  {path}{'/' if path.is_dir() else ''}")
    launcher = os.environ.get("FOUNDATION_DEMO")  # set where the demo is not on the PATH
    if launcher is None or written[0].name != CHECKPOINT:
        shown = folder if written[0].name == CHECKPOINT else written[0]
        command = shlex.join(["foundation", "translate", str(shown)])
    else:
        given = [] if options.out is None else ["--out", str(options.out)]
        if options.data is not None:
            given += ["--data", str(options.data)]
        else:
            given += [] if options.source == "en" else ["--from", options.source]
            given += [] if options.target == "fr" else ["--to", options.target]
        command = f"{launcher} {shlex.join([*given, '--interactive'])}"
    print(f"\nTo translate what you type:\n  {command}")
