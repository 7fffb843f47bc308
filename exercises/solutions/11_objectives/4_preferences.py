"""11.4 The better of two answers.

Chapter 11, other things to learn than the next token.

How does a model learn from people who only say which of two answers they like better? Direct
preference optimisation raises the chosen answer against the rejected one. What counts is how much
more likely an answer has become than it was for a reference, the model before the training:

    m    = (chosen - reference_chosen) - (rejected - reference_rejected)
    loss = the mean over all pairs of -log σ(β m)

All four are log-probabilities of whole answers. The derivative of -log σ(z) is -σ(-z), so pairs
that are told apart already hardly count:

    d chosen = -β σ(-β m) g / B          d rejected = the same with a plus

The reference is not learnt, so it has no gradient. z can be large in either direction, where exp
overflows. `np.logaddexp(0, -z)` is log(1 + exp(-z)), which is -log σ(z), without overflow; and σ(z)
is `np.exp(-np.logaddexp(0, -z))`.

Shapes: chosen, rejected, reference_chosen, reference_rejected (B,) for B pairs; the loss is a
number, and so is g, the slope of what is made of the loss.

Write the loss, and in `backward` the gradients of chosen and of rejected.
"""

import numpy as np
from foundation_nn import Array, Result


def preference_loss(
    chosen: Array, rejected: Array, reference_chosen, reference_rejected, beta
) -> Result:
    """The mean of -log σ(β m), and its backward."""

    def backward(g):
        slope = beta * np.exp(-np.logaddexp(0, z)) * g / len(z)  # σ(-z)
        return -slope, slope

    m = (chosen - reference_chosen) - (rejected - reference_rejected)
    z = beta * m
    return np.logaddexp(0, -z).mean(), backward
