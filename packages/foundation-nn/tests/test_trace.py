"""The trace, checked against XOR worked out by hand."""

import math

import numpy as np
import pytest
from foundation_nn import MLP, Array, Parameter, Result, Tanh, Tensor, no_grad, operation, optim
from foundation_nn import functional as F
from foundation_nn.inspection._trace import trace

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
TARGET = np.array([[0], [1], [1], [0]], np.float64)


def xor():
    model = MLP([2, 2, 1], Tanh, rng=np.random.default_rng(0)).astype(np.float64)
    values = {
        "0.weight": [[1, 1], [1, 1]],
        "0.bias": [0, -1],
        "2.weight": [[1, -2]],
        "2.bias": [0.5],
    }
    model.load_state_dict(values)
    return model


def loss(model, x, target):
    return F.mse_loss(model(x), target)


def test_the_operations_of_xor_in_their_order():
    records = trace(loss, xor(), X, TARGET)
    assert [(r.phase, r.number, r.operation, r.module, r.kind) for r in records] == [
        ("forward", 1, "linear", "0", "Linear"),
        ("forward", 2, "tanh", "1", "Tanh"),
        ("forward", 3, "linear", "2", "Linear"),
        ("forward", 4, "mse_loss", "", ""),
        ("backward", 4, "mse_loss", "", ""),
        ("backward", 3, "linear", "2", "Linear"),
        ("backward", 2, "tanh", "1", "Tanh"),
        ("backward", 1, "linear", "0", "Linear"),
    ]
    assert len(records) == 8
    assert records[0].inputs == {"x": (4, 2), "weight": (2, 2), "bias": (2,)}
    assert records[0].outputs == {"y": (4, 2)}
    assert records[4].inputs == {"g": ()}
    assert records[4].outputs == {"dx": (4, 1)}  # the target wants no gradient
    assert records[5].outputs == {"dx": (4, 2), "dweight": (1, 2), "dbias": (1,)}
    assert records[-1].outputs == {"dweight": (2, 2), "dbias": (2,)}  # nor does the data
    assert [r.bytes for r in records] == [64, 64, 32, 8, 32, 64 + 16 + 8, 64, 32 + 16]
    assert [r.flops for r in records] == [32, 0, 16, 0, 0, 32, 0, 32]
    assert all(r.seconds > 0 for r in records)
    assert all(not r.values for r in records)


def test_the_values_of_xor_worked_out_by_hand():
    records = trace(loss, xor(), X, TARGET, values=True)
    t = math.tanh(1)
    z = [[0, -1], [1, 0], [1, 0], [2, 1]]  # x₁ + x₂ and one less
    h = [[0, -t], [t, 0], [t, 0], [math.tanh(2), t]]
    y = [0.5 + 2 * t, 0.5 + t, 0.5 + t, 0.5 + math.tanh(2) - 2 * t]
    error = [y[0], y[1] - 1, y[2] - 1, y[3]]
    dy = [e / 2 for e in error]  # 2 (y - target) / 4
    dw = [sum(d * row[j] for d, row in zip(dy, h, strict=True)) for j in range(2)]
    slope = [[1 - a * a for a in row] for row in h]
    dz = [[d * s[0], -2 * d * s[1]] for d, s in zip(dy, slope, strict=True)]
    expected = [
        (0, "x", X),
        (0, "y", z),
        (1, "y", h),
        (2, "y", [[v] for v in y]),
        (3, "target", TARGET),
        (3, "y", sum(e * e for e in error) / 4),
        (4, "g", 1),
        (4, "dx", [[d] for d in dy]),
        (5, "dweight", [dw]),
        (5, "dbias", [sum(dy)]),
        (5, "dx", [[d, -2 * d] for d in dy]),
        (6, "dx", dz),
        # x₁ is 1 in the last two rows, x₂ in the second and the last
        (7, "dweight", [[dz[2][i] + dz[3][i], dz[1][i] + dz[3][i]] for i in range(2)]),
        (7, "dbias", [sum(row[i] for row in dz) for i in range(2)]),
    ]
    for i, name, value in expected:
        np.testing.assert_allclose(
            records[i].values[name], value, rtol=1e-13, err_msg=f"{i} {name}"
        )


def test_formulas_and_source_lines():
    records = trace(loss, xor(), X, TARGET)
    assert [r.formula for r in records] == [
        "Y = X Wᵀ + b, for every row of x",
        "tanh x",
        "Y = X Wᵀ + b, for every row of x",
        "mean((x - target)²)",
        "dx = 2 (x - target) / n",
        "dX = G W, dW = Gᵀ X, db = Σ_n G_n",
        "d/dx = 1 - tanh² x",
        "dX = G W, dW = Gᵀ X, db = Σ_n G_n",
    ]
    line = F.tanh.kernel.__code__.co_firstlineno
    assert records[1].source == f"foundation_nn/functional/_activations.py:{line}"
    file, line = records[6].source.split(":")
    assert file == "foundation_nn/functional/_activations.py"
    with open(F.tanh.kernel.__code__.co_filename, encoding="utf-8") as source:
        assert source.readlines()[int(line) - 1].strip().startswith("def backward(")


def test_without_a_formula_the_derivative_is_what_backward_returns():
    x = Tensor([1.0, 2.0], requires_grad=True)
    records = trace(lambda x: x - 3, x)
    assert [r.formula for r in records] == ["x - y", "g, -g"]


def test_a_derivative_of_several_steps():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    records = trace(F.layer_norm, x)
    assert (
        records[0].formula == "y = x̂ w + b with x̂ = (x - μ) r and r = 1 / √(σ² + ε), for each row"
    )
    assert (
        records[1].formula
        == "dx̂ = g w: dx = r (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)), dw = Σ g x̂, db = Σ g"
    )


