"""7.4 Clipping gradients.

Chapter 7, training.

What if one bad batch throws away what a thousand good ones have taught? A gradient is sometimes a
hundred times as long as usual. Clipping makes it shorter and leaves its direction as it is. So
the length is that of all gradients together, as if they were one long vector, and all of them are
scaled by the same factor:

    norm = √(sum over all arrays and all their numbers of g²)
    if norm > max_norm: every g becomes g · max_norm / norm

Gradients that are short enough stay as they are.

Shapes: grads is a list of arrays of any shapes; the result is a list of the same shapes, and the
norm before clipping.

Write `clip`. It makes new arrays.
"""

import numpy as np


def clip(grads, max_norm):
    """The gradients, together not longer than `max_norm`, and how long they were."""
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [g * factor for g in grads], norm
