"""Optimisers and clipping."""

import numpy as np
import pytest
from foundation_nn import Parameter, Tensor, optim


def test_clipping_by_hand():
    p = Parameter([3.0, 4.0])
    optimizer = optim.SGD([p], lr=1.0)
    (p * p * 0.5).sum().backward()  # the gradient is p itself, of norm 5
    assert optim.clip_grad_norm(optimizer, 1.0) == pytest.approx(5.0)
    optimizer.step()
    np.testing.assert_allclose(p.data, [3 - 0.6, 4 - 0.8], rtol=1e-6)


def test_clipping_counts_for_a_gradient_that_was_assigned():
    p = Parameter([3.0, 4.0])
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = np.array([3.0, 4.0], np.float32)
    assert optim.clip_grad_norm(optimizer, 1.0) == pytest.approx(5.0)
    optimizer.step()
    np.testing.assert_allclose(p.data, [3 - 0.6, 4 - 0.8], rtol=1e-6)


def test_a_leaf_that_is_no_parameter_is_refused_with_the_fix():
    with pytest.raises(TypeError, match="Parameter"):
        optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.1)


def test_a_parameter_taken_by_another_optimiser_is_refused():
    p = Parameter([1.0])
    first, second = optim.SGD([p], lr=1.0), optim.SGD([p], lr=1.0)
    p.sum().backward()
    with pytest.raises(RuntimeError, match="another optimiser"):
        first.step()
    np.testing.assert_array_equal(p.data, [1.0])
    second.step()
    np.testing.assert_array_equal(p.data, [0.0])
