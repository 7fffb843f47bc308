"""The tape: order, accumulation, refusals and memory."""

import tracemalloc

import numpy as np
import pytest
from foundation_nn import (
    Array,
    Parameter,
    Result,
    Tensor,
    is_recording,
    no_grad,
    operation,
    optim,
)
from foundation_nn import functional as F
from foundation_nn.engine._watch import Watcher


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


def test_a_long_chain_of_diamonds_is_walked_once_each():
    # Each step doubles: walking every path would take 2⁵⁰ visits.
    x = Tensor([1.0], requires_grad=True, dtype=np.float64)
    y = x
    for _ in range(50):
        y = y + y
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0**50])


def test_branches_of_different_length_meet_in_the_right_order():
    # z = y³ + y · exp(y) + y with y = x², by way of ever longer branches.
    x = Tensor([0.5, 2.0], requires_grad=True, dtype=np.float64)
    y = x * x
    (y + y * y.exp() + y * y * y).sum().backward()
    v = x.data
    slope = 1 + np.exp(v**2) * (1 + v**2) + 3 * v**4
    np.testing.assert_allclose(x.grad, 2 * v * slope, rtol=1e-14)


def test_gradients_add_up_over_several_walks():
    x = Tensor([2.0], requires_grad=True)
    for expected in (4, 8, 12):
        (x * x).sum().backward()
        assert x.grad.item() == expected


def test_a_gradient_that_two_inputs_share_is_not_written_to():
    # `add` hands the same array to both; `a` then receives more.
    a, b = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    p, q = a * 1, b * 1
    total = p + q
    ((p * 10).sum() + (p * 100).sum() + total.sum()).backward()
    np.testing.assert_array_equal(a.grad, [111, 111])
    np.testing.assert_array_equal(b.grad, [1, 1])


def test_what_was_computed_before_may_be_used_by_two_losses_walked_one_by_one():
    x = Tensor([2.0], requires_grad=True)
    first, second = (x * 3).sum(), (x * x).sum()
    second.backward()
    first.backward()
    assert x.grad.item() == 7


def test_parameters_may_change_between_the_walks_of_separate_graphs():
    w = Parameter([2.0])
    optimizer = optim.SGD([w], lr=1.0)
    for expected in (-2.0, 2.0, -2.0):
        optimizer.zero_grad()
        (w * w).sum().backward()  # w ← w - 2 w
        optimizer.step()
        assert w.data.item() == expected
    loss = (w * w).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="multiply: a parameter of shape .*before the optim"):
        loss.backward()


def test_no_grad_is_a_context_and_a_decorator_and_ends_with_an_error():
    x = Tensor([1.0], requires_grad=True)

    @no_grad()
    def double(x):
        return x * 2

    assert not double(x).requires_grad
    assert not double(x).requires_grad  # more than once
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    with no_grad():
        with no_grad():
            pass
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_saved_arrays_are_freed_on_the_way_back():
    megabyte = np.ones(1 << 17)
    x = Tensor(megabyte, requires_grad=True)
    tracemalloc.start()
    try:
        y = x
        for _ in range(20):
            y = F.tanh(y)
        after_forward = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        y.backward(megabyte)
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_forward > 20 * megabyte.nbytes
    assert peak < after_forward + 5 * megabyte.nbytes
    assert current < 4 * megabyte.nbytes  # y, the gradient of x, and little else


def test_the_tape_and_the_watchers_take_note():
    assert is_recording()
    with no_grad():
        assert not is_recording()
        with Watcher():
            assert is_recording()
        assert not is_recording()
    assert is_recording()


def test_nothing_is_kept_without_recording():
    x = Tensor(np.ones(1 << 17), requires_grad=True)
    tracemalloc.start()
    try:
        with no_grad():
            y = x
            for _ in range(20):
                y = F.tanh(y)
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1.5 * x.data.nbytes
    assert peak < 4 * x.data.nbytes
