"""The tape: what must hold for every operation, whatever its calculus."""

import numpy as np
import pytest
from foundation_nn import Array, Parameter, Result, Tensor, operation, optim


@operation
def transposed_by_mistake(x: Array) -> Result:
    def backward(g):
        return g.T

    return x * 1, backward


def test_a_gradient_of_the_wrong_shape_is_refused_not_reshaped():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    loss = (transposed_by_mistake(x) * np.arange(6.0).reshape(2, 3)).sum()
    with pytest.raises(ValueError, match=r"transposed_by_mistake.*\(2, 3\).*\(3, 2\)"):
        loss.backward()


def test_a_parameter_changed_before_backward_is_refused():
    w = Parameter([2.0])
    loss = (w * w).sum()
    w.data = [3.0]
    with pytest.raises(RuntimeError, match="changed between the forward and the backward pass"):
        loss.backward()


def test_a_refused_backward_leaves_nothing_behind_for_the_next():
    # d/dw (3 · 2w) = 6, whether or not another walk through 2w was refused before.
    w, other = Parameter([2.0]), Parameter([3.0])
    shared = w * 2
    refused, good = (shared * other).sum(), (shared * 3).sum()
    other.data = [5.0]
    with pytest.raises(RuntimeError, match="changed"):
        refused.backward()
    w.grad = None
    good.backward()
    np.testing.assert_array_equal(w.grad, [6.0])


def test_a_second_walk_over_the_same_graph_is_refused():
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="walked by an earlier backward"):
        loss.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


def test_a_detached_parameter_keeps_its_value_under_a_pending_backward():
    # Either the gradient is that of the forward pass, or the walk is refused.
    frozen, q = Parameter([2.0]), Parameter([1.0])
    optimizer = optim.SGD([frozen], lr=1.0)
    loss = (frozen.detach() * q).sum()
    frozen.grad = np.ones(1, np.float32)
    optimizer.step()
    try:
        loss.backward()
    except RuntimeError:
        return
    np.testing.assert_array_equal(q.grad, [2.0])


def test_a_constant_array_written_to_before_backward_gives_no_wrong_gradient():
    w, x = Tensor([1.0, 1.0], requires_grad=True), np.array([2.0, 3.0], np.float32)
    loss = (w * x).sum()
    try:
        x[:] = 0
        loss.backward()
    except (ValueError, RuntimeError):
        return
    np.testing.assert_array_equal(w.grad, [2.0, 3.0])


def test_a_deep_chain_is_walked_and_dropped_without_recursion():
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    y.backward()
    np.testing.assert_array_equal(x.grad, [1.0])
    y = x
    for _ in range(50_000):
        y = y * 1.0
    del y
