"""8.5 A cache of keys and values.

Chapter 8, language models and writing.

Why does writing not become slower with every word? A new word attends to all words before it. But
their keys and values were computed when they were new themselves, and a causal model never
changes them afterwards. So they are kept, and a step computes query, key and value of the new
word alone:

    q = W_q x        k = W_k x        v = W_v x
    keys   = the keys so far, and k behind them            values likewise
    output = softmax(q · keys / √D) values

The word attends to itself, too, so its own key and value are appended first.

Shapes: x (D,) is the new word; keys and values (S, D) are those of the S words before it, S may
be 0; the three matrices (D, D). `np.vstack([keys, k])` puts a row behind the others.

Write `attend`, which returns the output (D,), the new keys and the new values, both (S + 1, D).
"""

import numpy as np


def softmax(scores):
    """Weights that add up to 1 along the last axis."""
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def attend(x, keys, values, w_q, w_k, w_v):
    """What the new word sees, and the cache with it."""
    raise NotImplementedError(
        "your turn: append key and value, then one query attends to all of them"
    )
