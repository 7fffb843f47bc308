"""The gradient of several batches as if they were one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from foundation_nn._modes import train_mode
from foundation_nn._module import Module
from foundation_nn.optim import Optimizer
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
        before = rng.bit_generator.state
        with train_mode(rng):
            value, count = loss_and_count(loss, model, batch)
        parts.append(Part(batch, before, value.item(), count))
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
