"""The decorator: from a NumPy kernel to a differentiable function."""

import array
import inspect
import typing

import numpy as np
import pytest
from foundation_nn import Array, Parameter, Result, Tensor, gradcheck, no_grad, operation, optim
from foundation_nn import functional as F


@operation(outputs=2)
def sum_and_product(x: Array, y: Array) -> Result:
    def backward(grads):
        ds, dp = grads
        return ds + dp * y, ds + dp * x

    return (x + y, x * y), backward


@operation(outputs=2)
def halves(x: Array, y: Array, scale: float = 1.0) -> Result:
    n = len(x) // 2

    def backward(grads):
        both = np.concatenate(grads)
        return scale * both * y, lambda: scale * both * x

    z = scale * x * y
    return (z[:n], z[n:]), backward


def test_several_outputs_pass_gradcheck(rng):
    assert gradcheck(sum_and_product, rng.standard_normal(3), rng.standard_normal(3))
    assert gradcheck(lambda x, y: halves(x, y, 3.0), *rng.standard_normal((2, 5)))


@pytest.mark.parametrize(("used", "dx"), [(0, [1, 1]), (1, [5, 7])])
def test_an_output_that_is_not_used_counts_as_zero(used, dx):
    x, y = (Tensor(v, requires_grad=True) for v in ([2.0, 3.0], [5.0, 7.0]))
    sum_and_product(x, y)[used].sum().backward()
    np.testing.assert_array_equal(x.grad, dx)


def test_outputs_may_be_used_several_times_and_in_any_order():
    x, y = (Tensor(v, requires_grad=True) for v in ([2.0, 3.0], [5.0, 7.0]))
    s, p = sum_and_product(x, y)
    ((p * s).sum() + p.sum() * 2).backward()
    # d/dx (x y (x + y) + 2 x y) = 2 x y + y² + 2 y
    np.testing.assert_array_equal(x.grad, 2 * x.data * y.data + y.data**2 + 2 * y.data)


def test_several_outputs_without_recording():
    x, y = Tensor([2.0], requires_grad=True), Tensor([5.0])
    with no_grad():
        s, p = sum_and_product(x, y)
    assert not s.requires_grad
    assert not p.requires_grad
    assert (s.item(), p.item()) == (7, 10)


def test_a_walk_may_start_at_one_of_several_outputs():
    x, y = (Tensor(v, requires_grad=True) for v in ([2.0], [5.0]))
    sum_and_product(x, y)[1].backward()
    assert (x.grad.item(), y.grad.item()) == (5, 2)


def test_a_gradient_given_as_a_function_is_computed_if_it_is_needed():
    computed = []

    @operation
    def spy(x: Array, y: Array, z: Array = None) -> Result:
        def backward(g):
            def gradient(name, factor):
                computed.append(name)
                return g * factor

            return lambda: gradient("x", 2), lambda: gradient("y", 3), lambda: gradient("z", 5)

        return x + y, backward

    x, y = Tensor([1.0], requires_grad=True), Tensor([2.0])
    spy(x, y).backward()
    assert computed == ["x"]
    assert x.grad == [2]
    computed.clear()
    spy(y, x * 1, x).backward()
    assert sorted(computed) == ["y", "z"]
    assert x.grad == [2 + 3 + 5]


