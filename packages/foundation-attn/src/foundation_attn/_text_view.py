"""Attention in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHADES = " ░▒▓█"


def attention_text(weights: NDArray[Any], queries: Sequence[str], keys: Sequence[str]) -> str:
    """A heat map of characters: rows look at columns, the denser the more.

    Parameters
    ----------
    weights : (T, S) array
    queries : T strings
    keys : S strings
        Written downwards above their columns.

    Examples
    --------
    >>> import numpy as np
    >>> print(attention_text(np.array([[1.0, 0.0], [0.4, 0.6]]), ["a", "b"], ["a", "b"]))
       a b
    a ██
    b ▒▒▓▓
    """
    if weights.shape != (len(queries), len(keys)):
        raise ValueError(
            f"attention_text: expected weights of shape ({len(queries)}, {len(keys)}), got "
            f"{weights.shape}"
        )
    margin = max(map(len, queries), default=0)
    tall = max(map(len, keys), default=0)
    letters = zip(*(key.rjust(tall) for key in keys), strict=True)  # one line of the heading each
    lines = [" " * margin + "  " + " ".join(line) for line in letters]
    levels = np.ceil(weights * (len(_SHADES) - 1) - 0.2).astype(int).clip(0, len(_SHADES) - 1)
    for query, row in zip(queries, levels, strict=True):
        lines.append(f"{query:>{margin}} " + "".join(2 * _SHADES[level] for level in row))
    return "\n".join(line.rstrip() for line in lines)
