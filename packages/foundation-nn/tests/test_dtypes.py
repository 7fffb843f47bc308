"""One rule: float32 by default, and no scalar or integer ever changes the dtype of a tensor."""

import numpy as np
import pytest
from foundation_nn import Array, Linear, Parameter, Result, Tensor, operation
from foundation_nn import functional as F

COUNTS = Tensor([1, 2, 4])
SCALARS = [2, 2.0, True, np.float64(2), np.float32(2), np.int8(2), np.float16(2)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda n: n / 2, [0.5, 1, 2]),
        (lambda n: n / 2.0, [0.5, 1, 2]),
        (lambda n: 2 / n, [2, 1, 0.5]),
        (lambda n: n / n, [1, 1, 1]),
        (lambda n: n.exp(), np.exp([1, 2, 4])),
        (lambda n: n.log(), np.log([1, 2, 4])),
        (lambda n: n.sqrt(), np.sqrt([1, 2, 4])),
        (F.tanh, np.tanh([1, 2, 4])),
        (F.sigmoid, 1 / (1 + np.exp([-1, -2, -4]))),
        (F.softmax, np.exp([1, 2, 4]) / np.exp([1, 2, 4]).sum()),
        (lambda n: n.mean(), 7 / 3),
        (lambda n: n**-1, [1, 0.5, 0.25]),
        (lambda n: 2.0**n, [2, 4, 16]),
        (lambda n: n ** (-n), [1, 0.25, 1 / 256]),
        (F.log1p, np.log([2, 3, 5])),
        (F.sin, np.sin([1, 2, 4])),
        (F.softplus, np.log1p(np.exp([1, 2, 4]))),
        (F.logsumexp, np.log(np.exp([1, 2, 4]).sum())),
        (lambda n: n.clip(1.5, 3), [1.5, 2, 3]),
        (lambda n: n.var(), 14 / 9),
        (lambda n: n.std(), np.sqrt(14) / 3),
        (F.norm, np.sqrt(21)),
        (lambda n: n**0.5, np.sqrt([1, 2, 4])),
        (lambda n: F.rms_norm(n, eps=0.0), np.array([1, 2, 4]) / np.sqrt(7)),
        (lambda n: F.layer_norm(n * 3 - 7, eps=0.0), np.array([-4, -1, 5]) / np.sqrt(14)),
        (lambda n: F.mse_loss(n, np.array([1, 2, 3])), 1 / 3),
        (lambda n: F.cross_entropy(n, np.array(2)), np.log(np.exp([-3, -2, 0]).sum())),
    ],
)
def test_where_a_result_is_not_whole_integers_become_float32(function, expected):
    for counts in (COUNTS, Tensor(np.array([1, 2, 4], np.int8))):
        y = function(counts)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.data, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda n: abs(-n), [1, 2, 4]),
        (lambda n: F.sign(-n), [-1, -1, -1]),
        (lambda n: F.maximum(n, 2), [2, 2, 4]),
        (lambda n: F.minimum(2, n), [1, 2, 2]),
        (lambda n: n.clip(2, 3), [2, 2, 3]),
        (lambda n: n.cumsum(), [1, 3, 7]),
        (lambda n: n**2, [1, 4, 16]),
        (lambda n: F.einsum("i,i", n, n), 21),
        (F.flip, [4, 2, 1]),
        (lambda n: F.repeat(n, 2)[1:4], [1, 2, 2]),
        (lambda n: F.split(n, [1])[1], [2, 4]),
        (lambda n: F.take_along_axis(n, [2]), [4]),
        (lambda n: F.pad(n, (1, 0)), [0, 1, 2, 4]),
        (lambda n: n.topk(1)[0], [4]),
        (lambda n: 2**n, [2, 4, 16]),
        (lambda n: n**n, [1, 4, 256]),
    ],
)
def test_whole_results_stay_whole(function, expected):
    y = function(COUNTS)
    assert y.dtype == COUNTS.dtype
    np.testing.assert_array_equal(y.data, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: f"{type(s).__name__}")
def test_no_scalar_changes_the_dtype(dtype, scalar):
    x = Tensor(np.array([1, 2, 4], dtype), requires_grad=True)
    results = [x + scalar, scalar - x, x * scalar, scalar / x, x / scalar, x**scalar]
    results += [F.where(x > 1, x, scalar), F.mean(x) * scalar]
    if not isinstance(scalar, bool):  # which is no number to add to a mean
        results.append(F.rms_norm(x, None, scalar))
    results += [scalar**x, F.maximum(scalar, x), x.clip(scalar), x.clip(max=scalar)]
    for y in results:
        assert y.dtype == dtype
        y.sum().backward()
        assert x.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_that_multiplies_by_a_numpy_scalar_does_not_change_the_dtype(dtype):
    @operation
    def scaled(x: Array, factor: float) -> Result:
        def backward(g):
            return g * np.sqrt(np.float64(4))

        assert type(factor) is float
        return x * np.sqrt(np.float64(4)) * factor, backward

    x = Tensor(np.array([1, 2], dtype), requires_grad=True)
    y = scaled(x * 1, np.float64(0.5))
    assert y.dtype == dtype
    (y * y).sum().backward()
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad, [4, 8])


def test_an_array_decides_where_there_is_no_floating_tensor():
    assert (COUNTS * np.ones(3)).dtype == np.float64
    assert (COUNTS * np.ones(3, np.float32)).dtype == np.float32
    assert F.relu([1.0, -1.0]).dtype == np.float32
    assert F.relu(np.array([1.0, -1.0])).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble], ids=lambda d: d.__name__)
def test_only_single_and_double_precision_are_computed_in(dtype):
    array = np.ones(3, dtype)
    message = r"expected numbers in float32 or float64, got float(16|128).*astype\(np\.float32\)"
    for make in (Tensor, Tensor.wrap, Parameter, F.softmax, lambda a: COUNTS * a):
        with pytest.raises(TypeError, match=message):
            make(array)
    with pytest.raises(TypeError, match=message):
        Linear(3, 2).astype(dtype)
    # A constant beside a tensor takes the dtype of that.
    assert (Tensor([1.0]) * array).dtype == np.float32


def test_a_state_in_half_precision_is_widened():
    layer = Linear(1, 1)
    state = {"weight": np.full((1, 1), 0.5, np.float16), "bias": np.full(1, 3, np.float16)}
    for assign in (False, True):
        layer.load_state_dict(state, assign=assign)
        assert layer.weight.dtype == np.float32
        assert layer(Tensor([[2.0]])).item() == 4


def test_a_cast_keeps_the_gradient_and_gives_it_the_dtype_of_its_input():
    x = Tensor([1.5, 2.5], requires_grad=True)
    y = (x * 2).astype(np.float64)
    assert y.dtype == np.float64
    (y * np.array([1.0, 10.0])).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [2, 20])
    for kind in (int, bool):
        assert x.astype(kind).dtype == kind
        assert not x.astype(kind).requires_grad
    with pytest.raises(TypeError, match="got float16"):
        x.astype(np.float16)
