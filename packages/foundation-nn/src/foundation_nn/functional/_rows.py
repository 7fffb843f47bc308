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
from functools import cache, lru_cache
from typing import Annotated, Any, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, Vector, is_annotated
from foundation_nn.engine._threads import (
    BLOCK_BYTES,
    SERIAL_SIZE,
    THREAD_BYTES,
    cut_rows,
    over_parts,
)
from foundation_nn.engine._walk import computed

#: Marks what a kernel of rows is given for each row, but has no gradient: (N,), or like the rows.
PerRow: TypeAlias = Annotated[Any, "one for each row, without gradient"]

P = ParamSpec("P")


def by_rows(kernel: Callable[P, Result]) -> Callable[P, Result]:
    """Run a kernel that is written for a block of rows on arrays of any shape and size.

    The kernel's parameters say by their annotations what they are. An ``Array`` (..., D) is cut
    into blocks (n, D), and ``PerRow`` is cut with it. A ``Vector`` is the same for all rows. Others
    are options. The kernel returns y, (n, W) or (n,), and its backward. That returns the gradient
    of a vector as the sum over the rows of the block; those of all blocks are added up here. It may
    return a gradient as a function that computes it, which is called only if somebody needs it.

    Results of blocks are copied to where those of all rows belong. A kernel spares the copy of y,
    which is then like x, if it has a last parameter ``out=None`` and hands it to the function of
    NumPy that computes y: ``np.multiply(a, b, out=out)``. Its backward does the same with that of
    dx. In a kernel of few steps a copy is a twentieth of the time.

    The blocks do not depend on the number of threads, and so the results do not, either.
    """
    signature = inspect.signature(kernel, eval_str=True)
    takes_out = _takes_out(kernel)
    parameters = [p for p in signature.parameters.values() if p.name != "out"]
    names = [p.name for p in parameters]
    defaults = [p.default for p in parameters]
    in_rows = [i for i, p in enumerate(parameters) if is_annotated(p, Array, PerRow)]
    with_gradient = [i for i, p in enumerate(parameters) if is_annotated(p, Array, Vector)]
    # Of the inputs with a gradient: which are cut, so that their gradients are, too.
    cut = [i in in_rows for i in with_gradient]
    # The engine tells the backward which gradients are wanted, where there is a choice.
    selective = len(with_gradient) > 1

    @functools.wraps(kernel)
    def of_any_shape(*args: P.args, **kwargs: P.kwargs) -> Result:
        if len(args) > len(names):
            raise TypeError(f"{kernel.__name__}() was given {len(args) - len(names)} too many")
        given: list[Any] = list(args)
        if given and not kwargs and given[0].ndim == 2 and given[0].nbytes <= BLOCK_BYTES:
            # One block, which has its shape already: nothing is to be done.
            return _of_one_block(kernel(*given), selective)  # type: ignore[call-arg]
        given += defaults[len(given) :]
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"{kernel.__name__}() has no argument {name!r}")
            given[names.index(name)] = value
        x = given[0]
        rows = [i for i in in_rows if given[i] is not None]
        shapes = [None if given[i] is None else given[i].shape for i in with_gradient]
        for i in rows:
            given[i] = _as_rows_like(given[i], x)
        blocks = _blocks([given[i] for i in rows]) if x.size >= SERIAL_SIZE else []
        in_blocks = len(blocks) > 1
        if in_blocks:
            y, backward = _in_blocks(kernel, given, rows, blocks, cut, takes_out)
        else:
            y, backward = kernel(*given)  # type: ignore[call-arg]
        shape = x.shape
        row_shape = y.shape
        y = y.reshape(shape if row_shape == given[0].shape else shape[:-1] + row_shape[1:])

        # It keeps neither x nor y, but their shapes.
        def backward_of_any_shape(g: Array, wanted: Sequence[bool] | None = None) -> Any:
            g = g.reshape(row_shape)
            grads = backward(g, wanted) if in_blocks else _wanted_of(backward(g), wanted)
            shaped = [
                None if dx is None else dx.reshape(shape)
                for dx, shape in zip(grads, shapes, strict=False)
            ]
            return shaped[0] if len(shaped) == 1 else tuple(shaped)

        return y, backward_of_any_shape

    of_any_shape.selective = selective  # type: ignore[attr-defined]
    # Callers do not see ``out``.
    of_any_shape.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return of_any_shape


