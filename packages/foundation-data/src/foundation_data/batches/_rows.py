"""Flat storage: all rows in one array, so that padding a batch is one indexing operation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from foundation_nn.distributed import rows_of
from numpy.typing import NDArray

from foundation_data._arrays import BoolArray, IntArray


class Rows:
    """Rows of ids of different lengths, end to end in one array.

    Examples
    --------
    >>> rows = Rows([[5, 2], [6, 7, 2]])
    >>> rows.flat
    array([5, 2, 6, 7, 2], dtype=int32)
    >>> rows.padded(np.array([1, 0]), pad_id=0)
    (array([[6, 7, 2],
           [5, 2, 0]]), array([3, 2]))
    """

    __slots__ = ("flat", "lengths", "starts")

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.lengths: IntArray = np.array([len(row) for row in rows], dtype=np.int64)
        self.starts: IntArray = np.cumsum(self.lengths) - self.lengths
        # 32 bits hold every vocabulary there is, in half the memory.
        self.flat: NDArray[np.int32] = np.fromiter(
            (token for row in rows for token in row), dtype=np.int32, count=int(self.lengths.sum())
        )

    def row(self, index: int, skip: int = 0, drop: int = 0) -> IntArray:
        """Return a copy of one row without its first `skip` and last `drop` entries."""
        start = int(self.starts[index])
        stop = start + int(self.lengths[index])
        return self.flat[start + skip : stop - drop].astype(np.int64)

    def padded(
        self, indices: IntArray, pad_id: int, skip: int = 0, drop: int = 0
    ) -> tuple[IntArray, IntArray]:
        """Return rows, cut like `row`, as (B, longest) int64, and their lengths (B,)."""
        lengths = self.lengths[indices] - (skip + drop)
        columns = np.arange(int(lengths.max()))
        # Positions past the end of a row read whatever comes next, and are overwritten with
        # padding.
        positions = (self.starts[indices] + skip)[:, None] + columns  # (B, longest)
        taken = self.flat.take(positions, mode="clip").astype(np.int64)
        taken[columns >= lengths[:, None]] = pad_id
        return taken, lengths


def split_rows(count: int, n: int) -> list[slice]:
    """Cut so many rows into up to `n` pieces, none empty; the first ones may have one row more."""
    if n < 1:
        raise ValueError(f"split: expected at least 1 part, got {n}")
    return [rows_of(count, rank, n) for rank in range(min(count, n))]


def longest(mask: BoolArray) -> int:
    """The last column of a mask (B, length) in which any row is real, and so the new length."""
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[-1]) + 1 if columns.size else 0
