"""Kernels that treat every row alike, and what they are made of."""

import numpy as np
import pytest
from foundation_nn import Array, Result, Vector, by_rows, centred, column_sum, limited
from foundation_nn.functional._rows import surely_finite


@by_rows
def plain(x: Array, weight: Vector, factor: float = 1.0) -> Result:
    def backward(g):
        return g * weight * factor, column_sum(g * x) * factor

    return x * weight * factor, backward


@by_rows
def sparing(x: Array, weight: Vector, factor: float = 1.0, out: np.ndarray | None = None) -> Result:
    written.append(out)

    def backward(g, out=None):
        written.append(out)
        dx = np.multiply(g, weight * factor, out=out)
        return dx, column_sum(g * x) * factor

    return np.multiply(x, weight * factor, out=out), backward


written: list[np.ndarray | None] = []


@pytest.mark.parametrize("rows", [3, 5003])  # as one block, and as several
def test_a_kernel_that_is_told_where_to_write_gives_the_same(rows):
    written.clear()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 2, 131))
    weight = rng.integers(1, 5, 131).astype(float)
    g = rng.standard_normal(x.shape)
    y, backward = plain(x, weight, 2.0)
    expected = [y, *backward(g)]
    y, backward = sparing(x, weight, factor=2.0)
    np.testing.assert_array_equal(y, expected[0])
    dx, dw = backward(g)
    np.testing.assert_array_equal(dx, expected[1])
    np.testing.assert_array_equal(dw, expected[2])
    if rows == 3:
        assert written == [None, None]
    else:  # nothing was copied: the blocks lie in the results
        blocks = len(written) // 2
        assert blocks > 1
        assert all(np.shares_memory(block, y) for block in written[:blocks])
        assert all(np.shares_memory(block, dx) for block in written[blocks:])


def test_the_backward_of_several_blocks_frees_what_it_used():
    _, backward = plain(np.ones((5003, 131)), np.ones(131))
    backward(np.ones((5003, 131)))
    with pytest.raises(RuntimeError, match="plain: this backward was called before"):
        backward(np.ones((5003, 131)))


def test_callers_see_no_room_to_write_to():
    with pytest.raises(TypeError, match=r"sparing\(\) has no argument 'out'"):
        sparing(np.ones((2, 3)), np.ones(3), out=np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"plain\(\) has no argument 'facto'"):
        plain(np.ones((2, 3)), np.ones(3), facto=1.0)


def test_rows_are_centred_each_by_itself():
    rng = np.random.default_rng(0)
    usual = rng.standard_normal((1, 7)).astype(np.float32)
    constant = np.full((1, 7), 0.1, np.float32)
    far = (rng.integers(-4, 5, (1, 7)) + 2.0**22).astype(np.float32)  # whole numbers: exact
    rows = [usual, constant, far]
    deviation, variance = centred(np.concatenate(rows))
    for i, row in enumerate(rows):
        exact = row.astype(float) - row.mean(dtype=float)
        np.testing.assert_allclose(deviation[i], exact[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(variance[i], (exact**2).mean(), rtol=1e-5)
        alone, variance_alone = centred(row)
        np.testing.assert_array_equal(alone[0], deviation[i])
        np.testing.assert_array_equal(variance_alone[0], variance[i])
    assert not deviation[1].any()
    assert variance[1] == 0


def test_what_is_within_the_limits_is_not_copied():
    x = np.array([-1.0, 0.5, 2.0])
    assert limited(x, -1, 2) is x
    assert limited(x, -3, np.inf) is x
    np.testing.assert_array_equal(limited(x, -0.5, 1), [-0.5, 0.5, 1])
    np.testing.assert_array_equal(limited(np.array([np.nan, 5]), -1, 1), [np.nan, 1])
    empty = np.empty((0, 3))
    assert limited(empty, -1, 1).shape == (0, 3)


def test_what_is_no_argument_of_the_kernel_is_refused():
    """``out`` is for the decorator alone."""
    x, weight = np.ones((2, 3)), np.ones(3)
    with pytest.raises(TypeError, match="too many"):
        sparing(x, weight, 1.0, np.empty((2, 3)))
    with pytest.raises(TypeError, match="sparing.. has no argument 'out'"):
        sparing(x, weight, out=np.empty((2, 3)))


def test_numbers_are_surely_finite_if_their_squares_are():
    assert surely_finite(np.float32([1e18, -3]))
    assert not surely_finite(np.float32([1, np.inf]))
    assert not surely_finite(np.float32([-np.inf, 1]))
    assert not surely_finite(np.float32([1, np.nan]))
    assert not surely_finite(np.float32([1e30]))  # the square is not
    assert surely_finite(np.empty((0, 3)))
