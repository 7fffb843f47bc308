# ruff: noqa: T201 - an example prints
"""Linear regression: gradient descent finds what a formula can tell at once.

``python -m foundation_nn.examples.linear_regression`` fits a line to noisy points, compares it with
the closed-form solution, and leaves ``plots/linear_regression.png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn import Linear, Tensor
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import SGD
from foundation_nn.plotting import COLORS, log_scale, new_figure, save_figure
from foundation_nn.training import History, Trainer

SLOPE, INTERCEPT, NOISE = 1.7, -0.8, 0.6  # y = 1.7 x - 0.8, and some noise
STEPS = 400
Data = tuple[NDArray[np.float64], NDArray[np.float64]]


class Line(NamedTuple):
    """y = slope · x + intercept."""

    slope: float
    intercept: float


def make_data(seed: int, points: int = 80) -> Data:
    """Points (N, 1) near a line, and their heights (N, 1)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 3, (points, 1))
    return x, SLOPE * x + INTERCEPT + NOISE * rng.standard_normal((points, 1))


def closed_form(data: Data) -> Line:
    """The least-squares line: (XᵀX) w = Xᵀy, with a column of ones for the intercept."""
    x, y = data
    ones = np.ones_like(x)
    X = np.concatenate([x, ones], axis=1)  # (N, 2)
    slope, intercept = np.linalg.solve(X.T @ X, X.T @ y)[:, 0]
    return Line(float(slope), float(intercept))


def loss(model: Linear, data: Data) -> tuple[Tensor, int]:
    """The mean squared distance between the line and the points."""
    x, y = data
    return F.mse_loss(model(Tensor(x)), y), len(y)


def train(data: Data, seed: int, steps: int = STEPS) -> tuple[Line, Line, History]:
    """The line before training, the line after it, and what happened between."""
    model = Linear(1, 1, rng=np.random.default_rng(seed)).astype(np.float64)
    before = Line(model.weight.data.item(), _bias(model))
    trainer = Trainer(model, loss, SGD(model, lr=0.05, momentum=0.8))
    history = trainer.fit([data], max_steps=steps)
    return before, Line(model.weight.data.item(), _bias(model)), history


def _bias(model: Linear) -> float:
    return 0.0 if model.bias is None else model.bias.data.item()


def draw(data: Data, before: Line, after: Line, history: History, path: Path) -> None:
    """The points with the lines, and the loss over the steps."""
    figure, axes = new_figure(11, 4.6, columns=2)
    left, right = axes[0]
    x, y = data
    ends = np.array([x.min() - 0.2, x.max() + 0.2])
    left.scatter(x, y, s=16, color="0.55", label="data")
    left.plot(
        ends, before.slope * ends + before.intercept, "--", color=COLORS[1], label="before training"
    )
    left.plot(
        ends, after.slope * ends + after.intercept, color=COLORS[0], lw=2.2, label="after training"
    )
    left.set(title="The line", xlabel="x", ylabel="y")
    left.legend(frameon=False)
    best = closed_form(data)
    least = float(np.mean((best.slope * x + best.intercept - y) ** 2))
    above = np.array([s.loss for s in history.steps]) - least
    above[above < 1e-15] = np.nan  # what is left is rounding
    above = log_scale(right, "y", above)
    right.plot([s.step for s in history.steps], above, color=COLORS[2], lw=1.6)
    right.set(title=f"The loss, above its least value {least:.4f}", xlabel="step")
    right.set_ylabel("mean squared error − least")
    right.grid(alpha=0.25)
    save_figure(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, compare, draw."""
    parser = options(
        "foundation_nn.examples.linear_regression", "Fit a line by gradient descent.", STEPS, 100
    )
    args = parser.parse_args(argv)
    data = make_data(args.seed)
    before, after, history = train(data, args.seed, args.steps)
    best = closed_form(data)

    print("                       slope          intercept")
    for name, line in [
        ("the truth", Line(SLOPE, INTERCEPT)),
        ("before training", before),
        ("after training", after),
        ("closed form", best),
    ]:
        print(f"{name:15} {line.slope:18.12f} {line.intercept:18.12f}")
    difference = max(abs(after.slope - best.slope), abs(after.intercept - best.intercept))
    print(f"After {len(history.steps)} steps they differ by {difference:.0e}.")
    return pictures(
        args.out,
        {"linear_regression.png": lambda path: draw(data, before, after, history, path)},
    )


if __name__ == "__main__":
    raise SystemExit(main())
