"""The rows of a batch that one of several processes takes."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from foundation_nn._arguments import described, whole_number
from foundation_nn.engine._tensor import Tensor


def share(batch: Any, rank: int, size: int) -> Any:
    """The part of a batch for process ``rank`` of ``size``; None if there are too few rows.

    Rows stay in their order. Where they cannot be shared out equally, the first processes have one
    more. A process without rows takes part in the step with zero targets: it sends and receives
    what all do, and its gradient counts nothing.

    In a :class:`~foundation_nn.training.Trainer` every process has the whole batch and takes its
    share by this function. So the batches must be the same everywhere. Before the first step the
    trainer compares the names and shapes of the parameters, and in this step a checksum of the
    whole batches.

    Parameters
    ----------
    batch : object
        It has a method ``split(n)`` that returns up to ``n`` parts, as the batches of
        foundation-data do; or it is an array, a tensor or a list, or a tuple, dictionary or
        dataclass of these, which are cut along their first axis. What has no rows in such a batch,
        for instance a number, goes to every process as it is.
    rank, size : int

    Raises
    ------
    TypeError
        If it is something else, or nothing in it has rows.
    ValueError
        If arrays of one batch have unequal numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn.distributed import share
    >>> batch = {"x": np.arange(5), "names": ["a", "b", "c", "d", "e"], "rate": 0.5}
    >>> share(batch, 0, 2)
    {'x': array([0, 1, 2]), 'names': ['a', 'b', 'c'], 'rate': 0.5}
    >>> share(batch, 1, 2)
    {'x': array([3, 4]), 'names': ['d', 'e'], 'rate': 0.5}
    >>> share(batch, 5, 6) is None  # five rows for six processes
    True
    """
    size = whole_number("share", "size", size, at_least=1)
    rank = whole_number("share", "rank", rank, at_least=0)
    if size == 1:
        return batch
    if _has_rows(batch):
        rows = rows_of(len(batch), rank, size)
        return batch[rows] if rows.start < rows.stop else None
    if hasattr(batch, "split") and not isinstance(batch, str | bytes):
        parts = batch.split(size)
        return parts[rank] if rank < len(parts) else None
    if isinstance(batch, Mapping):
        members = _cut_alike(list(batch.values()), rank, size)
        return None if members is None else dict(zip(batch, members, strict=True))
    if isinstance(batch, tuple):
        members = _cut_alike(list(batch), rank, size)
        make = type(batch)._make if hasattr(batch, "_make") else tuple  # _make: a named tuple
        return None if members is None else make(members)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in dataclasses.fields(batch) if field.init]
        members = _cut_alike([getattr(batch, name) for name in names], rank, size)
        changes = None if members is None else dict(zip(names, members, strict=True))
        return None if changes is None else dataclasses.replace(batch, **changes)
    raise TypeError(
        f"share: expected a batch of arrays, or with a method split(n), got {described(batch)}; "
        "give its class split(n), which returns up to n parts with some of the rows each"
    )


def _cut_alike(members: list[Any], rank: int, size: int) -> list[Any] | None:
    """The members of a batch, those with rows cut to the rows of this process, if it has any."""
    lengths = {len(member) for member in members if _has_rows(member)}
    if not lengths:
        raise TypeError(
            "share: expected arrays that can be cut along their first axis, got "
            f"({', '.join(described(member) for member in members)})"
        )
    if len(lengths) > 1:
        raise ValueError(
            f"share: the arrays of a batch have {', '.join(map(str, sorted(lengths)))} rows; they "
            "are shared out by rows, so all of them have the same number. Give the batch a class "
            "with a method split(n) if its arrays are laid out in another way"
        )
    rows = rows_of(lengths.pop(), rank, size)
    if rows.start == rows.stop:
        return None
    return [member[rows] if _has_rows(member) else member for member in members]


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray | Tensor) and value.ndim > 0)


def rows_of(count: int, rank: int, size: int) -> slice:
    """Where the rows of process ``rank`` of ``size`` are among ``count`` rows.

    They are as many for all processes, or one more for the first ones. A batch with a method
    ``split(n)`` of its own can cut by it.

    Examples
    --------
    >>> [rows_of(5, rank, 3) for rank in range(3)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    each, left_over = divmod(count, size)
    start = rank * each + min(rank, left_over)
    return slice(start, start + each + (rank < left_over))


def digest(batch: Any) -> int:
    """A number that is the same for equal batches, and most likely another one for others.

    What is no array, number or text, nor a collection of these, does not count.
    """
    if isinstance(batch, Tensor):
        batch = batch.numpy()
    if isinstance(batch, np.ndarray):
        head = f"{batch.dtype}{batch.shape}".encode()
        return zlib.crc32(np.ascontiguousarray(batch).tobytes(), zlib.crc32(head))
    if isinstance(batch, str | bytes | int | float | bool):
        return zlib.crc32(repr(batch).encode())
    if isinstance(batch, Mapping):
        members = [*batch.keys(), *batch.values()]
    elif isinstance(batch, list | tuple):
        members = list(batch)
    elif dataclasses.is_dataclass(batch):
        members = [getattr(batch, field.name) for field in dataclasses.fields(batch)]
    else:
        members = []
    return zlib.crc32(repr([digest(member) for member in members]).encode())
