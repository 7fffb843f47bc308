"""What the formulas of optimisers share: memory for one block, and moving averages."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn._arguments import described, number
from foundation_nn.engine._threads import SMALL_BYTES, scratch


def overlap(one: slice, other: slice) -> slice:
    """The entries that are in both; empty if there are none."""
    start = max(one.start, other.start)
    return slice(start, max(start, min(one.stop, other.stop)))


def workspace(like: Any, slot: int = 0) -> Any:
    """Room for a block of intermediate results, the same memory at every call of this thread.

    Arrays that are made anew for each block take longer to be mapped than to be computed. Two
    results that are needed at once are in different slots.
    """
    if like.nbytes < SMALL_BYTES:  # is given anew in half the time
        return np.empty_like(like)
    return scratch(like.shape, like.dtype, slot)


def move_average(average: Any, value: Any, beta: float, work: Any) -> None:
    """average ← β average + (1 - β) value, in place.

    ``work``, which may be ``value`` itself, is (1 - β) value afterwards. With β = 0 nothing of the
    old average is left, also where it is infinite: 0 · ∞ is NaN.
    """
    np.multiply(value, 1 - beta, out=work)
    if beta:
        average *= beta
        average += work
    else:
        average[...] = work


def with_decay(w: Any, g: Any, decay: float) -> Any:
    """g + λ w: the gradient of the loss and of ½ λ |w|² together."""
    if not decay:
        return g
    total = np.multiply(w, decay, out=workspace(w, slot=1))
    total += g
    return total


def a_pair(caller: str, name: str, given: Any) -> tuple[Any, Any]:
    """An argument of two values.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise TypeError(f"{caller}: expected {name} to be a pair, got {described(given)}")
    return given[0], given[1]


def pair_of_betas(caller: str, betas: Any) -> tuple[float, float]:
    """β₁ and β₂, each in [0, 1).

    Raises
    ------
    TypeError, ValueError
    """
    beta1, beta2 = a_pair(caller, "betas", betas)
    return (
        number(caller, "betas[0]", beta1, at_least=0, less_than=1),
        number(caller, "betas[1]", beta2, at_least=0, less_than=1),
    )
