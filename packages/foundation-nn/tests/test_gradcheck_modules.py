"""Finite differences for every module and all of its parameters."""

import numpy as np
import pytest
from foundation_nn import (
    GELU,
    MLP,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
    gradcheck,
    train_mode,
)

RNG = np.random.default_rng(0)
MODULES = [
    Linear(5, 7, rng=RNG),
    Linear(5, 7, bias=False, rng=RNG),
    Linear(5, 1, rng=RNG),
    LayerNorm(5),
    LayerNorm(5, bias=False),
    RMSNorm(5),
    ReLU(),
    GELU(),
    GELU("tanh"),
    SiLU(),
    Tanh(),
    Sigmoid(),
    Sequential(),
    Sequential(Linear(5, 3, rng=RNG), RMSNorm(3), Tanh()),
    MLP([5, 7, 2], GELU, rng=RNG),
]


@pytest.mark.parametrize("shape", [(5,), (1, 5), (2, 3, 5), (0, 5)], ids=str)
@pytest.mark.parametrize("module", MODULES, ids=lambda m: repr(m).replace("\n", " "))
def test_gradients(module, shape, rng):
    before = [(p.dtype, p.data.copy()) for p in module.parameters()]
    assert gradcheck(module, rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape))
    for p, (dtype, value) in zip(module.parameters(), before, strict=True):
        assert p.dtype == dtype == np.float32
        np.testing.assert_array_equal(p.data, value)


@pytest.mark.parametrize("ids", [np.array([[3, 0, 3], [6, 3, 1]]), np.array(4), np.zeros(0, int)])
def test_embedding(ids):
    assert gradcheck(Embedding(7, 5, rng=np.random.default_rng(0)), ids)


def test_dropout_within_train_mode(rng):
    with train_mode(np.random.default_rng(1)):
        assert gradcheck(Dropout(0.5), rng.standard_normal((3, 5)))


class Tied(Module):
    """The output layer shares the table of the embedding."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.embedding = Embedding(7, 5, rng=rng)
        self.output = Linear(5, 7, rng=rng)
        self.output.weight = self.embedding.weight

    def forward(self, ids):
        return self.output(self.embedding(ids))


def test_a_shared_parameter_receives_the_gradient_of_both_uses():
    model = Tied()
    assert gradcheck(model, np.array([[3, 0, 3], [6, 3, 1]]), max_elements=100)
    assert [name for name, _ in model.named_parameters()] == ["embedding.weight", "output.bias"]
