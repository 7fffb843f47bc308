"""What masks mean, in a few plain lines: the oracle of the tests."""

import math

import numpy as np
from foundation_nn import Tensor


def allowed_pairs(B, H, T, S, key_mask=None, mask=None, causal=False, window=None, itself=False):
    """Who may attend to whom, (B, H, T, S), one pair at a time."""
    allowed = np.ones((B, H, T, S), bool)
    if mask is not None:
        allowed &= mask if mask.ndim == 4 else mask[:, None]
    if key_mask is not None:
        allowed &= key_mask[:, None, None, :]
        if itself:  # padding does not attend, either
            allowed &= key_mask[:, None, :, None]
    for t in range(T):
        for s in range(S):
            distance = t + S - T - s  # the queries are the last T positions
            if causal and distance < 0:
                allowed[:, :, t, s] = False
            if window is not None and abs(distance) >= window:
                allowed[:, :, t, s] = False
    return allowed


def real_rows(allowed, itself):
    """Which queries (B, T) and which keys (B, S) are looked at; the others may hold anything."""
    attends, seen = allowed.any(axis=(1, 3)), allowed.any(axis=(1, 2))
    if itself:  # a position is padding if it neither attends nor is attended to
        attends = seen = attends | seen
    return attends, seen


def plain_attention(q, k, v, allowed):
    """Each query's mean of the values it may see; zeros if there is none."""
    scores = (q @ k.swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
    e = scores.exp() * allowed.astype(q.dtype)  # scores are small in these tests
    total = e.sum(axis=-1, keepdims=True)
    return (e / (total + (total.data == 0))) @ v


def plain_layer(layer, query, key, value, allowed, itself):
    """``MultiHeadAttention`` from small operations; ``allowed`` is (B, H, T, S)."""
    D, H, G = layer.d_model, layer.num_heads, layer.num_kv_heads
    K = D // H
    attends, seen = real_rows(allowed, itself)
    query = query * attends[..., None].astype(query.dtype)
    key = key * seen[..., None].astype(key.dtype)
    value = value * seen[..., None].astype(value.dtype)

    def heads(x, first, count):
        rows = slice(first, first + count * K)
        y = x @ layer.in_proj_weight[rows].swapaxes(0, 1) + layer.in_proj_bias[rows]
        return y.reshape(*x.shape[:2], count, K).swapaxes(1, 2)  # (B, count, T, K)

    q, k, v = heads(query, 0, H), heads(key, D, G), heads(value, D + G * K, G)
    shared = np.arange(H) // (H // G)  # each group of query heads shares a key head
    y = plain_attention(q, k[:, shared], v[:, shared], allowed)
    merged = y.swapaxes(1, 2).reshape(*query.shape[:2], D)
    return merged @ layer.out_proj.weight.swapaxes(0, 1) + layer.out_proj.bias


def poisoned(x, real, poison):
    """A copy of ``x`` (B, T, D) with ``poison`` where it is not real."""
    bad = x.copy()
    bad[~real] = poison
    return bad


def leaf(x):
    return Tensor(x, requires_grad=True)
