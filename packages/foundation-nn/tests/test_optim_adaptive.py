"""RMSprop, Adagrad, Lion and Adafactor, by hand."""

import math

import numpy as np
import pytest
from foundation_nn import Parameter, optim


def steps(optimizer, *gradients):
    (p,) = optimizer.buffer.parameters
    for g in gradients:
        p.grad = np.broadcast_to(np.asarray(g, p.dtype), p.shape).copy()
        optimizer.step()
    return p.numpy()


def matrix(value):
    return Parameter(np.atleast_2d(value), dtype=np.float64)


def rms(array):
    return math.sqrt((array**2).mean())


def test_rmsprop():
    optimizer = optim.RMSprop([matrix(1.0)], lr=0.1, alpha=0.75, eps=0.5, weight_decay=0.2)
    # With the decay the gradient is 4, and v = ¼ · 4².
    first = 1 - 0.1 * 4 / (2 + 0.5)
    assert steps(optimizer, 3.8).item() == pytest.approx(first, abs=1e-15)
    g = -1 + 0.2 * first
    v = 0.75 * 4 + 0.25 * g**2
    second = first - 0.1 * g / (math.sqrt(v) + 0.5)
    assert steps(optimizer, -1).item() == pytest.approx(second, abs=1e-15)


def test_adagrad():
    optimizer = optim.Adagrad([matrix(1.0)], lr=0.1, eps=1.0, weight_decay=0.2)
    first = 1 - 0.1 * 3 / (3 + 1)
    assert steps(optimizer, 2.8).item() == pytest.approx(first, abs=1e-15)
    second = first - 0.1 * 4 / (math.sqrt(9 + 16) + 1)  # again, the decay is in the 4
    assert steps(optimizer, 4 - 0.2 * first).item() == pytest.approx(second, abs=1e-15)


def test_lion():
    optimizer = optim.Lion([matrix(1.0)], lr=0.1, betas=(0.5, 0.75), weight_decay=0.2)
    first = 1 - 0.1 * (1 + 0.2)
    assert steps(optimizer, 4).item() == pytest.approx(first, abs=1e-15)
    # m = 1: half of it is less than half of 2, so the sign turns; then m = ¾ - ½.
    second = first - 0.1 * (-1 + 0.2 * first)
    assert steps(optimizer, -2).item() == pytest.approx(second, abs=1e-15)
    assert optimizer.state["m"][0] == pytest.approx(0.25, abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lion_moves_by_the_sign_however_small_and_not_at_all_without(dtype):
    p = Parameter(np.zeros(5), dtype=dtype)
    moved = steps(optim.Lion([p], lr=0.5), [1e30, -1e-30, 0, 3, -2])
    np.testing.assert_array_equal(moved, [-0.5, 0.5, 0, -0.5, 0.5])


def test_adafactor_knows_squares_of_rank_one_exactly():
    # g² is the product of what is kept of it, so that v = g² and u = g / |g|.
    g = np.outer([1, 2, 5], [3, -1, 7, 2])
    optimizer = optim.Adafactor([matrix(np.full((3, 4), -3.0))], lr=0.01, weight_decay=0.5)
    expected = -3 * (1 - 0.01 * 0.5) - 0.01 * 3 * np.sign(g)
    np.testing.assert_allclose(steps(optimizer, g), expected, atol=1e-14)
    np.testing.assert_allclose(optimizer.state["rows"], np.square([1, 2, 5]) * 63 / 4)
    np.testing.assert_allclose(optimizer.state["columns"], np.square([3, -1, 7, 2]) * 10)


def test_adafactor_factors_each_matrix_of_a_stack():
    g = np.stack([np.outer([1, 2, 5], [3, -1]), np.outer([7, -3, 1], [2, 11])])
    p = Parameter(np.full((2, 3, 2), 2.0), dtype=np.float64)
    moved = steps(optim.Adafactor([p], lr=0.01), g)
    np.testing.assert_allclose(moved, 2 - 0.01 * 2 * np.sign(g), atol=1e-14)


def test_adafactor_in_full():
    w, lr, d = np.array([[1.0, -2.0], [3.0, 0.5]]), 0.3, 1.25
    g1, g2 = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[30.0, 1.0], [-2.0, 5.0]])
    optimizer = optim.Adafactor([matrix(w)], lr=lr, beta2_decay=-0.5, eps=(1e-3, 1e-2), d=d)

    row, column = np.array([2.5, 12.5]), np.array([5.0, 10.0])
    u = g1 / np.sqrt(np.outer(row, column) / 7.5)
    w = w - lr * rms(w) * u / max(1, rms(u) / d)
    np.testing.assert_allclose(steps(optimizer, g1), w, atol=1e-14)

    fresh = 2**-0.5
    row = (1 - fresh) * row + fresh * (g2**2).mean(1)
    column = (1 - fresh) * column + fresh * (g2**2).mean(0)
    u = g2 / np.sqrt(np.outer(row, column) / row.mean())
    assert lr < fresh
    w = w - lr * rms(w) * u / max(1, rms(u) / d)
    np.testing.assert_allclose(steps(optimizer, g2), w, atol=1e-14)


