"""How many threads to use, and the one loop over blocks of rows that uses them.

NumPy's element-wise functions run on one core and, on arrays larger than the cache, at the speed
of the memory. Kernels therefore hand their formula to :func:`over_rows`: it is applied to blocks
that stay in the L2 cache while the formula's several passes run over them, and the blocks are
shared between threads (NumPy releases the GIL).
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController

#: Bytes of one operand in a block. In smaller ones the threads would wait for each other: between
#: two calls of NumPy each needs the interpreter to itself.
BLOCK_BYTES = 1 << 20
#: Less than this is done before a second thread has woken up.
THREAD_BYTES = 1 << 20
_SMALL = 1 << 12


# A worker that waited for workers might wait for itself: within one, loops are serial.
_here = threading.local()


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="foundation")


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork

_setting = {"threads": _available()}


def get_num_threads() -> int:
    """The number of threads that operations use; at the start, the cores one may run on."""
    return _setting["threads"]


def set_num_threads(n: int) -> None:
    """Set the number of threads, for NumPy's BLAS and for the package's own loops.

    Raises
    ------
    ValueError
        If ``n`` is less than one.
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected at least 1 thread, got {n}")
    ThreadpoolController().limit(limits=n)  # looked up now: others may have loaded a BLAS since
    _setting["threads"] = n


def scratch(shape: tuple[int, ...], dtype: DTypeLike, slot: int = 0) -> NDArray[Any]:
    """Room for intermediate results within a task of :func:`over_rows`.

    The same memory at each request of this thread for this ``slot``: an array that a worker thread
    allocates and frees is mapped anew each time, which takes longer than the arithmetic.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _SMALL:
        return np.empty(shape, dtype)
    held: dict[int, NDArray[np.uint8]] = _here.__dict__.setdefault("scratch", {})
    if slot not in held or held[slot].size < size:
        held[slot] = np.empty(size, np.uint8)
    return held[slot][:size].view(dtype).reshape(shape)


def over_rows(task: Callable[[slice], None], rows: int, row_bytes: int) -> None:
    """Call ``task(slice)`` for consecutive blocks of rows until all ``rows`` are done.

    The blocks do not depend on the number of threads, so the results do not either. Tasks must
    write to disjoint places.

    Parameters
    ----------
    task : callable
        Computes the rows of its slice.
    rows : int
    row_bytes : int
        Size of one row of the largest operand.
    """
    total = rows * row_bytes
    if total < THREAD_BYTES or rows < 2:
        task(slice(0, rows))
        return
    pairs = math.ceil(total / (2 * BLOCK_BYTES))  # an even number of blocks, of about one size
    step = math.ceil(rows / (2 * pairs))
    starts = range(0, rows, step)

    def work(share: range) -> None:
        for start in share:
            task(slice(start, min(start + step, rows)))

    def work_apart(share: range) -> None:
        _here.is_worker = True
        work(share)

    threads = min(get_num_threads(), len(starts))
    if threads == 1 or getattr(_here, "is_worker", False):
        work(starts)
        return
    others = [_pool(threads - 1).submit(work_apart, starts[i::threads]) for i in range(1, threads)]
    work(starts[::threads])
    for other in others:
        other.result()


def over_parts(task: Callable[[int], None], count: int) -> None:
    """Call ``task(n)`` for each n below ``count``, which are shared between threads.

    For parts that are matrix products: while they run, BLAS itself uses one thread. Tasks must
    write to disjoint places.
    """

    def several(share: slice) -> None:
        for n in range(share.start, share.stop):
            task(n)

    if count < 2 or get_num_threads() == 1:
        several(slice(0, count))
    else:
        with _one_blas_thread():
            over_rows(several, count, row_bytes=1 << 20)  # each is worth a thread


_lock = threading.Lock()
_asked: list[list[tuple[Any, int]]] = []  # what each who is inside found


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Matrix products on the calling thread alone: the threads are busy with parts.

    The number belongs to the whole process, and a thread cannot always raise what another has
    lowered: each who leaves puts back what the first to ask had found. Those who are still inside
    lose speed by that, nothing else.
    """
    with _lock:
        _asked.append(_asked[0] if _asked else [(x, x.num_threads) for x in _blas()])
        for library, _ in _asked[0]:
            library.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            for library, n in _asked.pop():
                library.set_num_threads(n)


@cache
def _blas() -> list[Any]:
    """The loaded BLAS libraries; looking for them takes longer than a small product."""
    return [x for x in ThreadpoolController().lib_controllers if x.user_api == "blas"]


class BlockSums:
    """A sum over all rows, gathered from the tasks of :func:`over_rows` in whatever order."""

    def __init__(self) -> None:
        self._sums: dict[int, NDArray[Any]] = {}

    def add(self, rows: slice, values: NDArray[Any]) -> None:
        """Sum the rows of one block."""
        self._sums[rows.start] = np.ones(len(values), values.dtype) @ values

    def total(self, like: NDArray[Any]) -> NDArray[Any]:
        """Of all blocks, always in the same order; zeros like ``like`` if there was none."""
        return sum((self._sums[start] for start in sorted(self._sums)), np.zeros_like(like))
