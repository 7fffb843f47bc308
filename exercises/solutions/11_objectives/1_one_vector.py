"""11.1 One vector for a whole text.

Chapter 11, other things to learn than the next token.

A model gives a vector for each token. Which one vector stands for the whole text, so that a linear
layer can tell its label? An encoder sees the whole text at every place. So the mean of the real
tokens will do:

    mean = the sum of the vectors of the real tokens / how many they are

In a decoder each token sees those before it alone. Only the last one has seen the whole text.
Short texts are padded at their end, so that is the last *real* token, not the last column:

    last = the vector of the last real token

A linear layer gives each label a score, and the loss is a cross-entropy over the labels:

    logits = v Wᵀ + b        loss = the mean over all texts of -log softmax(logits)[label]

Shapes: vectors (B, T, D); real (B, T) is True where a token is real, and each text has at least
one; weight (L, D) and bias (L,) for L labels; labels (B,) holds the number of the right one. Both
vectors of a text are rows of (B, D). What stands in padding may be anything, even NaN.

Write `mean_vectors`, `last_vectors` and `label_loss`.
"""

import numpy as np


def mean_vectors(vectors, real):
    """The mean of the real tokens of each text."""
    counted = np.where(real[..., None], vectors, 0)
    return counted.sum(axis=1) / real.sum(axis=1, keepdims=True)


def last_vectors(vectors, real):
    """The last real token of each text."""
    lengths = real.sum(axis=1)
    return vectors[np.arange(len(vectors)), lengths - 1]


def label_loss(v, weight, bias, labels):
    """The mean of -log softmax(v Wᵀ + b) at the right labels."""
    logits = v @ weight.T + bias
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()
