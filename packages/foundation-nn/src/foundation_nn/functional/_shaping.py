"""Operations that move numbers about without changing them; most return views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor


@operation(integers=True, blas=False)
def reshape(x: Array, shape: int | Sequence[int]) -> Result:
    """The same elements in another shape; one length may be -1."""
    old_shape = x.shape

    def backward(g: Array) -> Array:
        return g.reshape(old_shape)

    return x.reshape(shape), backward


@operation(integers=True, blas=False)
def transpose(x: Array, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; without ``axes``, reverse them.

    ``axes`` names all axes in their new order, as in NumPy. To exchange two axes, as
    ``torch.transpose`` does, use :func:`swapaxes`.

    Raises
    ------
    ValueError
        If ``axes`` is no permutation.
    """
    if axes is not None:
        positive = sorted(axis + x.ndim if axis < 0 else axis for axis in axes)
        if positive != list(range(x.ndim)):
            raise ValueError(
                f"transpose: expected each axis of shape {x.shape} once, in their new order, got "
                f"{tuple(axes)}; to exchange two axes write x.swapaxes(i, j)"
            )

    def backward(g: Array) -> Array:
        return g.transpose(None if axes is None else np.argsort([a % x.ndim for a in axes]))

    return x.transpose(axes), backward


@operation(integers=True, blas=False)
def swapaxes(x: Array, axis1: int, axis2: int) -> Result:
    """Exchange two axes."""

    def backward(g: Array) -> Array:
        return g.swapaxes(axis1, axis2)

    return x.swapaxes(axis1, axis2), backward


@operation(integers=True, blas=False)
def getitem(x: Array, index: Any) -> Result:
    """``x[index]``, with everything NumPy takes as an index.

    The gradient is zero outside the selection; elements selected twice receive the sum.
    """
    parts = index if isinstance(index, tuple) else (index,)
    basic = all(
        p is None or p is Ellipsis or isinstance(p, int | np.integer | slice) for p in parts
    )
    if not basic:  # arrays as indices are kept for the backward as they are now
        index = tuple(index_array(p) if np.ndim(p) else p for p in parts)
    shape = x.shape  # the backward keeps no array but those of the index

    def backward(g: Array) -> Array:
        dx = np.zeros(shape, g.dtype)
        if basic:
            dx[index] = g
        else:
            np.add.at(dx, index, g)
        return dx

    return x[index], backward


def index_array(part: Any) -> NDArray[Any]:
    """A copy of an index; an empty list selects nothing, and is an array of floats to NumPy."""
    array = np.array(part)
    return array if array.size else array.astype(bool if array.dtype == bool else np.intp)


def _sequence(name: str, tensors: Any) -> list[Any]:
    """Refuse a single tensor in place of a list of them: its rows would be joined."""
    if isinstance(tensors, Tensor | np.ndarray):
        raise TypeError(
            f"{name}: expected a list of tensors, got a single {type(tensors).__name__} of shape "
            f"{tensors.shape}; write {name}([x, y])"
        )
    items = list(tensors)
    if not items:
        raise ValueError(f"{name}: expected at least one tensor, got none")
    return items


@operation(integers=True, blas=False)
def _concat(*xs: Array, axis: int) -> Result:
    ends = np.cumsum([x.shape[axis] for x in xs])[:-1]

    def backward(g: Array) -> tuple[Array, ...]:
        return tuple(np.split(g, ends, axis))

    return np.concatenate(xs, axis), backward


@explains_keywords
def concat(tensors: Iterable[Tensor | NDArray[Any]], axis: int = 0) -> Tensor:
    """Join tensors along an existing axis.

    Raises
    ------
    TypeError
        If a single tensor is given instead of a list.
    ValueError
        If the list is empty or the other axes differ.
    """
    parts = _sequence("concat", tensors)
    shapes = [np.shape(x) for x in parts]
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"concat: expected tensors with as many axes each, got shapes {shapes}")
    return _concat(*parts, axis=axis)


@operation(integers=True, blas=False)
def _stack(*xs: Array, axis: int) -> Result:
    def backward(g: Array) -> tuple[Array, ...]:
        return tuple(np.moveaxis(g, axis, 0))

    return np.stack(xs, axis), backward


@explains_keywords
def stack(tensors: Iterable[Tensor | NDArray[Any]], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    Raises
    ------
    TypeError
        If a single tensor is given instead of a list.
    ValueError
        If the list is empty or the shapes differ.
    """
    return _stack(*_sequence("stack", tensors), axis=axis)


@operation(integers=True, blas=False)
def _where(x: Array, y: Array, condition: NDArray[np.bool_]) -> Result:
    def backward(g: Array) -> tuple[Array, Array]:
        return np.where(condition, g, 0), np.where(condition, 0, g)

    return np.where(condition, x, y), backward


@explains_keywords
def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Elements of ``x`` where ``condition`` is True, of ``y`` elsewhere; all three broadcast.

    What is not selected has no influence. The gradient that ``where`` hands to it is exactly
    zero, and the operations whose derivative is infinite somewhere (``sqrt``, ``log``, ``exp``,
    ``divide``, ``power``) hand a zero on as a zero: the gradient of ``where(x > 0, sqrt(x), 0)``
    at x = 0 is 0, where PyTorch and JAX give NaN. Other operations do multiply by what stands
    there; if that can be NaN, choose before computing: ``log(where(x > 0, x, 1))``.

    Raises
    ------
    TypeError
        If the condition is not boolean.
    """
    condition = np.array(condition)
    if condition.dtype != np.bool_:
        raise TypeError(f"where: expected a boolean condition, got {condition.dtype}; use x > 0")
    return _where(x, y, condition)
