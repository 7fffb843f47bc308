"""NumPy's own functions, given tensors: answered, or refused where they would cut the tape."""

import numpy as np
import pytest
from foundation_nn import Parameter, Tensor, no_grad


def recorded():
    return Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


@pytest.mark.parametrize(
    ("function", "gradient"),
    [
        (lambda x: np.sum(x * x), [[2, 4], [6, 8]]),
        (lambda x: np.sum(np.multiply(x, [1, 10]), axis=0)[1], [[0, 10], [0, 10]]),
        (np.mean, [[0.25, 0.25], [0.25, 0.25]]),
        (lambda x: np.max(x) - np.min(x), [[-1, 0], [0, 1]]),
        (lambda x: np.exp(np.log(x)).sum(), [[1, 1], [1, 1]]),
        (lambda x: (np.ones(2) @ np.sqrt(x) ** 2)[0], [[1, 0], [1, 0]]),
        (lambda x: np.transpose(x)[0, 1], [[0, 0], [1, 0]]),
        (lambda x: np.einsum("ij,jk->ik", x, np.eye(2))[0, 1], [[0, 1], [0, 0]]),
        (lambda x: np.outer(x[0], [1, 10]).sum(), [[11, 11], [0, 0]]),
        (lambda x: np.split(x, 2, axis=1)[1].sum(), [[0, 1], [0, 1]]),
        (lambda x: np.take_along_axis(x, np.array([[1], [0]]), 1).sum(), [[0, 1], [1, 0]]),
        (lambda x: np.tril(x).sum() + np.triu(x, 1).sum(), [[1, 1], [1, 1]]),
        (lambda x: np.squeeze(np.expand_dims(x, 0)).sum(), [[1, 1], [1, 1]]),
        (lambda x: np.broadcast_to(x, (3, 2, 2)).sum(), [[3, 3], [3, 3]]),
        (lambda x: np.flip(np.repeat(x, 2, axis=0))[0, 0], [[0, 0], [0, 1]]),
        (lambda x: np.pad(x, 1)[1, 1], [[1, 0], [0, 0]]),
        (lambda x: np.concatenate([x, 2 * x])[2, 1], [[0, 2], [0, 0]]),
        (lambda x: np.concatenate((np.ones((2, 1)), x), axis=1)[1, 1], [[0, 0], [1, 0]]),
        (lambda x: np.stack([x, x], axis=-1)[0, 1].sum(), [[0, 2], [0, 0]]),
        (lambda x: np.where(x > 1, x * x, 0).sum(), [[0, 4], [6, 8]]),
        (lambda x: np.linalg.norm(x[1]), [[0, 0], [0.6, 0.8]]),
        (lambda x: np.linalg.norm(x, axis=1, ord=1).sum(), [[1, 1], [1, 1]]),
        (lambda x: np.maximum(x, 3).sum(), [[0, 0], [0.5, 1]]),
        (lambda x: np.minimum(2, np.abs(-x)).sum(), [[1, 0.5], [0, 0]]),
        (lambda x: np.clip(x, 2, None).sum(), [[0, 1], [1, 1]]),
        (lambda x: np.cumsum(x, axis=0)[1, 1] + np.var(x) * 0, [[0, 1], [0, 1]]),
        (lambda x: np.var(x, ddof=1, axis=1).sum(), [[-1, 1], [-1, 1]]),
        (lambda x: np.std(x[0]), [[-0.5, 0.5], [0, 0]]),
        (lambda x: np.log1p(x - 1)[1, 1], [[0, 0], [0, 0.25]]),
        (lambda x: np.sin(x * 0).sum() + np.cos(x * 0).sum(), [[0, 0], [0, 0]]),
        (lambda x: (np.sign(x) * x).sum() + 2.0 ** (x[0, 0] * 0), [[1, 1], [1, 1]]),
        (lambda x: np.power(2.0, x)[1, 0] / np.log(2.0), [[0, 0], [8, 0]]),
        (lambda x: np.reshape(x, 4)[2] / np.float64(2), [[0, 0], [0.5, 0]]),
    ],
)
def test_functions_with_a_counterpart_are_recorded(function, gradient):
    x = recorded()
    y = function(x)
    assert isinstance(y, Tensor)
    y.backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "instead"),
    [
        (lambda x: np.dot(x, x), "x @ y"),
        (np.tan, "there is no operation for it"),
        (lambda x: np.sum(x, 0, np.float64), r"functional\.sum\(x, axis, keepdims\), which does"),
        (lambda x: np.clip(x, a_min=0, a_max=1), r"functional\.clip\(x, min, max\)"),
        (lambda x: np.concatenate([x, x], dtype=np.float64), r"functional\.concat\(tensors, axis"),
        (lambda x: np.maximum(x, 0, where=x > 1), r"functional\.maximum\(x, y\)"),
        (np.add.reduce, "there is no operation for it"),
    ],
)
def test_functions_that_would_cut_the_tape_are_refused_with_what_to_write(function, instead):
    message = rf"does not record what it does, so its result would have no gradient; .*{instead}"
    with pytest.raises(TypeError, match=message):
        function(recorded())


def test_what_nobody_differentiates_is_as_good_as_an_array():
    x = recorded()
    with no_grad():
        np.testing.assert_array_equal(np.concatenate([x, x])[2], [1, 2])
        np.testing.assert_array_equal(np.asarray(x), x.data)
    for constant in (x.detach(), Tensor([[1.0, 2.0], [3.0, 4.0]])):
        np.testing.assert_array_equal(np.dot(constant, [1, 1]), [3, 7])
        np.testing.assert_array_equal(np.asarray(constant, dtype=np.float64), x.data)


def test_questions_are_answered():
    x = recorded()
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 2), 2, 4)
    assert np.argmax(x) == 3
    assert np.any(x * x)
    assert np.all(x)
    assert np.isfinite(x * x).all()
    assert np.allclose(x, [[1, 2], [3, 4]])


@pytest.mark.parametrize("make", [recorded, lambda: recorded() * 2, lambda: Parameter([1.0])])
def test_an_array_of_a_recorded_tensor_is_refused(make):
    message = r"part of a recorded computation.*x\.data .*x\.numpy\(\).*x\.detach\(\)"
    for convert in (np.asarray, np.array, lambda x: np.array([x.sum(), 1.0])):
        with pytest.raises(TypeError, match=message):
            convert(make())
