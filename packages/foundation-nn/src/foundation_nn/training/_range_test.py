"""Which learning rate: a few steps at ever larger ones."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation_nn._arguments import number, whole_number
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer
from foundation_nn.training._callback import Callback
from foundation_nn.training._evaluate import Loss
from foundation_nn.training._history import Step
from foundation_nn.training._trainer import Trainer

#: The test ends when the smoothed loss is this many times its smallest value.
_DIVERGED = 3.0
#: How much of the mean so far stays in it at each step.
_KEEP = 0.9


@dataclass(frozen=True)
class RangeTest:
    """What :func:`find_lr` has found.

    Attributes
    ----------
    lrs : list of float
        The learning rate of each step.
    losses : list of float
        The loss before that step.
    smoothed : list of float
        Their exponential mean, without a bias at the start.
    suggestion : float
        A tenth of the learning rate at which the smoothed loss was smallest.
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def find_lr(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    batches: Iterable[Any],
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    clip_norm: float | None = None,
    rng: np.random.Generator | None = None,
) -> RangeTest:
    """Train a copy for a few steps while the learning rate grows by the same factor each time [1]_.

    At first nothing happens, then the loss falls, at last it grows again: the largest rate that
    still helps lies a little before the smallest loss. So high a rate does well for a few steps
    only; for a whole run a tenth of it is a good peak. Model, optimiser and generator stay as they
    are.

    Parameters
    ----------
    model : Module
    loss : callable
        ``loss(model, batch)``, as for :class:`Trainer`.
    optimizer : Optimizer
        For the parameters of the model.
    batches : iterable
        As for ``fit``: begun anew when it ends.
    lowest, highest : float
        The range of learning rates.
    steps : int
        How many steps go through it; fewer are made when the loss has grown to three times its
        smallest value, or is not finite.
    clip_norm : float, optional
        As for :class:`Trainer`.
    rng : numpy.random.Generator, optional
        For dropout.

    Raises
    ------
    ValueError
        If the range is empty, there is no batch, or the loss is not finite from the beginning.

    References
    ----------
    .. [1] L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017,
       arXiv:1506.01186, section 3.3.

    Examples
    --------
    >>> from foundation_nn import Linear, Tensor, optim
    >>> from foundation_nn import functional as F
    >>> rng = np.random.default_rng(0)
    >>> line = Linear(2, 1, rng=rng)
    >>> x = rng.standard_normal((8, 20, 3)).astype(np.float32)  # eight batches
    >>> def squares(model, batch):  # two of three numbers are known
    ...     y = Tensor(batch.sum(axis=1, keepdims=True))
    ...     return F.mse_loss(model(Tensor(batch[:, :2])), y), len(batch)
    >>> found = find_lr(line, squares, optim.SGD(line, 1.0), x)
    >>> len(found.lrs), f"{found.suggestion:.2g}"
    (90, '0.063')
    """
    number("find_lr", "lowest", lowest, more_than=0)
    number("find_lr", "highest", highest, more_than=lowest)
    whole_number("find_lr", "steps", steps, at_least=2)
    model, optimizer, rng = copy.deepcopy((model, optimizer, rng))

    def grow(step: int) -> float:
        return float(lowest * (highest / lowest) ** ((step - 1) / (steps - 1)))

    curve = _UntilDiverged()
    trainer = Trainer(
        model, loss, optimizer, schedule=grow, clip_norm=clip_norm, rng=rng, callbacks=[curve]
    )
    with suppress(FloatingPointError):  # a rate that was too high
        trainer.fit(batches, max_steps=steps)
    if trainer.stopped_by == "interrupt":
        raise KeyboardInterrupt
    if not curve.smoothed:
        raise ValueError("find_lr: the loss was not finite before the first step")
    lrs = [step.lr for step in trainer.history.steps]
    losses = [step.loss for step in trainer.history.steps]
    return RangeTest(lrs, losses, curve.smoothed, lrs[int(np.argmin(curve.smoothed))] / 10)


class _UntilDiverged(Callback):
    """Smooths the loss, and ends the test when it has grown too much."""

    def __init__(self) -> None:
        self.mean = 0.0
        self.smoothed: list[float] = []

    def on_step(self, trainer: Trainer, step: Step) -> None:
        self.mean = _KEEP * self.mean + (1 - _KEEP) * step.loss
        self.smoothed.append(self.mean / (1 - _KEEP ** (len(self.smoothed) + 1)))
        if self.smoothed[-1] > _DIVERGED * min(self.smoothed):
            trainer.stop("diverged")
