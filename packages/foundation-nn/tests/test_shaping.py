"""Operations that move numbers about."""

from itertools import permutations, product

import numpy as np
import pytest
from foundation_nn import Tensor
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


def test_the_methods_take_a_tuple_as_numpy_does():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(x.reshape((3, 2)).data, x.data.reshape(3, 2))
    np.testing.assert_array_equal(x.transpose((1, 0)).data, x.data.T)


def test_an_element_chosen_twice_receives_the_sum():
    x = Tensor([10.0, 20.0, 30.0], requires_grad=True)
    x[[2, 0, 2, 2]].backward([1, 2, 4, 8])
    np.testing.assert_array_equal(x.grad, [2, 0, 13])


IDS, MASK = np.array([2, 0]), np.array([True, False])


@pytest.mark.parametrize(
    ("function", "option"),
    [
        (lambda x, ids: F.embedding(ids, x), IDS),
        (lambda x, ids: x[ids], IDS),
        (lambda x, mask: x[:2][mask], MASK),
        (lambda x, mask: F.mask_rows(x[:2], mask), MASK),
        (lambda x, mask: F.where(mask, x[0], x[1]), MASK),
        (lambda x, ids: F.cross_entropy(x[:, :2], ids, ignore_index=2), np.array([0, 2, 1])),
    ],
)
def test_ids_and_masks_are_kept_as_they_were(function, option):
    gradients = []
    for change in (False, True):
        x, given = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True), option.copy()
        y = function(x, given)
        if change:
            given[:] = given[::-1].copy()
        y.backward(1 + np.arange(float(y.size)).reshape(y.shape))
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)
    assert gradients[0].any()


def test_elements_of_a_number_or_of_all_in_a_row_are_taken():
    x = Tensor(3.0, requires_grad=True)
    y = F.take_along_axis(x, [0, 0], None)
    y.sum().backward()
    assert (y.tolist(), x.grad.item()) == ([3, 3], 2)
    matrix = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = F.take_along_axis(matrix, [3, 0, -1], None)
    y.backward([1, 2, 4])
    assert (y.tolist(), matrix.grad.tolist()) == ([4, 1, 4], [[2, 0], [0, 5]])


def test_questions_are_answered_with_plain_values():
    x = Tensor([[3.0, 9.0, 5.0], [0.0, 9.0, 9.0]], requires_grad=True)
    assert x.argmax() == 1
    assert x.argmax(1).tolist() == [1, 1]
    assert x.argmin(axis=0).tolist() == [1, 0, 0]
    assert x.argsort().tolist() == [[0, 2, 1], [0, 1, 2]]
    assert (x.any(), x.all(), x.all(1).tolist()) == (True, False, [True, False])
    assert x.tolist() == [[3, 9, 5], [0, 9, 9]]
    assert (x.flatten().shape, x.ravel().shape) == ((6,), (6,))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_largest_elements_come_in_order_and_have_gradients(axis):
    x = Tensor(np.array([[3.0, 9.0, 5.0], [9.0, 2.0, 9.0], [9.0, 9.0, 9.0]]), requires_grad=True)
    values, indices = x.topk(2, axis)
    expected = np.sort(x.data, axis)[::-1][:2] if axis == 0 else np.sort(x.data)[:, :-3:-1]
    np.testing.assert_array_equal(values.data, expected)
    first = [[1, 0, 1], [2, 2, 2]] if axis == 0 else [[1, 2], [0, 2], [0, 1]]
    np.testing.assert_array_equal(indices, first)
    values.sum().backward()
    assert x.grad.sum() == 6
    with pytest.raises(ValueError, match="topk: expected k of at most 3, the length of axis"):
        x.topk(4, axis)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.split(x, 2, 1), r"split: cannot cut axis 1 of shape \(2, 3\) into 2 equal"),
        (lambda x: F.split(x, [2, 1], 1), r"split: expected places in order, got \[2, 1\]"),
        (lambda x: F.pad(x, (1, 2, 3)), r"pad: expected a width, \(before, after\), or 2 such"),
        (lambda x: F.einsum("ij", x, x), r"einsum: 'ij' is for 1 operands, got 2"),
        (lambda x: F.einsum("i->i", x), r"einsum: 'i' in 'i->i' does not name the axes"),
        (lambda x: F.einsum(x, "ij"), r"einsum: expected the subscripts as text first, got a T"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(Tensor(np.ones((2, 3))))
