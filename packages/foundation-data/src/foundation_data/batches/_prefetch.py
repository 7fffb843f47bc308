"""Preparing the next batches while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ahead(
    function: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for each item in order, computed up to `ahead` items early.

    One background thread computes. An exception surfaces where its result would have come. The
    thread ends with the iterator, however that ends: exhausted, left early or failed.

    Parameters
    ----------
    function : callable
        Called in the background thread when `ahead` is at least 1.
    items : iterable
        What to call it with.
    ahead : int
        How many results may wait; 0 computes each when it is asked for, without a thread.
    """
    if ahead == 0:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="foundation-data-prefetch") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
