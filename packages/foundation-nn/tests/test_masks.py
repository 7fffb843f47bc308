"""Masks: True means real."""

import numpy as np
import pytest
from foundation_nn import causal_mask, padding_mask


def test_padding_mask_by_hand():
    mask = padding_mask(np.array([2, 0, 3]), max_len=4)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(padding_mask([1, 2]), [[1, 0], [1, 1]])
    assert padding_mask([]).shape == (0, 0)
    assert padding_mask([0, 0]).shape == (2, 0)


def test_causal_mask_by_hand():
    mask = causal_mask(3)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert causal_mask(0).shape == (0, 0)


@pytest.mark.parametrize(
    ("lengths", "max_len", "error", "message"),
    [
        ([1.0, 2.0], None, TypeError, "expected integer lengths, got float64"),
        ([True, False], None, TypeError, "expected integer lengths, got bool"),
        ([[1, 2]], None, ValueError, r"expected lengths of shape \(B,\), got \(1, 2\)"),
        ([1, 3], 2, ValueError, "expected lengths between 0 and max_len=2, got 1 to 3"),
        ([-1, 3], None, ValueError, "expected lengths between 0 and max_len=3, got -1 to 3"),
    ],
)
def test_other_lengths_are_refused(lengths, max_len, error, message):
    with pytest.raises(error, match=f"padding_mask: {message}"):
        padding_mask(lengths, max_len)