def test_what_ran_before_is_not_listed():
    x = Tensor([1.0], requires_grad=True)
    y = F.exp(x)
    assert [(r.phase, r.operation) for r in trace(lambda: F.tanh(y))] == [
        ("forward", "tanh"),
        ("backward", "tanh"),
    ]


def test_a_private_kernel_takes_the_formula_of_its_public_function():
    weight = Parameter(np.ones((3, 2), np.float32))
    forward, backward = trace(lambda w: F.embedding(np.array([2, 0]), w), weight)
    assert forward.operation == backward.operation == "embedding"
    assert forward.formula == "Row ids[...] of the table, for every id"
    assert backward.formula == "dW_v = Σ of the gradients where id = v"


@operation
def twice(*xs: Array) -> Result:
    return sum(2 * x for x in xs), lambda g: tuple(2 * g for _ in xs)


@operation(outputs=2)
def halves(x: Array) -> Result:
    """Two halves."""
    n = len(x) // 2

    def backward(grads):
        return np.concatenate(grads)

    return (x[:n], x[n:]), backward


def test_operations_of_ones_own():
    x, y = (Tensor(np.ones(4), requires_grad=True) for _ in range(2))
    a, b = trace(twice, x, y)
    assert a.inputs == {"x0": (4,), "x1": (4,)}
    assert a.formula == b.formula == ""
    assert b.outputs == {"dx0": (4,), "dx1": (4,)}
    assert a.source.startswith("test_trace.py:")

    halved, *_, back = trace(lambda x: halves(x)[1] * 3, x)
    assert halved.outputs == {"y0": (2,), "y1": (2,)}
    assert halved.bytes == 0  # two views
    assert back.operation == "halves"
    assert back.inputs == {"g1": (2,)}
    assert back.outputs == {"dx": (4,)}
    assert back.formula == "np.concatenate(grads)"


def test_operations_without_source():
    lines = """
from foundation_nn import Array, Result, operation
@operation
def typed(x: Array) -> Result:
    def backward(g):
        return 2 * g
    return 2 * x, backward
@operation
def builtin(x: Array) -> Result:
    return abs(x), abs
"""
    names = {"__name__": "console"}
    exec(compile(lines, "<stdin>", "exec"), names)  # noqa: S102
    x = Tensor([1.0], requires_grad=True)
    typed = trace(names["typed"], x)
    assert [(r.formula, r.source) for r in typed] == [("", "<stdin>:3"), ("", "<stdin>:5")]
    builtin = trace(names["builtin"], x)
    assert (builtin[1].formula, builtin[1].source) == ("", "")


def test_gradients_are_those_that_the_engine_hands_on():
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    bias = Tensor(np.zeros(3), requires_grad=True)
    first, last = trace(lambda x, b: x + b, x, bias, values=True)
    assert set(first.values) == {"x", "y", "z"}
    np.testing.assert_array_equal(first.values["y"], np.zeros(3))
    assert last.outputs == {"dx": (2, 3), "dy": (3,)}
    np.testing.assert_array_equal(last.values["dy"], [2, 2, 2])


def test_only_tiny_arrays_are_kept_and_they_are_copies():
    x = Tensor(np.arange(16.0), requires_grad=True)
    long = Tensor(np.arange(17.0), requires_grad=True)
    record = trace(F.negative, x, values=True)[0]
    x.data = np.zeros(16)
    np.testing.assert_array_equal(record.values["x"], np.arange(16.0))
    assert trace(F.negative, long, values=True)[0].values == {}


def test_gradients_of_before_are_left_as_they_were():
    model = xor()
    optimiser = optim.SGD(model, lr=0.1)
    loss(model, X, TARGET).backward()
    before = [p.grad.copy() for p in model.parameters()]
    trace(loss, model, X, TARGET)
    for p, grad in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    optimiser.zero_grad()
    trace(loss, model, X, TARGET)
    assert all(p.grad is None for p in model.parameters())


def test_a_forward_pass_alone():
    model = xor()
    records = trace(model, X, backward=False)
    assert {r.phase for r in records} == {"forward"}
    with no_grad():
        assert len(trace(model, X, backward=False)) == 3
    # a model that a function brings along gives its names, too
    assert [r.module for r in trace(lambda: model(X), backward=False)] == ["0", "1", "2"]


def test_of_a_tuple_the_first_tensor_counts():
    records = trace(lambda x: (x.sum(), 7), Tensor([1.0], requires_grad=True))
    assert [r.operation for r in records] == ["sum", "sum"]
    with pytest.raises(
        TypeError, match="trace: expected a function that returns a tensor.*<lambda>"
    ):
        trace(lambda x: 3, X)
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        trace(F.tanh, Tensor(X))


def test_what_it_prints():
    text = str(trace(loss, xor(), X, TARGET, values=True)).splitlines()
    assert text[0].split() == [
        "#",
        "layer",
        "operation",
        "shapes",
        "formula",
        "source",
        "µs",
        "bytes",
    ]
    assert text[1] == "forward"
    assert text[2].startswith(
        "1  0      linear     x (4, 2), weight (2, 2), bias (2,) → y (4, 2)  "
    )
    assert "        weight = [[1., 1.], [1., 1.]]" in text
    assert "        y      = [[ 0., -1.], [ 1., 0.], [ 1., 0.], [ 2., 1.]]" in text
    assert text.count("backward") == 1
    rows = [line.split()[:3] for line in text if line[:1].isdigit()]
    assert rows[2] == ["3", "2", "linear"]
    assert str(trace(xor(), X)[:2]).count("Record(") == 2
