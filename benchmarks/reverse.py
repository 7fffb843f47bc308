"""The reverse task of the JoeyNMT tutorial: AttentionSeq2Seq learns to turn sequences around.

Integers 0 to 49; training sequences of up to 25 of them, test sequences of up to 30. Prints the
BLEU of the test set after each epoch (theirs, after five: 95.19) and draws one alignment.

    python benchmarks/reverse.py [--epochs 5] [--picture reverse.png]

References
----------
J. Kreutzer, J. Bastings and S. Riezler, "Joey NMT: A Minimalist NMT Toolkit for Novices",
EMNLP 2019 (demo), arXiv:1907.12484.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Sequence

import foundation_nn as fn
import numpy as np
from foundation_attn import AttentionSeq2Seq, capture_attention
from foundation_nn import functional as F
from foundation_nn import padding_mask
from numpy.typing import NDArray

PAD, BOS, EOS, FIRST = 0, 1, 2, 3


def sequences(rng: np.random.Generator, count: int, longest: int) -> list[NDArray[np.int64]]:
    return [rng.integers(0, 50, n) + FIRST for n in rng.integers(1, longest + 1, count)]


def pad(rows: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    mask = padding_mask([len(row) for row in rows])
    ids = np.full(mask.shape, PAD)
    ids[mask] = np.concatenate(rows)
    return ids, mask


def bleu(written: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """Corpus BLEU-4 without smoothing."""
    found, possible = np.zeros(4), np.zeros(4)
    for a, b in zip(written, wanted, strict=True):
        for n in range(1, 5):
            grams = [Counter(zip(*(x[i:] for i in range(n)), strict=False)) for x in (a, b)]
            found[n - 1] += sum((grams[0] & grams[1]).values())
            possible[n - 1] += sum(grams[0].values())
    lengths = [sum(map(len, x)) for x in (written, wanted)]
    if not found.all():
        return 0.0
    brevity = min(0.0, 1 - lengths[1] / lengths[0])
    return 100 * math.exp(brevity + float(np.log(found / possible).mean()))


def batches(
    rows: list[NDArray[np.int64]], size: int, rng: np.random.Generator | None
) -> list[list[NDArray[np.int64]]]:
    """Rows of similar length together, the batches in random order."""
    noise = rng.random(len(rows)) if rng is not None else np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]) + noise[i])
    cut = [[rows[i] for i in order[j : j + size]] for j in range(0, len(rows), size)]
    if rng is not None:
        rng.shuffle(cut)
    return cut


def evaluate(model: AttentionSeq2Seq, rows: list[NDArray[np.int64]]) -> float:
    written, wanted = [], []
    for batch in batches(rows, 250, None):
        source, mask = pad(batch)
        limit = source.shape[1] + 10
        written += model.translate(source, mask, bos_id=BOS, eos_id=EOS, max_new_tokens=limit)
        wanted += [row[::-1].tolist() for row in batch]
    return bleu(written, wanted)


def train(epochs: int, size: int, seed: int) -> tuple[AttentionSeq2Seq, float]:
    rng = np.random.default_rng(seed)
    rows, validation = sequences(rng, 40_000, 25), sequences(rng, 1000, 25)
    test = sequences(rng, 1000, 30)
    model = AttentionSeq2Seq(50 + FIRST, 50 + FIRST, 16, 64, "general", rng=rng)
    optimizer = fn.optim.AdamW(model, lr=1e-3)
    schedule = fn.schedules.plateau(1e-3, factor=0.5, patience=1)
    started, score = time.perf_counter(), 0.0
    for epoch in range(epochs):
        total = tokens = 0.0
        for batch in batches(rows, size, rng):
            source, mask = pad(batch)
            target, real = pad([np.r_[BOS, row[::-1], EOS] for row in batch])
            wanted = np.where(real[:, 1:], target[:, 1:], PAD)
            optimizer.zero_grad()
            with fn.train_mode(rng):
                logits = model(source, target[:, :-1], mask)
                loss = F.cross_entropy(logits, wanted, ignore_index=PAD)
            loss.backward()
            fn.optim.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()
            total += float(loss.data) * real[:, 1:].sum()
            tokens += real[:, 1:].sum()
        held_out, score = evaluate(model, validation), evaluate(model, test)
        schedule.observe(-held_out)
        optimizer.lr = schedule(step=1)
        print(
            f"epoch {epoch + 1}: loss {total / tokens:.4f}, BLEU {held_out:.2f} validation, "
            f"{score:.2f} test, {time.perf_counter() - started:.0f} s",
            flush=True,
        )
    return model, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", help="where to draw one alignment")
    options = parser.parse_args()
    fn.keep_freed_memory()
    model, _ = train(options.epochs, options.batch, options.seed)
    if options.picture:
        from foundation_attn.plotting import HeatMap, plot_attention

        row = np.random.default_rng(1).integers(0, 50, 20) + FIRST
        with capture_attention() as maps:
            model(row[None], np.r_[BOS, row[::-1]][None])
        names = [str(i - FIRST) for i in row]
        weights = maps[0].weights[0, 0, :-1]
        plot_attention([HeatMap(weights, names, names[::-1])], options.picture, title="Reversed")


if __name__ == "__main__":
    main()
