# ruff: noqa: T201 - an example prints
"""Classification: three spirals that no straight line can part.

``python -m foundation_nn.examples.classification`` trains a network with two hidden layers, prints
how often it is right, and leaves ``plots/classification.png`` (what it answers everywhere) and
``plots/classification_loss.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from foundation_nn import MLP, Tanh, Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import AdamW
from foundation_nn.plotting import plot_decision_boundary, plot_history
from foundation_nn.schedules import cosine
from foundation_nn.training import History, Trainer

ARMS = 3
STEPS = 1500
Batch = tuple[NDArray[np.float32], NDArray[np.intp]]


def spirals(points: int, rng: np.random.Generator, noise: float = 0.1) -> Batch:
    """``points`` (N, 2) on three arms that wind around one another, and the arm of each (N,)."""
    arm = np.arange(points) % ARMS
    radius = np.sqrt(rng.uniform(0.01, 1, points))  # the root spreads them evenly over the disc
    angle = 7 * radius + 2 * np.pi / ARMS * arm + noise * rng.standard_normal(points)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # (N, 2)
    return x.astype(np.float32), arm


class Batches:
    """Every point once an epoch, in a new order each time."""

    def __init__(self, data: Batch, size: int, rng: np.random.Generator) -> None:
        self.data = data
        self.size = size
        self.rng = rng

    def __iter__(self) -> Iterator[Batch]:
        x, y = self.data
        order = self.rng.permutation(len(x))
        for start in range(0, len(x), self.size):
            chosen = order[start : start + self.size]
            yield x[chosen], y[chosen]


def loss(model: MLP, batch: Batch) -> tuple[Tensor, int]:
    """Cross-entropy: -log of the probability of the right arm."""
    x, y = batch
    return F.cross_entropy(model(Tensor(x)), y), len(y)


def accuracy(model: MLP, data: Batch) -> float:
    """How often the largest logit is that of the right class."""
    x, y = data
    with no_grad():
        return float(np.mean(model(Tensor(x)).data.argmax(axis=1) == y))


def train(data: Batch, seed: int, steps: int = STEPS) -> tuple[MLP, History]:
    """A trained network, and what happened on the way."""
    rng = np.random.default_rng(seed)
    model = MLP([2, 48, 48, ARMS], Tanh, rng=rng)
    trainer = Trainer(
        model, loss, AdamW(model, lr=0.01), schedule=cosine(0.01, steps + 1, warmup=20)
    )
    return model, trainer.fit(Batches(data, 64, rng), max_steps=steps)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, count, draw."""
    parser = options("foundation_nn.examples.classification", "Part three spirals.", STEPS, 300)
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    data, fresh = spirals(600, rng), spirals(3000, rng)
    model, history = train(data, args.seed, args.steps)

    print(
        f"{model.num_parameters():,} parameters, {len(history.steps)} steps, loss "
        f"{history.steps[0].loss:.3f} → {history.steps[-1].loss:.3f}"
    )
    print(f"Accuracy on the {len(data[0])} points it learned from: {accuracy(model, data):.1%}")
    print(f"Accuracy on {len(fresh[0])} new points: {accuracy(model, fresh):.1%}")
    return pictures(
        args.out,
        {
            "classification_loss.png": lambda path: plot_history(
                history, path, title="Three spirals", unit="nats per point"
            ),
            "classification.png": lambda path: plot_decision_boundary(
                model, *data, path, title="Three spirals, parted"
            ),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
