"""9.2 Other people's queries, keys and values.

Chapter 9, published models.

Why does a model whose every number was read correctly write nonsense? Because its makers keep the
same layer in another order. Two things differ between a Llama in a GGUF file and ours:

1. There, queries, keys and values have a matrix each. Here one matrix, `in_proj`, holds the rows
   of all three, one beneath the other, so that one product computes them all.
2. Rotary positions turn pairs of numbers (exercise 4.3). There, a pair are two neighbours, 2i and
   2i + 1. Here, they are i and i + K/2: first all first numbers of the pairs, then all second ones.

The K rows of each head are therefore put into another order. With K = 4:

    there    rows  0 1   2 3          two pairs: (0, 1) and (2, 3)
    here     rows  0 2   1 3          the first numbers 0 and 2, then the second numbers 1 and 3

Values are not turned by positions, so their rows stay where they are. Several queries may share a
key, so that there are fewer heads of keys, G, than heads of queries, H.

Shapes: q (H K, D), k and v (G K, D); the result is (H K + 2 G K, D). The rows of a head lie
together, the first head first.

Write `to_halves`, which puts the rows of each head into our order, and `in_proj`.
"""

import numpy as np


def to_halves(weight, num_heads):
    """The rows of each head: first the first numbers of all pairs, then the second ones."""
    raise NotImplementedError("your turn: the heads apart, then two halves of the rows of each")


def in_proj(q, k, v, num_heads, num_kv_heads):
    """One matrix of all three, its pairs in our order."""
    raise NotImplementedError("your turn: queries, keys and values, one beneath the other")
