"""Operations that move numbers about."""

from itertools import permutations, product

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F

# Each axis of a permutation may be counted from the front or from the back.
AXES = [
    tuple(a - 3 * back for a, back in zip(order, backs, strict=True))
    for order in permutations(range(3))
    for backs in product((0, 1), repeat=3)
]


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_transpose_sends_each_gradient_back_to_its_element(axes):
    x = Tensor(np.zeros((2, 3, 5)), requires_grad=True)
    g = np.arange(30.0).reshape(np.zeros((2, 3, 5)).transpose(axes).shape)
    F.transpose(x, axes).backward(g)
    expected = np.zeros((2, 3, 5))
    expected.transpose(axes)[...] = g  # the view writes through
    np.testing.assert_array_equal(x.grad, expected)


def test_transpose_with_axes_from_the_back_passes_gradcheck(rng):
    assert gradcheck(lambda x: F.transpose(x, (0, -1, 1)), rng.standard_normal((2, 3, 5)))


def test_the_methods_take_a_tuple_as_numpy_does():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(x.reshape((3, 2)).data, x.data.reshape(3, 2))
    np.testing.assert_array_equal(x.transpose((1, 0)).data, x.data.T)


def test_concat_of_different_numbers_of_axes_is_a_value_error():
    with pytest.raises(ValueError, match="concat"):
        F.concat([Tensor(np.ones((2, 3))), Tensor(np.ones(3))], axis=1)
