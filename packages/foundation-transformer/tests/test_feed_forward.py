"""The feed-forward network, and the gated one."""

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F
from foundation_transformer import FeedForward, SwiGLU
from foundation_transformer._feed_forward import swiglu


def test_swiglu_by_hand():
    y = swiglu(Tensor(np.array([[0.0, 2.0, 3.0, 5.0]])))  # gates 0 and 2, values 3 and 5
    np.testing.assert_allclose(y.data, [[0, 2 / (1 + np.exp(-2)) * 5]])


@pytest.mark.parametrize("shape", [(3, 10), (2, 5, 2), (0, 4), (7001, 64)])
def test_swiglu_is_silu_times_the_other_half(rng, shape):
    x = Tensor(rng.standard_normal(shape), requires_grad=True)
    twin = Tensor(x.data, requires_grad=True)
    half = shape[-1] // 2
    y, expected = swiglu(x), F.silu(twin[..., :half]) * twin[..., half:]
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-13)
    g = rng.standard_normal(y.shape)
    y.backward(g)
    expected.backward(g)
    np.testing.assert_allclose(x.grad, twin.grad, rtol=1e-12, atol=1e-14)


def test_swiglu_at_the_ends():
    x = np.array([[-1e4, -800.0, 800.0, 1.0, 1.0, 1.0]], np.float32)
    t = Tensor(x, requires_grad=True)
    y = swiglu(t)
    np.testing.assert_array_equal(y.data, [[0, 0, 800]])
    assert y.dtype == np.float32
    y.sum().backward()
    np.testing.assert_array_equal(t.grad, [[0, 0, 1, 0, 0, 800]])


def test_swiglu_of_infinities():
    t = Tensor(np.array([[-np.inf, -1e38, np.inf, 2.0, 3.0, 5.0]], np.float32), requires_grad=True)
    y = swiglu(t)
    np.testing.assert_array_equal(y.data, [[0, 0, np.inf]])
    y.backward(np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(t.grad[0, :3], [0, 0, 5])


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu", "swiglu"])
def test_gradcheck(rng, activation):
    network = FeedForward(5, 7, activation, rng=rng).astype(np.float64)
    assert gradcheck(network, rng.standard_normal((2, 3, 5)))


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda z: np.maximum(z, 0)),
        ("gelu_tanh", lambda z: z / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (z + 0.044715 * z**3)))),
        ("silu", lambda z: z / (1 + np.exp(-z))),
    ],
)
def test_the_formula(rng, activation, function):
    network = FeedForward(5, 7, activation, rng=rng).astype(np.float64)
    x = rng.standard_normal((4, 5))
    inner, outer = network.linear1, network.linear2
    h = function(x @ inner.weight.data.T + inner.bias.data)
    expected = h @ outer.weight.data.T + outer.bias.data
    np.testing.assert_allclose(network(Tensor(x)).data, expected, rtol=1e-12)


def test_the_gated_network(rng):
    network = SwiGLU(5, 7, rng=rng).astype(np.float64)
    assert {n: p.shape for n, p in network.named_parameters()} == {
        "linear1.weight": (14, 5),
        "linear2.weight": (5, 7),
    }
    x = rng.standard_normal((4, 5))
    gate, up = np.split(network.linear1.weight.data, 2)
    a = x @ gate.T
    expected = (a / (1 + np.exp(-a)) * (x @ up.T)) @ network.linear2.weight.data.T
    np.testing.assert_allclose(network(Tensor(x)).data, expected, rtol=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="activation: expected one of .*'swiglu'.*, got 'swish'"):
        FeedForward(5, 7, "swish")
