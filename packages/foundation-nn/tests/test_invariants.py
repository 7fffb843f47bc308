"""What every operation keeps to, whatever its calculus."""

import gc
import weakref

import numpy as np
import pytest
from foundation_nn import Tensor, no_grad
from foundation_nn import functional as F


def leaves(case, dtype=np.float64):
    return [Tensor(x, requires_grad=True) for x in case.inputs(dtype)]


def test_inputs_and_upstream_gradients_are_never_written_to(case):
    arrays = case.inputs()
    tensors = [Tensor.wrap(a) for a in arrays]
    graph = [Tensor(a, requires_grad=True) for a in arrays]
    before = [a.tobytes() for a in arrays]
    case.call(*tensors)
    y = case.call(*graph)
    g = np.linspace(1, 2, y.size).reshape(y.shape)
    upstream = g.tobytes()
    y.backward(g)
    assert [a.tobytes() for a in arrays] == before
    assert [x.data.tobytes() for x in graph] == before
    assert g.tobytes() == upstream


def test_constants_that_are_arrays_are_neither_changed_nor_locked(case):
    arrays = case.inputs()
    before = [a.tobytes() for a in arrays]
    case.call(*arrays)
    case.call(Tensor(arrays[0], requires_grad=True), *arrays[1:])
    assert [a.tobytes() for a in arrays] == before
    assert all(a.flags.writeable for a in arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(case, dtype):
    inputs = leaves(case, dtype)
    y = case.call(*inputs)
    y.backward(np.ones(y.shape))
    assert y.dtype == dtype
    for x in inputs:
        assert x.grad.dtype == dtype
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_value_is_the_same_without_recording_and_from_the_kernel(case, dtype):
    arrays = case.inputs(dtype)
    recorded = case.call(*leaves(case, dtype))
    with no_grad():
        plain = case.call(*leaves(case, dtype))
    constant = case.call(*(Tensor(a) for a in arrays))
    assert recorded.requires_grad
    assert not plain.requires_grad
    assert not constant.requires_grad
    assert recorded.data.tobytes() == plain.data.tobytes() == constant.data.tobytes()
    if hasattr(case.call, "kernel"):
        y, backward = case.call.kernel(*arrays)
        assert np.asarray(y).tobytes() == recorded.data.tobytes()
        assert callable(backward)


def test_results_are_read_only(case):
    y = case.call(*leaves(case))
    with pytest.raises(ValueError, match="read-only"):
        y.data[...] = 0
    with pytest.raises(ValueError, match="only a leaf can be given a new value"):
        y.data = np.zeros(y.shape)


def test_only_gradients_that_are_asked_for_are_left(case):
    arrays = case.inputs()
    together = [Tensor(a, requires_grad=True) for a in arrays]
    case.call(*together).sum().backward()
    for i in range(len(arrays)):
        mixed = [Tensor(a, requires_grad=i == j) for j, a in enumerate(arrays)]
        case.call(*mixed).sum().backward()
        np.testing.assert_array_equal(mixed[i].grad, together[i].grad)
        assert [x.grad is None for x in mixed] == [i != j for j in range(len(arrays))]


def test_an_input_used_twice_receives_both_gradients(case):
    arrays = case.inputs()
    once, twice = ([Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    case.call(*once).sum().backward()
    (case.call(*twice).sum() + 2 * case.call(*twice).sum()).backward()
    for x, y in zip(once, twice, strict=True):
        np.testing.assert_allclose(y.grad, 3 * x.grad, rtol=1e-12, atol=1e-14)


def test_a_graph_is_freed_without_the_garbage_collector(case):
    gc.collect()
    gc.disable()
    try:
        inputs = leaves(case)
        scaled = [x * 1.0 for x in inputs]
        saved = [weakref.ref(x.data) for x in scaled]
        dropped = case.call(*scaled)
        del scaled, dropped  # never walked
        assert [ref() for ref in saved] == [None] * len(inputs)

        scaled = [x * 1.0 for x in inputs]
        saved = [weakref.ref(x.data) for x in scaled]
        # What views share memory with stays alive with them: the copy lets go of it.
        loss = (case.call(*scaled) * 1.0).sum()
        loss.backward()
        del scaled
        assert [ref() for ref in saved] == [None] * len(inputs)
        assert loss.requires_grad  # still here, and yet it holds nothing
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "other",
    [3, 0.1, np.float64(0.1), np.float32(0.1), np.int64(3), np.full((2, 3), 0.1), np.ones(3, int)],
    ids=lambda x: f"{type(x).__name__} {np.asarray(x).dtype}",
)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, c: x + c,
        lambda x, c: c + x,
        lambda x, c: x - c,
        lambda x, c: c - x,
        lambda x, c: x * c,
        lambda x, c: c * x,
        lambda x, c: x / c,
        lambda x, c: c / x,
        lambda x, c: F.where(x > 1, x, c),
    ],
)
def test_constants_follow_the_dtype_of_the_tensor_beside_them(function, other, dtype):
    x = Tensor(np.array([[1, 2, 3], [4, 5, 6]], dtype), requires_grad=True)
    y = function(x, other)
    y.sum().backward()
    assert isinstance(y, Tensor)
    assert y.dtype == x.grad.dtype == dtype
    double = Tensor(x.numpy().astype(np.float64), requires_grad=True)
    exact = function(double, np.asarray(other, np.float64))
    exact.sum().backward()
    np.testing.assert_allclose(y.data, exact.data, rtol=1e-6)
    np.testing.assert_allclose(x.grad, double.grad, rtol=1e-6)


def test_tensors_of_different_precision_do_not_meet():
    single, double = Tensor(np.ones(2, np.float32)), Tensor(np.ones(2))
    for x, y in ((single, double), (double, single)):
        with pytest.raises(TypeError, match="add: inputs of dtype float.*astype"):
            x + y


def test_integers_beside_a_floating_tensor_follow_it():
    count, x = Tensor([2, 3]), Tensor(np.float32([0.5, 0.25]), requires_grad=True)
    for y in (count * x, x * count):
        x.grad = None
        y.sum().backward()
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.data, [1, 0.75])
        np.testing.assert_array_equal(x.grad, [2, 3])
    assert (count + count).dtype == count.dtype
