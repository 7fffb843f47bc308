"""The order in which a recurrent network visits a padded batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Block(NamedTuple):
    """Where one step lies in the work arrays; the states have ``B`` initial rows in front."""

    rows: slice
    before: slice
    after: slice


class Steps:
    """The real steps of a batch in the order of the recurrence, without the padding.

    The rows are sorted by length, longest first, so that the rows which still have a step are
    always the first ones: every step works on whole slices, there is no mask, and nobody looks at
    padding. Packed arrays have one line for each of the ``N`` real steps, grouped by step; arrays
    of states have ``B + N`` lines, the initial states first.

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
    index : tuple of (N,) integer arrays
        Row and time of each line: ``x[steps.index]`` packs x, ``y[steps.index] = packed`` unpacks.
    blocks : list of Block
        One for each step.
    previous : (N,) integer array or slice
        For each line, where the state before it lies.
    last : (B,) integer array
        Where the last states of the sorted rows lie.
    """

    def __init__(
        self, batch: int, width: int, lengths: NDArray[np.integer[Any]] | None, reverse: bool
    ) -> None:
        real = np.full(batch, width) if lengths is None else lengths.astype(np.intp)
        self.order = np.argsort(-real, kind="stable")
        real = real[self.order]
        steps = np.arange(real[0] if batch else 0)
        counts = (steps[:, None] < real).sum(axis=1)
        # The states before step s begin at starts[s], those after it at starts[s + 1].
        starts = np.concatenate([[0], batch + np.cumsum(counts) - counts, [batch + counts.sum()]])
        step, place = np.nonzero(steps[:, None] < real)
        self.index = (self.order[place], real[place] - 1 - step if reverse else step)
        full = len(step) == batch * len(steps)
        self.previous = slice(0, len(step)) if full else starts[step] + place
        self.last = starts[real] + np.arange(batch)
        self.blocks = [
            Block(slice(b - batch, b - batch + n), slice(a, a + n), slice(b, b + n))
            for a, b, n in zip(
                starts[:-2].tolist(), starts[1:-1].tolist(), counts.tolist(), strict=True
            )
        ]
