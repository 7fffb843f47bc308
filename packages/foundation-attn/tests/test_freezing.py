"""Frozen weights of attention have no gradient, and let those of the inputs through."""

import numpy as np
import pytest
from foundation_attn import AttentionSeq2Seq, MultiHeadAttention, additive_score
from foundation_nn import Parameter, Tensor, optim, trace
from foundation_nn import functional as F


@pytest.fixture
def inputs(rng):
    return Tensor(rng.standard_normal((2, 5, 12)).astype(np.float32), requires_grad=True)


def flops_backward(fn, *inputs):
    return sum(record.flops for record in trace(fn, *inputs) if record.phase == "backward")


def test_gradients_flow_through_frozen_attention_and_half_of_the_products_are_left(inputs):
    attention = MultiHeadAttention(12, 3, rng=np.random.default_rng(0))

    def gradient():
        inputs.grad = None
        y = attention(inputs)
        (y * y).sum().backward()
        return inputs.grad.copy()

    expected, flops = gradient(), flops_backward(attention, inputs)
    attention.freeze()
    assert gradient().tobytes() == expected.tobytes()
    of_weights = 2 * (2 * 5) * 12 * (4 * 12)  # four square projections of 2 · 5 rows
    assert flops_backward(attention, inputs) == flops - of_weights
    assert all(p.grad is None for p in attention.parameters())


def test_no_gradient_of_a_frozen_score_is_computed(monkeypatch, rng):
    a, b = (
        Tensor(rng.standard_normal((2, n, 5)).astype(np.float32), requires_grad=True)
        for n in (3, 4)
    )
    w_query, w_key = (Parameter(rng.standard_normal((7, 5)).astype(np.float32)) for _ in "ab")
    v = Parameter(rng.standard_normal(7).astype(np.float32))

    def gradients():
        a.grad = b.grad = None
        additive_score(a, b, w_query, w_key, v).sum().backward()
        return a.grad.tobytes(), b.grad.tobytes()

    expected = gradients()
    v.requires_grad = False
    monkeypatch.setattr(np, "einsum", None)  # dv
    assert gradients() == expected
    assert v.grad is None


def test_a_frozen_encoder_is_not_trained(rng):
    model = AttentionSeq2Seq(11, 13, embedding_dim=3, hidden_size=5, score="additive", rng=rng)
    optimizer = optim.AdamW(model, lr=0.1, weight_decay=0.5)
    model.encoder.freeze()
    model.embedding.freeze()
    before = model.state_dict()
    source, target = rng.integers(0, 11, (2, 5)), rng.integers(0, 13, (2, 4))
    F.cross_entropy(model(source, target), target).backward()
    optimizer.step()
    for name, value in model.state_dict().items():
        frozen = name.startswith(("encoder.", "embedding."))
        assert (value.tobytes() == before[name].tobytes()) == frozen, name
