# ruff: noqa: T201 - an example prints
"""XOR: the smallest task that one layer cannot do and two can.

``python -m foundation_nn.examples.xor`` trains a network of 33 numbers, shows its four answers,
and leaves ``plots/xor.png`` with what it would answer in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from foundation_nn import MLP, Tanh, Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import Adam
from foundation_nn.plotting import plot_decision_boundary
from foundation_nn.training import Trainer

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([[0], [1], [1], [0]], np.float32)  # 1 where exactly one input is 1

# The loss is the mean of four numbers, and a wrong answer (p < ½) costs at least ln 2. So below
# ln 2 / 4 no answer can be wrong.
SOLVED = math.log(2) / 4


def loss(model: MLP, batch: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, int]:
    """Cross-entropy of a yes-or-no question: -log of the probability of the right answer."""
    x, y = batch
    return F.binary_cross_entropy_with_logits(model(Tensor(x)), y), len(y)


def train(seed: int, max_steps: int = 300) -> tuple[MLP, int | None]:
    """A trained network, and after how many steps all its answers were right for sure."""
    model = MLP([2, 8, 1], Tanh, rng=np.random.default_rng(seed))
    trainer = Trainer(model, loss, Adam(model, lr=0.05))
    history = trainer.fit([(X, Y)], max_steps=max_steps)  # all four points are one batch
    # A step notes the loss before its update: that of the network after the step before it.
    return model, next((s.step - 1 for s in history.steps if s.loss < SOLVED), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, ask, draw."""
    parser = options(
        "foundation_nn.examples.xor",
        "Learn exclusive or.",
        20,
        quick=2,
        unit="seeds",
        of="how many seeds to try",
    )
    args = parser.parse_args(argv)
    model, steps = train(args.seed)
    with no_grad():
        answers = F.sigmoid(model(Tensor(X))).numpy()
    print(" x₁  x₂   wanted     answer")
    for (x1, x2), wanted, answer in zip(X, Y[:, 0], answers[:, 0], strict=True):
        mark = "=" if (answer > 0.5) == wanted else "≠"
        print(f"{x1:3.0f} {x2:3.0f} {wanted:8.0f} {mark} {answer:8.3f}")
    print(f"Seed {args.seed}: " + (f"solved after {steps} steps" if steps else "not solved"))

    counts = [train(seed)[1] for seed in range(args.seeds)]
    solved = [count for count in counts if count is not None]
    if solved:
        print(
            f"Solved from {len(solved)} of {len(counts)} seeds; steps: at least {min(solved)}, "
            f"at most {max(solved)}, median {np.median(solved):.0f}"
        )
    title = "XOR: the answers of the network to all numbers"
    draw = partial(plot_decision_boundary, model, X, Y[:, 0], title=title)
    return pictures(args.out, {"xor.png": draw})


if __name__ == "__main__":
    raise SystemExit(main())
