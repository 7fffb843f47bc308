"""Dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._modes import current_generator
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor
from foundation_nn.functional._rows import PerRow, by_rows


def random_keep(rng: np.random.Generator, shape: tuple[int, ...], p: float) -> NDArray[np.bool_]:
    """A boolean array that is False with probability ``p``, rounded to 1/65536.

    Sixteen random bits an element are several times cheaper than a double.
    """
    size = math.prod(shape)
    bits = rng.integers(0, 2**64, size=-(-size // 4), dtype=np.uint64)
    return (bits.view(np.uint16)[:size] >= round(p * 65536)).reshape(shape)


def keep_scale(p: float) -> float:
    """What makes up for the elements that :func:`random_keep` drops: 1 / (1 - p), p as rounded."""
    return 1 / (1 - round(p * 65536) / 65536)


def check_dropout(caller: str, p: float, name: str = "dropout") -> None:
    """Refuse what is no probability that :func:`random_keep` can round.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not in [0, 1), or so near to 1 that it would be rounded to it.
    """
    p = number(caller, name, p, at_least=0, less_than=1)
    if round(p * 65536) >= 65536:
        raise ValueError(f"{caller}: expected 0 <= {name} < 1 by more than 1/131072, got {p}")


@operation(blas=False)
@by_rows
def _dropout(x: Array, keep: PerRow, p: float, out: NDArray[Any] | None = None) -> Result:
    factor = x.dtype.type(keep_scale(p))

    def scaled(values: Array, out: Array | None = None) -> Array:
        y = np.multiply(values, keep, out=out)
        y *= factor
        return y

    return scaled(x, out), scaled


@explains_keywords
def dropout(x: Tensor | NDArray[Any], p: float, rng: np.random.Generator | None = None) -> Tensor:
    """Zero each element with probability ``p`` and scale the others by 1 / (1 - p) [1]_.

    Without ``rng``, the generator of the surrounding ``train_mode`` is used; outside of one, the
    input is returned as it is. So it is if ``p``, as rounded, is 0.

    Parameters
    ----------
    x : tensor
    p : float
        0 ≤ p < 1, rounded to a multiple of 1/65536; the scale follows the rounded value.
    rng : numpy.random.Generator, optional

    Raises
    ------
    TypeError
        If ``x`` holds integers, which the scale would round, or ``p`` is no number.
    ValueError
        If ``p`` is not in [0, 1), also as rounded: from 1 - 1/131072 on it would be 1.

    References
    ----------
    .. [1] N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
       Overfitting", JMLR 15, 2014.
    """
    check_dropout("dropout", p, "p")
    rng = current_generator() if rng is None else rng
    if rng is None or round(p * 65536) == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        raise TypeError(f"dropout: expected a floating tensor, got {x.dtype}")
    return _dropout(x, random_keep(rng, x.shape, p), p)
