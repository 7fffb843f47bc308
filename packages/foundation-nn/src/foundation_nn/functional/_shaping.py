"""Operations that move numbers about without changing them; most return views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._operation import Array, Result, operation
from foundation_nn._tensor import Tensor


@operation
def reshape(x: Array, shape: int | Sequence[int]) -> Result:
    """The same elements in another shape; one length may be -1."""

    def backward(g: Array) -> Array:
        return g.reshape(x.shape)

    return x.reshape(shape), backward


@operation
def transpose(x: Array, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; without ``axes``, reverse them."""

    def backward(g: Array) -> Array:
        return g.transpose(None if axes is None else np.argsort([a % x.ndim for a in axes]))

    return x.transpose(axes), backward


@operation
def swapaxes(x: Array, axis1: int, axis2: int) -> Result:
    """Exchange two axes."""

    def backward(g: Array) -> Array:
        return g.swapaxes(axis1, axis2)

    return x.swapaxes(axis1, axis2), backward


@operation
def getitem(x: Array, index: Any) -> Result:
    """``x[index]``, with everything NumPy takes as an index.

    The gradient is zero outside the selection; elements selected twice receive the sum.
    """
    parts = index if isinstance(index, tuple) else (index,)
    basic = all(
        p is None or p is Ellipsis or isinstance(p, int | np.integer | slice) for p in parts
    )
    if not basic:  # arrays as indices are kept for the backward as they are now
        index = tuple(np.array(p) if np.ndim(p) else p for p in parts)

    def backward(g: Array) -> Array:
        dx = np.zeros_like(x)
        if basic:
            dx[index] = g
        else:
            np.add.at(dx, index, g)
        return dx

    return x[index], backward


@operation
def _concat(*xs: Array, axis: int) -> Result:
    ends = np.cumsum([x.shape[axis] for x in xs])[:-1]

    def backward(g: Array) -> tuple[Array, ...]:
        return tuple(np.split(g, ends, axis))

    return np.concatenate(xs, axis), backward


def concat(tensors: Sequence[Tensor | NDArray[Any]], axis: int = 0) -> Tensor:
    """Join tensors along an existing axis.

    Raises
    ------
    ValueError
        If the list is empty or the other axes differ.
    """
    if not len(tensors):
        raise ValueError("concat: expected at least one tensor, got none")
    shapes = [np.shape(x) for x in tensors]
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"concat: expected tensors with as many axes each, got shapes {shapes}")
    return _concat(*tensors, axis=axis)


@operation
def _stack(*xs: Array, axis: int) -> Result:
    def backward(g: Array) -> tuple[Array, ...]:
        return tuple(np.moveaxis(g, axis, 0))

    return np.stack(xs, axis), backward


def stack(tensors: Sequence[Tensor | NDArray[Any]], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    Raises
    ------
    ValueError
        If the list is empty or the shapes differ.
    """
    if not len(tensors):
        raise ValueError("stack: expected at least one tensor, got none")
    return _stack(*tensors, axis=axis)


@operation
def _where(x: Array, y: Array, condition: NDArray[np.bool_]) -> Result:
    def backward(g: Array) -> tuple[Array, Array]:
        return np.where(condition, g, 0), np.where(condition, 0, g)

    return np.where(condition, x, y), backward


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Elements of ``x`` where ``condition`` is True, of ``y`` elsewhere; all three broadcast.

    What is not selected has no influence at all: its gradient is exactly zero, even if it is NaN.

    Raises
    ------
    TypeError
        If the condition is not boolean.
    """
    condition = np.array(condition)
    if condition.dtype != np.bool_:
        raise TypeError(f"where: expected a boolean condition, got {condition.dtype}; use x > 0")
    return _where(x, y, condition)
