"""The order in which a recurrent network visits a padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class Steps:
    """The steps of some rows of a batch in the order of the recurrence.

    The rows are sorted by length, longest first: those which still have a step are always the
    first ones, so that every step works on whole slices, without a mask. Work arrays are
    time-major, (S, b, ...) with b rows and S the longest length, and what is not real in them
    stays zero: padding is never read.

    Parameters
    ----------
    rows : (b,) integer array
        Rows of the batch, longest first.
    lengths : (b,) integer array
        Theirs.
    reverse : bool
        Each row is read from its last real step to its first.

    Attributes
    ----------
    counts : list of S int
        How many rows have the step.
    source, work : pair of integer arrays
        Where the real steps lie: ``arrived[steps.work] = x[steps.source]`` brings x into a work
        array, the opposite brings a result back.
    """

    #: Makes an array in which what is not real is zero.
    blank: ClassVar[Any] = staticmethod(np.zeros)

    def __init__(self, rows: NDArray[np.intp], lengths: NDArray[np.intp], reverse: bool) -> None:
        self.rows = rows
        self.lengths = lengths
        steps = np.arange(lengths[0] if len(rows) else 0)[:, None]
        real = steps < lengths  # (S, b)
        self.counts: list[int] = real.sum(axis=1).tolist()
        time = lengths - 1 - steps if reverse else np.broadcast_to(steps, real.shape)
        self.work = np.nonzero(real)
        self.source = (rows[self.work[1]], time[real])

    def gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """The real steps of ``x`` (B, T, F), time-major: (S, b, F)."""
        arrived = np.zeros((len(self.counts), len(self.rows), x.shape[2]), x.dtype)
        arrived[self.work] = x[self.source]
        return arrived

    def scatter(self, arrived: NDArray[Any], x: NDArray[Any]) -> None:
        """The opposite; what is not real in ``x`` stays as it is."""
        x[self.source] = arrived[self.work]

    def last(self, past: NDArray[Any]) -> NDArray[Any]:
        """Of states (S + 1, b, H), that after the last real step of each row: (b, H)."""
        end: NDArray[Any] = past[self.lengths, np.arange(len(self.rows))]
        return end


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

    blank: ClassVar[Any] = staticmethod(np.empty)

    def __init__(self, rows: slice, batch: int, width: int, reverse: bool) -> None:
        self.rows = rows
        count = len(range(batch)[rows])
        self.counts = [count] * (width if count else 0)
        self.order = slice(None, None, -1 if reverse else None)

    def gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """``x`` (B, T, F) time-major: (T, b, F)."""
        return np.ascontiguousarray(x[self.rows, self.order].swapaxes(0, 1))

    def scatter(self, arrived: NDArray[Any], x: NDArray[Any]) -> None:
        """The opposite."""
        x[self.rows, self.order] = arrived.swapaxes(0, 1)

    def last(self, past: NDArray[Any]) -> NDArray[Any]:
        """Of states (T + 1, b, H), the last: (b, H)."""
        end: NDArray[Any] = past[-1]
        return end


def deal(
    batch: int, width: int, lengths: NDArray[np.intp] | None, reverse: bool, shares: int
) -> Sequence[Steps | FullSteps]:
    """Deal the rows of a batch out like cards, so that every share has as much to do."""
    if lengths is None:
        return [FullSteps(slice(k, None, shares), batch, width, reverse) for k in range(shares)]
    order = np.argsort(-lengths, kind="stable")
    hands = [order[k::shares] for k in range(shares)]
    return [Steps(hand, lengths[hand], reverse) for hand in hands]
