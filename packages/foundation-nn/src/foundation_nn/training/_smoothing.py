"""A noisy curve without its noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def smoothed(values: ArrayLike, share: float = 0.03) -> NDArray[Any]:
    """A straight line through the neighbours of each value, read off at the value.

    The neighbours are those within ``share`` of the whole curve to either side, and no further away
    than a tenth of the steps before: a loss falls so fast in the beginning that a straight line
    through many steps would pass far above it. At the ends the window is cut off, and the line goes
    on as those that are there suggest. Unlike a running mean, which looks back alone, this neither
    lags behind a curve that falls nor bends up at its ends: a straight line stays as it is.

    Parameters
    ----------
    values : (N,) array_like
    share : float
        Of the N values, on either side, at most; one value at least.

    Returns
    -------
    (N,) array of float64

    Examples
    --------
    >>> smoothed([4, 3, 2, 1]).tolist()
    [4.0, 3.0, 2.0, 1.0]
    >>> smoothed([0, 3, 0, 3, 0], share=0.2).round(9).tolist()
    [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    y = np.asarray(values, np.float64)
    if not len(y):
        return y
    places = np.arange(len(y))
    side = np.clip(places // 10, 1, max(1, round(share * len(y))))
    start = np.maximum(0, places - side)
    stop = np.minimum(len(y), places + side + 1)
    count = stop - start
    # Sums over each window, as differences of sums from the beginning.
    level = y.mean()
    up_to = np.concatenate([[0.0], np.cumsum(y - level)])
    moment_up_to = np.concatenate([[0.0], np.cumsum((y - level) * places)])
    mean = (up_to[stop] - up_to[start]) / count
    middle = (start + stop - 1) / 2
    covariance = moment_up_to[stop] - moment_up_to[start] - middle * count * mean
    spread = count * (count**2 - 1) / 12  # of that many whole numbers about their mean
    slope = covariance / np.where(count > 1, spread, 1.0)  # a point alone has no slope
    line: NDArray[Any] = level + mean + slope * (places - middle)
    return line
