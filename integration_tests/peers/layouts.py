"""Four ways in which the same numbers can lie in memory.

Values and gradients must not depend on them. A leaf holds the numbers as ``store`` leaves them;
``view`` brings them back to their order without moving them, on arrays and on tensors alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Layout(NamedTuple):
    name: str
    store: Callable[[Array], Array]
    view: Callable[[Any], Any]

    def arrange(self, array: Array) -> Array:
        """The same numbers in this layout."""
        view: Array = self.view(self.store(array))
        return view


def _with_gaps(array: Array) -> Array:
    """Each number followed by one that must never be looked at."""
    gaps = np.full_like(array, np.nan) if array.dtype.kind in "fc" else ~array
    return np.stack([array, gaps], axis=-1)


def _backwards(array: Any) -> Any:
    return array[(..., *(slice(None, None, -1),) * array.ndim)]


LAYOUTS = (
    Layout("contiguous", np.array, lambda stored: stored),
    Layout("transposed", lambda array: np.array(array.T, order="C"), lambda stored: stored.T),
    Layout("strided", _with_gaps, lambda stored: stored[..., 0]),
    Layout("reversed", lambda array: np.array(_backwards(array), order="C"), _backwards),
)
