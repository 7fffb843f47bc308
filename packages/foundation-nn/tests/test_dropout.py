"""Dropout: how often, how much, and from which bits."""

import numpy as np
import pytest
from foundation_nn import Dropout, Tensor, current_generator, train_mode
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


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, 1 - 1e-9, np.nan, np.inf])
def test_a_probability_outside_of_0_to_1_is_refused(p):
    # Also where dropout is off.
    message = r"^dropout: expected 0 <= (a finite )?p < 1( by more than 1/131072)?, got"
    with pytest.raises(ValueError, match=message):
        F.dropout(Tensor([1.0]), p)


@pytest.mark.parametrize("p", [-0.1, 1.0, np.nan])
def test_the_layer_refuses_it_when_it_is_made(p):
    with pytest.raises(ValueError, match="Dropout: expected 0 <= p < 1, got"):
        Dropout(p)


def test_the_scale_follows_the_rounded_probability(rng):
    # 0.3 · 65536 = 19660.8: the mean stays what it was to the last digit.
    y = F.dropout(Tensor(np.ones(101)), 0.3, rng).data
    assert set(np.unique(y)) == {0.0, 65536 / (65536 - 19661)}


def test_it_is_on_in_train_mode_only(rng):
    x, drop = Tensor(np.ones(101)), Dropout(0.5)
    assert drop(x) is x
    with train_mode(rng):
        assert set(drop(x).data) == {0, 2}
        with train_mode(None):
            assert drop(x) is x
        assert set(drop(x).data) == {0, 2}
        assert Dropout(0.0)(x) is x
    assert drop(x) is x
    assert current_generator() is None


def test_it_is_off_again_after_an_error(rng):
    with pytest.raises(KeyError), train_mode(rng):
        raise KeyError
    assert current_generator() is None


def test_two_calls_in_a_row_draw_different_masks(rng):
    x = Tensor(np.ones(101))
    with train_mode(rng):
        assert (F.dropout(x, 0.5).data != F.dropout(x, 0.5).data).any()


def test_elements_are_dropped_independently_of_their_neighbours(rng):
    kept = F.dropout(Tensor(np.ones(100_003)), 0.25, rng).data != 0
    for lag in (1, 2, 3, 4, 8):
        both = (kept[:-lag] & kept[lag:]).mean()
        assert abs(both - 0.75**2) < 5 * np.sqrt(0.25 / len(kept))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 5)])
def test_any_shape(rng, shape):
    y = F.dropout(Tensor(np.ones(shape)), 0.5, rng)
    assert y.shape == shape
    assert set(y.data.reshape(-1).tolist()) <= {0, 2}


def test_a_seed_is_no_generator():
    with (
        pytest.raises(TypeError, match=r"train_mode: expected .*got int; .*default_rng\(seed"),
        train_mode(42),
    ):
        pass


@pytest.mark.parametrize("p", ["0.1", None, True])
def test_a_probability_is_a_number(rng, p):
    with pytest.raises(TypeError, match="^dropout: expected p to be a number, got"):
        F.dropout(Tensor([1.0]), p, rng)


class EveryNumber:
    """A generator whose sixteen bits take every value once."""

    def integers(self, low, high, size, dtype):
        assert (low, high, size, dtype) == (0, 2**64, 65536 // 4, np.uint64)
        return np.arange(65536, dtype=np.uint16).view(np.uint64)


@pytest.mark.parametrize(("p", "zeros"), [(0.0, 0), (2**-16, 1), (0.3, 19661), (0.5, 32768)])
def test_of_all_numbers_exactly_the_share_p_drops_an_element(p, zeros):
    assert (~F.random_keep(EveryNumber(), (256, 256), p)).sum() == zeros
