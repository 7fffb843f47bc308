"""Sharing the work of attention between threads: batches and heads are independent."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

from foundation_nn import get_num_threads, over_rows
from threadpoolctl import ThreadpoolController

#: One slice for each of the leading axes, the batch and the heads.
Part: TypeAlias = tuple[slice, ...]


def parts(lead: Sequence[int], size: int) -> list[Part]:
    """The leading axes in parts of about ``size`` heads, the last axes whole where they can be."""
    if 0 < math.prod(lead) <= size:
        return [(slice(None),) * len(lead)]
    cuts: list[list[slice]] = []
    for n in reversed(lead):
        pieces = -(-n // max(1, size))
        width = -(-n // max(1, pieces))
        cuts.append([slice(i, min(i + width, n)) for i in range(0, n, max(1, width))])
        size //= max(1, n)
    return list(itertools.product(*reversed(cuts)))


def for_each(task: Callable[[int], None], count: int) -> None:
    """Call ``task(n)`` for n from 0 to ``count``; tasks write to disjoint places."""

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
    """The loaded BLAS libraries; looking for them takes longer than a small attention."""
    return [x for x in ThreadpoolController().lib_controllers if x.user_api == "blas"]
