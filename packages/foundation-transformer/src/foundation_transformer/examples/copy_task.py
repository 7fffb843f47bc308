# ruff: noqa: T201 - an example prints
"""Digits copied, reversed or sorted by an encoder-decoder transformer of 2 + 2 layers.

``python -m foundation_transformer.examples.copy_task [--task sort]`` trains on strings of up to
ten digits, tests on strings it has not seen, and leaves ``plots/copy_attention.png``: from which
digit of the source each digit was taken. Sockeye [1]_ tests itself with the same tasks.

References
----------
.. [1] F. Hieber et al., "Sockeye: A Toolkit for Neural Machine Translation", 2017,
   arXiv:1712.05690.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import HeatMap, plot_attention
from foundation_nn import no_grad
from foundation_nn.training import evaluate
from foundation_seq import generate

from foundation_transformer._transformer import Transformer
from foundation_transformer._translator import Translator
from foundation_transformer.config import TransformerConfig
from foundation_transformer.examples._lesson import (
    BOS,
    EOS,
    FIRST,
    Pair,
    PairBatch,
    PairBatches,
    draw,
    options,
)
from foundation_transformer.recipes import train_translator, translation_loss

TASKS: dict[str, Callable[[list[int]], list[int]]] = {
    "copy": lambda digits: digits,
    "reverse": lambda digits: digits[::-1],
    "sort": sorted,
}
LONGEST = 10


def strings(task: str, count: int, rng: np.random.Generator) -> list[Pair]:
    """Different strings of digits, as ids, and what is to be made of them."""
    found: dict[tuple[int, ...], list[int]] = {}
    while len(found) < count:
        digits = (FIRST + rng.integers(10, size=rng.integers(1, LONGEST + 1))).tolist()
        found.setdefault(tuple(digits), TASKS[task](digits))
    return [(list(source), target) for source, target in found.items()]


def train(task: str, seed: int, epochs: int = 12) -> tuple[Transformer, float, float, list[Pair]]:
    """A trained model, its perplexity and its share of exact answers, and the test strings."""
    rng = np.random.default_rng(seed)
    pairs = strings(task, 11_000, rng)
    rng.shuffle(pairs)  # the short ones are found first
    seen, unseen = pairs[:10_000], pairs[10_000:]
    config = TransformerConfig.tiny(
        vocab_size=FIRST + 10, max_len=LONGEST + 2, d_model=32, num_heads=4, d_ff=128, dropout=0.0
    )
    model = Transformer(config, rng=rng)
    train_translator(
        model, PairBatches(seen, 64, rng), epochs=epochs, lr=5e-3, label_smoothing=0.0, rng=rng
    )
    loss = evaluate(model, translation_loss(0.0), PairBatches(unseen, 100))
    return model, math.exp(loss), exact(model, unseen), unseen


def exact(model: Transformer, pairs: Sequence[Pair]) -> float:
    """The share of strings that are written without a mistake."""
    right = 0
    for start in range(0, len(pairs), 100):
        some = pairs[start : start + 100]
        batch = PairBatch.of(some)
        translator = Translator(model, batch.source, batch.source_mask)
        written = generate(translator, [[BOS]] * len(some), LONGEST + 2, stop_ids={EOS})
        right += sum(w == target for w, (_, target) in zip(written, some, strict=True))
    return right / len(pairs)


def attention_maps(model: Transformer, pair: Pair) -> list[HeatMap]:
    """Where each head of the last layer looks while it writes."""
    batch = PairBatch.of([pair])
    with no_grad(), capture_attention(model) as maps:
        model(batch.source, batch.target_in)
    keys, queries = ([*(str(i - FIRST) for i in side), "end"] for side in pair)
    heads = maps[-1].weights[0]
    return [HeatMap(w, keys, queries, f"head {i + 1}") for i, w in enumerate(heads)]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, test, draw."""
    parser = options("copy_task", "Copy, reverse or sort digits.")
    parser.add_argument("--task", choices=TASKS, default="copy")
    parser.add_argument("--seeds", type=int, default=1, help="how many to try (default: 1)")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {args.seeds}")
    for seed in range(args.seed, args.seed + args.seeds):
        started = time.perf_counter()
        model, perplexity, share, unseen = train(args.task, seed)
        print(
            f"{args.task}, seed {seed}: of {len(unseen):,} unseen strings {share:.1%} exact, "
            f"perplexity {perplexity:.4f}, after {time.perf_counter() - started:.0f} s"
        )
    title = f"Task “{args.task}”: where each head of the last layer looks"
    example = next(pair for pair in unseen if len(pair[0]) == LONGEST)
    draw(
        lambda path: plot_attention(attention_maps(model, example), path, title=title),
        args.out / f"{args.task}_attention.png",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
