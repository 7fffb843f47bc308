"""RNN, GRU and LSTM alike: values by hand, composed twins, PyTorch's arrays, and invariants."""

from pathlib import Path

import foundation_nn as fn
import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F
from foundation_nn.engine._watch import Watcher
from foundation_seq import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from foundation_seq import functional as SF
from foundation_seq.recurrent._panels import multiply, panels
from hypothesis import given
from hypothesis import strategies as st

B, T, IN, H = 5, 7, 3, 2
LENGTHS = np.array([4, 7, 1, 0, 6])
GOLDEN = Path(__file__).with_name("golden")
KINDS = {
    "rnn": (1, 1, ("tanh",)),
    "rnn_relu": (1, 1, ("relu",)),
    "gru": (3, 1, ()),
    "lstm": (4, 2, ()),
}


def operation(kind):
    op, extra = getattr(SF, kind.partition("_")[0]), KINDS[kind][2]
    return lambda *arrays, lengths=None, reverse=False: op(*arrays, lengths, reverse, *extra)


def operands(kind, seed=0, batch=B, width=T, size=H, dtype=np.float64):
    """x, the states, w_ih, w_hh, b_ih, b_hh."""
    gates, states, _ = KINDS[kind]
    rng = np.random.default_rng(seed)
    shapes = [
        (batch, width, IN),
        *[(batch, size)] * states,
        (gates * size, IN),
        (gates * size, size),
        (gates * size,),
        (gates * size,),
    ]
    scale = [1] * (1 + states) + [1 / np.sqrt(size)] * 4
    return [(rng.standard_normal(s) * k).astype(dtype) for s, k in zip(shapes, scale, strict=True)]


