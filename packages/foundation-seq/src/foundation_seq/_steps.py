"""The order in which a recurrent network visits a padded batch."""

from __future__ import annotations

from typing import Any

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

    def __init__(self, rows: NDArray[np.intp], lengths: NDArray[np.intp], reverse: bool) -> None:
        self.rows = rows
        self.lengths = lengths
        steps = np.arange(lengths[0] if len(rows) else 0)[:, None]
        real = steps < lengths  # (S, b)
        self.counts: list[int] = real.sum(axis=1).tolist()
        time = lengths - 1 - steps if reverse else np.broadcast_to(steps, real.shape)
        self.work = np.nonzero(real)
        self.source = (rows[self.work[1]], time[real])

    @classmethod
    def deal(cls, lengths: NDArray[np.intp], reverse: bool, shares: int) -> list[Steps]:
        """Deal the rows of a batch out like cards, so that every share has as much to do."""
        order = np.argsort(-lengths, kind="stable")
        hands = [order[k::shares] for k in range(shares)]
        return [cls(hand, lengths[hand], reverse) for hand in hands]

    def gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """The real steps of ``x`` (B, T, F), time-major: (S, b, F)."""
        arrived = np.zeros((len(self.counts), len(self.rows), x.shape[2]), x.dtype)
        arrived[self.work] = x[self.source]
        return arrived
