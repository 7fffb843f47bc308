"""4.2 Sinusoidal positions.

Chapter 4, the transformer layer.

How does a transformer know the order of words? Attention by itself does not: it gives the same
output in whatever order the keys stand (exercise 3.2). So every position t gets a vector that is
added to the word's. Its numbers come in pairs, and each pair is the hand of a clock; the first
hand turns fast, the last one very slowly:

    PE[t, 2i]     = sin(t / 10000^(2i/D))
    PE[t, 2i + 1] = cos(t / 10000^(2i/D))

Shapes: the table is (T, D), with D even; i runs from 0 to D/2 - 1. Even columns hold sines, odd
columns cosines: `table[:, 0::2] = ...` writes into the even ones.

Write `sinusoids`.
"""

import numpy as np


def sinusoids(length, width):
    """The vector of each position, (T, D)."""
    raise NotImplementedError(
        "your turn: the angles (T, D/2) first, then sines and cosines in turns"
    )