def test_arguments_go_where_their_names_say():
    @operation
    def power_of_difference(x: Array, y: Array = None, exponent: int = 1) -> Result:
        base = x if y is None else x - y

        def backward(g):
            dx = g * exponent * base ** (exponent - 1)
            return dx, -dx if y is not None else None

        return base**exponent, backward

    x, y = Tensor([5.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    assert power_of_difference(x).item() == 5
    assert power_of_difference(x, None, 2).item() == 25
    assert power_of_difference(y=y, x=x).item() == 3
    assert power_of_difference(x, exponent=3, y=y).item() == 27
    power_of_difference(x, exponent=3, y=y).backward()
    assert (x.grad.item(), y.grad.item()) == (27, -27)
    with pytest.raises(TypeError, match="power_of_difference.* missing its argument 'x'"):
        power_of_difference(y=y)
    with pytest.raises(TypeError, match="multiple values for argument 'x'"):
        power_of_difference(x, x=y)
    with pytest.raises(
        TypeError, match="power_of_difference has no base=; there are x, y, exponent"
    ):
        power_of_difference(x, base=y)


def test_any_number_of_inputs():
    @operation
    def total(*xs: Array, scale: float) -> Result:
        def backward(g):
            return tuple(scale * g for _ in xs)

        return scale * sum(xs), backward

    for n in (1, 2, 5):
        xs = [Tensor([float(i)], requires_grad=True) for i in range(n)]
        y = total(*xs, scale=3.0)
        y.backward()
        assert y.item() == 3 * sum(range(n))
        assert [x.grad.item() for x in xs] == [3] * n


def test_the_name_and_the_kernel_stay_reachable():
    y, backward = sum_and_product.kernel(np.array(2.0), np.array(5.0))
    assert sum_and_product.__name__ == "sum_and_product"
    assert y == (7, 10)
    assert backward((1, 1)) == (6, 3)


def test_inputs_must_come_before_options():
    with pytest.raises(TypeError, match="late: the parameters annotated Array must come first"):

        @operation
        def late(scale: float, x: Array) -> Result:
            return x, lambda g: g

    with pytest.raises(TypeError, match=r"none: no parameter is annotated.* def none\(x: Array, "):

        @operation
        def none(x: float) -> Result:
            return x, lambda g: g


def test_a_backward_with_too_few_gradients_is_refused():
    @operation
    def forgetful(x: Array, y: Array) -> Result:
        return x + y, lambda g: (g,)

    with pytest.raises(
        TypeError, match="forgetful: backward returns one gradient.*2 inputs; got 1"
    ):
        forgetful(Tensor([1.0], requires_grad=True), Tensor([1.0])).backward()


def test_none_is_no_gradient():
    @operation
    def first(x: Array, y: Array) -> Result:
        return x * 1, lambda g: (g, None)

    x, y = (Tensor([1.0], requires_grad=True) for _ in range(2))
    first(x, y).backward()
    assert x.grad.item() == 1
    assert y.grad is None


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        (np.array([1.0, 2.0]), "a ndarray alone"),
        ((np.array(1.0), np.array(2.0)), "a tuple of ndarray, ndarray"),
        ((np.array(1.0),), "a tuple of ndarray"),
        (None, "a NoneType alone"),
    ],
    ids=["array", "two arrays", "value alone", "nothing"],
)
def test_a_kernel_that_forgets_its_backward_is_told_so(returned, what):
    @operation
    def forgetful(x: Array) -> Result:
        return returned

    message = rf"forgetful: a kernel returns a tuple \(y, backward\).*; got {what}"
    with pytest.raises(TypeError, match=message):
        forgetful(Tensor([1.0], requires_grad=True))


@pytest.mark.parametrize("wrong", [(3,), (), (1, 1), (2, 2)])
def test_a_gradient_of_another_shape_is_refused(wrong):
    @operation
    def careless(x: Array) -> Result:
        return x.sum(), lambda g: np.ones(wrong)

    x = Tensor(np.ones((3, 1)), requires_grad=True)
    with pytest.raises(
        ValueError, match=r"careless: expected a gradient of shape \(3, 1\), backward gave \("
    ):
        careless(x).backward()


def parameter_in_a_buffer():
    p = Parameter([3.0, 3.0])
    optimizer = optim.SGD(p, lr=1.0)
    p.grad = np.ones(2, np.float32)
    return p.data, optimizer.step


def view_of_one_element():
    one = np.array([3.0], np.float32)
    return np.broadcast_to(one, (2,)), lambda: one.fill(7)


def read_only_view():
    two = np.array([3.0, 3.0], np.float32)
    view = two[:]
    view.flags.writeable = False
    return view, lambda: two.fill(7)


