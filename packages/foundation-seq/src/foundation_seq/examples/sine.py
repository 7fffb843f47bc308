# ruff: noqa: T201 - an example prints
"""Regression: a network sees a noisy sine and continues it on its own.

``python -m foundation_seq.examples.sine`` learns to predict the next value, is then fed its own
predictions, and leaves ``plots/sine.png``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from foundation_nn import Linear, Module, Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import Adam
from foundation_nn.schedules import cosine
from foundation_nn.training import Trainer
from numpy.typing import NDArray

from foundation_seq import GRU
from foundation_seq.plotting import plot_series

B, T, H = 32, 100, 32
STEPS = 600
GIVEN = 60  # steps that the network is shown
AHEAD = 40  # steps that it is asked for


class Forecaster(Module):
    """A GRU and a linear output: the next value after each."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.gru = GRU(1, H, rng=rng)
        self.output = Linear(H, 1, rng=rng)

    def forward(self, x: NDArray[np.float32]) -> Tensor:
        """From (B, T, 1) to (B, T, 1)."""
        output, _ = self.gru(x)
        return self.output(output)

    def forecast(self, x: NDArray[np.float32], ahead: int) -> NDArray[np.float32]:
        """The next ``ahead`` values, each fed back: (B, ahead)."""
        with no_grad():
            output, state = self.gru(Tensor(x))
            values = []
            for _ in range(ahead):
                values.append(self.output(output[:, -1:]))  # (B, 1, 1)
                output, state = self.gru(values[-1], state=state)
            return np.concatenate([v.data[:, 0] for v in values], axis=1)


def make_batch(rng: np.random.Generator, batch: int, width: int) -> NDArray[np.float32]:
    """Sines of all phases with periods from 15 to 25 steps: (B, T, 1)."""
    period = rng.uniform(15, 25, (batch, 1))
    phase = rng.uniform(0, 2 * np.pi, (batch, 1))
    return np.sin(2 * np.pi * np.arange(width) / period + phase, dtype=np.float32)[..., None]


class Endless:
    """New sines forever, with a little noise on what is seen: inputs and the values after them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        while True:
            x = make_batch(self.rng, B, T + 1)
            noise = self.rng.standard_normal((B, T, 1), np.float32)
            yield x[:, :-1] + np.float32(0.05) * noise, x[:, 1:]


def loss(
    model: Forecaster, batch: tuple[NDArray[np.float32], NDArray[np.float32]]
) -> tuple[Tensor, int]:
    """Mean squared error of the next value."""
    x, y = batch
    return F.mse_loss(model(x), y), y.size


def main(argv: Sequence[str] | None = None) -> int:
    """Train, continue, draw."""
    args = options("foundation_seq.examples.sine", "Continue a sine.", STEPS, 150).parse_args(argv)
    model = Forecaster(np.random.default_rng(args.seed))
    schedule = cosine(1e-2, args.steps + 1, warmup=1)
    trainer = Trainer(model, loss, Adam(model, 1e-2), schedule=schedule, clip_norm=1.0)
    trainer.fit(Endless(np.random.default_rng([args.seed, 1])), max_steps=args.steps)
    true = make_batch(np.random.default_rng([args.seed, 2]), 100, GIVEN + AHEAD)
    written = model.forecast(true[:, :GIVEN], AHEAD)
    errors = (written - true[:, GIVEN:, 0]) ** 2
    print(
        f"Mean squared error of the next value {errors[:, 0].mean():.5f}, "
        f"of the {AHEAD} to come "
        f"{errors.mean():.5f} (always answering 0: 0.5)"
    )
    continued = np.concatenate([np.full(GIVEN, np.nan), written[0]])
    series = {"the sine": true[0, :, 0], "continued by the network": continued}
    title = "A sine, continued by a GRU"
    return pictures(
        args.out, {"sine.png": lambda path: plot_series(series, GIVEN, path, title=title)}
    )


if __name__ == "__main__":
    raise SystemExit(main())
