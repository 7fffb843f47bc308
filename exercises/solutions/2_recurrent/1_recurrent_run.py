"""2.1 A network that remembers.

Chapter 2, recurrent networks.

What does a word mean? That depends on the words before it. A recurrent network reads one step
after the other, and carries what it remembers along, the state h:

    h_t = tanh(W_ih x_t + W_hh h_{t-1} + b)

It is the same small network at every step, with the same weights. Only its input and its state
change.

Shapes: x (T, I) is one sequence of T steps; h0 (H,) is the state before the first step; w_ih (H,
I), w_hh (H, H) and b (H,). The result holds the states h_1 to h_T, (T, H).

Write `run`.
"""

import numpy as np


def run(x, h0, w_ih, w_hh, b):
    """The states after each step."""
    h = h0
    states = []
    for step in x:
        h = np.tanh(w_ih @ step + w_hh @ h + b)
        states.append(h)
    return np.array(states)
