"""The checker, checked."""

import numpy as np
import pytest
from foundation_nn import (
    Array,
    GradientError,
    Linear,
    Module,
    Parameter,
    Result,
    Tensor,
    gradcheck,
    operation,
    optim,
    train_mode,
)
from foundation_nn import functional as F


@operation
def almost_square(x: Array) -> Result:
    def backward(g):
        dx = 2 * g * x
        dx[1, 2] *= 1.01
        return dx

    return x * x, backward


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_element_is_found_and_named(seed):
    x = np.random.default_rng(seed).standard_normal((3, 5))
    with pytest.raises(GradientError, match=r"WRONG +input 0 +\(3, 5\) +worst \[1, 2\]"):
        gradcheck(almost_square, x, seed=seed)


def test_a_function_that_returns_no_tensor_is_refused():
    with pytest.raises((TypeError, ValueError), match="gradcheck"):
        gradcheck(lambda x: None, np.ones(2))


@operation
def without(x: Array, y: Array) -> Result:
    return x * y, lambda g: (g * y, None)


@operation
def nan_slope(x: Array) -> Result:
    return x * 1, lambda g: g * np.nan


def test_a_forgotten_gradient_is_found():
    with pytest.raises(GradientError, match=r"ok +input 0[^W]*WRONG +input 1") as caught:
        gradcheck(without, np.ones(3), np.full(3, 2.0))
    assert "gradcheck of without: backward and finite differences disagree" in str(caught.value)


def test_a_gradient_that_is_not_a_number_is_wrong():
    with pytest.raises(GradientError, match="WRONG +input 0"):
        gradcheck(nan_slope, np.ones(3))


def test_a_wrong_element_that_is_not_tried_shows_along_the_direction(rng):
    messages = []
    for seed in range(20):  # one element of fifteen is tried
        with pytest.raises(GradientError) as caught:
            gradcheck(almost_square, rng.uniform(1, 2, (3, 5)), max_elements=1, seed=seed)
        messages.append(str(caught.value))
    assert sum("worst along a direction" in message for message in messages) >= 15


class Wrong(Module):
    """Multiplies by a parameter, whose gradient it forgets."""

    def __init__(self):
        self.good = Parameter([1.0, 2.0])
        self.bad = Parameter([3.0, 4.0])

    def forward(self, x):
        return without(x * self.good, self.bad)


def test_a_wrong_parameter_is_named():
    with pytest.raises(GradientError, match=r"gradcheck of Wrong(.|\n)*ok +good(.|\n)*WRONG +bad"):
        gradcheck(Wrong(), np.ones(2))


@pytest.mark.parametrize("module", [Wrong(), Linear(2, 3, rng=np.random.default_rng(0))])
def test_the_module_is_left_as_it_was(module):
    optimizer = optim.SGD(module, lr=0.1)
    for p in module.parameters():
        p.grad = np.full(p.shape, 5, np.float32)
    optimizer.buffer.collect()
    before = [(p.data.copy(), p.grad) for p in module.parameters()]
    try:
        gradcheck(module, np.ones(2))
    except GradientError:
        assert isinstance(module, Wrong)
    for p, (value, grad) in zip(module.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, value)
        assert p.dtype == np.float32
        assert p.grad is grad
    optimizer.step()  # still its optimiser's
    for p, (value, _) in zip(module.parameters(), before, strict=True):
        np.testing.assert_allclose(p.data, value - 0.5, rtol=1e-6)


def test_inputs_are_left_as_they_were():
    x, array = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0], np.float32)
    assert gradcheck(F.multiply, x, array)
    assert x.grad is None
    assert x.dtype == np.float32
    np.testing.assert_array_equal(array, [3, 4])


def test_what_is_no_floating_array_is_passed_on():
    seen = []

    def function(x, ids, flag, nothing):
        seen.append((ids, flag, nothing))
        return x[ids] if flag else x

    ids = np.array([1, 1, 0])
    assert gradcheck(function, np.ones(2), ids, True, None)
    assert seen[0][0] is ids
    assert seen[0][1:] == (True, None)


def test_outputs_may_be_nested_and_those_that_are_integers_do_not_count():
    def function(x):
        return [x * x, (F.exp(x), Tensor([1, 2]))]

    assert gradcheck(function, np.ones(2))

    def half_wrong(x):
        return x * x, [almost_square(x)]

    with pytest.raises(GradientError, match="WRONG"):
        gradcheck(half_wrong, np.ones((3, 5)))


def test_a_constant_function_has_no_gradient():
    assert gradcheck(lambda x: Tensor([3.0], dtype=np.float64), np.ones(2))
    with pytest.raises(GradientError, match="WRONG"):  # cut off, though it depends on x
        gradcheck(lambda x: x.detach() * 2, np.ones(2))


def test_within_train_mode_every_evaluation_sees_the_same_dropout(rng):
    with train_mode(rng):
        assert gradcheck(lambda x: F.dropout(x, 0.5) * F.dropout(x, 0.5), np.ones((3, 5)))


def test_nothing_to_check_is_an_error():
    for inputs in ((), (np.arange(3),), (1.0,)):
        with pytest.raises(ValueError, match="no floating input and no parameter to check"):
            gradcheck(lambda *a: Tensor(1.0), *inputs)
