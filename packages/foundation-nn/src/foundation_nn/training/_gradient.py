"""The gradient of several batches as if they were one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from foundation_nn.distributed._shards import Update
from foundation_nn.distributed._team import Alone
from foundation_nn.engine._modes import train_mode
from foundation_nn.engine._parameter import Buffer
from foundation_nn.modules._module import Module
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
        Those of this process.
    loss : float
        The mean over all targets of all processes.
    norm : float
        Of the gradient, before clipping; NaN if the loss is not finite.
    targets : int
        Of all processes.
    """

    parts: list[Part]
    loss: float
    norm: float
    targets: int


def compute_gradient(
    model: Module,
    loss: Loss,
    update: Update,
    batches: Sequence[Any],
    rng: np.random.Generator,
    clip_norm: float,
    statistics: Sequence[Buffer],
    team: Alone,
) -> Gradient:
    """Forward and backward for every batch, and clip.

    Of several processes, each has its share of every batch. Running statistics, such as those of
    batch normalisation, are put back where they were if the loss or the gradient is not finite.
    """
    before = [(buffer, buffer.data) for buffer in statistics]
    update.optimizer.zero_grad()
    generator = team.generator(rng)
    is_whole = len(batches) == 1 and team.size == 1
    parts: list[Part] = []

    def compute() -> tuple[float, int, int | None]:
        shares = [part for batch in batches if (part := team.share(batch)) is not None]
        parts.extend(accumulate(model, loss, shares, generator, is_whole))
        return *mean_loss([(part.loss, part.targets) for part in parts]), team.digest(batches)

    of_all = team.everywhere(compute)
    if len({digest for _, _, digest in of_all}) > 1:
        raise ValueError(
            "Trainer: the processes go through different batches, of which each would train on "
            "another part; give the loader the same seed in every process"
        )
    value, targets = mean_loss([(value, targets) for value, targets, _ in of_all])
    norm = math.nan
    if math.isfinite(value):
        update.combine(1.0 if is_whole else 1 / max(1, targets))
        norm = update.clip(clip_norm)
    if not math.isfinite(norm):
        for buffer, kept in before:
            buffer.data = kept
    return Gradient(parts, value, norm, targets)


def accumulate(
    model: Module,
    loss: Loss,
    batches: Sequence[Any],
    rng: np.random.Generator,
    is_whole: bool,
) -> list[Part]:
    """Add up the gradients of the batches: Σ_i n_i ∇L_i, to be divided by Σ_i n_i.

    A mean of means would give the target in a short batch more weight than that in a long one. A
    batch that is the whole step needs no weight: its gradient is ∇L. The first loss that is not
    finite ends it.
    """
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
        if is_whole:
            value.backward()
        elif count:
            value.backward(np.full(value.shape, count))
    return parts


def mean_loss(losses: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """The mean over all targets and their number, of means and the numbers they are means of."""
    targets = sum(count for _, count in losses)
    if len(losses) == 1:
        return losses[0]
    for value, _ in losses:
        if not math.isfinite(value):  # also one of no targets, which would not count
            return value, targets
    return sum(value * count for value, count in losses) / max(1, targets), targets


def groups(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of ``size`` batches; the last of an epoch may be shorter."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group