def _takes_out(function: Callable[..., Any]) -> bool:
    """Whether a kernel, or a backward, has a parameter ``out``."""
    code = getattr(function, "__code__", None)
    return code is not None and "out" in code.co_varnames[: code.co_argcount]


def _of_one_block(result: Result, selective: bool) -> Result:
    """The result for one block, whose backward leaves it to the engine to choose what is wanted."""
    if not selective:
        return result
    y, backward = result

    def of_all(g: Array, wanted: Sequence[bool] | None = None) -> Any:  # noqa: ARG001
        return backward(g)

    return y, of_all


def _wanted_of(grads: Any, wanted: Sequence[bool] | None) -> list[Array]:
    """The gradients that a backward gave, computed; None for those that nobody wants."""
    grads = grads if isinstance(grads, tuple) else (grads,)
    if wanted is None:
        return [computed(dx) for dx in grads]
    return [computed(dx) if want else None for dx, want in zip(grads, wanted, strict=False)]


def _blocks(arrays: list[Array]) -> list[slice]:
    """How arrays (N, ...), the first of which is x, are cut."""
    return cut_rows(len(arrays[0]), max(a[:1].nbytes for a in arrays))


def _in_blocks(
    kernel: Callable[..., Result],
    given: list[Any],
    rows: list[int],
    blocks: list[slice],
    cut: list[bool],
    takes_out: bool,
) -> Result:
    """The kernel for many rows, block by block.

    Parameters
    ----------
    given : list
        The arguments of the kernel, for all rows.
    rows : list of int
        Which of them are cut into blocks.
    blocks : list of slice
    cut : list of bool
        Which of the gradients that its backward returns are of such arguments. Those of vectors are
        added up.
    takes_out : bool
        Whether the kernel can be told where to write y.
    """
    # The backward refers to these numbers, not to x, which only the kernel may want to keep.
    row_count = len(given[0])
    row_shape = given[0].shape[1:]
    dtype = given[0].dtype
    in_threads = given[0].nbytes >= THREAD_BYTES
    backwards: list[Any] = [None] * len(blocks)
    room_for_y = _Room(row_count)

    def forward(n: int) -> None:
        block = blocks[n]
        arguments = [value[block] if i in rows else value for i, value in enumerate(given)]
        out = None
        if takes_out:
            out = room_for_y.of(row_shape, dtype)[block]
            arguments.append(out)
        y, backwards[n] = kernel(*arguments)
        if y is not out:
            room_for_y.of(y.shape[1:], y.dtype)[block] = y

    _run(forward, len(blocks), in_threads)

    def backward(g: Array, wanted: Sequence[bool] | None) -> tuple[Array, ...]:
        rooms = [_Room(row_count) for _ in cut]
        sums: list[list[Array]] = [[] for _ in blocks]  # of each block, for what all rows share

        def backward_of_block(n: int) -> None:
            block = blocks[n]
            backward = backwards[n]
            backwards[n] = None  # what this block had saved is freed when it is done
            if backward is None:
                raise RuntimeError(
                    f"{kernel.__name__}: this backward was called before, and what it had saved is "
                    "freed; call the kernel again"
                )
            room_for_dx = None
            if _takes_out(backward) and (wanted is None or wanted[0]):
                room_for_dx = rooms[0].of(row_shape, dtype)[block]
                grads = backward(g[block], room_for_dx)
            else:
                grads = backward(g[block])
            grads = _wanted_of(grads, wanted)
            for is_cut, room, dx in zip(cut, rooms, grads, strict=False):
                if is_cut and dx is not None:
                    if dx is not room_for_dx:
                        room.of(dx.shape[1:], dx.dtype)[block] = dx
                    dx = None
                sums[n].append(dx)

        _run(backward_of_block, len(blocks), in_threads)
        return tuple(
            room.array if parts[0] is None else functools.reduce(np.add, parts)
            for room, parts in zip(rooms, zip(*sums, strict=True), strict=False)
        )

    return room_for_y.array, backward