def test_adafactor_limits_the_update_of_a_vector_the_rate_and_the_smallest_weight():
    p = Parameter(np.zeros(2), dtype=np.float64)
    optimizer = optim.Adafactor([p], lr=5.0, eps=(None, 0.1), d=1.0)
    # w = 0 moves as if it were 0.1; the rate is at most 1 / √t.
    np.testing.assert_allclose(steps(optimizer, [4, -1]), [-0.1, 0.1], atol=1e-15)
    before, fresh = p.numpy(), 2**-0.8
    v = (1 - fresh) * np.array([16.0, 1.0]) + fresh * np.array([1600.0, 0.0])
    u = np.array([40 / math.sqrt(v[0]), 0])
    assert rms(u) < 1  # nothing to limit: a vector with one large entry is small on average
    np.testing.assert_allclose(steps(optimizer, [40, 0]), before - 0.1 * u * 2**-0.5, atol=1e-15)


def test_adafactor_without_a_gradient_moves_nothing():
    p = matrix(np.ones((3, 2)))
    np.testing.assert_array_equal(steps(optim.Adafactor([p]), 0, 0), 1)


def test_adafactor_keeps_rows_and_columns_only():
    parameters = [Parameter(np.ones(shape)) for shape in ((5,), (7, 11), (2, 3, 13))]
    optimizer = optim.Adafactor(parameters)
    assert optimizer.state["rows"].size == 7 + 2 * 3
    assert optimizer.state["columns"].size == 11 + 2 * 13
    assert optimizer.state["v"].size < 2 * 16


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: optim.RMSprop(p, alpha=1.0), "RMSprop: expected 0 <= alpha < 1, got 1.0"),
        (lambda p: optim.RMSprop(p, eps=0), "RMSprop: expected eps > 0, got 0"),
        (lambda p: optim.Adagrad(p, eps=-1), "Adagrad: expected eps > 0, got -1"),
        (lambda p: optim.Lion(p, betas=(0.9, 1.0)), r"Lion: expected 0 <= betas\[1\] < 1, got 1.0"),
        (lambda p: optim.Lion(p, lr=-1), "Lion: expected lr >= 0, got -1"),
        (lambda p: optim.Adafactor(p, beta2_decay=0.8), "expected beta2_decay <= 0, got 0.8"),
        (lambda p: optim.Adafactor(p, d=0.5), "Adafactor: expected d >= 1, got 0.5"),
        (lambda p: optim.Adafactor(p, eps=(0, 1)), r"Adafactor: expected eps\[0\] > 0, got 0"),
        (
            lambda p: optim.Adafactor(p, eps=(None, -1)),
            r"Adafactor: expected eps\[1\] >= 0, got -1",
        ),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build([Parameter([1.0])])
