"""8.2 Only the k likeliest.

Chapter 8, language models and writing.

What spoils a text that is drawn word by word? Tens of thousands of words are each very unlikely,
and yet together likely enough that every few words one of them is drawn. Top-k leaves only the k
likeliest words to choose from:

    keep the k largest p, set the others to 0, divide by the sum of what is left

Of equally likely words those with the lower id are kept, so that exactly k are left.

Shapes: p (V,) adds up to 1, and so does the result (V,).

Write `top_k`. `np.argsort(-p, kind="stable")` gives the ids from the likeliest to the
unlikeliest, and leaves equal ones in their order.
"""

import numpy as np


def top_k(p, k):
    """The k likeliest, with probabilities that add up to 1."""
    keep = np.argsort(-p, kind="stable")[:k]
    kept = np.zeros_like(p)
    kept[keep] = p[keep]
    return kept / kept.sum()
