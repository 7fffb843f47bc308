"""Padding is invisible: whatever stands there changes no output and no gradient by one bit."""

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F

POISON = [np.nan, 1e30, -1e30, np.inf, -np.inf]
DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_cross_entropy_ignores_have_no_influence(rng, poison, smoothing, dtype):
    logits = rng.standard_normal((5, 7)).astype(dtype)
    targets = np.array([3, -1, 0, -1, 6])
    results = []
    for fill in (0.0, poison):
        filled = logits.copy()
        filled[targets == -1] = fill
        x = Tensor(filled, requires_grad=True)
        loss = F.cross_entropy(x, targets, ignore_index=-1, label_smoothing=smoothing)
        loss.backward()
        results.append((loss.data.tobytes(), x.grad.tobytes()))
    assert results[0] == results[1]
    without = Tensor(logits[targets != -1], requires_grad=True)
    alone = F.cross_entropy(without, targets[targets != -1], label_smoothing=smoothing)
    alone.backward()
    np.testing.assert_allclose(loss.item(), alone.item(), rtol=1e-6)
    np.testing.assert_allclose(x.grad[targets != -1], without.grad, rtol=1e-6)
    assert not x.grad[targets == -1].any()


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_rows_have_no_influence(rng, poison, dtype):
    real = np.array([[True, False, True], [False, True, False]])
    values, weight = rng.standard_normal((2, 3, 5)).astype(dtype), rng.standard_normal((7, 5))
    upstream = rng.standard_normal((2, 3, 7))
    results = []
    for fill in (0.0, poison):
        filled = values.copy()
        filled[~real] = fill
        x, w = Tensor(filled, requires_grad=True), Tensor(weight, dtype=dtype, requires_grad=True)
        y = F.linear(F.mask_rows(x, real), w)
        y.backward(upstream)
        results.append((y.data.tobytes(), x.grad.tobytes(), w.grad.tobytes()))
    assert results[0] == results[1]
    assert not x.grad[~real].any()
    np.testing.assert_allclose(x.grad[real], (upstream @ weight)[real], rtol=1e-5)


@pytest.mark.parametrize("poison", POISON)
def test_poisoned_gradients_of_masked_rows_are_dropped(poison):
    real = np.array([True, False])
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    F.mask_rows(x, real).backward([[1, 2, 3], [poison] * 3])
    np.testing.assert_array_equal(x.grad, [[1, 2, 3], [0, 0, 0]])


@pytest.mark.parametrize("poison", POISON)
def test_what_where_does_not_choose_has_no_influence(poison):
    chosen = np.array([True, False, True])
    x, y = Tensor([1.0, poison, 3.0], requires_grad=True), Tensor([poison, 5.0, poison])
    z = F.where(chosen, x, y)
    np.testing.assert_array_equal(z.data, [1, 5, 3])
    z.backward([2, poison, 4])
    np.testing.assert_array_equal(x.grad, [2, 0, 4])


def test_a_mask_without_padding_costs_nothing():
    x = Tensor(np.ones((2, 3)))
    assert F.mask_rows(x, np.ones(2, bool)) is x


def test_a_mask_is_a_boolean_for_every_row():
    x = Tensor(np.ones((2, 3)))
    np.testing.assert_array_equal(F.mask_rows(x, [True, False]).data, [[1, 1, 1], [0, 0, 0]])
    for mask in ([1, 0], np.ones(2)):
        with pytest.raises(TypeError, match="expected a boolean mask, got .*use ids != pad_id"):
            F.mask_rows(x, mask)
    for shape in ((3,), (2, 3), (2, 1)):
        with pytest.raises(ValueError, match=r"expected a mask of shape \(2,\) for x of shape"):
            F.mask_rows(x, np.ones(shape, bool))
