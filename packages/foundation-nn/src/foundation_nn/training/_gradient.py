"""The gradient of several batches as if they were one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from foundation_nn.engine._modes import train_mode
from foundation_nn.engine._parameter import Buffer
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer, clip_grad_norm
from foundation_nn.training._evaluate import Loss, loss_and_count


class Part(NamedTuple):
    """One batch of a step, and what it takes to compute it again.

    Attributes
    ----------
    batch : object
    rng : dict
        The state of the bit generator before it.
    loss : float
    targets : int
    """

    batch: Any
    rng: Any
    loss: float
    targets: int


class Gradient(NamedTuple):
    """What a step was computed from; the gradient itself lies in the parameters.

    Attributes
    ----------
    parts : list of Part
    loss : float
        The mean over all targets.
    norm : float
        Of the gradient, before clipping; NaN if the loss is not finite.
    """

    parts: list[Part]
    loss: float
    norm: float

    @property
    def targets(self) -> int:
        """Of all parts."""
        return sum(part.targets for part in self.parts)


def compute_gradient(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    batches: Sequence[Any],
    rng: np.random.Generator,
    clip_norm: float,
    statistics: Sequence[Buffer],
) -> Gradient:
    """Forward and backward for every batch, and clip.

    Running statistics, such as those of batch normalisation, are put back where they were if the
    loss or the gradient is not finite.
    """
    before = [(buffer, buffer.data) for buffer in statistics]
    parts = accumulate(model, loss, optimizer, batches, rng)
    value, norm = mean_loss(parts), math.nan
    if math.isfinite(value):
        norm = clip_grad_norm(optimizer, clip_norm)
    if not math.isfinite(norm):
        for buffer, kept in before:
            buffer.data = kept
    return Gradient(parts, value, norm)


def accumulate(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    batches: Sequence[Any],
    rng: np.random.Generator,
) -> list[Part]:
    """Leave the gradient of the mean over all targets: ∇L = Σ_i n_i ∇L_i / Σ_i n_i.

    A mean of means would give the target in a short batch more weight than that in a long one.
    The first loss that is not finite ends it.
    """
    optimizer.zero_grad()
    parts: list[Part] = []
    for batch in batches:
        state = rng.bit_generator.state
        with train_mode(rng):
            value, count = loss_and_count(loss, model, batch)
        if count and not value.requires_grad:
            raise ValueError(
                "Trainer: the mean that loss(model, batch) returned was not computed from "
                "parameters that learn, so there is no gradient; compute it by model(...) and the "
                "functions of foundation_nn, without no_grad(), .data or Tensor(...) in between"
            )
        parts.append(Part(batch, state, value.item(), count))
        if not math.isfinite(parts[-1].loss):
            return parts
        if len(batches) == 1:
            value.backward()
            return parts
        if count:
            value.backward(np.full(value.shape, count))
    grad = optimizer.buffer.collect()
    grad *= 1 / max(1, sum(part.targets for part in parts))
    return parts


def mean_loss(parts: Sequence[Part]) -> float:
    """Over all targets."""
    if len(parts) == 1:
        return parts[0].loss
    if not math.isfinite(parts[-1].loss):  # the others are
        return parts[-1].loss
    targets = sum(part.targets for part in parts)
    return sum(part.loss * part.targets for part in parts) / max(1, targets)


def groups(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of ``size`` batches; the last of an epoch may be shorter."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group
