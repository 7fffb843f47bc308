"""Positions that change scores: rotary and ALiBi."""

import math

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_transformer import ALiBi, ContextLengthError, Rotary

every_pairing = pytest.mark.parametrize("pairs", ["halves", "neighbours"])


class At:
    """A rotation at fixed positions, for gradcheck."""

    def __init__(self, rotary, positions):
        self.rotary, self.positions = rotary, positions

    def __call__(self, x):
        return self.rotary(x, self.positions)


def test_turned_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    at = np.array([3])
    c, s, c2, s2 = math.cos(3), math.sin(3), math.cos(0.3), math.sin(0.3)
    y = Rotary(4, 9, base=100.0)(Tensor(x), at).data.ravel()  # pairs (1, 3) and (2, 4)
    expected = [c - 3 * s, 2 * c2 - 4 * s2, s + 3 * c, 2 * s2 + 4 * c2]
    np.testing.assert_allclose(y, expected, rtol=1e-14)
    y = Rotary(4, 9, base=100.0, pairs="neighbours")(Tensor(x), at).data.ravel()
    expected = [c - 2 * s, s + 2 * c, 3 * c2 - 4 * s2, 3 * s2 + 4 * c2]
    np.testing.assert_allclose(y, expected, rtol=1e-14)


@every_pairing
def test_as_complex_numbers(rng, pairs):
    """The oracle of the paper: pair i as a complex number, times e^(iθ)."""
    x = rng.standard_normal((2, 3, 5, 8))
    order = np.arange(8).reshape(2, 4).T.ravel() if pairs == "halves" else np.arange(8)
    z = np.ascontiguousarray(x[..., order]).view(complex)  # (2, 3, 5, 4)
    t = np.arange(2, 7)
    turned = z * np.exp(1j * t[:, None] * 10000.0 ** (-np.arange(4) / 4))
    y = Rotary(8, 20, pairs=pairs)(Tensor(x), t).data
    np.testing.assert_allclose(y[..., order], turned.view(float), rtol=1e-12)


@every_pairing
def test_products_depend_on_the_distance_alone(rng, pairs):
    q, k = (np.repeat(rng.standard_normal((1, 1, 1, 6)), 9, axis=2) for _ in range(2))
    rotary, at = Rotary(6, 9, pairs=pairs), np.arange(9)
    scores = rotary(Tensor(q), at).data[0, 0] @ rotary(Tensor(k), at).data[0, 0].T
    for distance in range(-8, 9):
        diagonal = np.diagonal(scores, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    assert np.ptp(scores[0]) > 0.1


@every_pairing
@pytest.mark.parametrize("at", [np.array([3, 0, 7]), np.array([[3, 0, 7], [1, 1, 2]])])
def test_gradcheck(rng, pairs, at):
    assert gradcheck(At(Rotary(4, 8, pairs=pairs), at), rng.standard_normal((2, 3, 3, 4)))


@every_pairing
def test_a_position_for_each_token_of_each_row(rng, pairs):
    rotary = Rotary(6, 20, pairs=pairs)
    x = rng.standard_normal((2, 3, 4, 6)).astype(np.float32)
    at = np.array([[5, 1, 1, 19], [0, 2, 4, 6]])
    y = rotary(Tensor(x), at)
    assert y.dtype == np.float32
    for row in range(2):
        alone = rotary(Tensor(x[row : row + 1]), at[row])
        np.testing.assert_array_equal(y.data[row], alone.data[0])


def test_beyond_the_last_position():
    rotary = Rotary(4, 7)
    x = Tensor(np.zeros((1, 1, 2, 4), np.float32))
    with pytest.raises(ContextLengthError, match="8 tokens is longer than the model's 7 positions"):
        rotary(x, np.array([6, 7]))
    with pytest.raises(ValueError, match=">= 0, got -1"):
        rotary(x, np.array([-1, 0]))


def test_refusals():
    with pytest.raises(ValueError, match="even width, got 5"):
        Rotary(5, 7)
    with pytest.raises(ValueError, match="'halves' or 'neighbours', got 'both'"):
        Rotary(4, 7, pairs="both")


# --- ALiBi


@pytest.mark.parametrize(
    ("heads", "exponents"),
    [  # of 1/2, as in the paper for 8 heads, and as in its code for others
        (1, [8]),
        (4, [2, 4, 6, 8]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (3, [4, 8, 2]),
        (6, [2, 4, 6, 8, 1, 3]),
        (12, [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5]),
    ],
)
def test_slopes(heads, exponents):
    np.testing.assert_allclose(ALiBi(heads).slopes, 0.5 ** np.array(exponents))
