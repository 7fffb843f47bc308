"""How many floating-point operations the matrix products of an operation take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn import functional as F


class Flops(NamedTuple):
    """Of a product of (m, k) and (k, n): 2 m n k, and as much for each operand's gradient.

    Attributes
    ----------
    forward : int
    gradients : tuple of int
        What the gradient of each input takes.
    """

    forward: int
    gradients: tuple[int, ...]


Counter = Callable[..., Flops]
_counters: dict[Any, Counter] = {}


def counts_flops(operation: Any) -> Callable[[Counter], Counter]:
    """Say how many FLOPs an operation takes: a decorator for ``counter(*inputs) -> Flops``.

    The counter is called with the arrays (or None) of the differentiable inputs. Only the matrix
    products of an operation count; one without a counter counts as zero.
    """

    def register(counter: Counter) -> Counter:
        _counters[operation.kernel] = counter
        return counter

    return register


def count_flops(kernel: Any, inputs: Sequence[Any]) -> Flops:
    """The FLOPs of one call of a kernel and of its backward."""
    counted = _counters[kernel](*inputs) if kernel in _counters else Flops(0, ())
    # An input that may be missing, such as a bias, may also be given as None.
    rest = (0,) * (len(inputs) - len(counted.gradients))
    return Flops(counted.forward, counted.gradients + rest)


@counts_flops(F.linear)
def _linear(x: NDArray[Any], weight: NDArray[Any], bias: Any = None) -> Flops:
    product = 2 * x.size * len(weight)
    return Flops(product, (product, product, 0) if bias is not None else (product, product))


@counts_flops(F.matmul)
def _matmul(x: NDArray[Any], y: NDArray[Any]) -> Flops:
    k = x.shape[-1]
    m = x.shape[-2] if x.ndim > 1 else 1
    n = y.shape[-1] if y.ndim > 1 else 1
    product = 2 * m * n * k * math.prod(np.broadcast_shapes(x.shape[:-2], y.shape[:-2]))
    return Flops(product, (product, product))
