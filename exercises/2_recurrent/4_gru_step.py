"""2.4 One step of a GRU.

Chapter 2, recurrent networks.

Does it take two states to remember? The GRU has one, and two gates. The gate z decides how much
of the state stays; what does not stay is replaced by n. The gate r decides how much of the old
state takes part in n:

    p = W_ih x + b_ih        q = W_hh h_{t-1} + b_hh        each in three parts: r, z, n
    r = σ(p_r + q_r)    z = σ(p_z + q_z)    n = tanh(p_n + r q_n)
    h_t = (1 - z) n + z h_{t-1}

With z = 1 the state stays as it is, whatever comes; with z = 0 it is replaced altogether.

Shapes: x (B, I), h (B, H), w_ih (3H, I), w_hh (3H, H), b_ih and b_hh (3H,). The three parts lie
behind one another in the last axis, in the order r, z, n.

Write `gru_step`, which returns the new h.
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + np.exp(-z))


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    """The next h."""
    raise NotImplementedError(
        "your turn: compute p and q, split each into three, then r, z, n and h"
    )
