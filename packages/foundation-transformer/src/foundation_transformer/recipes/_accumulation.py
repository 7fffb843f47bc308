"""Updates from more rows than fit into memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from foundation_nn import Tensor


class Groups:
    """Batches in groups of ``count``, the last one of an epoch perhaps smaller.

    Raises
    ------
    ValueError
        If ``count`` is less than one.
    """

    def __init__(self, batches: Iterable[Any], count: int) -> None:
        if count < 1:
            raise ValueError(f"accumulate: expected at least 1 batch for an update, got {count}")
        self.batches = batches
        self.count = count

    def __iter__(self) -> Iterator[list[Any]]:
        batches = iter(self.batches)
        while group := list(islice(batches, self.count)):
            yield group


def accumulated(
    loss: Callable[[Any, Any], tuple[Tensor, int]],
) -> Callable[[Any, Sequence[Any]], tuple[Tensor, int]]:
    """The loss of a group of batches, as if they were one.

    A mean over all N targets is the sum of the batches' means, each times its share n/N. Each
    batch but the last is walked back at once, so that the memory of only one is held; its
    gradients stay in the parameters, where those of the last are added.
    """

    def total(model: Any, group: Sequence[Any]) -> tuple[Tensor, int]:
        targets = sum(int(batch.num_tokens) for batch in group)
        *first, last = group
        so_far = 0.0
        for batch in first:
            value, count = loss(model, batch)
            value.backward(count / targets)
            so_far += value.item() * count / targets
        value, count = loss(model, last)
        return value * (count / targets) + so_far, targets

    return total
