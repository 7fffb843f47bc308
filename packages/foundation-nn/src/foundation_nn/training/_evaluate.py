"""The loss on data that is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from foundation_nn._arguments import described, whole_number
from foundation_nn.engine._modes import train_mode
from foundation_nn.engine._tape import no_grad
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module

#: ``loss(model, batch)``: the mean loss and the number of targets it is the mean of.
Loss: TypeAlias = Callable[[Any, Any], tuple[Tensor, int]]


def loss_and_count(loss: Loss, model: Any, batch: Any) -> tuple[Tensor, int]:
    """What a loss function says of a batch.

    Raises
    ------
    TypeError
        If that is not a tensor and a number.
    ValueError
        If the tensor is not a single number, or the number is negative or not whole.
    """
    given: Any = loss(model, batch)
    if not isinstance(given, tuple | list) or len(given) != 2 or not isinstance(given[0], Tensor):
        what = described(given)
        if isinstance(given, tuple | list):
            what = f"({', '.join(described(item) for item in given)})"
        raise TypeError(
            "the loss function: expected two values, the mean loss as a Tensor and the number of "
            f"targets it is the mean of, such as `return loss, len(batch)`; got {what}"
        )
    value, count = given
    if value.size != 1:
        raise ValueError(
            f"the loss function: expected a mean, which is one number, got a Tensor of shape "
            f"{value.shape}; reduce it with .mean()"
        )
    return value, whole_number("the loss function", "the number of targets", count, at_least=0)


def evaluate(model: Module, loss: Loss, batches: Iterable[Any]) -> float:
    """The mean loss over all targets of all batches, without dropout or gradients.

    Raises
    ------
    TypeError, ValueError
        If ``loss`` does not return a mean and a number of targets, or no target counts.
    """
    total, targets = 0.0, 0
    with no_grad(), train_mode(None):
        for batch in batches:
            value, count = loss_and_count(loss, model, batch)
            total += value.item() * count
            targets += count
    if not targets:
        raise ValueError("evaluate: no batch with a target that counts")
    return total / targets
