"""Bad input is refused with names and shapes, or it does no harm; never are there wrong numbers."""

import numpy as np
import pytest
from foundation_nn import (
    LayerNorm,
    Linear,
    Module,
    Parameter,
    Sequential,
    Tensor,
    causal_mask,
    optim,
    padding_mask,
)
from foundation_nn import functional as F
from foundation_nn.training import EarlyStopping

X = np.arange(1.0, 13.0).reshape(4, 3)
BOOLS = np.array([True, False, True, True])
CLASSES = np.array([0, 1, 2, 2])

# Each takes a tensor and an array that its caller goes on to write to.
TAKES_AN_ARRAY = {
    "index": (lambda x, a: x[a], np.array([0, 1, 3])),
    "index of the second axis": (lambda x, a: x[:, a], np.array([0, 1, 2])),
    "mask as index": (lambda x, a: x[a], BOOLS),
    "tensor as index": (lambda x, a: x[Tensor.wrap(a)], np.array([0, 1, 3])),
    "ids": (lambda x, a: F.embedding(a, x), np.array([0, 1, 3])),
    "mask of rows": (F.mask_rows, BOOLS),
    "condition": (lambda x, a: F.where(a, x, 0.0), BOOLS[:, None]),
    "targets": (F.cross_entropy, CLASSES),
    "class weights": (
        lambda x, a: F.cross_entropy(x, CLASSES, weight=a),
        np.array([0.1, 0.2, 0.3]),
    ),
    "numbers to reach": (F.mse_loss, X**2),
    "probabilities": (F.binary_cross_entropy_with_logits, X / 12),
    "factor": (lambda x, a: x * a, X**2),
    "divisor": (lambda x, a: x / a, X**2),
    "matrix": (lambda x, a: x @ a, np.arange(6.0).reshape(3, 2)),
    "weight": (F.linear, np.arange(6.0).reshape(2, 3)),
    "scale": (F.layer_norm, np.arange(3.0)),
}


@pytest.mark.parametrize("name", TAKES_AN_ARRAY)
def test_writing_to_an_array_after_the_forward_changes_no_gradient(name):
    function, original = TAKES_AN_ARRAY[name]

    def gradient(spoil):
        x, array = Tensor(X, requires_grad=True), original.copy()
        y = function(x, array)
        if spoil:
            array[...] = np.flip(array) if array.dtype != bool else ~array
        y.backward(np.arange(1.0, 1 + y.size).reshape(y.shape))
        return x.grad

    np.testing.assert_array_equal(gradient(spoil=True), gradient(spoil=False))


def test_writing_to_what_an_operation_returned_is_refused():
    x = Tensor(X, requires_grad=True)
    for y in (x.reshape(-1), x[1:], x.T, F.exp(x), F.softmax(x), F.concat([x, x])):
        with pytest.raises(ValueError, match="read-only"):
            y.data[0] = 0


@pytest.mark.parametrize("change", ["assign", "load", "step"])
def test_a_parameter_that_changes_between_forward_and_backward_is_refused(change):
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    optimizer = optim.SGD(layer, lr=0.1)
    loss = layer(Tensor(X.astype(np.float32))).sum()
    if change == "assign":
        layer.weight.data = np.zeros((2, 3))
    elif change == "load":
        layer.load_state_dict({name: value * 2 for name, value in layer.state_dict().items()})
    else:
        optimizer.step()
    with pytest.raises(RuntimeError, match=r"linear: a parameter of shape .* was changed between"):
        loss.backward()


def test_two_losses_of_one_forward_are_walked_together_not_twice():
    w = Parameter([3.0])
    h = w * w
    first, second = h * 2, h * 5
    first.backward()
    with pytest.raises(RuntimeError, match="multiply: this graph was walked.*add the losses"):
        second.backward()
    w.grad = None
    h = w * w
    (h * 2 + h * 5).backward()
    np.testing.assert_array_equal(w.grad, [42])


def test_a_graph_that_was_walked_is_refused_each_time():
    x = Tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    h.sum().backward()
    for _ in range(3):
        x.grad = None
        loss = (h * h).sum()
        with pytest.raises(RuntimeError, match="multiply: this graph was walked"):
            loss.backward()
        assert x.grad is None


