"""Sizes and probabilities that cannot be meant are refused by the class that was called."""

import pytest
from foundation_transformer import (
    ALiBi,
    FeedForward,
    LearnedPositions,
    Rotary,
    SinusoidalPositions,
    TransformerDecoder,
    TransformerEncoder,
    TransformerEncoderLayer,
)

WRONG = {
    "no hidden units": (lambda: FeedForward(4, 0), "FeedForward: expected d_ff >= 1, got 0"),
    "half a hidden unit": (
        lambda: TransformerEncoderLayer(4, 2, 8.5),
        "FeedForward: expected d_ff to be a whole number, got 8.5",
    ),
    "a dropout above one": (
        lambda: FeedForward(4, 8, dropout=1.5),
        "FeedForward: expected 0 <= dropout < 1, got 1.5",
    ),
    "a negative eps": (
        lambda: TransformerEncoderLayer(4, 2, 8, norm_eps=-1.0),
        "LayerNorm: expected eps >= 0, got -1.0",
    ),
    "no layers": (
        lambda: TransformerEncoder(0, 4, 2, 8),
        "TransformerEncoder: expected num_layers >= 1, got 0",
    ),
    "layers instead of their number": (
        lambda: TransformerDecoder([], 4, 2, 8),
        "TransformerDecoder: expected num_layers to be a number, got a list",
    ),
    "no positions": (
        lambda: SinusoidalPositions(4, 0),
        "SinusoidalPositions: expected max_len >= 1, got 0",
    ),
    "a length that is a text": (
        lambda: LearnedPositions(4, "16"),
        "LearnedPositions: expected max_len to be a number, got the str '16'",
    ),
    "a base of nothing": (lambda: Rotary(4, 16, 0.0), "Rotary: expected base > 0, got 0.0"),
    "no heads": (lambda: ALiBi(0), "ALiBi: expected num_heads >= 1, got 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_that_cannot_be_meant_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        make()


def test_what_is_on_or_off_is_true_or_false():
    with pytest.raises(TypeError, match="norm_first to be True or False, got the str 'no'"):
        TransformerEncoderLayer(8, 2, 16, norm_first="no")