def mapped_file(folder):
    mapped = np.memmap(folder / "array", np.float32, "w+", shape=(2,))
    mapped[:] = 3
    return mapped, lambda: mapped.fill(7)


def buffer_of_python():
    numbers = array.array("f", [3, 3])
    return numbers, lambda: numbers.__setitem__(slice(2), array.array("f", [7, 7]))


@pytest.mark.parametrize(
    "make",
    [parameter_in_a_buffer, view_of_one_element, read_only_view, mapped_file, buffer_of_python],
)
def test_a_constant_that_changes_afterwards_does_not_change_the_gradient(make, tmp_path):
    constant, change = make(tmp_path) if make is mapped_file else make()
    x = Tensor([1.0, 1.0], requires_grad=True)
    y = F.multiply(x, constant).sum()
    change()
    y.backward()
    assert y.item() == 6
    np.testing.assert_array_equal(x.grad, [3, 3])


def test_what_nobody_can_change_is_not_copied():
    seen = []

    @operation
    def spy(x: Array, y: Array) -> Result:
        seen.append(y)
        return x * y, lambda g: (g * y, g * x)

    fixed = np.ones(3, np.float32)
    fixed.flags.writeable = False
    weight = Parameter(np.ones(3, np.float32))
    optim.SGD(weight, lr=1.0)  # which writes to the parameter in place, and counts it
    spy(Tensor([1.0], requires_grad=True), fixed)
    spy([1.0], weight)
    assert np.shares_memory(seen[0], fixed)
    assert np.shares_memory(seen[1], weight.data)


def test_whole_numbers_that_an_operation_gives_have_no_gradient():
    @operation(outputs=2)
    def greatest(x: Array) -> Result:
        place = x.argmax()

        def backward(grads):
            dx = np.zeros_like(x)
            dx[place] = grads[0]
            return dx

        return (x.max(), np.asarray(place)), backward

    @operation
    def rounded(x: Array) -> Result:
        return np.rint(x).astype(np.int64), lambda g: g

    x = Tensor([1.0, 5.0, 2.0], requires_grad=True)
    value, place = greatest(x)
    assert (value.requires_grad, place.requires_grad) == (True, False)
    (value * place).backward()  # 5 · 1
    assert x.grad.tolist() == [0, 1, 0]
    assert not rounded(x).requires_grad


def test_no_grad_decorates_what_runs_when_it_is_called():
    weight = Tensor([2.0], requires_grad=True)

    @no_grad()
    def triple(x, depth=1):
        """Three times x."""
        return triple(x * 3, depth - 1) if depth else x * 3

    assert not triple(weight).requires_grad
    assert triple.__doc__ == "Three times x."
    assert (weight * 3).requires_grad

    def rounds():
        yield weight * 3

    async def later():
        return weight * 3

    for function in (rounds, later):
        with pytest.raises(TypeError, match=f"no_grad: {function.__name__} runs after it was"):
            no_grad()(function)


def test_the_signature_is_that_of_a_caller():
    """The kernel's own says Array and Result; a caller passes tensors and gets them."""
    line = str(inspect.signature(F.layer_norm)).replace("'", "")
    assert line == (
        "(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, "
        "eps: float = 1e-05) -> Tensor"
    )
    assert typing.get_type_hints(F.layer_norm) == {
        "x": Tensor,
        "weight": Tensor | None,
        "bias": Tensor | None,
        "eps": float,
        "return": Tensor,
    }
    returned = inspect.signature(halves).return_annotation
    assert returned == "tuple[Tensor, Tensor]"
    assert typing.get_type_hints(halves)["return"] == tuple[Tensor, Tensor]
    assert inspect.signature(F.layer_norm.kernel).parameters["x"].annotation is not Tensor


def test_no_operation_shows_the_marks_of_its_kernel():
    for name in F.__all__:
        line = str(inspect.signature(getattr(F, name)))
        assert not any(mark in line for mark in ("Array'", "Array |", "Result", "Vector", "PerRow"))
