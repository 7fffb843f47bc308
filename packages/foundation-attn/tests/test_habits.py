"""Keywords of PyTorch's attention are answered with what to write."""

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, attention
from foundation_nn import Tensor

X = Tensor(np.ones((2, 3, 4), np.float32))
HEADS = Tensor(np.ones((2, 1, 3, 4), np.float32))
MASK = np.ones((3, 3), bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: MultiHeadAttention(4, 2)(X, X, X, key_padding_mask=MASK),
            r"no key_padding_mask=: write key_mask=~key_padding_mask; True means here that a pos",
        ),
        (
            lambda: MultiHeadAttention(4, 2)(X, X, X, attn_mask=MASK),
            r"no attn_mask=: write mask=, boolean of shape \(B, T, S\), in which True means that",
        ),
        (lambda: MultiHeadAttention(4, 2)(X, is_causal=True), "no is_causal=: write causal=True"),
        (
            lambda: MultiHeadAttention(4, 2)(X, need_weights=True),
            r"no need_weights=: write with foundation_attn\.capture_attention\(\) as seen:",
        ),
        (lambda: MultiHeadAttention(4, 2, batch_first=True), "no batch_first=: batch comes first"),
        (lambda: MultiHeadAttention(embed_dim=4, num_heads=2), "no embed_dim=: write d_model="),
    ],
)
def test_keywords_of_the_layer(call, message):
    with pytest.raises(TypeError, match=f"^MultiHeadAttention has {message}"):
        call()


def test_keywords_of_the_function():
    with pytest.raises(TypeError, match=r"^attention has no attn_mask=: write mask=, boolean of "):
        attention(HEADS, HEADS, HEADS, attn_mask=MASK)
    with pytest.raises(TypeError, match="^attention has no dropout_p=: write dropout="):
        attention(HEADS, HEADS, HEADS, dropout_p=0.1)
