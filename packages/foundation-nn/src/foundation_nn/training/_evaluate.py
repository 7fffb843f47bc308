"""The loss on data that is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from foundation_nn._modes import train_mode
from foundation_nn._module import Module
from foundation_nn._tape import no_grad
from foundation_nn._tensor import Tensor

#: ``loss(model, batch)``: the mean loss and the number of targets it is the mean of.
Loss: TypeAlias = Callable[[Any, Any], tuple[Tensor, int]]


def evaluate(model: Module, loss: Loss, batches: Iterable[Any]) -> float:
    """The mean loss over all targets of all batches, without dropout or gradients.

    Raises
    ------
    ValueError
        If no target counts.
    """
    total, targets = 0.0, 0
    with no_grad(), train_mode(None):
        for batch in batches:
            value, count = loss(model, batch)
            total += value.item() * int(count)
            targets += int(count)
    if not targets:
        raise ValueError("evaluate: no batch with a target that counts")
    return total / targets
