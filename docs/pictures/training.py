"""The pictures of the chapter on training."""

from typing import Any

import numpy as np
from foundation_nn import MLP, Tensor, optim, schedules
from foundation_nn import functional as F
from foundation_nn.plotting import COLORS, new_figure
from foundation_nn.training import Trainer
from foundation_transformer.plotting import plot_schedules


def rates() -> Any:
    """Four schedules with the same peak."""
    peak, steps, warmup = 0.01, 1000, 100
    return plot_schedules(
        {
            "constant": schedules.constant(peak, warmup),
            "linear": schedules.linear(peak, steps, warmup),
            "cosine": schedules.cosine(peak, steps, warmup),
            "wsd": schedules.wsd(peak, steps, decay=200, warmup=warmup),
        },
        steps,
        title="Learning rate of each step",
    )


def overfitting() -> Any:
    """Losses of a network with many more parameters than examples."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (220, 1)).astype(np.float32)
    y = (np.sin(3 * x) + 0.3 * rng.standard_normal(x.shape)).astype(np.float32)
    train, held_out = [(x[:20], y[:20])], [(x[20:], y[20:])]

    def loss(model: Any, batch: Any) -> Any:
        inputs, targets = batch
        return F.mse_loss(model(Tensor(inputs)), targets), len(targets)

    model = MLP([1, 64, 64, 1], rng=np.random.default_rng(1))
    history = Trainer(model, loss, optim.AdamW(model, lr=0.003)).fit(
        train, validation=held_out, evaluate_every=10, max_steps=2000
    )
    figure, axes = new_figure(7, 3.2)
    ax = axes[0, 0]
    ax.semilogy(
        [step.step for step in history.steps],
        [step.loss for step in history.steps],
        color=COLORS[0],
        label="the 20 examples it is trained on",
    )
    ax.semilogy(
        [each.step for each in history.evaluations],
        [each.loss for each in history.evaluations],
        color=COLORS[1],
        label="200 examples held out",
    )
    best = min(history.evaluations, key=lambda each: each.loss)
    ax.axvline(best.step, color="0.5", linewidth=0.8, linestyle="--")
    ax.annotate("best", (best.step, best.loss), xytext=(6, 10), textcoords="offset points")
    ax.axhline(0.09, color="0.7", linewidth=0.8)
    ax.annotate("the noise in the data", (2000, 0.09), ha="right", va="bottom", color="0.4")
    ax.set(xlabel="step", ylabel="mean squared error", title="Overfitting")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return figure
