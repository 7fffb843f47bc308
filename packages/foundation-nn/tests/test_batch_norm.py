"""Batch normalisation: by hand, running statistics, and where its mode comes from."""

import numpy as np
import pytest
from foundation_nn import BatchNorm1d, Linear, Sequential, Tensor, gradcheck, train_mode
from foundation_nn.optim import AdamW


def test_a_batch_of_two_by_hand():
    norm = BatchNorm1d(1, eps=0.0)
    with train_mode(np.random.default_rng(0)):
        y = norm(Tensor([[1.0], [5.0]]))  # mean 3, variance 4
    np.testing.assert_array_equal(y.data, [[-1.0], [1.0]])
    # a tenth of the way from 0 to 3, and from 1 to the unbiased variance 8
    assert norm.running_mean.item() == pytest.approx(0.3)
    assert norm.running_var.item() == pytest.approx(1.7)
    assert norm.num_batches_tracked.item() == 1


def test_outside_of_train_mode_the_running_values_serve_and_stay(rng):
    norm = BatchNorm1d(2, eps=0.0)
    norm.running_mean.data, norm.running_var.data = [1.0, 2.0], [4.0, 9.0]
    norm.weight.data, norm.bias.data = [2.0, 3.0], [10.0, 20.0]
    y = norm(Tensor([[3.0, 8.0]]))
    np.testing.assert_allclose(y.data, [[2 * 1 + 10, 3 * 2 + 20]], rtol=1e-6)
    np.testing.assert_array_equal(norm.running_mean.data, [1.0, 2.0])
    assert norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize("shape", [(7, 3), (5, 3, 4), (2, 3, 1)])
def test_gradients_through_the_statistics(shape, rng):
    norm = BatchNorm1d(3)
    with train_mode(np.random.default_rng(0)):
        assert gradcheck(norm, rng.standard_normal(shape))


@pytest.mark.parametrize("shape", [(1, 3), (5, 3, 4)])
def test_gradients_with_the_running_values(shape, rng):
    norm = BatchNorm1d(3)
    norm.running_mean.data, norm.running_var.data = [0.1, -0.2, 0.3], [0.5, 1.5, 2.5]
    assert gradcheck(norm, rng.standard_normal(shape))


def test_positions_of_a_sequence_count_as_a_larger_batch(rng):
    x = rng.standard_normal((5, 3, 4)).astype(np.float32)
    flat, long = BatchNorm1d(3), BatchNorm1d(3)
    with train_mode(np.random.default_rng(0)):
        expected = flat(Tensor(np.moveaxis(x, 1, 2).reshape(20, 3))).data
        actual = long(Tensor(x)).data
    np.testing.assert_allclose(np.moveaxis(actual, 1, 2).reshape(20, 3), expected, atol=1e-6)
    np.testing.assert_allclose(long.running_var.data, flat.running_var.data, rtol=1e-6)


def test_the_running_values_are_saved_but_not_learnt():
    model = Sequential(Linear(2, 3), BatchNorm1d(3))
    names = ["running_mean", "running_var", "num_batches_tracked"]
    assert [f"1.{name}" for name in names] == list(model.state_dict())[-3:]
    assert not any("running" in name for name, _ in model.named_parameters())
    assert model.num_parameters() == 2 * 3 + 3 + 3 + 3
    AdamW(model)
    state = model.state_dict() | {"1.running_mean": np.array([1.0, 2.0, 3.0])}
    model.load_state_dict(state)
    np.testing.assert_array_equal(model[1].running_mean.data, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"missing +1\.running_var"):
        model.load_state_dict({k: v for k, v in state.items() if k != "1.running_var"})


def test_astype_casts_the_running_values_and_leaves_the_counter():
    norm = BatchNorm1d(3).astype(np.float64)
    assert norm.running_var.dtype == np.float64
    assert norm.num_batches_tracked.dtype == np.int64
    assert norm(Tensor(np.ones((2, 3)))).dtype == np.float64


def test_a_batch_of_one_has_no_variance():
    with (
        train_mode(np.random.default_rng(0)),
        pytest.raises(ValueError, match="at least two values for each feature"),
    ):
        BatchNorm1d(3)(Tensor(np.ones((1, 3), np.float32)))


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected x of shape \(N, C=3\)"):
        BatchNorm1d(3)(Tensor(np.ones((2, 4), np.float32)))


def test_an_array_is_as_good_as_a_tensor():
    x = np.array([[1.0], [3.0]], np.float32)
    norm = BatchNorm1d(1, eps=0.0)
    with train_mode(np.random.default_rng(0)):
        np.testing.assert_array_equal(norm(x).data, [[-1], [1]])
    np.testing.assert_allclose(norm.running_mean.data, [0.2])


@pytest.mark.parametrize("value", [110, 0.1, 1.1e6, -7.3])
@pytest.mark.parametrize("shape", [(2, 3), (768, 3), (31, 3, 17)])
def test_a_constant_feature_has_no_deviation(value, shape):
    norm = BatchNorm1d(3, momentum=1.0)
    with train_mode(np.random.default_rng(0)):
        y = norm(Tensor(np.full(shape, value, np.float32)))
    np.testing.assert_array_equal(y.data, np.zeros(shape))
    np.testing.assert_array_equal(norm.running_var.data, np.zeros(3))
    np.testing.assert_array_equal(norm.running_mean.data, np.full(3, value, np.float32))


@pytest.mark.parametrize("mean", [0, 1e3, -1e3])
@pytest.mark.parametrize("shape", [(7, 3), (768, 3), (31, 3, 17)])
def test_a_feature_with_a_large_mean_keeps_its_digits(rng, mean, shape):
    x = (rng.standard_normal(shape) + mean).astype(np.float32)
    g = rng.standard_normal(shape).astype(np.float32)
    results = []
    for dtype in (np.float32, np.float64):
        norm = BatchNorm1d(3).astype(dtype)
        leaf = Tensor(x.astype(dtype), requires_grad=True)
        with train_mode(np.random.default_rng(0)):
            y = norm(leaf)
        y.backward(g)
        results.append((y.data, leaf.grad, norm.running_var.data))
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, atol=1e-5)
