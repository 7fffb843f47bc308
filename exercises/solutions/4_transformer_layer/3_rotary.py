"""4.3 Rotary positions.

Chapter 4, the transformer layer.

Can attention feel distances, wherever in a text they are? Rotary positions turn queries and keys
instead of adding to them. The K numbers of a head form pairs, number i with number i + K/2, and
at position t each pair is turned by an angle:

    θ = t / 10000^(2i/K)
    (a, b)  →  (a cos θ - b sin θ,  a sin θ + b cos θ)

Turning does not change a length. And the product of a query that was turned by t angles and a key
that was turned by s angles depends on t - s alone.

Shapes: x (..., T, K) with K even, positions (T,); the result has the shape of x. a is the first
half of the last axis, b the second.

Write `rotate`. `np.concatenate([a, b], axis=-1)` puts two halves together again.
"""

import numpy as np


def rotate(x, positions):
    """x, turned at each position by its angles."""
    width = x.shape[-1]
    a, b = np.split(x, 2, axis=-1)
    angles = positions[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    cos = np.cos(angles)
    sin = np.sin(angles)
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
