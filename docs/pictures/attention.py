"""The pictures of the chapter on attention."""

from typing import Any

import numpy as np
from foundation_attn import attention
from foundation_attn.plotting import HeatMap, plot_attention
from foundation_nn import Tensor


def masks() -> Any:
    """The weights of five equal queries and keys under four masks."""
    equal = Tensor(np.zeros((1, 1, 5, 2)))
    values = Tensor(np.eye(5)[None, None])  # the result of a query is the row of its weights
    real = np.array([[True, True, False, False, False]])
    options: dict[str, dict[str, Any]] = {
        "nothing": {},
        "key_mask: two are real": {"key_mask": real},
        "causal=True": {"causal": True},
        "causal=True, window=2": {"causal": True, "window": 2},
    }
    words = [str(position) for position in range(5)]
    maps = []
    for title, given in options.items():
        weights = attention(equal, equal, values, **given).data[0, 0]
        maps.append(HeatMap(weights, words, words, title))
    return plot_attention(maps)
