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
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, Vector, is_annotated
from foundation_nn.engine._threads import SERIAL_SIZE, THREAD_BYTES, cut_rows, over_parts

#: Marks what a kernel of rows is given for each row, but has no gradient: (N,), or like the rows.
PerRow: TypeAlias = Annotated[Any, "one for each row, without gradient"]

P = ParamSpec("P")


def by_rows(kernel: Callable[P, Result]) -> Callable[P, Result]:
    """Make a kernel for a block of rows one for arrays of any shape and size.

    The kernel's parameters say by their annotations what they are. An ``Array`` (..., D) is cut
    into blocks (n, D), and ``PerRow`` is cut with it. A ``Vector`` is the same for all rows. Others
    are options. The kernel returns y, (n, W) or (n,), and its backward. That may return the
    gradient of a vector for each row, (n, D): they are added up here.

    The blocks do not depend on the number of threads, and so the results do not, either.
    """
    parameters = list(inspect.signature(kernel, eval_str=True).parameters.values())
    names = [p.name for p in parameters]
    with_gradient = [p.name for p in parameters if is_annotated(p, Array, Vector)]
    in_rows = [p.name for p in parameters if is_annotated(p, Array, PerRow)]

    @functools.wraps(kernel)
    def of_any_shape(*args: P.args, **kwargs: P.kwargs) -> Result:
        given: dict[str, Any] = dict(zip(names, args, strict=False)) | kwargs
        x = given[names[0]]
        shapes = {name: np.shape(given[name]) for name in in_rows if given.get(name) is not None}
        rows = {name: _as_rows_like(given[name], x) for name in shapes}
        y, backward = _in_blocks(kernel, given | rows, list(rows), with_gradient)

        def backward_of_any_shape(g: Array) -> Any:
            grads = backward(g.reshape(y.shape))
            shaped = [
                dx.reshape(shapes[name]) if name in shapes and dx is not None else dx
                for name, dx in zip(with_gradient, grads, strict=False)
            ]
            return shaped[0] if len(shaped) == 1 else tuple(shaped)

        shape = x.shape if y.shape == _as_rows_like(x, x).shape else x.shape[:-1] + y.shape[1:]
        return y.reshape(shape), backward_of_any_shape

    return of_any_shape


def _in_blocks(
    kernel: Callable[..., Result],
    given: dict[str, Any],
    in_rows: list[str],
    with_gradient: list[str],
) -> Result:
    """The kernel for all rows, whose backward always returns a tuple of gradients."""
    x = given[in_rows[0]]

    def of_block(block: slice) -> Result:
        return kernel(**(given | {name: given[name][block] for name in in_rows}))

    def gradients(grads: Any) -> list[Array]:
        returned = grads if isinstance(grads, tuple) else (grads,)
        return [
            column_sum(dx) if dx is not None and name not in in_rows and dx.ndim == 2 else dx
            for name, dx in zip(with_gradient, returned, strict=False)
        ]

    if x.size < SERIAL_SIZE:
        y, backward = of_block(slice(None))
        return y, lambda g: gradients(backward(g))

    blocks = cut_rows(len(x), max(given[name][:1].nbytes for name in in_rows))
    backwards: list[Any] = [None] * len(blocks)
    room_for_y = _Room(len(x))

    def forward(i: int) -> None:
        y, backwards[i] = of_block(blocks[i])
        room_for_y.like(y)[blocks[i]] = y

    _run(forward, len(blocks), x)

    def backward_of_all(g: Array) -> list[Array]:
        sums: list[list[Array]] = [[]] * len(blocks)
        rooms = [_Room(len(x)) for _ in with_gradient]

        def backward(i: int) -> None:
            sums[i] = gradients(backwards[i](g[blocks[i]]))
            backwards[i] = None  # what this block had saved is freed
            for j, dx in enumerate(sums[i]):
                if with_gradient[j] in in_rows and dx is not None:
                    rooms[j].like(dx)[blocks[i]] = dx
                    sums[i][j] = None

        _run(backward, len(blocks), x)
        return [
            room.array if parts[0] is None else functools.reduce(np.add, parts)
            for room, parts in zip(rooms, zip(*sums, strict=True), strict=False)
        ]

    return room_for_y.array, backward_of_all


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


def _run(task: Callable[[int], None], count: int, example: Array) -> None:
    """Call the task for each block; in threads, if that is worth it."""
    if example.nbytes < THREAD_BYTES:
        for i in range(count):
            task(i)
    else:
        over_parts(task, count)


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


@lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    vector = np.ones(n, dtype)
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