def test_where_guards_a_pole():
    x = Tensor([0.0, 4.0], requires_grad=True)
    for function, gradient in [
        (lambda x: F.where(x > 0, x.sqrt(), 0), [0, 0.25]),
        (lambda x: F.where(x > 0, x**0.5, 0), [0, 0.25]),
        (lambda x: F.where(x > 0, x**-1, 0), [0, -1 / 16]),
        (lambda x: F.where(x > 0, x.log(), 0), [0, 0.25]),
        (lambda x: F.where(x > 0, 1 / x, 0), [0, -1 / 16]),
        (lambda x: F.where(x > 0, (1000 * (1 - x)).exp(), x), [1, 0]),
    ]:
        x.grad = None
        with np.errstate(divide="ignore", over="ignore"):  # as NumPy says of the forward pass
            y = function(x)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad, gradient)


def test_the_gradient_at_a_pole_is_infinite():
    x = Tensor([0.0], requires_grad=True)
    x.sqrt().sum().backward()
    assert x.grad == [np.inf]


def test_a_quotient_by_a_tiny_number_has_a_gradient():
    x, y = Tensor([0.0], requires_grad=True), Tensor([1e-40], requires_grad=True)
    with np.errstate(over="ignore"):  # 1e40 is too large for float32
        (x / y).sum().backward()
    assert (x.grad.item(), y.grad.item()) == (np.inf, 0)


def test_a_scalar_has_a_last_axis_for_reductions_as_in_numpy():
    for reduce in (F.sum, F.mean, F.max, F.min):
        x = Tensor(3.0, requires_grad=True)
        reduce(x, axis=-1).backward()
        assert x.grad == 1


@pytest.mark.parametrize("index", [[], np.array([]), ([], 1), np.zeros(0, bool)], ids=str)
def test_an_empty_selection_selects_nothing(index):
    nothing_at_all = isinstance(index, np.ndarray) and index.dtype == np.bool_
    x = Tensor(X[:0] if nothing_at_all else X, requires_grad=True)
    y = x[index]
    assert y.size == 0
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros(x.shape))


def test_no_ids_and_no_indices_select_nothing():
    table = Tensor(np.ones((7, 2)), requires_grad=True)
    assert F.embedding([], table).shape == (0, 2)
    rows = F.embedding([[], []], table)
    assert rows.shape == (2, 0, 2)
    chosen = F.take_along_axis(table, [[]] * 7)
    assert chosen.shape == (7, 0)
    (rows.sum() + chosen.sum()).backward()
    np.testing.assert_array_equal(table.grad, np.zeros((7, 2)))
    with pytest.raises(TypeError, match="expected integer ids, got float64"):
        F.embedding([1.0], table)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda x: F.where([True], x, None), "where: expected y"),
        (lambda x: x + None, "add: expected y"),
        (lambda x: F.mse_loss(x, None), "mse_loss: expected target"),
        (lambda x: F.linear(x, None), "linear: expected weight"),
        (lambda x: F.stack([x, None]), r"stack: expected input 1"),
        (lambda x: F.relu(None), "relu: expected x"),
    ],
)
def test_none_is_no_number(call, what):
    with pytest.raises(TypeError, match=f"^{what} to be a tensor or a number, got None"):
        call(Tensor([1.0]))
    assert F.layer_norm(Tensor([[1.0, 3.0]]), None, None, eps=0.0).data.tolist() == [[-1, 1]]


@pytest.mark.parametrize("shape", [(1,), (3, 2), ()])
def test_nothing_is_added_to_a_gradient_of_another_shape(shape):
    x = Tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.ones(shape, np.float32)
    with pytest.raises(ValueError, match=r"a gradient of shape .* to a tensor of shape \(2,\)"):
        (x * x).sum().backward()


@pytest.mark.parametrize("flag", ["no", 1, None, np.float64])
def test_whether_there_is_a_gradient_is_true_or_false(flag):
    with pytest.raises(TypeError, match="requires_grad is True or False, got"):
        Tensor([1.0], flag)
    assert Tensor([1.0], np.True_).requires_grad is True
    with pytest.raises(TypeError, match="the class float64; a dtype is passed by name"):
        Tensor([1.0], np.float64)


