"""The loss on data that is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from foundation_nn._arguments import described, whole_number
from foundation_nn.distributed._team import Alone
from foundation_nn.engine._modes import train_mode
from foundation_nn.engine._tape import no_grad
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module
from foundation_nn.training._checks import check_data
from foundation_nn.training._history import Evaluation, Sample

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
    try:
        given: Any = loss(model, batch)
    except (TypeError, ValueError, LookupError) as error:
        error.add_note(f"in loss(model, batch), where the batch was {shown(batch)}")
        raise
    if not isinstance(given, tuple | list) or len(given) != 2 or not isinstance(given[0], Tensor):
        what = described(given)
        if isinstance(given, tuple | list):
            what = f"({', '.join(described(item) for item in given)})"
        raise TypeError(
            "loss(model, batch) must return (mean, count), the mean loss as a Tensor and "
            "the number of targets it is the mean of, such as `return mean, len(targets)`; it "
            f"returned {what}"
        )
    value, count = given
    if value.size != 1:
        raise ValueError(
            f"loss(model, batch) must return (mean, count), and a mean is one number; it "
            f"returned a Tensor of shape {value.shape}; reduce it with .mean()"
        )
    return value, whole_number("loss(model, batch)", "the count", count, at_least=0)


def shown(batch: Any) -> str:
    """What a batch is, for a message: shapes and dtypes instead of numbers."""
    if isinstance(batch, np.ndarray | Tensor):
        kind = "an array" if isinstance(batch, np.ndarray) else "a Tensor"
        return f"{kind} {batch.shape} of {batch.dtype}"
    if isinstance(batch, tuple | list) and len(batch) <= 8:
        return f"a {type(batch).__name__} ({', '.join(map(shown, batch))})"
    if isinstance(batch, dict) and len(batch) <= 8:
        return f"a dict with {', '.join(f'{key!r}: {shown(item)}' for key, item in batch.items())}"
    return described(batch)


def evaluate(model: Module, loss: Loss, batches: Iterable[Any]) -> float:
    """The mean loss over all targets of all batches, without dropout or gradients.

    Raises
    ------
    TypeError, ValueError
        If ``loss`` does not return a mean and a number of targets, ``batches`` are no batches, or
        no target counts.
    """
    _check_not_swapped(model, loss)
    check_data("evaluate", "batches", batches)
    return evaluate_together(model, loss, batches, Alone())


def _check_not_swapped(model: Any, loss: Any) -> None:
    if isinstance(loss, Module) and not isinstance(model, Module):
        raise TypeError(
            "evaluate: expected evaluate(model, loss, batches) with a Module and a function "
            f"loss(model, batch), got {described(model)} and {described(loss)}"
        )


def evaluate_together(model: Module, loss: Loss, batches: Iterable[Any], team: Alone) -> float:
    """:func:`evaluate` in every process of a team, of which each has its share."""

    def add_up() -> tuple[float, int]:
        total, targets = 0.0, 0
        with no_grad(), train_mode(None):
            for batch in batches:
                part = team.share(batch)
                if part is None:
                    continue
                value, count = loss_and_count(loss, model, part)
                total += value.item() * count
                targets += count
        return total, targets

    sums = team.everywhere(add_up)
    total = sum(part for part, _ in sums)
    targets = sum(count for _, count in sums)
    if not targets:
        raise ValueError("evaluate: no batch with a target that counts")
    return total / targets


def full_evaluation(
    step: int,
    model: Module,
    loss: Loss,
    batches: Iterable[Any],
    metrics: Mapping[str, Callable[[Any], float]],
    samples: Callable[[Any], Sequence[str | Sample]] | None,
    team: Alone,
) -> Evaluation:
    """The loss, every metric, and the samples, as a trainer keeps them.

    Of several processes, each has its share of the loss; the first one has metrics and samples.

    Raises
    ------
    TypeError
        If a metric is no number, or the samples are no list of texts.
    """
    mean = evaluate_together(model, loss, batches, team)

    def look() -> Evaluation:
        return Evaluation(
            step=step,
            loss=mean,
            metrics={name: _number(name, metric(model)) for name, metric in metrics.items()},
            samples=[] if samples is None else _texts(samples(model)),
        )

    return team.lead(look)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"Trainer: expected metrics[{name!r}] to return a number, got {described(value)}"
        ) from None


def _texts(given: Any) -> list[str | Sample]:
    texts = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for text in texts:
        if text is given or not isinstance(text, str | Sample):
            raise TypeError(
                "Trainer: expected samples to return a list of texts or Samples, got "
                f"{described(text)}"
            )
    return texts
