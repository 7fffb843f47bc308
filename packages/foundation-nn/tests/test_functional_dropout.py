"""Dropout: how often, how much, and from which bits."""

import numpy as np
import pytest
from foundation_nn import Tensor, train_mode
from foundation_nn import functional as F

BIT_GENERATORS = ["PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"]


@pytest.mark.parametrize("name", BIT_GENERATORS)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_p_with_every_bit_generator(name, p):
    rng = np.random.Generator(getattr(np.random, name)(0))
    n = 100_003
    y = F.dropout(Tensor(np.ones(n)), p, rng).data
    # Five standard deviations of a binomial count.
    assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_kept_is_scaled_exactly_and_so_is_its_gradient(rng, dtype):
    x = Tensor(np.full((13, 17), 3, dtype), requires_grad=True)
    with train_mode(rng):
        y = F.dropout(x, 0.25)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    assert set(np.unique(y.data)) == {dtype(0), dtype(3) * dtype(1 / 0.75)}
    np.testing.assert_array_equal(x.grad, np.where(y.data == 0, 0, dtype(1 / 0.75)))


def test_the_same_generator_gives_the_same_mask():
    x = Tensor(np.ones(101))
    first, again, other = (
        F.dropout(x, 0.5, np.random.default_rng(seed)).data for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_a_probability_outside_of_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match="expected 0 <= p < 1, got"):
        F.dropout(Tensor([1.0]), p)


def test_a_probability_that_rounds_to_one_is_refused_as_one_is(rng):
    with pytest.raises(ValueError, match="expected 0 <= p < 1"):
        F.dropout(Tensor([1.0]), 1 - 1e-9, rng)
