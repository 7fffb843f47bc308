"""Sizes and probabilities that cannot be meant are refused by the class that was called."""

import pytest
from foundation_attn import AttentionDecoder, MultiHeadAttention, SelfAttention

WRONG = {
    "no width": (
        lambda: MultiHeadAttention(0, 1),
        "MultiHeadAttention: expected d_model >= 1, got 0",
    ),
    "no heads": (
        lambda: MultiHeadAttention(4, 0),
        "MultiHeadAttention: expected num_heads >= 1, got 0",
    ),
    "half a head": (
        lambda: MultiHeadAttention(4, 0.5),
        "MultiHeadAttention: expected num_heads >= 1, got 0.5",
    ),
    "no key heads": (
        lambda: MultiHeadAttention(4, 2, 0),
        "MultiHeadAttention: expected num_kv_heads >= 1, got 0",
    ),
    "a dropout in the place of the key heads": (
        lambda: MultiHeadAttention(4, 2, 0.1),
        "MultiHeadAttention: expected num_kv_heads >= 1, got 0.1",
    ),
    "heads of no width": (
        lambda: MultiHeadAttention(4, 2, head_width=0),
        "MultiHeadAttention: expected head_width >= 1, got 0",
    ),
    "a norm that there is not": (
        lambda: MultiHeadAttention(4, 2, qk_norm="heads"),
        "MultiHeadAttention: expected qk_norm to be 'head', 'width' or None, got 'heads'",
    ),
    "a scale of nothing": (
        lambda: MultiHeadAttention(4, 2, scale=0),
        "MultiHeadAttention: expected scale > 0, got 0",
    ),
    "a width that is a text": (
        lambda: SelfAttention("8"),
        "SelfAttention: expected d_model to be a number, got the str '8'",
    ),
    "a memory of nothing": (
        lambda: AttentionDecoder(7, 3, 5, 0),
        "AttentionDecoder: expected memory_size >= 1, got 0",
    ),
    "a negative dropout": (
        lambda: AttentionDecoder(7, 3, 5, 5, dropout=-0.5),
        "AttentionDecoder: expected 0 <= dropout < 1, got -0.5",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_that_cannot_be_meant_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        make()


def test_what_is_on_or_off_is_true_or_false():
    with pytest.raises(TypeError, match="bias to be True or False, got the str 'no'"):
        MultiHeadAttention(8, 2, bias="no")
