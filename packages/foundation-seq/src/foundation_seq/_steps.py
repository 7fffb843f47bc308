"""The order in which a recurrent network visits a padded batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Steps:
    """The steps of a batch in the order of the recurrence.

    The rows are sorted by length, longest first: those which still have a step are always the
    first ones, so that every step works on whole slices, without a mask. Work arrays are
    time-major, (S, B, ...) with S the longest length, and what is not real in them stays zero:
    padding is never read.

    Parameters
    ----------
    batch, width : int
        B and T.
    lengths : (B,) integer array, optional
        From 0 to T; None: all rows are full.
    reverse : bool
        Each row is read from its last real step to its first.

    Attributes
    ----------
    order : (B,) integer array
        The rows, longest first.
    lengths : (B,) integer array
        Theirs.
    counts : list of S int
        How many rows have the step.
    source, work : pair of integer arrays
        Where the real steps lie: ``arrived[steps.work] = x[steps.source]`` brings x into a work
        array, the opposite brings a result back.
    lines : (S, B) integer array
        The source as line of a (B * T, ...) array; 0 where nothing is real.
    """

    def __init__(
        self, batch: int, width: int, lengths: NDArray[np.integer[Any]] | None, reverse: bool
    ) -> None:
        given = np.full(batch, width) if lengths is None else lengths.astype(np.intp)
        self.order = np.argsort(-given, kind="stable")
        self.lengths = given[self.order]
        steps = np.arange(self.lengths[0] if batch else 0)[:, None]
        real = steps < self.lengths  # (S, B)
        self.counts: list[int] = real.sum(axis=1).tolist()
        time = self.lengths - 1 - steps if reverse else np.broadcast_to(steps, real.shape)
        self.work = np.nonzero(real)
        self.source = (self.order[self.work[1]], time[real])
        self.lines = np.where(real, self.order * width + time, 0)
