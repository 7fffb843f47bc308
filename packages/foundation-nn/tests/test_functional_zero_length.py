"""Axes of length zero, and other edges of the domain."""

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0,), (2, 0, 5)])
def test_gelu_of_nothing_is_nothing(shape, approximate):
    x = Tensor(np.zeros(shape), requires_grad=True)
    y = F.gelu(x, approximate)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, np.zeros(shape))
    np.testing.assert_array_equal(x.grad, np.zeros(shape))


@pytest.mark.parametrize(("rows", "width", "out"), [(3, 0, 2), (3, 4, 0), (0, 4, 2), (0, 0, 0)])
def test_linear_over_axes_of_length_zero(rows, width, out):
    x = Tensor(np.ones((rows, width)), requires_grad=True)
    w = Tensor(np.ones((out, width)), requires_grad=True)
    b = Tensor(np.full(out, 7.0), requires_grad=True)
    y = F.linear(x, w, b)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, np.full((rows, out), 7.0 + width))
    np.testing.assert_array_equal(x.grad, np.full((rows, width), float(out)))
    np.testing.assert_array_equal(w.grad, np.full((out, width), float(rows)))
    np.testing.assert_array_equal(b.grad, np.full(out, float(rows)))


def test_cross_entropy_over_no_classes_says_so():
    with pytest.raises(ValueError, match="cross_entropy"):
        F.cross_entropy(np.zeros((3, 0)), np.zeros(3, int))


def test_the_zeroth_power_is_flat_everywhere():
    x = Tensor([0.0, 1.0, -2.0], requires_grad=True)
    y = x**0
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("poison", [np.nan, 1e30, -1e30, np.inf, -np.inf])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
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


def test_a_mask_that_is_a_list_is_read_or_refused_like_other_wrong_types():
    x = Tensor(np.ones((2, 3)))
    np.testing.assert_array_equal(F.mask_rows(x, [True, False]).data, [[1, 1, 1], [0, 0, 0]])
    with pytest.raises(TypeError, match="boolean"):
        F.mask_rows(x, [1, 0])
