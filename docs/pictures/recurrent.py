"""The pictures of the chapter on recurrent networks."""

from typing import Any

import numpy as np
from foundation_seq import GRU, LSTM, RNN, state_gradients
from foundation_seq.plotting import plot_gradient_norms


def fading() -> Any:
    """How much the last output of fresh networks depends on the state at each step."""
    noise = np.random.default_rng(0).standard_normal((8, 50, 3))
    norms = {}
    for kind in (RNN, GRU, LSTM):
        layer = kind(3, 32, rng=np.random.default_rng(1)).astype(np.float64)
        norms[kind.__name__] = state_gradients(layer, noise)
    return plot_gradient_norms(norms, title="Slope of the last output by each state")
