"""2.2 Back through time.

Chapter 2, recurrent networks.

How does the loss at the end of a sentence reach a word at its beginning? Unrolled, a recurrent
network is a deep one, all layers of which share their weights. The walk back begins at the last
step. The state h_t has been used twice: it is the output of step t, and step t + 1 has read it.
So its gradient has two parts:

    dh_t     = g_t + (what step t + 1 hands back)
    dz_t     = dh_t (1 - h_t²)                      the slope of tanh
    dx_t     = W_ihᵀ dz_t
    dh_{t-1} gets W_hhᵀ dz_t                        handed back to the step before
    dW_ih    = sum over t of dz_t x_tᵀ              the weights are shared: add up
    dW_hh    = sum over t of dz_t h_{t-1}ᵀ
    db       = sum over t of dz_t

Shapes: x (T, I), h0 (H,), w_ih (H, I), w_hh (H, H), b (H,); the states and g, the slopes of the
loss towards them, are (T, H). `np.outer(a, b)` is a bᵀ.

Write `backward`. It returns the five gradients in the order of the arguments of `recurrent`: dx,
dh0, dw_ih, dw_hh, db.
"""

import numpy as np
from foundation_nn import Array, Result


def recurrent(x: Array, h0: Array, w_ih: Array, w_hh: Array, b: Array) -> Result:
    """The states (T, H), and their backward."""
    states = [h0]
    for step in x:
        states.append(np.tanh(w_ih @ step + w_hh @ states[-1] + b))

    def backward(g):
        dx = np.zeros_like(x)
        dw_ih = np.zeros_like(w_ih)
        dw_hh = np.zeros_like(w_hh)
        db = np.zeros_like(b)
        dh = np.zeros_like(h0)  # what the step behind hands back: nothing, behind the last one
        for t in range(len(x) - 1, -1, -1):
            dh = g[t] + dh
            dz = dh * (1 - states[t + 1] ** 2)
            dx[t] = w_ih.T @ dz
            dw_ih += np.outer(dz, x[t])
            dw_hh += np.outer(dz, states[t])
            db += dz
            dh = w_hh.T @ dz
        return dx, dh, dw_ih, dw_hh, db

    return np.array(states[1:]), backward
