"""Row by row: how kernels that treat every row alike are run, and what they are made of.

Such a kernel is plain NumPy for a block of rows. The decorator :func:`by_rows` makes it one for
arrays of any shape (..., D) and size: it cuts them into blocks that stay in the cache while the
several passes of the kernel run over them, shares the blocks between threads, keeps the backward of
each block, and adds up the gradients of what all rows share, such as the weight of a norm.
"""

from __future__ import annotations

import functools
import inspect
import math
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, Vector, is_annotated
from foundation_nn.engine._threads import SERIAL_SIZE, THREAD_BYTES, cut_rows, over_parts
from foundation_nn.engine._walk import computed

#: Marks what a kernel of rows is given for each row, but has no gradient: (N,), or like the rows.
PerRow: TypeAlias = Annotated[Any, "one for each row, without gradient"]

P = ParamSpec("P")


def by_rows(kernel: Callable[P, Result]) -> Callable[P, Result]:
    """Run a kernel that is written for a block of rows on arrays of any shape and size.

    The kernel's parameters say by their annotations what they are. An ``Array`` (..., D) is cut
    into blocks (n, D), and ``PerRow`` is cut with it. A ``Vector`` is the same for all rows. Others
    are options. The kernel returns y, (n, W) or (n,), and its backward. The backward may return the
    gradient of a vector once for each row, (n, D); these are added up here. It may return a
    gradient as a function that computes it, which is called only if somebody needs it.

    The blocks do not depend on the number of threads, and so the results do not, either.
    """
    parameters = list(inspect.signature(kernel, eval_str=True).parameters.values())
    names = [p.name for p in parameters]
    defaults = [p.default for p in parameters]
    in_rows = [i for i, p in enumerate(parameters) if is_annotated(p, Array, PerRow)]
    with_gradient = [i for i, p in enumerate(parameters) if is_annotated(p, Array, Vector)]

    @functools.wraps(kernel)
    def of_any_shape(*args: P.args, **kwargs: P.kwargs) -> Result:
        given: list[Any] = [*args, *defaults[len(args) :]]
        for name, value in kwargs.items():
            given[names.index(name)] = value
        x = given[0]
        shapes = {i: np.shape(given[i]) for i in in_rows}
        rows = [i for i in in_rows if given[i] is not None]
        for i in rows:
            given[i] = _as_rows_like(given[i], x)
        shape = x.shape
        in_blocks = given[0].size >= SERIAL_SIZE
        if in_blocks:
            y, backward = _in_blocks(kernel, given, rows, with_gradient)
        else:
            y, backward = kernel(*given)  # type: ignore[call-arg]
        row_shape = y.shape
        y = y.reshape(shape if row_shape == given[0].shape else shape[:-1] + row_shape[1:])

        # It keeps neither x nor y, but their shapes.
        def backward_of_any_shape(g: Array, wanted: Sequence[bool] | None = None) -> Any:
            g = g.reshape(row_shape)
            grads = backward(g, wanted) if in_blocks else _wanted_of(backward(g), wanted)
            shaped = []
            for i, dx in zip(with_gradient, grads, strict=False):
                if dx is not None and i in rows:
                    dx = dx.reshape(shapes[i])
                elif dx is not None and dx.ndim == 2:
                    dx = column_sum(dx)
                shaped.append(dx)
            return shaped[0] if len(shaped) == 1 else tuple(shaped)

        return y, backward_of_any_shape

    # The engine tells the backward which gradients are wanted, where there is a choice.
    of_any_shape.selective = len(with_gradient) > 1  # type: ignore[attr-defined]
    return of_any_shape


def _wanted_of(grads: Any, wanted: Sequence[bool] | None) -> list[Array]:
    """The gradients that a backward gave, computed; None for those that nobody wants."""
    grads = grads if isinstance(grads, tuple) else (grads,)
    if wanted is None:
        return [computed(dx) for dx in grads]
    return [computed(dx) if want else None for dx, want in zip(grads, wanted, strict=False)]


