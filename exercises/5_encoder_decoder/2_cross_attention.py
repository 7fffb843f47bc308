"""5.2 Cross-attention.

Chapter 5, encoder and decoder.

How does the decoder look at the sentence that it translates? In self-attention queries, keys and
values come from one text. In cross-attention the queries come from the decoder, which asks, and
keys and values from the memory, which is what the encoder made of the source:

    q = x W_qᵀ        k = memory W_kᵀ        v = memory W_vᵀ
    output = softmax(q kᵀ / √D) v            over the source positions that are real

Every target position may look at the whole source: there is no causal mask here, but padding in
the source stays hidden.

Shapes: x (B, T, D), memory (B, S, D), memory_mask (B, S) with True where a source position is
real, the three matrices (D, D). The result is (B, T, D).

Write `cross_attention`. The scores are (B, T, S); `memory_mask[:, None, :]` is (B, 1, S), so that
one row holds for all T queries.
"""

import numpy as np


def softmax(scores):
    """Weights that add up to 1 along the last axis."""
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def cross_attention(x, memory, memory_mask, w_q, w_k, w_v):
    """For each target position, a mean of source values."""
    raise NotImplementedError(
        "your turn: queries from x, keys and values from memory; hide padding; then as ever"
    )
