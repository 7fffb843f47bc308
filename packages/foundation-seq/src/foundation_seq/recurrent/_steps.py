"""The order in which a recurrent network visits a padded batch.

Padding is left out by sorting. With the rows of the batch in the order of their lengths, the
longest first, the rows that have a step t are always the first ones::

    row 2:  x x x x      step 0: 3 rows
    row 0:  x x x        step 1: 3 rows
    row 1:  x x          step 2: 2 rows
                         step 3: 1 row

So every step works on a slice of rows, without a mask, and padding is never read. Work arrays have
the steps first, (S, b, ...), with b rows and S the longest length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class RaggedSteps:
    """The steps of some rows of a batch, whose lengths differ.

    Parameters
    ----------
    rows : (b,) integer array
        Rows of the batch, the longest first.
    lengths : (b,) integer array
        Their lengths.
    reverse : bool
        Whether each row is read from its last real step to its first.

    Attributes
    ----------
    counts : list of S int
        How many rows have each step.
    """

    #: Makes an array that holds results; what is not real in it must be zero.
    new_array: ClassVar[Any] = staticmethod(np.zeros)

    def __init__(self, rows: NDArray[np.intp], lengths: NDArray[np.intp], reverse: bool) -> None:
        self.rows = rows
        self.lengths = lengths
        longest = lengths[0] if len(rows) else 0
        steps = np.arange(longest)[:, None]
        real = steps < lengths  # (S, b)
        self.counts: list[int] = real.sum(axis=1).tolist()
        times = lengths - 1 - steps if reverse else np.broadcast_to(steps, real.shape)
        # Where the real steps lie in a work array (S, b, F), and where in the batch (B, T, F).
        self._in_work = np.nonzero(real)
        self._in_batch = (rows[self._in_work[1]], times[real])

    def gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """The real steps of ``x`` (B, T, F) as a work array (S, b, F), zero elsewhere."""
        work = np.zeros((len(self.counts), len(self.rows), x.shape[2]), x.dtype)
        work[self._in_work] = x[self._in_batch]
        return work

    def scatter(self, work: NDArray[Any], x: NDArray[Any]) -> None:
        """Write the real steps of a work array (S, b, F) into ``x`` (B, T, F)."""
        x[self._in_batch] = work[self._in_work]

    def last(self, states: NDArray[Any]) -> NDArray[Any]:
        """Of states (S + 1, b, H), that after the last real step of each row: (b, H)."""
        last: NDArray[Any] = states[self.lengths, np.arange(len(self.rows))]
        return last


class FullSteps:
    """The same where every step is real: slices serve instead of indices, and little is copied.

    Parameters
    ----------
    rows : slice
        Rows of the batch.
    batch, width : int
        B and T.
    reverse : bool
    """

    #: Every entry is real and will be written.
    new_array: ClassVar[Any] = staticmethod(np.empty)

    def __init__(self, rows: slice, batch: int, width: int, reverse: bool) -> None:
        self.rows = rows
        num_rows = len(range(batch)[rows])
        self.counts = [num_rows] * (width if num_rows else 0)
        self._times = slice(None, None, -1 if reverse else None)

    def gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """``x`` (B, T, F) as a work array (T, b, F)."""
        return np.ascontiguousarray(x[self.rows, self._times].swapaxes(0, 1))

    def scatter(self, work: NDArray[Any], x: NDArray[Any]) -> None:
        """Write a work array (T, b, F) into ``x`` (B, T, F)."""
        x[self.rows, self._times] = work.swapaxes(0, 1)

    def last(self, states: NDArray[Any]) -> NDArray[Any]:
        """Of states (T + 1, b, H), the last: (b, H)."""
        last: NDArray[Any] = states[-1]
        return last


def share_rows(
    batch: int, width: int, lengths: NDArray[np.intp] | None, reverse: bool, num_shares: int
) -> Sequence[RaggedSteps | FullSteps]:
    """Share the rows of a batch out so that every share has about as much to do.

    Each share takes every ``num_shares``-th row, of rows sorted by length where they differ.
    """
    if lengths is None:
        return [
            FullSteps(slice(first, None, num_shares), batch, width, reverse)
            for first in range(num_shares)
        ]
    longest_first = np.argsort(-lengths, kind="stable")
    shares = [longest_first[first::num_shares] for first in range(num_shares)]
    return [RaggedSteps(rows, lengths[rows], reverse) for rows in shares]
