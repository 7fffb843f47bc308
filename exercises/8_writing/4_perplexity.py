"""8.4 Perplexity.

Chapter 8, language models and writing.

How good is a language model? Let it read a text that it has never seen, and note at each word how
likely it found the word that came. The mean of the negative logarithms is the loss. Its
exponential is the perplexity, and says among how many equally likely words the model was
undecided, on average:

    loss = mean over the real words of -log P(word)        perplexity = exp(loss)

A model that knows nothing of V words has perplexity V; one that is always certain and right has
1.

Shapes: log_probs (B, T) holds log P of the word that came; mask (B, T) is True where a word is
real. The mean is over all real words of all rows together, so a long text counts more than a
short one. What stands in padding may be anything, even NaN.

Write `perplexity`.
"""

import numpy as np


def perplexity(log_probs, mask):
    """exp of the mean loss of the real words."""
    raise NotImplementedError(
        "your turn: choose the real words, take the mean, and then the exponential"
    )