def test_a_fraction_around_whole_numbers_is_not_cut_off():
    whole = Tensor([1, 2])
    assert F.pad(whole, 1, constant_values=0.5).data.tolist() == [0.5, 1, 2, 0.5]
    assert F.pad(whole, 1, constant_values=0.5).dtype == np.float32
    assert F.pad(whole, 1, constant_values=3.0).dtype == whole.dtype


def test_a_single_tensor_is_no_list_of_tensors():
    for join in (F.concat, F.stack):
        for x in (Tensor(X), X):
            with pytest.raises(
                TypeError, match=r"expected a list of tensors, got a single .*\[x, y\]"
            ):
                join(x)
    assert F.concat(Tensor([i, i]) for i in (1.0, 2.0)).data.tolist() == [1, 1, 2, 2]


def test_a_permutation_that_is_written_out_changes_something():
    x = Tensor(np.ones((2, 3, 5)))
    for axes in [(0, 1, 2), (-3, 1, -1)]:
        with pytest.raises(
            ValueError, match=r"this is the order .* have; .*swapaxes\(i, j\), or x.mT"
        ):
            x.transpose(*axes)
    with pytest.raises(ValueError, match="this is the order"):
        x[0].transpose(-2, -1)
    for axes in [(1, 2), (0, 1, 1), (0, 1, 3)]:
        with pytest.raises(ValueError, match=r"transpose: expected each axis of shape \(2, 3, 5\)"):
            x.transpose(*axes)
    assert x.transpose((0, 1, 2)).shape == (2, 3, 5)  # computed, perhaps, and no mistake
    assert x.mT.shape == (2, 5, 3)
    np.testing.assert_array_equal(Tensor(X).mT.data, X.T)
    with pytest.raises(ValueError, match=r"mT: expected at least two axes, got shape \(5,\)"):
        x[0, 0].mT  # noqa: B018


COUNTS, FLAGS = Tensor([1, 2, 3]), Tensor([True, False, True])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x * COUNTS, [2, 8, 18]),
        (lambda x: COUNTS * x, [2, 8, 18]),
        (lambda x: x * FLAGS, [2, 0, 6]),
        (lambda x: x + np.arange(3), [2, 5, 8]),
        (lambda x: np.arange(3) - x, [-2, -3, -4]),
        (lambda x: x * [1, 2, 3], [2, 8, 18]),
        (lambda x: x * np.float64(0.5), [1, 2, 3]),
        (lambda x: 1 - x / 2, [0, -1, -2]),
        (lambda x: F.where(FLAGS, x, COUNTS), [2, 2, 6]),
        (lambda x: F.concat([x[:1], COUNTS]), [2, 1, 2, 3]),
        (lambda x: F.stack([x, COUNTS])[1], [1, 2, 3]),
        (lambda x: F.linear(COUNTS, x.reshape(1, 3)), [28]),
        (lambda x: COUNTS @ x, 28),
    ],
)
def test_integers_and_booleans_take_the_dtype_of_the_floats_beside_them(dtype, function, expected):
    x = Tensor(np.array([2, 4, 6], dtype), requires_grad=True)
    y = function(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.data, expected)
    y.sum().backward()
    assert x.grad.dtype == dtype
    assert COUNTS.grad is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda n: n + n, [2, 4, 6]),
        (lambda n: n * 2 - 1, [1, 3, 5]),
        (lambda n: -n, [-1, -2, -3]),
        (lambda n: n**2, [1, 4, 9]),
        (lambda n: n @ n, 14),
        (lambda n: n.sum(), 6),
        (lambda n: n.max(), 3),
        (lambda n: n[::-1].reshape(3, 1).T, [[3, 2, 1]]),
        (lambda n: F.concat([n, n]), [1, 2, 3, 1, 2, 3]),
        (lambda n: F.where(FLAGS, n, 0), [1, 0, 3]),
        (lambda n: F.relu(n - 2), [0, 0, 1]),
    ],
)
def test_integers_among_themselves_stay_integers_without_gradient(function, expected):
    y = function(COUNTS)
    assert y.dtype == np.int64
    assert not y.requires_grad
    np.testing.assert_array_equal(y.data, expected)
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        y.sum().backward()


