"""Each fused operation against the same thing composed of small ones."""

import math

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F
from hypothesis import given
from hypothesis import strategies as st


def tanh(x):
    return 2 / (1 + (x * -2).exp()) - 1


def softmax(x, axis=-1):
    e = (x - x.max(axis, keepdims=True).data).exp()
    return e / e.sum(axis, keepdims=True)


def normalise(x, eps):
    return x / ((x * x).mean(-1, keepdims=True) + eps).sqrt()


def layer_norm(x, weight, bias, eps=1e-5):
    return normalise(x - x.mean(-1, keepdims=True), eps) * weight + bias


def cross_entropy(logits, targets, ignore_index, smoothing):
    classes = logits.shape[-1]
    one_hot = np.arange(classes) == targets[..., None]
    q = (1 - smoothing) * one_hot + smoothing / classes
    counts = (targets != ignore_index)[..., None]
    return -(softmax(logits).log() * (q * counts)).sum() / int(counts.sum())


def sum_of_two_singular_values(x):
    """With s² + t² the sum of all squares, and (s t)² the determinant of X Xᵀ."""
    products = x @ x.T
    determinant = products[0, 0] * products[1, 1] - products[0, 1] * products[1, 0]
    return ((x * x).sum() + 2 * determinant.sqrt()).sqrt()


def sigmoid(x):
    return 1 / (1 + (-x).exp())


def binary_cross_entropy(x, t):
    return -(t * sigmoid(x).log() + (1 - t) * (1 - sigmoid(x)).log()).mean()