def run(kind, arrays, **options):
    """Outputs, and gradients of all inputs."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    outputs = operation(kind)(*leaves, **options)
    rng = np.random.default_rng(99)
    sum((y * rng.standard_normal(y.shape).astype(y.dtype)).sum() for y in outputs).backward()
    return [y.data for y in outputs] + [leaf.grad for leaf in leaves]


def twin(kind, x, h, *rest):
    """One step after the other, from small operations."""
    (c,), weights = (rest[:1], rest[1:]) if kind == "lstm" else ((None,), rest)
    w_ih, w_hh, b_ih, b_hh = weights
    size, outputs = h.shape[1], []
    for t in range(x.shape[1]):
        p, q = F.linear(x[:, t], w_ih, b_ih), F.linear(h, w_hh, b_hh)
        part = [slice(k * size, (k + 1) * size) for k in range(4)]
        if kind == "rnn":
            h = F.tanh(p + q)
        elif kind == "rnn_relu":
            h = F.relu(p + q)
        elif kind == "gru":
            r, z = (F.sigmoid(p[:, s] + q[:, s]) for s in part[:2])
            n = F.tanh(p[:, part[2]] + r * q[:, part[2]])
            h = (1 - z) * n + z * h
        else:
            i, f, o = (F.sigmoid(p[:, part[k]] + q[:, part[k]]) for k in (0, 1, 3))
            c = f * c + i * F.tanh(p[:, part[2]] + q[:, part[2]])
            h = o * F.tanh(c)
        outputs.append(h)
    return (F.stack(outputs, axis=1), h) + ((c,) if kind == "lstm" else ())


def test_gru_step_by_hand():
    # p = (0, ln 3, 0.25), q = (0, 0, 0.5): r = 1/2, z = 3/4, n = tanh(0.25 + 0.5 / 2).
    zero, b_ih = np.zeros((3, 1)), np.array([0, np.log(3), 0.25])
    output, h = SF.gru(
        Tensor(np.ones((1, 1, 1))), np.full((1, 1), 2.0), zero, zero, b_ih, np.array([0, 0, 0.5])
    )
    assert output.item() == h.item() == pytest.approx(np.tanh(0.5) / 4 + 2 * 0.75)


def test_rnn_steps_by_hand():
    # h = φ(2 x + h / 2 + 0.1 - 0.4) over x = 1, -1 from h = 1.
    arrays = np.array([[[1.0], [-1.0]]]), np.ones((1, 1)), [[2.0]], [[0.5]], [0.1], [-0.4]
    x, *rest = (Tensor(a, dtype=np.float64) for a in arrays)
    first = np.tanh(2 + 0.5 - 0.3)
    output, _ = SF.rnn(x, *rest)
    np.testing.assert_allclose(output.data[0, :, 0], [first, np.tanh(-2.3 + first / 2)])
    output, _ = SF.rnn(x, *rest, nonlinearity="relu")
    np.testing.assert_allclose(output.data[0, :, 0], [2.2, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [H, 32])  # 32: the recurrent product goes panel by panel
def test_equals_the_composed_twin(kind, size):
    arrays = operands(kind, width=11, size=size)
    found = run(kind, arrays)
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    outputs = twin(kind, *leaves)
    rng = np.random.default_rng(99)
    sum((y * rng.standard_normal(y.shape)).sum() for y in outputs).backward()
    expected = [y.data for y in outputs] + [leaf.grad for leaf in leaves]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), reverse=st.booleans())
def test_gradcheck_of_any_shape(kind, data, reverse):
    batch, width = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    lengths = data.draw(
        st.none()
        | st.lists(st.integers(0, width), min_size=batch, max_size=batch).map(
            lambda values: np.array(values, int)
        )
    )

    def outputs(*arrays):
        return operation(kind)(*arrays, lengths=lengths, reverse=reverse)

    assert gradcheck(outputs, *operands(kind, batch=batch, width=width), max_elements=5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_equal_one_row_at_a_time(kind, reverse):
    arrays, states = operands(kind), KINDS[kind][1]
    found = run(kind, arrays, lengths=LENGTHS, reverse=reverse)
    rng = np.random.default_rng(99)
    upstream = [rng.standard_normal(y.shape) for y in found[: 1 + states]]
    totals = [np.zeros_like(a) for a in arrays[1 + states :]]
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        cut = [a[one] for a in arrays[: 1 + states]] + arrays[1 + states :]
        leaves = [Tensor(a, requires_grad=True) for a in [cut[0][:, :length], *cut[1:]]]
        y, *ends = operation(kind)(*leaves, reverse=reverse)
        np.testing.assert_allclose(found[0][one, :length], y.data, rtol=1e-12)
        assert not found[0][row, length:].any()
        for k, end in enumerate(ends, start=1):
            np.testing.assert_allclose(found[k][one], end.data, rtol=1e-12)
            if length == 0:  # what was given comes back
                np.testing.assert_array_equal(found[k][row], arrays[k][row])
        total = (y * upstream[0][one, :length]).sum()
        for end, g in zip(ends, upstream[1:], strict=True):
            total = total + (end * g[one]).sum()
        total.backward()
        grads = found[1 + states :]
        np.testing.assert_allclose(grads[0][one, :length], leaves[0].grad, rtol=1e-10, atol=1e-14)
        assert not grads[0][row, length:].any()
        for k in range(1, 1 + states):
            np.testing.assert_allclose(grads[k][one], leaves[k].grad, rtol=1e-10, atol=1e-14)
        for total_so_far, leaf in zip(totals, leaves[1 + states :], strict=True):
            total_so_far += leaf.grad
    for grad, expected in zip(found[2 * (1 + states) :], totals, strict=True):
        np.testing.assert_allclose(grad, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("poison", [np.nan, 1e30, -np.inf])
def test_padding_changes_no_bit(kind, poison, reverse):
    results = []
    for fill in (0, poison):
        arrays = operands(kind, dtype=np.float32)
        arrays[0][np.arange(T) >= LENGTHS[:, None]] = fill
        results.append(run(kind, arrays, lengths=LENGTHS, reverse=reverse))
    for a, b in zip(*results, strict=True):
        assert np.isfinite(a).all()
        assert a.dtype == np.float32
        assert a.tobytes() == b.tobytes()


@pytest.fixture
def two_threads():
    before = fn.get_num_threads()
    fn.set_num_threads(2)
    yield
    fn.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ragged", [False, True])
def test_threads_share_the_batch(kind, ragged, two_threads, monkeypatch):
    monkeypatch.setattr("foundation_seq.recurrent._recurrence.THREAD_WORK", 0)
    arrays = operands(kind, batch=19, width=13, size=32)
    lengths = np.random.default_rng(1).integers(0, 14, 19) if ragged else None
    shared = run(kind, arrays, lengths=lengths)
    fn.set_num_threads(1)
    alone = run(kind, arrays, lengths=lengths)
    for a, b in zip(shared, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@given(
    rows=st.integers(1, 9),
    depth=st.integers(1, 7),
    width=st.sampled_from([1, 5, 16, 48, 64, 96, 128]),
    uses=st.sampled_from([1, 100]),
)
def test_panels_give_the_product(rows, depth, width, uses):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((rows, depth)), rng.standard_normal((depth, width))
    out = multiply(x, panels(w, rows, uses), out=np.empty((rows, width)))
    np.testing.assert_allclose(out, x @ w, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_walks_back_once(kind):
    op = getattr(SF, kind.partition("_")[0])
    outputs, backward = op.kernel(*operands(kind))
    backward([np.ones_like(y) for y in outputs])
    with pytest.raises(RuntimeError, match=f"{op.__name__}: backward can be called once"):
        backward([np.ones_like(y) for y in outputs])


# The modules


def module(kind, *options, rng=None):
    if kind == "rnn_relu":
        return RNN(*options, nonlinearity="relu", rng=rng)
    return {"rnn": RNN, "gru": GRU, "lstm": LSTM}[kind](*options, rng=rng)


def golden(kind, case):
    with np.load(GOLDEN / f"{kind}.npz") as file:
        return {k.partition("/")[2]: file[k] for k in file.files if k.startswith(f"{case}/")}


@pytest.mark.parametrize("kind", ["rnn", "rnn_relu", "gru"])  # the LSTM: test_lstm.py
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("case", "options"), [("one_layer", (3, 5)), ("two_layers_both_directions", (3, 2, 2, True))]
)
def test_agrees_with_pytorch(kind, case, options, ragged, dtype, tolerance):
    arrays = golden(kind, case)
    if ragged:  # the inputs are the same, the results replace the others
        arrays |= golden(kind, f"{case}_ragged")
    prefix = "parameter."
    layer = module(kind, *options).astype(dtype)
    state = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    assert list(layer.state_dict()) == list(state)
    layer.load_state_dict(state)
    x, h0 = (Tensor(arrays[k], requires_grad=True, dtype=dtype) for k in ("x", "h0"))
    output, h = layer(x, lengths=(4, 7, 1, 6, 2) if ragged else None, state=h0)
    sum((y * arrays[f"upstream.{k}"]).sum() for k, y in (("output", output), ("h", h))).backward()
    found = {"output": output.data, "h": h.data, "grad.x": x.grad, "grad.h0": h0.grad}
    found |= {f"grad.parameter.{k}": p.grad for k, p in layer.named_parameters()}
    for name, array in found.items():
        assert array.dtype == dtype
        np.testing.assert_allclose(
            array, arrays[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("kind", KINDS)
def test_state_carried_over_equals_the_whole_sequence(kind):
    layer = module(kind, IN, H, 2, rng=np.random.default_rng(3)).astype(np.float64)
    x = operands(kind)[0]
    whole, _ = layer(x)
    first, state = layer(x[:, :3])
    second, _ = layer(x[:, 3:], state=state)
    np.testing.assert_allclose(whole.data, np.concatenate([first.data, second.data], 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "cell"),
    [(RNN, RNNCell), (GRU, GRUCell), (LSTM, LSTMCell)],
    ids=["rnn", "gru", "lstm"],
)
def test_cells_step_as_the_layer_does(layer, cell):
    whole = layer(IN, H, rng=np.random.default_rng(5)).astype(np.float64)
    one = cell(IN, H, rng=np.random.default_rng(5)).astype(np.float64)
    weights = {k.removesuffix("_l0"): v for k, v in whole.state_dict().items()}
    for name, value in one.state_dict().items():  # the same draws
        np.testing.assert_array_equal(value, weights[name])
    x = Tensor(operands("rnn")[0], requires_grad=True)
    output, _ = whole(x)
    (output * output).sum().backward()
    expected, x.grad = x.grad, None
    state, total = None, 0
    for t in range(T):
        state = one.step(x[:, t], state)
        h = state[0] if layer is LSTM else state
        np.testing.assert_allclose(h.data, output.data[:, t], rtol=1e-12)
        total = total + (h * h).sum()
    total.backward()
    np.testing.assert_allclose(x.grad, expected, rtol=1e-10, atol=1e-13)
    for name, p in one.named_parameters():
        np.testing.assert_allclose(
            p.grad, getattr(whole, f"{name}_l0").grad, rtol=1e-10, atol=1e-13
        )


def flat(result):
    """The output and the states of a layer, side by side."""
    output, state = result
    return (output, *state) if isinstance(state, tuple) else (output, state)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_one_step_without_recording_equals_the_operation(kind, options, monkeypatch):
    make = {"rnn": RNN, "rnn_relu": RNN, "gru": GRU, "lstm": LSTM}[kind]
    extra = {"nonlinearity": "relu"} if kind == "rnn_relu" else {}
    rng = np.random.default_rng(3)
    layer = make(IN, H, **options, **extra, rng=rng).astype(np.float64)
    x = rng.standard_normal((B, 1, IN))
    rows = layer.num_layers * layer.directions
    state = tuple(rng.standard_normal((rows, B, H)) for _ in layer.state_names)
    state = state if make is LSTM else state[0]
    expected = layer(x, state=state)
    fresh = layer(x)
    monkeypatch.setattr(make, "operation", None)  # it cannot be called
    with fn.no_grad():
        for got, wanted in ((layer(x, state=state), expected), (layer(Tensor(x)), fresh)):
            for a, b in zip(flat(got), flat(wanted), strict=True):
                assert not a.requires_grad
                np.testing.assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-14)


def test_one_step_is_recorded_watched_and_dropped_out_as_ever():
    gru = GRU(IN, H, 2, dropout=0.5, rng=np.random.default_rng(0))
    x = np.ones((B, 1, IN), np.float32)
    assert gru(x)[0].requires_grad
    seen = []
    watcher = Watcher()
    watcher.forward = lambda kernel, *_: seen.append(kernel.__name__)
    with fn.no_grad(), watcher:
        gru(x)
    assert seen.count("gru") == 2
    with fn.no_grad(), fn.train_mode(np.random.default_rng(0)):
        dropped = gru(x)[1].data
    plain = gru(x)[1].data
    assert (dropped[0] == plain[0]).all()
    assert (dropped[1] != plain[1]).any()


@pytest.mark.parametrize("make", [RNN, GRU])
def test_errors_of_the_layers(make):
    layer, x = make(IN, H), np.zeros((B, T, IN), np.float32)
    name = make.__name__
    with pytest.raises(ValueError, match=rf"{name}: expected x of shape \(B, T, input_size=3\)"):
        layer(x[0])
    with pytest.raises(ValueError, match=r"h of the state .* = \(1, 5, 2\), got \(5, 2\)"):
        layer(x, state=np.zeros((B, H), np.float32))
    with pytest.raises(TypeError, match="one tensor, got tuple; only an LSTM has a pair"):
        layer(x, state=(np.zeros((1, B, H)),) * 2)
    with pytest.raises(ValueError, match="lengths from 0 to T=7, got 8 to 8"):
        layer(x, lengths=[8] * B)
    with pytest.raises(TypeError, match="integer lengths, got float64"):
        layer(x, lengths=[1.0] * B)
    with pytest.raises(ValueError, match=f"{name}: expected hidden_size >= 1, got 0"):
        make(IN, 0)


def test_other_errors():
    with pytest.raises(ValueError, match='RNN: expected nonlinearity "tanh" or "relu", got \'elu'):
        RNN(IN, H, nonlinearity="elu")
    with pytest.raises(ValueError, match='rnn: expected nonlinearity "tanh" or "relu"'):
        SF.rnn(*operands("rnn"), nonlinearity="sin")
    with pytest.raises(ValueError, match="LSTMCell: expected input_size >= 1, got 0"):
        LSTMCell(0, 3)
    with pytest.raises(ValueError, match=r"GRUCell: expected x of shape \(B, input_size=3\), got"):
        GRUCell(IN, H).step(np.zeros((B, T, IN)))
    with pytest.raises(TypeError, match="GRUCell: expected state to be one tensor, got tuple"):
        GRUCell(IN, H).step(np.zeros((B, IN)), (np.zeros((B, H)),))
    with pytest.raises(TypeError, match=r"LSTMCell: expected state to be the pair \(h, c\)"):
        LSTMCell(IN, H).step(np.zeros((B, IN)), np.zeros((B, H)))
    with pytest.raises(ValueError, match=r"rnn: expected h0 of shape \(5, 2\), got \(1, 2\)"):
        RNNCell(IN, H).step(np.zeros((B, IN), np.float32), np.zeros((1, H), np.float32))
