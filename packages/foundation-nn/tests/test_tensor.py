"""The tensor itself: what goes in, what comes out, and what is refused."""

import numpy as np
import pytest
from foundation_nn import Parameter, Tensor, no_grad
from foundation_nn import functional as F


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1.0, 2.0], np.float32),
        ([[True]], np.bool_),
        ([1, 2], np.int64),
        (np.float64(1.5), np.float64),
        (np.ones(2, np.float64), np.float64),
        (np.ones(2, np.uint8), np.uint8),
    ],
)
def test_python_floats_become_float32_and_arrays_keep_their_dtype(data, dtype):
    x = Tensor(data)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.data, data)
    assert Tensor(x).dtype == dtype
    assert Tensor(data, dtype=np.float64).dtype == np.float64


def test_data_is_copied_and_read_only():
    array = np.array([1.0, 2.0])
    x = Tensor(array, requires_grad=True)
    array[0] = 9
    assert x.data[0] == 1
    for view in (x.data, x.detach().data, (x * 2).data, np.asarray(Parameter(x).data)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 9
    x.numpy()[0] = 9  # a copy
    np.array(x.detach())[0] = 9
    np.testing.assert_array_equal(x.data, [1, 2])


def test_a_wrapped_array_is_shared_not_copied():
    array = np.array([1.0, 2.0])
    x = Tensor.wrap(array)
    assert np.shares_memory(x.data, array)
    assert array.flags.writeable
    assert not x.data.flags.writeable
    assert not x.requires_grad


@pytest.mark.parametrize("data", [np.array(["a"]), [None], np.ones(2, complex)], ids=str)
def test_only_numbers(data):
    with pytest.raises(TypeError, match="a Tensor holds numbers, got dtype"):
        Tensor(data)


@pytest.mark.parametrize("data", [1, [1, 2], [True], np.ones(2, np.int8)], ids=str)
def test_only_floating_tensors_have_gradients(data):
    with pytest.raises(TypeError, match="only floating tensors can have gradients.*1.0, not 1"):
        Tensor(data, requires_grad=True)
    assert Tensor(data, requires_grad=True, dtype=np.float32).requires_grad


def test_a_new_value_has_the_old_shape_and_dtype():
    x = Tensor([1.0, 2.0], requires_grad=True)
    value = np.array([3.0, 4.0])
    x.data = value
    value[0] = 9
    np.testing.assert_array_equal(x.data, np.float32([3, 4]))
    assert x.dtype == np.float32
    assert not x.data.flags.writeable
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\), got \(3,\)"):
        x.data = [1, 2, 3]
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\), got \(\)"):
        x.data = 1.0


def test_comparisons_are_boolean_arrays():
    x, y = Tensor([1.0, 2.0, 3.0], requires_grad=True), Tensor([3.0, 2.0, 1.0])
    for other in (y, y.data, [3.0, 2.0, 1.0]):
        np.testing.assert_array_equal(x < other, [True, False, False])
        np.testing.assert_array_equal(x <= other, [True, True, False])
        np.testing.assert_array_equal(x > other, [False, False, True])
        np.testing.assert_array_equal(x >= other, [False, True, True])
        np.testing.assert_array_equal(x == other, [False, True, False])
        np.testing.assert_array_equal(x != other, [True, False, True])
        np.testing.assert_array_equal(np.asarray(other) == x.data, [False, True, False])
    np.testing.assert_array_equal(x >= 2, [False, True, True])
    np.testing.assert_array_equal(x == 2, [False, True, False])
    np.testing.assert_array_equal(y.data == x, [False, True, False])
    np.testing.assert_array_equal(y.data > x, [True, False, False])
    for comparison in (x < y, x == y, x != y, y.data == x):
        assert type(comparison) is np.ndarray
    assert (x == None).tolist() == [False] * 3  # noqa: E711


def test_a_tensor_is_hashed_by_identity():
    x = Tensor([1.0])
    assert {x: "found"}[x] == "found"
    assert Tensor([1.0]) not in {x: "found"}
    assert len({x, x, Tensor([1.0])}) == 2


