"""The checker, checked."""

import numpy as np
import pytest
from foundation_nn import Array, GradientError, Result, gradcheck, operation


@operation
def almost_square(x: Array) -> Result:
    def backward(g):
        dx = 2 * g * x
        dx[1, 2] *= 1.01
        return dx

    return x * x, backward


@pytest.mark.parametrize("seed", range(50))
def test_one_wrong_element_is_found_and_named(seed):
    x = np.random.default_rng(seed).standard_normal((3, 5))
    with pytest.raises(GradientError, match=r"WRONG +input 0 +\(3, 5\) +worst \[1, 2\]"):
        gradcheck(almost_square, x, seed=seed)


def test_a_function_that_returns_no_tensor_is_refused():
    with pytest.raises((TypeError, ValueError), match="gradcheck"):
        gradcheck(lambda x: None, np.ones(2))
