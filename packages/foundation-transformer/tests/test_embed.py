"""Texts become vectors, whatever stands beside them in a batch."""

import numpy as np
import pytest
from foundation_data import WordPieceTokenizer
from foundation_nn import no_grad
from foundation_transformer import TextEncoder, TransformerConfig
from foundation_transformer.pretrained import Pretrained, embed

TOKENIZER = WordPieceTokenizer.train(["a b c d e f g h"], min_freq=1)


@pytest.fixture
def loaded(rng):
    config = TransformerConfig.bert(
        vocab_size=31, max_len=9, d_model=24, num_heads=2, num_layers=2, d_ff=37
    )
    return Pretrained(TextEncoder(config, rng=rng), TOKENIZER)


def test_a_vector_is_the_mean_of_a_text_by_itself(loaded):
    texts = ["a b c", "h", "", "b a d", "a b c d e f g h a b c"]
    vectors = embed(loaded, texts, batch_size=2)
    for text, vector in zip(texts, vectors, strict=True):
        ids = [2, *TOKENIZER.encode(text)][:8] + [3]  # what is too long is cut before the end
        with no_grad():
            mean = loaded.model(np.array([ids])).data[0].mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_no_text_gives_no_vector_and_one_str_is_refused(loaded):
    assert embed(loaded, []).shape == (0, 24)
    with pytest.raises(TypeError, match=r"got one str; write \[text\]"):
        embed(loaded, "abc")
    with pytest.raises(ValueError, match="this was loaded without one"):
        embed(Pretrained(loaded.model), ["abc"])
