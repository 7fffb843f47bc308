"""Modules: names, states, and what a subclass may do."""

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Tensor


class Configured(MLP):
    """A multi-layer perceptron that remembers how it was made."""

    def __init__(self, widths):
        self.widths = widths
        super().__init__(widths, rng=np.random.default_rng(0))


def test_a_subclass_of_sequential_may_have_attributes_of_its_own():
    model, plain = Configured([2, 3, 1]), MLP([2, 3, 1], rng=np.random.default_rng(0))
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(model(x).data, plain(x).data)
    assert len(model) == 3
    assert model[0] is next(iter(model))


@pytest.mark.parametrize(
    "bias",
    [np.array(["a", "b"]), np.array([None, None]), np.zeros(3)],
    ids=["text", "None", "(3,)"],
)
def test_a_state_that_is_refused_changes_nothing(rng, bias):
    layer = Linear(2, 2, rng=rng)
    before = layer.state_dict()
    with pytest.raises((TypeError, ValueError), match="bias"):
        layer.load_state_dict({"weight": np.zeros((2, 2)), "bias": bias})
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
