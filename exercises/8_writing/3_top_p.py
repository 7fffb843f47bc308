"""8.3 Only as many as it takes.

Chapter 8, language models and writing.

How many words are reasonable? After "New York" there are few, after "I" there are many; a fixed k
is wrong in one case or the other. Top-p, also called nucleus sampling, keeps as many words as it
takes to reach a probability: the fewest likeliest words that together have at least the
probability `threshold`.

    p sorted        0.5    0.3    0.15   0.05        threshold 0.7
    sums            0.5    0.8    0.95   1.0
    kept            yes    yes    no     no          0.5 is not enough, 0.5 + 0.3 is

The word with which the sum reaches the threshold is kept, too. So the likeliest is always kept.

Shapes: p (V,) adds up to 1, and so does the result (V,). Words keep their places; of equally
likely ones those with the lower id are kept.

Write `top_p`. `np.cumsum` gives the sums; a word stays if the sum of those before it is still
below the threshold.
"""

import numpy as np


def top_p(p, threshold):
    """The fewest likeliest that reach the threshold, with probabilities that add up to 1."""
    raise NotImplementedError(
        "your turn: sort, find how many stay, put zeros elsewhere, divide by the sum"
    )
