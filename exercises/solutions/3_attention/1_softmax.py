"""3.1 Softmax.

Chapter 3, attention.

How do scores become shares? Attention compares a query with every key and gets one number each,
the score. The softmax turns a row of scores into weights that are positive and add up to 1:

    weights_j = exp(scores_j) / sum over k of exp(scores_k)

exp grows fast: exp(1000) is more than a computer can hold. Subtracting the same number from all
scores of a row changes nothing, because it cancels in the fraction. So subtract the largest score
of the row first; then the largest exponent is 0.

Shapes: scores are (..., S), with S keys in the last axis. Whatever axes stand before, every row
of the last axis is a softmax of its own. The weights have the same shape.

Write `softmax`. `x.max(axis=-1, keepdims=True)` keeps the last axis, so that it can be
subtracted.
"""

import numpy as np


def softmax(scores):
    """Weights that add up to 1 along the last axis."""
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)
