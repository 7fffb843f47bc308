"""2.3 One step of an LSTM.

Chapter 2, recurrent networks.

How can a network remember over a hundred steps? The state of a simple one is multiplied by a
matrix and squeezed at every step. The LSTM has a second state besides, the cell c, on whose way
there is nothing but a factor. Gates, numbers between 0 and 1, decide what is written (i), what
stays (f) and what is shown (o); g is what could be written:

    z = W_ih x + b_ih + W_hh h_{t-1} + b_hh         in four parts of H numbers: z_i, z_f, z_g, z_o
    i = σ(z_i)    f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
    c_t = f c_{t-1} + i g
    h_t = o tanh(c_t)

Shapes: x (B, I), h and c (B, H), w_ih (4H, I), w_hh (4H, H), b_ih and b_hh (4H,). The parts of z
lie behind one another in its last axis, in the order i, f, g, o; `np.split(z, 4, axis=-1)` gives
all four.

Write `lstm_step`, which returns the new h and the new c.
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + np.exp(-z))


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """The next h and c."""
    raise NotImplementedError("your turn: compute z, split it into the gates, then c, then h")
