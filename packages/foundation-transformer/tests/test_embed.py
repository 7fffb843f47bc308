"""Texts become vectors, whatever stands beside them in a batch."""

import numpy as np
import pytest
from foundation_data import Frame
from foundation_nn import no_grad
from foundation_transformer import TextEncoder, TransformerConfig
from foundation_transformer.pretrained import embed


class Letters:
    """A tokenizer: a is 3, b is 4, ... between 1 and 2."""

    frame = Frame.with_ends(("<", 1), (">", 2))

    def encode(self, text):
        return [ord(c) - 94 for c in text]


@pytest.fixture
def model(rng):
    config = TransformerConfig.bert(
        vocab_size=31, max_len=9, d_model=24, num_heads=2, num_layers=2, d_ff=37
    )
    return TextEncoder(config, rng=rng)


def test_a_vector_is_the_mean_of_a_text_by_itself(model):
    texts = ["abc", "z", "", "hello", "abcdefghijkl"]
    vectors = embed(model, texts, Letters(), batch_size=2)
    for text, vector in zip(texts, vectors, strict=True):
        ids = [1, *(ord(c) - 94 for c in text)][:8] + [2]  # what is too long is cut before the end
        with no_grad():
            mean = model(np.array([ids])).data[0].mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_no_text_gives_no_vector_and_one_str_is_refused(model):
    assert embed(model, [], Letters()).shape == (0, 24)
    with pytest.raises(TypeError, match=r"got one str; write \[text\]"):
        embed(model, "abc", Letters())
