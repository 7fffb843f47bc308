"""3.3 Keys that must not be seen.

Chapter 3, attention.

How is a key hidden? Sentences in one batch are padded to the same length, and nobody may attend
to padding. A mask says which keys may be seen: True means "may attend". A hidden key gets the
score minus infinity, so that its exponential is 0; the others share the whole weight among
themselves.

    scores_j = -∞ where the mask is False        weights = softmax(scores)

One case needs care. A row in which every key is hidden would be 0 / 0. In this library such a row
has weights of zero.

Shapes: scores (..., T, S) of floats, mask (..., T, S) of booleans.

Write `masked_softmax`. `np.where(mask, scores, -np.inf)` hides keys. What is the largest score of
a row that is hidden as a whole, and what is -inf minus -inf?
"""

import numpy as np


def masked_softmax(scores, mask):
    """The softmax over those keys for which the mask is True."""
    scores = np.where(mask, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    exps = np.exp(scores - highest)
    total = exps.sum(axis=-1, keepdims=True)
    return exps / np.where(total == 0, 1.0, total)
