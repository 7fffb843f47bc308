# ruff: noqa: T201 - an example prints
"""Reversal: a network reads up to ten digits and writes them backwards.

``python -m foundation_seq.examples.reverse`` trains a :class:`foundation_seq.Seq2Seq`, tests it on
strings it has not seen, and leaves the loss over the steps in ``plots/reverse.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from foundation_nn.lessons import answered, options, pictures
from foundation_nn.plotting import plot_history
from foundation_nn.training import Progress, Trainer
from numpy.typing import NDArray

from foundation_seq import Seq2Seq, generate
from foundation_seq.recipes import PairBatch, train_seq2seq

DIGITS = 10
MAX_LENGTH = 10
# Ids of the target beyond those of the digits.
BOS = 10
EOS = 11
B = 128
STEPS = 3000


def make_batch(rng: np.random.Generator, batch: int = B) -> PairBatch:
    """Random digits, and the same backwards."""
    lengths = rng.integers(1, MAX_LENGTH, batch, endpoint=True)
    source = rng.integers(DIGITS, size=(batch, MAX_LENGTH))
    places = np.arange(MAX_LENGTH + 1)
    from_the_end = np.clip(lengths[:, None] - 1 - places, 0, None)
    backwards = np.take_along_axis(source, from_the_end, axis=1)  # (B, T), real up to the length
    target_out = np.where(places < lengths[:, None], backwards, -1)
    target_out[np.arange(batch), lengths] = EOS
    target_in = np.concatenate([np.full((batch, 1), BOS), backwards[:, :-1]], axis=1)
    return source, lengths, target_in, target_out


class Endless:
    """New strings forever."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __iter__(self) -> Iterator[PairBatch]:
        while True:
            yield make_batch(self.rng)


def train(seed: int = 0, steps: int = STEPS, progress: bool = False) -> tuple[Seq2Seq, Trainer]:
    """A model that reverses."""
    model = Seq2Seq(DIGITS, DIGITS + 2, 32, 128, rng=np.random.default_rng(seed))
    trainer = train_seq2seq(
        model,
        Endless(np.random.default_rng([seed, 1])),
        steps=steps,
        callbacks=[Progress()] if progress else [],
    )
    return model, trainer


def exact_match(model: Seq2Seq, rng: np.random.Generator, count: int = 2000) -> float:
    """How many of ``count`` new strings are written backwards without a mistake."""
    source, lengths, _, _ = make_batch(rng, count)
    written = generate(
        model.about(source, lengths), [[BOS]] * count, MAX_LENGTH + 1, stop_ids=[EOS]
    )
    right = [
        new == row[:n][::-1].tolist() for new, row, n in zip(written, source, lengths, strict=True)
    ]
    return float(np.mean(right))


def show(digits: NDArray[np.integer] | list[int]) -> str:
    """Digits as one word."""
    return "".join(str(int(d)) for d in digits)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, test, show."""
    parser = options("foundation_seq.examples.reverse", "Write digits backwards.", STEPS, quick=200)
    args = parser.parse_args(argv)
    model, trainer = train(args.seed, args.steps, progress=True)
    rng = np.random.default_rng([args.seed, 2])
    print(f"\nNew strings without a mistake: {exact_match(model, rng):.1%}")
    source, lengths, _, _ = make_batch(rng, 5)
    written = generate(model.about(source, lengths), [[BOS]] * 5, MAX_LENGTH + 1, stop_ids=[EOS])
    for row, length, new in zip(source, lengths, written, strict=True):
        print(answered(show(row[:length]), show(new), show(row[:length][::-1])))
    draw = partial(plot_history, trainer.history, title="Reversing digits", unit="nats per digit")
    return pictures(args.out, {"reverse.png": draw})


if __name__ == "__main__":
    raise SystemExit(main())