def gelu_tanh(x):
    return x * 0.5 * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu(x):
    """x Φ(x) with Φ(x) = ½ + x/2 ∫ φ(x s) ds over [-1, 1], by the rule of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = x.reshape(*x.shape, 1) * nodes
    density = (t * t * -0.5).exp() / math.sqrt(2 * math.pi)
    return x * (0.5 + 0.5 * x * (density * weights).sum(-1))


def log1p_exp(x):
    return (1 + x.exp()).log()


def var(x, axis):
    return ((x - x.mean(axis, keepdims=True)) ** 2).mean(axis)


TARGETS = np.array([[3, 6, 0], [6, 3, 1]])
SOFT = np.random.default_rng(5).dirichlet(np.ones(7), (2, 3))
PAIRS = {
    "relu": (F.relu, lambda x: F.where(x > 0, x, 0.0), [(3, 5)]),
    "tanh": (F.tanh, tanh, [(3, 5)]),
    "sigmoid": (F.sigmoid, sigmoid, [(3, 5)]),
    "silu": (F.silu, lambda x: x * sigmoid(x), [(3, 5)]),
    "gelu": (F.gelu, gelu, [(3, 5)]),
    "gelu, tanh": (lambda x: F.gelu(x, "tanh"), gelu_tanh, [(3, 5)]),
    "softplus": (F.softplus, log1p_exp, [(3, 5)]),
    "log_sigmoid": (F.log_sigmoid, lambda x: -log1p_exp(-x), [(3, 5)]),
    "logsumexp": (lambda x: F.logsumexp(x, 1), lambda x: x.exp().sum(1).log(), [(3, 5)]),
    "log1p": (lambda x: F.log1p(x * x), lambda x: (1 + x * x).log(), [(3, 5)]),
    "var": (lambda x: F.var(x, (0, 2)), lambda x: var(x, (0, 2)), [(2, 3, 5)]),
    "std": (lambda x: F.std(x, 1), lambda x: var(x, 1).sqrt(), [(3, 5)]),
    "norm": (lambda x: F.norm(x, axis=1), lambda x: (x * x).sum(1).sqrt(), [(3, 5)]),
    "cumsum": (lambda x: F.cumsum(x, 1), lambda x: x @ np.triu(np.ones((5, 5))), [(3, 5)]),
    "abs": (F.abs, lambda x: F.where(x < 0, -x, x), [(3, 5)]),
    "maximum": (F.maximum, lambda x, y: F.where(x > y, x, y), [(3, 5), (5,)]),
    "minimum": (F.minimum, lambda x, y: F.where(x < y, x, y), [(3, 5), (5,)]),
    "clip": (
        lambda x: F.clip(x, -0.1, 0.2),
        lambda x: F.where(x < -0.1, -0.1, F.where(x > 0.2, 0.2, x)),
        [(3, 5)],
    ),
    "power": (lambda x, y: (x * x) ** y, lambda x, y: (y * (x * x).log()).exp(), [(3, 5), (5,)]),
    "erf": (F.erf, lambda x: 2 * gelu(x * math.sqrt(2)) / (x * math.sqrt(2)) - 1, [(3, 5)]),
    "cos": (F.cos, lambda x: F.sin(x + math.pi / 2), [(3, 5)]),
    "einsum": (
        lambda x, y: F.einsum("bij,kj->bki", x, y),
        lambda x, y: (x @ y.T).swapaxes(1, 2),
        [(2, 3, 5), (7, 5)],
    ),
    "outer": (F.outer, lambda x, y: x[:, None] * y, [(3,), (5,)]),
    "split": (
        lambda x: F.split(x, [1, 4], 1)[1] * F.split(x, [1, 4], 1)[1],
        lambda x: x[:, 1:4] ** 2,
        [(3, 5)],
    ),
    "repeat": (
        lambda x: F.repeat(x, 3, 1),
        lambda x: F.stack([x, x, x], -1).reshape(3, 15),
        [(3, 5)],
    ),
    "pad": (
        lambda x: F.pad(x, ((0, 0), (1, 2))),
        lambda x: F.concat([np.zeros((3, 1)), x, np.zeros((3, 2))], 1),
        [(3, 5)],
    ),
    "take_along_axis": (
        lambda x: F.take_along_axis(x, TARGETS, 1),
        lambda x: F.stack([x[0, TARGETS[0]], x[1, TARGETS[1]]]),
        [(2, 7)],
    ),
    "tril": (F.tril, lambda x: x * np.tri(3, 5), [(3, 5)]),
    "triu": (F.triu, lambda x: x * (1 - np.tri(3, 5, -1)), [(3, 5)]),
    "flip": (lambda x: F.flip(x, 1), lambda x: x[:, ::-1], [(3, 5)]),
    "broadcast_to": (
        lambda x: F.broadcast_to(x, (2, 3, 5)),
        lambda x: x + np.zeros((2, 3, 5)),
        [(3, 1)],
    ),
    "topk": (
        lambda x: x.topk(2)[0],
        lambda x: F.stack([x[i, np.argsort(-x.data[i])[:2]] for i in range(3)]),
        [(3, 5)],
    ),
    "astype": (
        lambda x: x.astype(np.float64) * x,
        lambda x: x * x,
        [(3, 5)],
    ),
    "softmax": (F.softmax, softmax, [(3, 5)]),
    "softmax, axis 0": (lambda x: F.softmax(x, 0), lambda x: softmax(x, 0), [(3, 5, 2)]),
    "log_softmax": (F.log_softmax, lambda x: softmax(x).log(), [(3, 5)]),
    "linear": (F.linear, lambda x, w, b: x @ w.T + b, [(2, 3, 5), (7, 5), (7,)]),
    "layer_norm": (F.layer_norm, layer_norm, [(2, 3, 5), (5,), (5,)]),
    "layer_norm, plain": (F.layer_norm, lambda x: layer_norm(x, 1.0, 0.0), [(3, 5)]),
    "rms_norm": (F.rms_norm, lambda x, w: normalise(x, 1e-5) * w, [(2, 3, 5), (5,)]),
    "rms_norm, plain": (F.rms_norm, lambda x: normalise(x, 1e-5), [(3, 5)]),
    "embedding": (
        lambda w: F.embedding(TARGETS, w),
        lambda w: (np.arange(7) == TARGETS[..., None]).astype(float) @ w,
        [(7, 5)],
    ),
    "cross_entropy": (
        lambda z: F.cross_entropy(z, TARGETS, 6, 0.1),
        lambda z: cross_entropy(z, TARGETS, 6, 0.1),
        [(2, 3, 7)],
    ),
    "cross_entropy of probabilities": (
        lambda z: F.cross_entropy(z, SOFT, None, 0.1, weight=np.arange(7.0)),
        lambda z: -(softmax(z).log() * ((0.9 * SOFT + 0.1 / 7) * np.arange(7.0))).sum() / (2 * 3),
        [(2, 3, 7)],
    ),
    "norm of order 3": (
        lambda x: F.norm(x, 3, axis=0),
        lambda x: ((x * x).sqrt() ** 3).sum(0) ** (1 / 3),
        [(3, 5)],
    ),
    "nuclear norm": (  # the singular values are the roots of the eigenvalues of X Xᵀ
        lambda x: F.norm(x, "nuc"),
        sum_of_two_singular_values,
        [(2, 5)],
    ),
    "pad wrap": (
        lambda x: F.pad(x, ((0, 0), (2, 1)), "wrap"),
        lambda x: F.concat([x[:, -2:], x, x[:, :1]], axis=1),
        [(3, 5)],
    ),
    "l1_loss": (F.l1_loss, lambda x, t: F.abs(x - t).mean(), [(3, 5), (3, 5)]),
    "huber_loss": (
        lambda x, t: F.huber_loss(x, t, delta=0.5),
        lambda x, t: F.where(
            abs((x - t).data) < 0.5, (x - t) ** 2 / 2, 0.5 * (F.abs(x - t) - 0.25)
        ).mean(),
        [(3, 5), (3, 5)],
    ),
    "kl_div": (
        lambda x, t: F.kl_div(x, F.sigmoid(t)),
        lambda x, t: (sigmoid(t) * (sigmoid(t).log() - x)).mean(),
        [(3, 5), (3, 5)],
    ),
    "weighted_binary_cross_entropy": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, F.sigmoid(t), "sum", 3.0),
        lambda x, t: (
            -(3.0 * sigmoid(t) * sigmoid(x).log() + (1 - sigmoid(t)) * (1 - sigmoid(x)).log()).sum()
        ),
        [(3, 5), (3, 5)],
    ),
    "mse_loss": (F.mse_loss, lambda x, t: ((x - t) ** 2).mean(), [(3, 5), (3, 5)]),
    "binary_cross_entropy": (
        lambda x, t: F.binary_cross_entropy_with_logits(x, F.sigmoid(t)),
        lambda x, t: binary_cross_entropy(x, sigmoid(t)),
        [(3, 5), (3, 5)],
    ),
    "concat": (
        lambda x, y: F.concat([x, y], axis=1),
        lambda x, y: x @ np.eye(2, 5) + y @ np.eye(3, 5, 2),
        [(7, 2), (7, 3)],
    ),
    "max of pairs": (
        lambda x, y: F.stack([x, y]).max(0),
        lambda x, y: F.where(x > y.data, x, y),
        [(3, 5), (3, 5)],
    ),
    "mean": (lambda x: x.mean((0, 2)), lambda x: x.sum(0).sum(-1) / 10, [(2, 3, 5)]),
    "mask_rows": (
        lambda x: F.mask_rows(x, TARGETS != 6),
        lambda x: x * (TARGETS != 6)[..., None],
        [(2, 3, 5)],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_fused_equals_composed(name, scale, rng):
    fused, composed, shapes = PAIRS[name]
    arrays = [scale * rng.standard_normal(shape) for shape in shapes]
    results = []
    for function in (fused, composed):
        inputs = [Tensor(a, requires_grad=True) for a in arrays]
        y = function(*inputs)
        y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
        results.append([y.data, *(x.grad for x in inputs)])
    for ours, twin in zip(*results, strict=True):
        np.testing.assert_allclose(ours, twin, rtol=1e-10, atol=1e-12)


@given(st.lists(st.integers(0, 6), max_size=11), st.integers(1, 5))
def test_embedding_gradients_add_up_however_often_an_id_occurs(ids, width):
    rows = np.arange(7.0 * width).reshape(7, width)
    g = np.arange(len(ids) * width, dtype=float).reshape(len(ids), width) ** 2
    table = Tensor(rows, requires_grad=True)
    ids = np.array(ids, dtype=np.int64)
    y = F.embedding(ids, table)
    y.backward(g)
    expected = np.zeros_like(rows)
    for i, row in zip(ids, g, strict=True):
        expected[i] += row
    np.testing.assert_array_equal(y.data, rows[ids])
    np.testing.assert_array_equal(table.grad, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-15), (np.float32, 4e-7)])
def test_gelu_uses_the_error_function_of_the_standard_library(dtype, tolerance):
    x = np.linspace(-9, 9, 2003).astype(dtype)
    expected = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    y = F.gelu(Tensor(x)).data
    np.testing.assert_array_less(np.abs(y - x * expected), tolerance * np.maximum(1, np.abs(x)))
