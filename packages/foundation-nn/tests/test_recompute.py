"""Recomputing gives the same bits as keeping, and keeps less."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
from foundation_nn import (
    MLP,
    Dropout,
    Linear,
    Sequential,
    Tanh,
    Tensor,
    draw_graph,
    get_num_threads,
    gradcheck,
    no_grad,
    recompute,
    set_num_threads,
    train_mode,
)
from foundation_nn import functional as F


def block(rng, width=7):
    return Sequential(Linear(width, 11, rng=rng), Tanh(), Dropout(0.3), Linear(11, width, rng=rng))


def plainly(function, *inputs):
    return function(*inputs)


def gradients(call, *, frozen=(), seed=3):
    """Two blocks, the first of which is used twice, with an input that is used around them, too."""
    rng = np.random.default_rng(1)
    first, second = block(rng), block(rng)
    for index in frozen:
        [first[0], first[3], second[0], second[3]][index].freeze()
    x = Tensor(rng.standard_normal((5, 7)), requires_grad=True, dtype=np.float32)
    with train_mode(np.random.default_rng(seed)):
        h = call(first, x)
        h = call(second, h + x)
        h = call(first, h) * h
    h.sum().backward()
    parameters = [*first.parameters(), *second.parameters()]
    return [h.data, x.grad, *[p.grad for p in parameters]]


@pytest.mark.parametrize("frozen", [(), (0,), (0, 1), (2, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("threads", [1, 2])
def test_values_and_gradients_are_the_same_bits(frozen, threads):
    before = get_num_threads()
    set_num_threads(threads)
    try:
        kept, again = gradients(plainly, frozen=frozen), gradients(recompute, frozen=frozen)
    finally:
        set_num_threads(before)
    for one, other in zip(kept, again, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


def test_dropout_draws_the_same_numbers_and_leaves_the_generator_where_it_would_be():
    states = []
    for call in (plainly, recompute):
        rng = np.random.default_rng(5)
        x = Tensor(np.ones((3, 5), np.float32), requires_grad=True)
        with train_mode(rng):
            y = call(lambda x: F.dropout(x, 0.5), x)
        y.sum().backward()  # outside of the context, where dropout is off
        assert np.array_equal(x.grad, y.data)  # 2 where it was kept, and 0 elsewhere
        states.append(rng.bit_generator.state)
    assert states[0] == states[1]


def test_gradcheck_of_a_recomputed_function():
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    gradcheck(lambda x, w: recompute(lambda a, b: F.tanh(F.linear(a, b)), x, w), x, w)


def test_tensors_of_the_surroundings_receive_their_gradient():
    x, scale = Tensor([2.0], requires_grad=True), Tensor([3.0], requires_grad=True)
    doubled = scale * 2
    recompute(lambda x: x * doubled * x, x).backward(np.ones(1))
    assert (x.grad.item(), scale.grad.item()) == (24, 8)  # d(x² · 2s): 4xs and 2x²


def test_one_within_another():
    x = Tensor([2.0], requires_grad=True)
    recompute(lambda x: recompute(lambda x: x * x, x) * x, x).backward(np.ones(1))
    assert x.grad.item() == 12  # of x³


def test_nothing_is_recorded_where_nothing_has_a_gradient():
    layer = MLP([3, 5, 3], rng=np.random.default_rng(0))
    x = Tensor(np.ones((2, 3), np.float32))
    with no_grad():
        assert not recompute(layer, x).requires_grad
    layer.freeze()
    assert not recompute(layer, x).requires_grad
    leaf = Tensor([1.0], requires_grad=True)
    assert recompute(lambda x: x, leaf) is leaf


def test_what_lies_between_is_freed_at_once():
    between = []

    def function(x):
        y = F.exp(x)
        between.append(weakref.ref(y))
        return y * y

    x = Tensor([1.0], requires_grad=True)
    y = recompute(function, x)
    assert between[0]() is None
    y.backward(np.ones(1))
    assert len(between) == 2
    assert between[1]() is None


def test_memory_of_many_layers():
    rng = np.random.default_rng(0)
    layers = [MLP([32, 512, 32], rng=rng) for _ in range(32)]
    peaks = {}
    for call in (plainly, recompute):
        x = h = Tensor(rng.standard_normal((512, 32)), requires_grad=True, dtype=np.float32)
        gc.collect()
        tracemalloc.start()
        for layer in layers:
            h = call(layer, h)
        h.sum().backward()
        peaks[call] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert x.grad is not None
    # A layer keeps a megabyte for each of its hidden arrays, and 64 kilobytes of its input.
    assert peaks[recompute] < 0.5 * peaks[plainly]


def test_a_parameter_that_changes_in_between_is_refused():
    layer = Linear(3, 3, rng=np.random.default_rng(0))
    y = recompute(layer, Tensor(np.ones((1, 3), np.float32))).sum()
    layer.weight.data = np.zeros((3, 3))
    with pytest.raises(RuntimeError, match=r"recompute: a parameter of shape \(3, 3\) was changed"):
        y.backward()


def test_what_is_frozen_in_between_has_no_gradient():
    layer = Linear(3, 3, rng=np.random.default_rng(0))
    y = recompute(layer, Tensor(np.ones((1, 3), np.float32))).sum()
    layer.freeze()
    y.backward()
    assert layer.weight.grad is None


def test_a_function_that_returns_something_else_is_refused():
    sizes = [2, 3]
    x = Tensor(np.ones(5, np.float32), requires_grad=True)
    y = recompute(lambda x: x[: sizes.pop(0)] * 2, x).sum()
    with pytest.raises(RuntimeError, match=r"shape \(2,\) at first and \(3,\) when it was run"):
        y.backward()


def test_a_second_walk_is_refused():
    x = Tensor([1.0], requires_grad=True)
    y = recompute(F.exp, x)
    y.backward(np.ones(1))
    with pytest.raises(RuntimeError, match="recompute: this graph was walked"):
        y.backward(np.ones(1))


def test_the_graph_shows_where_the_gradient_goes():
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    x = Tensor(np.ones((1, 3), np.float32), requires_grad=True)
    lines = draw_graph(recompute(layer, F.exp(x)), model=layer).splitlines()
    assert lines[0] == "recompute (1, 2)"
    assert sorted(line[4:] for line in lines if line[0] in "├└") == [
        "bias (2,)",
        "exp (1, 3)",
        "weight (2, 3)",
    ]