class _Room:
    """An array for the results of all blocks, made when the first of them is computed."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.array: Array = None
        self._lock = threading.Lock()

    def of(self, row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        with self._lock:
            if self.array is None:
                self.array = np.empty((self.rows, *row_shape), dtype)
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
    return as_rows(a) if a.ndim == x.ndim else a.reshape(-1)


@lru_cache
def ones(n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A vector of n ones that cannot be written to: the beginning of one for many lengths."""
    return _power_of_two_ones(max(n - 1, 0).bit_length(), dtype)[:n]


@cache
def _power_of_two_ones(exponent: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    vector = np.ones(1 << exponent, dtype)
    vector.flags.writeable = False
    return vector


def row_sum(x: Array) -> Array:
    """The sum of each row, (N, D) → (N, 1): a product with ones, four times as fast as ``sum``.

    ``x.dot(...)`` is ``x @ ...``, and 0.4 µs faster.
    """
    return x.dot(ones(x.shape[-1], x.dtype))[:, None]


def row_mean(x: Array) -> Array:
    """The mean of each row, (N, D) → (N, 1)."""
    return row_sum(x) / x.shape[-1]


def row_dot(x: Array, y: Array) -> Array:
    """Σ x y of each row, (N, D) and (N, D) → (N, 1), without an array of the products."""
    return np.vecdot(x, y)[:, None]


def column_sum(x: Array) -> Array:
    """The sum of each column, (N, D) → (D,), computed in the manner of :func:`row_sum`."""
    return ones(len(x), x.dtype).dot(x)


def centred(x: Array) -> tuple[Array, Array]:
    """Each row minus its mean, (N, D), and the variance of each row, (N, 1).

    A constant row gives exact zeros, and a row whose mean is large beside its spread loses no
    digits in the sum. A mean is a rounded number, so that something is left of it in the
    deviations. One look says how much: their mean, squared, is compared with the variance. Only
    rows in which it is not tiny are centred anew, after their own first element was subtracted.
    Ordinary rows pay for the look alone, a tenth of the time of a layer norm; to compute every mean
    in two passes would take more.
    """
    D = x.shape[-1]
    deviation = x - row_mean(x)
    # The mean is a rounded number, so that something is left of it. In few rows that is not small
    # beside the spread: those are centred anew, with their first element subtracted beforehand.
    with np.errstate(over="ignore"):  # also if what is left of a huge mean has too large squares
        variance = row_dot(deviation, deviation) / D
        left = row_mean(deviation)
        inexact = (left * left > _smallest_share(x.dtype) * variance) | np.isinf(variance)
    if np.count_nonzero(inexact):
        again = inexact[:, 0]
        some = deviation[again]
        some -= some[:, :1]
        some -= row_mean(some)
        deviation[again] = some
        variance[again] = row_dot(some, some) / D
    return deviation, variance


@cache
def _smallest_share(dtype: np.dtype[Any]) -> float:
    """What is left of a mean counts from here on: its square, as a share of the variance."""
    return float(4 * np.finfo(dtype).eps) ** 2


def surely_finite(x: Array) -> bool:
    """Whether all numbers are finite; of finite ones whose squares are too large it says no, too.

    The sum of their squares says so, in one pass and a third of the time of any other way.
    """
    return math.isfinite(np.vdot(x, x))


def limited(x: Array, lowest: float, highest: float) -> Array:
    """``x.clip(lowest, highest)``, or ``x`` itself, not copied, where all of it lies between them.

    Extremes are rare in most arrays, and to look for them takes half the time of a copy. The result
    must not be written to.
    """
    if lowest <= x.min(initial=highest) and x.max(initial=lowest) <= highest:
        return x
    return x.clip(lowest, highest)  # also where there is NaN, which stays
