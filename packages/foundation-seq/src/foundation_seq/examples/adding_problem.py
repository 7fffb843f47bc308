# ruff: noqa: T201 - an example prints
"""The adding problem [1]_: two of many numbers are marked; what is their sum?

``python -m foundation_seq.examples.adding_problem`` trains an LSTM and a simple network, and leaves
``plots/adding_gradients.png`` with how far back the gradient of each one reaches.

References
----------
.. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from foundation_nn import Linear, Module, Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures, whole_number
from foundation_nn.optim import Adam
from foundation_nn.training import Trainer
from numpy.typing import NDArray

from foundation_seq import LSTM, RNN, state_gradients
from foundation_seq.plotting import plot_gradient_norms

B, H = 32, 64
STEPS = 1500

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


def make_batch(rng: np.random.Generator, batch: int, width: int) -> Batch:
    """Numbers in [0, 1) and marks, (B, T, 2), one mark in each half; and the sums (B, 1)."""
    values = rng.random((batch, width), np.float32)
    marks = np.zeros_like(values)
    rows = np.arange(batch)
    half = width // 2
    marks[rows, rng.integers(0, half, batch)] = 1
    marks[rows, rng.integers(half, width, batch)] = 1
    return np.stack([values, marks], axis=2), (values * marks).sum(axis=1, keepdims=True)


class Adder(Module):
    """A recurrent layer and a linear output on its last state."""

    def __init__(self, kind: type[RNN] | type[LSTM], rng: np.random.Generator) -> None:
        self.layer = kind(2, H, rng=rng)
        self.output = Linear(H, 1, rng=rng)

    def forward(self, x: NDArray[np.float32]) -> Tensor:
        """From (B, T, 2) to (B, 1)."""
        output, _ = self.layer(x)
        return self.output(output[:, -1])


def loss(model: Adder, batch: Batch) -> tuple[Tensor, int]:
    """Mean squared error."""
    x, y = batch
    return F.mse_loss(model(x), y), len(y)


class Endless:
    """New sequences forever."""

    def __init__(self, rng: np.random.Generator, width: int) -> None:
        self.rng = rng
        self.width = width

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield make_batch(self.rng, B, self.width)


def main(argv: Sequence[str] | None = None) -> int:
    """Train both, compare, draw."""
    parser = options(
        "foundation_seq.examples.adding_problem", "Add the two marked numbers.", STEPS, 50
    )
    parser.add_argument(
        "--length", type=whole_number(2), default=60, metavar="T", help="of sequences (default: 60)"
    )
    args = parser.parse_args(argv)
    test = make_batch(np.random.default_rng([args.seed, 1]), 1000, args.length)
    print(f"Always answering 1: mean squared error {np.mean((test[1] - 1) ** 2):.4f}")
    norms = {}
    for kind in (LSTM, RNN):
        model = Adder(kind, np.random.default_rng(args.seed))
        norms[f"{kind.__name__}, fresh"] = state_gradients(model.layer, test[0][:32])
        trainer = Trainer(model, loss, Adam(model, 2e-3), clip_norm=1.0)
        data = Endless(np.random.default_rng([args.seed, 2]), args.length)
        trainer.fit(data, max_steps=args.steps)
        with no_grad():
            error = loss(model, test)[0].item()
        print(f"{kind.__name__} after {args.steps} steps: mean squared error {error:.4f}")
        norms[f"{kind.__name__}, trained"] = state_gradients(model.layer, test[0][:32])
    return pictures(
        args.out, {"adding_gradients.png": lambda path: plot_gradient_norms(norms, path)}
    )


if __name__ == "__main__":
    raise SystemExit(main())
