"""Where the first NaN or infinity came from."""

import math

import numpy as np
import pytest
from foundation_nn import Linear, Module, Sequential, Tanh, Tensor, optim
from foundation_nn import functional as F
from foundation_nn.inspection._finite import first_non_finite


class Log(Module):
    def forward(self, x):
        return F.log(x)


class Root(Module):
    def forward(self, x):
        return F.sqrt(x)


def chain(middle):
    rng = np.random.default_rng(0)
    model = Sequential(Linear(2, 3, rng=rng), Sequential(Tanh(), middle), Linear(3, 1, rng=rng))
    state = model.state_dict()
    state["0.weight"][:] = [[0, 0], [1, 1], [-1, -1]]
    state["0.bias"][:] = 0
    model.load_state_dict(state)
    return model


def total(model, x):
    return model(x).sum(), len(x)


X = np.ones((5, 2), np.float32)


def test_the_forward_is_named_with_its_layer():
    found = first_non_finite(total, chain(Log()), X)
    assert found.record.phase == "forward"
    assert (found.record.operation, found.record.module, found.record.kind) == ("log", "1.1", "Log")
    assert (found.count, found.size, found.index) == (10, 15, (0, 0))  # log 0, log(-tanh 2)
    assert found.value == -math.inf
    assert found.inputs == ()
    assert str(found).startswith(
        "forward of log in layer 1.1 (Log): y[0, 0] is -inf (not finite: 10 of 15 elements); "
        "all of its inputs were finite (foundation_nn/functional/_basic.py:"
    )


def test_the_backward_is_named_if_the_result_is_finite():
    model = chain(Root())
    found = first_non_finite(total, model, -X * [[0.0, 0.0]])  # √0 has no slope
    assert found.record.phase == "backward"
    assert (found.record.operation, found.record.module) == ("sqrt", "1.1")
    assert (found.output, found.count, found.size) == ("dx", 15, 15)
    assert str(found).startswith("backward of sqrt in layer 1.1 (Root): dx[0, 0] is ")


def test_a_batch_or_a_parameter_that_was_not_finite_is_named():
    model = chain(Tanh())
    found = first_non_finite(total, model, X * np.nan)
    assert (found.record.operation, found.record.module, found.inputs) == ("linear", "0", ("x",))
    assert "it was given x that was not finite" in str(found)
    state = model.state_dict()
    state["2.bias"][:] = np.inf
    model.load_state_dict(state)
    found = first_non_finite(total, model, X)
    assert (found.record.module, found.inputs, found.value) == ("2", ("bias",), math.inf)


def test_nothing_wrong_is_none():
    assert first_non_finite(total, chain(Tanh()), X) is None
    assert first_non_finite(F.tanh, Tensor([1.0])) is None  # nothing to differentiate


def test_what_is_removed_on_the_way_is_not_reported():
    x = Tensor([0.0, 1.0], requires_grad=True)
    assert first_non_finite(lambda x: F.where(x > 0, F.log(x), 0).sum(), Tensor([0.0, 1.0])) is None
    assert first_non_finite(lambda x: F.where(x > 0, F.log(x), 0).sum(), x) is None
    # In the backward of the product, 0 · ∞: the NaN was removed, but its gradient was not.
    slopes = Tensor([np.inf, 1.0])
    found = first_non_finite(lambda x: F.where(x > 0, x * slopes, 0).sum(), x)
    assert (found.record.phase, found.record.operation) == ("backward", "multiply")


def test_a_scalar_outside_of_layers():
    found = first_non_finite(F.exp, Tensor(1000.0))
    assert str(found).startswith("forward of exp: y is inf (not finite: 1 of 1 elements)")


def test_gradients_are_left_and_a_function_without_tensor_is_refused():
    model = chain(Tanh())
    optim.SGD(model, lr=0.1)
    total(model, X)[0].backward()
    before = [p.grad.copy() for p in model.parameters()]
    first_non_finite(total, model, X)
    for p, grad in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    with pytest.raises(TypeError, match="first_non_finite: expected a function that returns"):
        first_non_finite(lambda: None)
