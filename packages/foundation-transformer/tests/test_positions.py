"""Where a token stands."""

import math

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_transformer import ContextLengthError, LearnedPositions, SinusoidalPositions


def test_sines_and_cosines_by_hand():
    table = SinusoidalPositions(4, max_len=3).table
    expected = [
        [0, 1, 0, 1],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    np.testing.assert_allclose(table, expected, rtol=1e-15)


@pytest.mark.parametrize("D", [1, 2, 3, 5, 8, 13])
def test_the_formula_at_any_width(D):
    table = SinusoidalPositions(D, max_len=11).table[4:]
    for t in range(7):
        for column in range(D):
            i = column // 2
            angle = (t + 4) / 10000 ** (2 * i / D)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert table[t, column] == pytest.approx(expected, rel=1e-14)


def test_similarity_depends_on_the_distance_alone():
    table = SinusoidalPositions(16, max_len=50).table
    similarity = table @ table.T / 8
    for distance in (0, 1, 7, 30):
        diagonal = np.diagonal(similarity, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(similarity), 1)


def test_nothing_is_learned(rng):
    positions = SinusoidalPositions(6, max_len=9)
    assert not positions.state_dict()
    x = rng.standard_normal((2, 5, 6)).astype(np.float32)
    y = positions(Tensor(x, requires_grad=True), positions=3)
    assert y.dtype == np.float32
    expected = x + positions.table[3:8].astype(np.float32)
    np.testing.assert_array_equal(y.data, expected)
    assert gradcheck(positions, rng.standard_normal((2, 5, 6)))


def test_learned_vectors_are_added(rng):
    positions = LearnedPositions(6, max_len=9, rng=rng)
    x = rng.standard_normal((2, 5, 6)).astype(np.float32)
    y = positions(Tensor(x), positions=3)
    np.testing.assert_array_equal(y.data, x + positions.weight.data[3:8])
    assert gradcheck(positions, rng.standard_normal((2, 5, 6)))
    y = positions(Tensor(x), positions=4)
    y.sum().backward()
    assert positions.weight.grad[:, 0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
@pytest.mark.parametrize(("length", "offset"), [(8, 0), (1, 7), (4, 4)])
def test_beyond_the_last_position(kind, length, offset):
    positions = kind(6, max_len=7)
    x = Tensor(np.zeros((1, length, 6), np.float32))
    with pytest.raises(
        ContextLengthError, match="8 tokens is longer than the model's 7 positions; .*max_"
    ):
        positions(x, offset)
    assert positions(x[:, :-1], offset).shape == (1, length - 1, 6)


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
def test_a_position_for_each_token(kind, rng):
    positions = kind(6, max_len=9).astype(np.float64)
    x = Tensor(rng.standard_normal((2, 3, 6)))
    table = positions.table if kind is SinusoidalPositions else positions.weight.data
    for at in (np.array([4, 0, 4]), np.array([[8, 1, 1], [0, 0, 3]])):
        y = positions(x, at)
        np.testing.assert_allclose(y.data, x.data + table[at], rtol=1e-6)
        if kind is LearnedPositions:
            positions.weight.grad = None
            y.sum().backward()
            counts = np.bincount(np.broadcast_to(at, (2, 3)).ravel(), minlength=9)
            np.testing.assert_allclose(positions.weight.grad[:, 0], counts)


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
@pytest.mark.parametrize(
    ("at", "error", "message"),
    [
        (np.array([0, 1, 7]), ContextLengthError, "8 tokens is longer than .* 7 positions"),
        (np.array([0, -1, 1]), ValueError, ">= 0, got -1"),
        (-1, ValueError, ">= 0, got -1"),
        (np.array([0.0, 1.0, 2.0]), TypeError, "integers, got float64"),
    ],
)
def test_positions_that_are_none(kind, at, error, message):
    with pytest.raises(error, match=message):
        kind(6, max_len=7)(Tensor(np.zeros((2, 3, 6), np.float32)), at)


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
@pytest.mark.parametrize("positions", [[2], [[2]], [[0, 1, 2]] * 3, np.array(2)], ids=str)
def test_positions_that_would_broadcast_are_refused(kind, positions):
    x = Tensor(np.ones((2, 3, 4), np.float32))
    with pytest.raises(ValueError, match=r"positions: expected .*\(T=3,\) or \(B=2, T\), got \("):
        kind(4, 9)(x, np.array(positions))


@pytest.mark.parametrize("kind", [SinusoidalPositions, LearnedPositions])
def test_a_whole_number_of_numpy_is_the_first_position(kind):
    layer, x = kind(4, 9), Tensor(np.ones((2, 3, 4), np.float32))
    np.testing.assert_array_equal(layer(x, np.int64(5)).data, layer(x, np.arange(5, 8)).data)
