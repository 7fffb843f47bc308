"""3.2 Scaled dot-product attention.

Chapter 3, attention.

Where does a word look? Each query asks all keys, and gets a mean of their values, in which those
weigh most whose keys answer best:

    scores  = q kᵀ / √K            (T, S)   how well each key answers each query
    weights = softmax(scores)      (T, S)   over the keys
    output  = weights v            (T, K)   for each query, a mean of the values

Why √K? If the K components of q and k are independent with variance 1, their product has variance
K. Without the division a wide head would have scores so large that the softmax gives all weight
to one key, and its gradient all but vanishes.

Shapes: q (..., T, K), k (..., S, K), v (..., S, K). The dots stand for batch and heads; `@` and
`swapaxes(-1, -2)` leave them alone.

Write `attention`, which returns the output (..., T, K) and the weights (..., T, S).
"""

import numpy as np


def softmax(scores):
    """Weights that add up to 1 along the last axis."""
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def attention(q, k, v):
    """The output and the weights."""
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    weights = softmax(scores)
    return weights @ v, weights