def _in_blocks(
    kernel: Callable[..., Result], given: list[Any], rows: list[int], with_gradient: list[int]
) -> Result:
    """The kernel for many rows, block by block.

    Parameters
    ----------
    given : list
        The arguments of the kernel.
    rows : list of int
        Which of them are cut into blocks.
    with_gradient : list of int
        Which of them the gradients belong to that the kernel's backward returns.
    """
    # The backward refers to these numbers, not to x, which only the kernel may want to keep.
    row_count = len(given[0])
    in_threads = given[0].nbytes >= THREAD_BYTES
    blocks = cut_rows(row_count, max(given[i][:1].nbytes for i in rows))
    backwards: list[Any] = [None] * len(blocks)
    room_for_y = _Room(row_count)

    def forward(n: int) -> None:
        block = blocks[n]
        arguments = [value[block] if i in rows else value for i, value in enumerate(given)]
        y, backwards[n] = kernel(*arguments)
        room_for_y.like(y)[block] = y

    _run(forward, len(blocks), in_threads)

    def backward(g: Array, wanted: Sequence[bool] | None) -> tuple[Array, ...]:
        rooms = [_Room(row_count) for _ in with_gradient]
        sums: list[list[Array]] = [[] for _ in blocks]  # of each block, for what all rows share

        def of_block(n: int) -> None:
            block = blocks[n]
            grads = _wanted_of(backwards[n](g[block]), wanted)
            backwards[n] = None  # what this block had saved is freed
            for i, room, dx in zip(with_gradient, rooms, grads, strict=False):
                if dx is not None and i in rows:
                    room.like(dx)[block] = dx
                    dx = None
                elif dx is not None and dx.ndim == 2:
                    dx = column_sum(dx)
                sums[n].append(dx)

        _run(of_block, len(blocks), in_threads)
        return tuple(
            room.array if parts[0] is None else functools.reduce(np.add, parts)
            for room, parts in zip(rooms, zip(*sums, strict=True), strict=False)
        )

    return room_for_y.array, backward


class _Room:
    """An array for the results of all blocks, made when the first of them has shown its shape."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.array: Array = None
        self._lock = threading.Lock()

    def like(self, block: Array) -> Array:
        with self._lock:
            if self.array is None:
                self.array = np.empty((self.rows, *block.shape[1:]), block.dtype)
        return self.array


def _run(task: Callable[[int], None], count: int, in_threads: bool) -> None:
    """Call the task for each block."""
    if in_threads:
        over_parts(task, count)
    else:
        for i in range(count):
            task(i)


def as_rows(x: Array) -> Array:
    """``x`` (..., D) as (N, D), a view where NumPy can; a scalar is one row of one.

    Unlike ``reshape(-1, D)`` it also works for D = 0.
    """
    if x.ndim == 2:
        return x
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1] if x.ndim else 1)


def _as_rows_like(a: Array, x: Array) -> Array:
    """``a`` as (N, ...): it is like ``x`` (..., D), or has one element for each row of it."""
    return as_rows(a) if np.ndim(a) == x.ndim else a.reshape(-1)


def _ones(n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A vector of n ones: the beginning of one that serves many lengths."""
    return _power_of_two_ones(max(n - 1, 0).bit_length(), dtype)[:n]


@cache
def _power_of_two_ones(exponent: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    vector = np.ones(1 << exponent, dtype)
    vector.flags.writeable = False
    return vector


def row_sum(x: Array) -> Array:
    """The sum of each row, (N, D) → (N, 1): a product with ones, four times as fast as ``sum``."""
    return (x @ _ones(x.shape[-1], x.dtype))[:, None]


def row_mean(x: Array) -> Array:
    """The mean of each row, (N, D) → (N, 1)."""
    return row_sum(x) / x.shape[-1]


def row_dot(x: Array, y: Array) -> Array:
    """Σ x y of each row, (N, D) and (N, D) → (N, 1), without an array of the products."""
    return np.vecdot(x, y)[:, None]


def column_sum(x: Array) -> Array:
    """The sum of each column, (N, D) → (D,), computed in the manner of :func:`row_sum`."""
    return _ones(len(x), x.dtype) @ x


def centred(x: Array) -> Array:
    """Each row minus its mean, (N, D).

    The first element of a row is subtracted beforehand. So a constant row gives exact zeros, and a
    row whose mean is large beside its spread loses no digits in the sum.
    """
    shifted = x - x[:, :1]
    shifted -= row_mean(shifted)
    return shifted
