"""Parameters side by side in one buffer."""

import numpy as np
import pytest
from foundation_nn import Linear, Parameter, ParameterBuffer, optim

VALUES = [np.arange(6.0).reshape(2, 3), np.float64(7.5), np.arange(17.0), np.zeros((0, 3))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_gradients_become_views(dtype):
    parameters = [Parameter(v, dtype=dtype) for v in VALUES]
    parameters[0].grad = np.full((2, 3), 2, dtype)
    buffer = ParameterBuffer(parameters)
    assert buffer.data.dtype == buffer.grad.dtype == dtype
    assert buffer.data.flags.c_contiguous
    for p, value, part in zip(parameters, VALUES, buffer.slices, strict=True):
        np.testing.assert_array_equal(p.data, value)
        np.testing.assert_array_equal(buffer.data[part], np.ravel(value))
        assert part.start * buffer.data.itemsize % 64 == 0
    np.testing.assert_array_equal(buffer.grad[buffer.slices[0]], np.full(6, 2))

    buffer.data += 1  # seen through every parameter
    for p, value in zip(parameters, VALUES, strict=True):
        np.testing.assert_array_equal(p.data, value + 1)
    parameters[2].data = np.ones(17)  # and the other way round
    np.testing.assert_array_equal(buffer.data[buffer.slices[2]], np.ones(17))

    (parameters[2] * 3).sum().backward()
    np.testing.assert_array_equal(buffer.grad[buffer.slices[2]], np.full(17, 3))
    assert np.shares_memory(parameters[2].grad, buffer.grad)


def test_slices_do_not_overlap_and_gaps_stay_zero():
    parameters = [Parameter(np.full(n, n, np.float32)) for n in (1, 15, 16, 17)]
    buffer = ParameterBuffer(parameters)
    covered = np.zeros(len(buffer.data), int)
    for part in buffer.slices:
        covered[part] += 1
    assert set(covered) == {0, 1}
    assert covered.sum() == 1 + 15 + 16 + 17
    np.testing.assert_array_equal(buffer.data[covered == 0], 0)


def test_collect_gathers_what_was_assigned_and_forgets_what_was_reset():
    p, q = Parameter([1.0, 2.0]), Parameter([3.0])
    buffer = ParameterBuffer([p, q])
    p.grad, q.grad = np.array([5.0, 6.0]), None
    buffer.grad[...] = 9  # left from a step before
    grad = buffer.collect()
    assert grad is buffer.grad
    np.testing.assert_array_equal(grad[buffer.slices[0]], [5, 6])
    np.testing.assert_array_equal(grad[buffer.slices[1]], [0])
    assert np.shares_memory(p.grad, grad)
    assert q.grad is None


def test_the_first_gradient_replaces_the_second_adds():
    p = Parameter([1.0, 2.0])
    ParameterBuffer([p])
    for expected in (3, 6):
        (p * 3).sum().backward()
        np.testing.assert_array_equal(p.grad, [expected] * 2)
    p.grad = None
    (p * 3).sum().backward()
    np.testing.assert_array_equal(p.grad, [3, 3])


def test_a_parameter_taken_over_by_another_buffer_is_refused():
    p, q = Parameter([1.0]), Parameter([2.0])
    first = ParameterBuffer([p, q])
    ParameterBuffer([q])
    with pytest.raises(
        RuntimeError, match=r"of shape \(1,\) was given to another optimiser .*one optimiser"
    ):
        first.collect()
    np.testing.assert_array_equal(q.data, [2])


def test_after_astype_the_optimiser_is_refused_and_a_new_one_works(rng):
    layer = Linear(3, 2, rng=rng)
    before = layer.weight.numpy()
    old = optim.SGD(layer, lr=0.1)
    layer.weight.grad = np.ones((2, 3), np.float32)
    assert layer.astype(np.float64) is layer
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float64)}
    assert layer.weight.grad is None
    np.testing.assert_array_equal(layer.weight.data, before.astype(np.float64))
    with pytest.raises(RuntimeError, match=r"cast by astype\(\)"):
        old.step()
    new = optim.SGD(layer, lr=0.5)
    layer.weight.sum().backward()
    new.step()
    np.testing.assert_array_equal(layer.weight.data, before.astype(np.float64) - 0.5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "at least one parameter, got none"),
        ([Parameter([1.0, 2.0])] * 2, r"of shape \(2,\), is listed twice.*model.parameters"),
        ([Parameter(1.0), Parameter(1.0, dtype=np.float64)], r"float32.*float64.*astype"),
    ],
)
def test_impossible_collections_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ParameterBuffer(parameters)


def test_a_parameter_reads_like_a_tensor_but_detaches_as_a_copy():
    p = Parameter([1.0, 2.0])
    constant = p.detach()
    p.data = [5.0, 6.0]
    np.testing.assert_array_equal(constant.data, [1, 2])
    assert not constant.requires_grad
    assert not p.data.flags.writeable
