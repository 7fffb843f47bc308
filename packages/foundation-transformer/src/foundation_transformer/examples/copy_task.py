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
from foundation_nn.lessons import answered, options, pictures, whole_number
from foundation_nn.training import evaluate
from foundation_seq import generate

from foundation_transformer._transformer import Transformer
from foundation_transformer._translator import Translator
from foundation_transformer.config import TransformerConfig
from foundation_transformer.examples._pairs import (
    BOS,
    EOS,
    FIRST,
    Pair,
    PairBatch,
    PairBatches,
)
from foundation_transformer.recipes import train_translator, translation_loss

TASKS: dict[str, Callable[[list[int]], list[int]]] = {
    "copy": lambda digits: digits,
    "reverse": lambda digits: digits[::-1],
    "sort": sorted,
}
LONGEST = 10
EPOCHS = 12
#: Strings to learn from; a tenth as many are to be tested on.
SEEN = 10_000


def strings(task: str, count: int, rng: np.random.Generator) -> list[Pair]:
    """Different strings of digits, as ids, and what is to be made of them."""
    found: dict[tuple[int, ...], list[int]] = {}
    while len(found) < count:
        digits = (FIRST + rng.integers(10, size=rng.integers(1, LONGEST + 1))).tolist()
        found.setdefault(tuple(digits), TASKS[task](digits))
    return [(list(source), target) for source, target in found.items()]


def train(
    task: str, seed: int, epochs: int = EPOCHS
) -> tuple[Transformer, float, float, list[Pair]]:
    """A trained model, its perplexity and its share of exact answers, and the test strings."""
    rng = np.random.default_rng(seed)
    pairs = strings(task, SEEN + SEEN // 10, rng)
    rng.shuffle(pairs)  # the short ones are found first
    seen, unseen = pairs[:SEEN], pairs[SEEN:]
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
        right += sum(w == target for w, (_, target) in zip(write(model, some), some, strict=True))
    return right / len(pairs)


def write(model: Transformer, pairs: Sequence[Pair]) -> list[list[int]]:
    """What the model makes of the sources of some pairs."""
    batch = PairBatch.of(pairs)
    translator = Translator(model, batch.source, batch.source_mask)
    return generate(translator, [[BOS]] * len(pairs), LONGEST + 2, stop_ids={EOS})


def digits(ids: Sequence[int]) -> str:
    """Ids as one word."""
    return "".join(str(i - FIRST) for i in ids)


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
    parser = options(
        "foundation_transformer.examples.copy_task",
        "Copy, reverse or sort digits.",
        EPOCHS,
        quick=1,
        unit="epochs",
        of="how often each string is seen",
    )
    parser.add_argument("--task", choices=TASKS, default="copy")
    parser.add_argument(
        "--seeds", type=whole_number(1), default=1, metavar="N", help="how many to try (default: 1)"
    )
    args = parser.parse_args(argv)
    for seed in range(args.seed, args.seed + args.seeds):
        started = time.perf_counter()
        model, perplexity, share, unseen = train(args.task, seed, args.epochs)
        print(
            f"{args.task}, seed {seed}: of {len(unseen):,} unseen strings {share:.1%} exact, "
            f"perplexity {perplexity:.4f}, after {time.perf_counter() - started:.0f} s"
        )
    for (source, target), written in zip(unseen[:5], write(model, unseen[:5]), strict=True):
        print(answered(digits(source), digits(written), digits(target)))
    title = f"Task “{args.task}”: where the heads of the last layer look"
    example = next(pair for pair in unseen if len(pair[0]) == LONGEST)
    return pictures(
        args.out,
        {
            f"{args.task}_attention.png": lambda path: plot_attention(
                attention_maps(model, example), path, title=title
            )
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
