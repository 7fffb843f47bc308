"""Keywords of PyTorch's transformers are answered with what to write."""

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_transformer import (
    TransformerConfig,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

X = Tensor(np.ones((2, 3, 4), np.float32))
MASK = np.zeros((2, 3), bool)
ENCODER = TransformerEncoder(1, 4, 2, 8)
DECODER = TransformerDecoderLayer(4, 2, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: TransformerConfig(vocab_size=5, nhead=2),
            "Config has no nhead=: write num_heads=",
        ),
        (lambda: TransformerConfig(vocab=5), "Config has no vocab=; did you mean"),
        (
            lambda: TransformerEncoderLayer(4, 2, dim_feedforward=8),
            "EncoderLayer has no dim_feedforward=: write d_ff=",
        ),
        (
            lambda: TransformerEncoderLayer(4, nhead=2),
            "EncoderLayer has no nhead=: write num_heads=",
        ),
        (
            lambda: ENCODER(X, src_key_padding_mask=MASK),
            "Encoder has no src_key_padding_mask=: write key_mask=~src_key_padding_mask; True",
        ),
        (
            lambda: DECODER(X, X, memory_key_padding_mask=MASK),
            "DecoderLayer has no memory_key_padding_mask=: write memory_key_mask=~memory_key_padd",
        ),
        (
            lambda: DECODER(X, X, tgt_mask=MASK),
            "DecoderLayer has no tgt_mask=: a decoder is causal",
        ),
    ],
)
def test_keywords(call, message):
    with pytest.raises(TypeError, match=f"^Transformer{message}"):
        call()
