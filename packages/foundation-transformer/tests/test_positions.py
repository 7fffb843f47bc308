"""Where a token stands."""

import math

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_transformer import LearnedPositions, SinusoidalPositions


def test_sines_and_cosines_by_hand():
    table = SinusoidalPositions(4, max_len=3).encoding(3)
    expected = [
        [0, 1, 0, 1],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    np.testing.assert_allclose(table, expected, rtol=1e-15)


@pytest.mark.parametrize("D", [1, 2, 3, 5, 8, 13])
def test_the_formula_at_any_width(D):
    table = SinusoidalPositions(D, max_len=11).encoding(7, offset=4)
    for t in range(7):
        for column in range(D):
            i = column // 2
            angle = (t + 4) / 10000 ** (2 * i / D)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert table[t, column] == pytest.approx(expected, rel=1e-14)


def test_similarity_depends_on_the_distance_alone():
    table = SinusoidalPositions(16, max_len=50).encoding(50)
    similarity = table @ table.T / 8
    for distance in (0, 1, 7, 30):
        diagonal = np.diagonal(similarity, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(similarity), 1)


def test_nothing_is_learned(rng):
    positions = SinusoidalPositions(6, max_len=9)
    assert not positions.state_dict()
    x = rng.standard_normal((2, 5, 6)).astype(np.float32)
    y = positions(Tensor(x, requires_grad=True), offset=3)
    assert y.dtype == np.float32
    expected = x + positions.encoding(5, 3).astype(np.float32)
    np.testing.assert_array_equal(y.data, expected)
    assert gradcheck(positions, rng.standard_normal((2, 5, 6)))


def test_learned_vectors_are_added(rng):
    positions = LearnedPositions(6, max_len=9, rng=rng)
    x = rng.standard_normal((2, 5, 6)).astype(np.float32)
    y = positions(Tensor(x), offset=3)
    np.testing.assert_array_equal(y.data, x + positions.weight.data[3:8])
    assert gradcheck(positions, rng.standard_normal((2, 5, 6)))
    y = positions(Tensor(x), offset=4)
    y.sum().backward()
    assert positions.weight.grad[:, 0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
@pytest.mark.parametrize(("length", "offset"), [(8, 0), (1, 7), (4, 4)])
def test_beyond_the_last_position(kind, length, offset):
    positions = kind(6, max_len=7)
    x = Tensor(np.zeros((1, length, 6), np.float32))
    with pytest.raises(ValueError, match="8 tokens is longer than the model's 7 positions; .*max_"):
        positions(x, offset)
    assert positions(x[:, :-1], offset).shape == (1, length - 1, 6)
