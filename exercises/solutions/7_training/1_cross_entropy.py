"""7.1 Cross-entropy and its backward.

Chapter 7, training.

How wrong is a prediction? A model gives each class a score, a logit; the softmax makes
probabilities p of them. The loss is small if the right class has a large probability:

    loss = mean over the rows of -log p[target]        log p = z - log(sum of exp(z))

with z the logits minus the largest one of the row. The gradient could not be simpler: what the
model believed, minus what is true,

    d loss / d logits = (p - onehot(target)) / N

Shapes: logits (N, V), targets (N,) of integers; the loss is one number, and so is g, which
`backward` is given.

Write the loss and its backward. `log_p[np.arange(N), targets]` picks one number of each row.
"""

import numpy as np
from foundation_nn import Array, Result


def cross_entropy(logits: Array, targets) -> Result:
    """The mean of -log p of the targets, and its backward."""
    rows = np.arange(len(targets))
    z = logits - logits.max(axis=-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    loss = -log_p[rows, targets].mean()

    def backward(g):
        slopes = np.exp(log_p)
        slopes[rows, targets] -= 1
        return g * slopes / len(targets)

    return loss, backward
