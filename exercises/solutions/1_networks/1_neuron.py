"""1.1 One neuron and its slopes.

Chapter 1, networks and backpropagation.

Which way should a weight move so that the answer gets better? One neuron weighs its inputs, adds
a bias and bends the sum. The loss says how far it is from the answer it should have given:

    z = w · x + b        y = tanh z        L = (y - t)²

The loss depends on y, y depends on z, and z depends on the weights. The chain rule multiplies the
slopes, from the loss back to the weights:

    dL/dy = 2 (y - t)        dy/dz = 1 - y²        dz/dw = x        dz/db = 1

Shapes: x and w are (D,), one number for each input; b, t and y are single numbers.

Write `neuron`, which returns y, and then `slopes`, which returns dL/dw of shape (D,) and dL/db.
"""

import numpy as np


def neuron(x, w, b):
    """The answer y of the neuron."""
    return np.tanh(w @ x + b)


def slopes(x, w, b, t):
    """dL/dw and dL/db, in this order."""
    y = neuron(x, w, b)
    dy = 2 * (y - t)
    dz = dy * (1 - y**2)
    return dz * x, dz
