"""3.4 Nobody reads the future.

Chapter 3, attention.

A language model is trained on all positions of a text at once. What keeps it from looking up the
next word, which it should predict? The causal mask: the query at position t may attend to the
keys at the positions up to t, itself included.

    mask[t, s] is True where s ≤ t

When a text is written word by word, the keys of earlier words are kept in a cache, and only the
last T of S positions ask. The first query then stands at position S - T:

    mask[t, s] is True where s ≤ t + S - T

Shapes: the mask is (T, S), boolean, with T ≤ S.

Write `causal_mask`. `np.arange(T)[:, None]` is a column of query numbers, `np.arange(S)` a row of
key numbers, and comparing a column with a row gives a table.
"""

import numpy as np


def causal_mask(num_queries, num_keys):
    """True where a query may attend to a key; the queries are the last positions."""
    positions = np.arange(num_queries)[:, None] + num_keys - num_queries
    return np.arange(num_keys) <= positions