def test_a_tensor_as_index_is_the_array_it_holds():
    x = Tensor(X, requires_grad=True)
    np.testing.assert_array_equal(x[Tensor([1, 1]), Tensor([0, 2])].data, [4, 6])
    np.testing.assert_array_equal(x[Tensor(BOOLS)].data, X[[0, 2, 3]])
    np.testing.assert_array_equal(x[:, COUNTS > 1].data, X[:, 1:])
    x[Tensor([2, 0, 2])].sum().backward()
    np.testing.assert_array_equal(x.grad, np.outer([1, 0, 2, 0], [1, 1, 1]))
    with pytest.raises(IndexError):
        x[Tensor([1.0])]


def test_dropout_of_integers_is_refused():
    with pytest.raises(TypeError, match="dropout: expected a floating tensor, got int64"):
        F.dropout(COUNTS, 0.1, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8, bool])
def test_integers_beside_a_python_float_become_what_it_becomes_alone(kind):
    n = Tensor(np.array([1, 0, 1], kind))
    for y in (n * 1.5, 1.5 * n, n / 2.0, n - np.float64(0.5), F.where(FLAGS, n, 0.5)):
        assert y.dtype == np.float32
    np.testing.assert_array_equal((n * 1.5).data, [1.5, 0, 1.5])


def test_a_python_int_does_not_widen_integers():
    n = Tensor(np.array([1, 2], np.int8))
    assert (n * 2 + 1).dtype == np.int8
    np.testing.assert_array_equal((n * 2 + 1).data, [3, 5])


def test_a_layer_and_an_argument_of_one_name_are_named_once():
    class Positions(Module):
        def forward(self, x):
            raise ValueError("positions: expected integers")

    class Model(Module):
        def __init__(self):
            self.positions = Positions()
            self.inner = [Sequential(Positions())]

        def forward(self, x):
            return (self.inner[0] if x else self.positions)(x)

    with pytest.raises(ValueError, match=r"^positions: expected integers"):
        Model()(0)
    with pytest.raises(ValueError, match=r"^inner\[0\].*: positions: expected integers"):
        Model()(1)


SWITCHES = {
    "a generator by position": (lambda: Linear(3, 2, np.random.default_rng(0)), "bias"),
    "a text": (lambda: LayerNorm(3, bias="no"), "bias"),
    "none": (lambda: Linear(3, 2, bias=None), "bias"),
    "a number": (lambda: EarlyStopping(2, maximize=1), "maximize"),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_what_is_on_or_off_is_true_or_false(name):
    call, argument = SWITCHES[name]
    with pytest.raises(TypeError, match=f"expected {argument} to be True or False, got"):
        call()
    assert Linear(3, 2, bias=np.False_).bias is None


NO_NUMBERS = {
    "layer_norm": (lambda bad: F.layer_norm(X, None, None, bad), "eps"),
    "rms_norm": (lambda bad: F.rms_norm(X, None, bad), "eps"),
    "cross_entropy": (lambda bad: F.cross_entropy(X, CLASSES, None, bad), "label_smoothing"),
    "causal_mask": (causal_mask, "T"),
    "padding_mask": (lambda bad: padding_mask([0, 1], bad), "max_len"),
}


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_settings_of_functions_are_numbers(name):
    call, argument = NO_NUMBERS[name]
    for bad in ("1", True):
        with pytest.raises(TypeError, match=f"^{name}: expected {argument} to be a number, got"):
            call(bad)
    for bad in (np.nan, np.inf, -1):
        with pytest.raises(ValueError, match=f"^{name}: expected .*{argument}"):
            call(bad)


def test_counts_of_positions_are_whole():
    with pytest.raises(ValueError, match="causal_mask: expected T to be a whole number, got 2.5"):
        causal_mask(2.5)
    with pytest.raises(ValueError, match="padding_mask: expected max_len to be a whole number"):
        padding_mask([1, 2], 2.5)


def test_weights_are_finite():
    logits = Tensor([[1.0, 2.0]])
    with pytest.raises(ValueError, match="cross_entropy: expected weights >= 0 and finite"):
        F.cross_entropy(logits, [0], weight=[np.inf, 1.0])
    with pytest.raises(ValueError, match="expected finite pos_weight >= 0"):
        F.binary_cross_entropy_with_logits(logits, [[0.0, 1.0]], pos_weight=np.inf)