def test_numbers_out_of_tensors():
    x = Tensor([[2.5]])
    assert (x.item(), float(Tensor(2.5)), bool(x), bool(Tensor(0.0))) == (2.5, 2.5, True, False)
    assert (x.shape, x.ndim, x.size, len(x)) == ((1, 1), 2, 1, 1)
    assert type(x.item()) is float
    with pytest.raises(ValueError, match="size 1|one element"):
        Tensor([1.0, 2.0]).item()
    assert [row.item() for row in Tensor([1.0, 2.0])] == [1, 2]


def test_numpy_reads_a_tensor():
    x = Tensor([1.0, 2.0])
    assert np.array(x, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(x), [1, 2])
    assert isinstance(np.ones(2) * x, Tensor)
    assert isinstance(np.ones((3, 2)) @ x, Tensor)
    with pytest.raises(TypeError, match=r"np.add: the value of a tensor cannot be written into"):
        np.ones(2).__iadd__(x)


def test_the_methods_are_numpys(rng):
    a = rng.uniform(0.5, 2, (2, 3, 5))
    x = Tensor(a)
    pairs = [
        (x.reshape(5, 6), a.reshape(5, 6)),
        (x.reshape(-1), a.reshape(-1)),
        (x.transpose(), a.T),
        (x.T, a.T),
        (x.transpose(2, 0, 1), a.transpose(2, 0, 1)),
        (x.swapaxes(0, 2), a.swapaxes(0, 2)),
        (x.sum(1), a.sum(1)),
        (x.mean((0, 2), keepdims=True), a.mean((0, 2), keepdims=True)),
        (x.max(-1), a.max(-1)),
        (x.min(), a.min()),
        (x.exp(), np.exp(a)),
        (x.log(), np.log(a)),
        (x.sqrt(), np.sqrt(a)),
        (-x, -a),
        (x**2, a**2),
        (x[1, ..., ::2], a[1, ..., ::2]),
        (x @ a.swapaxes(1, 2), a @ a.swapaxes(1, 2)),
        (a.swapaxes(1, 2) @ x, a.swapaxes(1, 2) @ a),
    ]
    for ours, numpys in pairs:
        np.testing.assert_allclose(ours.data, numpys, rtol=1e-14)


def test_how_it_looks():
    x = Tensor([1.0, 2.5], requires_grad=True)
    assert repr(x) == "Tensor([1. , 2.5], dtype=float32, requires_grad=True)"
    assert repr(x.detach()) == "Tensor([1. , 2.5], dtype=float32)"
    assert repr(Tensor(3)) == "Tensor(3, dtype=int64)"


def test_backward_starts_from_a_scalar_or_a_given_gradient():
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"starts from a scalar, got shape \(2,\)"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(2,\), got \(3,\)"):
        (x * x).backward([1, 2, 3])
    (x * x).backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad, [2, 40])
    x.backward([1.0, 1.0])  # a leaf, too
    np.testing.assert_array_equal(x.grad, [3, 41])


def test_backward_of_nothing_recorded_says_so():
    w = Tensor([1.0], requires_grad=True)
    with no_grad():
        hidden = w * 2
    for y in (hidden, w.detach() * 2, Tensor([1.0])):
        with pytest.raises(RuntimeError, match="nothing to differentiate.*no_grad"):
            y.backward()
    assert w.grad is None


def test_the_gradient_of_a_scalar_leaf_is_an_array():
    for x in (Tensor(2.0, requires_grad=True), Parameter(2.0)):
        (x * x).backward()
        assert isinstance(x.grad, np.ndarray)
        assert (x.grad.shape, x.grad.dtype, x.grad.item()) == ((), np.float32, 4)


def test_gradients_are_copies_of_their_own():
    x, y = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    g = np.array([1.0, 1.0], np.float32)
    (x + y).backward(g)
    x.grad[0] = 9
    np.testing.assert_array_equal(y.grad, [1, 1])
    np.testing.assert_array_equal(g, [1, 1])


