"""One model from several: the mean of the parameters of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_state(states: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The mean of each array, summed in float64; integers are those of the last state.

    Raises
    ------
    ValueError
        If there is no state, or names or shapes differ.
    """
    if not states:
        raise ValueError("average: expected at least one checkpoint, got none")
    last = states[-1]
    mean: dict[str, NDArray[Any]] = {}
    for name, value in last.items():
        for state in states:
            if set(state) != set(last) or state[name].shape != value.shape:
                raise ValueError("average: the checkpoints are not of one model: shapes differ")
        if value.dtype.kind != "f":
            mean[name] = value
            continue
        total = np.zeros(value.shape)
        for state in states:
            total += state[name]
        mean[name] = (total / len(states)).astype(value.dtype)
    return mean
