"""Initial weights: their mean, variance, bounds and shape."""

import numpy as np
import pytest
from foundation_nn import Embedding, LayerNorm, Linear, RMSNorm, Tensor, init

SHAPE = (211, 307)


@pytest.mark.parametrize(
    ("draw", "variance", "bound"),
    [
        (lambda rng: init.uniform(rng, SHAPE, 0.5), 0.5**2 / 3, 0.5),
        (lambda rng: init.normal(rng, SHAPE, 0.02), 0.02**2, np.inf),
        (lambda rng: init.xavier_uniform(rng, SHAPE), 2 / 518, (6 / 518) ** 0.5),
        (lambda rng: init.he_normal(rng, SHAPE), 2 / 307, np.inf),
        (lambda rng: init.torch_linear(rng, SHAPE, 307), 1 / 307 / 3, 307**-0.5),
        (lambda rng: Linear(307, 211, rng=rng).weight.data, 1 / 307 / 3, 307**-0.5),
        (lambda rng: Linear(5, 64777, rng=rng).bias.data, 1 / 5 / 3, 5**-0.5),
        (lambda rng: Embedding(211, 307, rng=rng).weight.data, 1, np.inf),
        (lambda rng: Embedding(211, 307, std=0.02, rng=rng).weight.data, 0.02**2, np.inf),
    ],
)
def test_mean_and_variance(draw, variance, bound, rng):
    w = draw(rng)
    assert w.dtype == np.float32
    assert w.size == 211 * 307
    # Of n numbers: five standard deviations of their mean and of their variance (at most √(2/n)).
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    assert w.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / w.size))
    assert np.abs(w).max() <= bound * (1 + 1e-6)
    if np.isfinite(bound):
        assert np.abs(w).max() > 0.999 * bound
    again, other = (draw(np.random.default_rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(w, again)
    assert (w != other).any()


def test_normalisations_start_as_the_identity():
    norm = LayerNorm(3)
    np.testing.assert_array_equal(norm.weight.data, [1, 1, 1])
    np.testing.assert_array_equal(norm.bias.data, [0, 0, 0])
    np.testing.assert_array_equal(RMSNorm(3).weight.data, [1, 1, 1])


def test_without_a_generator_every_layer_is_another():
    assert (Linear(3, 5).weight.data != Linear(3, 5).weight.data).any()


@pytest.mark.parametrize("make", [lambda s: Linear(2, 3, rng=s), lambda s: Embedding(2, 3, rng=s)])
def test_a_seed_is_no_generator(make):
    with pytest.raises(TypeError, match=r"rng: expected .*Generator, got int; .*default_rng\(seed"):
        make(42)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_orthogonal_rows_or_columns(shape):
    w = init.orthogonal(np.random.default_rng(0), shape, gain=2.0).astype(float)
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(min(shape)), atol=1e-5)


def test_orthogonal_matrices_are_turned_all_ways():
    # With signs as QR leaves them, the first element would always be negative.
    firsts = [init.orthogonal(np.random.default_rng(s), (3, 3))[0, 0] for s in range(200)]
    assert abs(np.mean(np.sign(firsts))) < 0.2


@pytest.mark.parametrize(
    ("draw", "variance"),
    [
        (init.xavier_normal, 2 / (300 + 500)),
        (init.he_uniform, 2 / 500),
        (lambda rng, shape: init.gpt2_residual(rng, shape, num_layers=8), 0.02**2 / 16),
    ],
)
def test_more_variances(draw, variance):
    w = draw(np.random.default_rng(0), (300, 500))
    assert w.dtype == np.float32
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)


def test_a_linear_layer_without_inputs_gives_its_bias(rng):
    layer = Linear(0, 3, rng=rng)
    np.testing.assert_array_equal(
        layer(Tensor(np.zeros((2, 0), np.float32))).data, np.zeros((2, 3))
    )