@pytest.mark.parametrize("text", ["2", ["1", "2"], np.array(["2"]), 2j], ids=repr)
def test_a_text_is_no_number(text):
    for function in (F.add, F.power, F.maximum):
        with pytest.raises(TypeError, match="an operation takes tensors and numbers, got"):
            function(Tensor([1.0]), text)


def test_base_and_exponent_may_be_tensors():
    x, y = Tensor([2.0, 3.0], requires_grad=True), Tensor([3.0, 2.0], requires_grad=True)
    z = x**y
    z.sum().backward()
    np.testing.assert_array_equal(z.data, [8, 9])
    np.testing.assert_array_equal(x.grad, [12, 6])  # y x^(y - 1)
    np.testing.assert_allclose(y.grad, [8 * np.log(2), 9 * np.log(3)], rtol=1e-6)


def test_matmul_names_the_shapes_that_do_not_fit():
    for x, y in (((2, 3), (2, 3)), ((3,), (2, 3)), ((), (3,)), ((3,), ()), ((2, 3), (2,))):
        with pytest.raises(ValueError, match=r"matmul: expected shapes .*, got \("):
            Tensor(np.ones(x)) @ Tensor(np.ones(y))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_tensor_with_one_element_is_used_like_a_number(shape):
    x = Tensor(np.full(shape, 2.71828), requires_grad=True)
    assert f"{x:.3f} and {x:8.1e}" == "2.718 and  2.7e+00"
    assert (int(x), round(x), round(x, 2), float(x)) == (2, 3, 2.72, 2.71828)
    assert f"{x}" == str(x)


def test_a_format_of_several_numbers_is_refused_with_the_fix():
    message = r"'\.3f' is for one number, got a tensor of shape \(2,\); .*\.mean\(\) or \.sum\(\)"
    with pytest.raises(TypeError, match=message):
        f"{Tensor([1.0, 2.0]):.3f}"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            int,
            ValueError,
            r"only a tensor with one element is a number, got shape \(2, 2\); reduce",
        ),
        (float, ValueError, r"reduce it with \.mean\(\) or \.sum\(\), or write x\.tolist\(\)"),
        (round, ValueError, "only a tensor with one element is a number"),
        (bool, ValueError, r"neither true nor false; write x\.any\(\) or x\.all\(\)"),
        (range, TypeError, "only one whole number can be an index or a count, got .* float32"),
        (lambda x: f"{x:.2f}", TypeError, r"is for one number, got a tensor of shape"),
        (lambda x: list(x.sum()), TypeError, "is one number; it cannot be iterated over"),
        (lambda x: len(x.sum()), TypeError, "is one number and has no length"),
        (lambda x: range(x.sum()), TypeError, "only one whole number .* float32 and shape"),
        (lambda x: Tensor([x, x]), TypeError, r"functional\.stack\(\[x, y\]\) for one tensor of"),
    ],
)
def test_what_is_no_number_is_told_what_to_write(call, error, message):
    x = Tensor([[3.0, 1.0], [2.0, 2.5]], requires_grad=True)
    with pytest.raises(error, match=message):
        call(x)


def test_one_number_is_one():
    loss = Tensor(2.625, requires_grad=True)
    assert (f"{loss:.2f}", f"{loss:8.1e}", round(loss), round(loss, 1)) == (
        "2.62",
        " 2.6e+00",
        3,
        2.6,
    )
    assert (int(loss), float(loss), bool(loss), bool(Tensor(0.0))) == (2, 2.625, True, False)
    ids = Tensor([2, 0, 1])
    assert (["a", "b", "c"][ids[0]], list(range(ids[2]))) == ("c", [0])


def test_rows_are_gone_through_one_by_one():
    x = Tensor([[3.0, 1.0], [2.0, 2.5]], requires_grad=True)
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[2, 2.5], [3, 1]])
    assert (2.5 in x, 7 in x, sum(x).tolist()) == (True, False, [5, 3.5])
    assert np.sum(x, axis=0).requires_grad
