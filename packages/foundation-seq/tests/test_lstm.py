"""The LSTM operation and module: values, gradients and invariants."""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck, no_grad, train_mode
from foundation_nn import functional as F
from foundation_seq import LSTM
from foundation_seq.functional import lstm
from hypothesis import given
from hypothesis import strategies as st

B, T, IN, H = 5, 7, 3, 2
LENGTHS = np.array([4, 7, 1, 0, 6])
GOLDEN = Path(__file__).with_name("golden") / "lstm.npz"


def operands(seed=0, batch=B, width=T, dtype=np.float64):
    """x, h0, c0, w_ih, w_hh, b_ih, b_hh."""
    rng = np.random.default_rng(seed)
    shapes = [
        (batch, width, IN),
        (batch, H),
        (batch, H),
        (4 * H, IN),
        (4 * H, H),
        (4 * H,),
        (4 * H,),
    ]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def run(arrays, lengths=None, reverse=False):
    """The three outputs and the gradients of all inputs."""
    leaves = [Tensor(a, requires_grad=True) for a in arrays]
    outputs = lstm(*leaves, lengths, reverse)
    rng = np.random.default_rng(99)
    total = None
    for y in outputs:
        term = (y * rng.standard_normal(y.shape).astype(y.dtype)).sum()
        total = term if total is None else total + term
    total.backward()
    return [y.data for y in outputs], [leaf.grad for leaf in leaves]


def composed(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """The twin: one step after the other, from small operations."""
    outputs = []
    for t in range(x.shape[1]):
        z = F.linear(x[:, t], w_ih, b_ih) + F.linear(h, w_hh, b_hh)
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        h = F.sigmoid(o) * F.tanh(c)
        outputs.append(h)
    return F.stack(outputs, axis=1), h, c


def test_one_step_by_hand():
    # All weights 0: i = σ(0) = 1/2, f = σ(ln 3) = 3/4, g = tanh(atanh(0.6)) = 0.6, o = 1/2.
    bias = np.array([0, np.log(3), np.arctanh(0.6), 0])
    zero = np.zeros((4, 1))
    output, h, c = lstm(
        Tensor(np.ones((1, 1, 1))),
        np.zeros((1, 1)),
        np.full((1, 1), 2.0),
        zero,
        zero,
        bias,
        0 * bias,
    )
    assert c.item() == pytest.approx(0.75 * 2 + 0.5 * 0.6)
    assert h.item() == output.item() == pytest.approx(0.5 * np.tanh(1.8))


def test_equals_the_composed_twin():
    arrays = operands()
    fused, twin = [[Tensor(a, requires_grad=True) for a in arrays] for _ in range(2)]
    outputs, expected = lstm(*fused), composed(*twin)
    for y, e in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(y.data, e.data, rtol=1e-12, atol=1e-14)
    for ys in (outputs, expected):
        sum((y * (k + 1.5) * y).sum() for k, y in enumerate(ys)).backward()
    for a, b in zip(fused, twin, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_gradcheck(lengths, reverse):
    assert gradcheck(lambda *leaves: lstm(*leaves, lengths, reverse), *operands())


@given(data=st.data(), reverse=st.booleans())
def test_gradcheck_of_any_shape(data, reverse):
    batch, width = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    lengths = data.draw(
        st.none() | st.lists(st.integers(0, width), min_size=batch, max_size=batch).map(np.array)
    )
    if batch == 0 and lengths is not None:
        lengths = np.zeros(0, int)
    arrays = operands(batch=batch, width=width)
    assert gradcheck(lambda *a: lstm(*a, lengths, reverse), *arrays, max_elements=5)


@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_equal_one_row_at_a_time(reverse):
    arrays = operands()
    outputs, grads = run(arrays, LENGTHS, reverse)
    rng = np.random.default_rng(99)
    upstream = [rng.standard_normal(y.shape) for y in outputs]
    totals = [np.zeros_like(a) for a in arrays[3:]]
    for row, length in enumerate(LENGTHS):
        one = slice(row, row + 1)
        cut = [arrays[0][one, :length], arrays[1][one], arrays[2][one], *arrays[3:]]
        leaves = [Tensor(a, requires_grad=True) for a in cut]
        y, h, c = lstm(*leaves, None, reverse)
        np.testing.assert_allclose(outputs[0][one, :length], y.data, rtol=1e-12)
        assert not outputs[0][row, length:].any()
        np.testing.assert_allclose(outputs[1][one], h.data, rtol=1e-12)
        np.testing.assert_allclose(outputs[2][one], c.data, rtol=1e-12)
        total = (y * upstream[0][one, :length]).sum()
        (total + (h * upstream[1][one]).sum() + (c * upstream[2][one]).sum()).backward()
        np.testing.assert_allclose(grads[0][one, :length], leaves[0].grad, rtol=1e-11, atol=1e-14)
        assert not grads[0][row, length:].any()
        np.testing.assert_allclose(grads[1][one], leaves[1].grad, rtol=1e-11)
        np.testing.assert_allclose(grads[2][one], leaves[2].grad, rtol=1e-11)
        for sum_so_far, leaf in zip(totals, leaves[3:], strict=True):
            sum_so_far += leaf.grad
    for grad, total in zip(grads[3:], totals, strict=True):
        np.testing.assert_allclose(grad, total, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("reverse", [False, True])
def test_length_zero_passes_the_state_through(reverse):
    arrays = operands()
    (_, h, c), _ = run(arrays, LENGTHS, reverse)
    row = list(LENGTHS).index(0)
    np.testing.assert_array_equal(h[row], arrays[1][row])
    np.testing.assert_array_equal(c[row], arrays[2][row])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("poison", [np.nan, 1e30, -np.inf])
def test_padding_changes_no_bit(poison, reverse):
    clean = operands(dtype=np.float32)
    padding = np.arange(T) >= LENGTHS[:, None]
    clean[0][padding] = 0
    dirty = [a.copy() for a in clean]
    dirty[0][padding] = poison
    before = [a.copy() for a in dirty]
    outputs, grads = run(clean, LENGTHS, reverse)
    poisoned_outputs, poisoned_grads = run(dirty, LENGTHS, reverse)
    for a, b in zip(outputs + grads, poisoned_outputs + poisoned_grads, strict=True):
        assert a.tobytes() == b.tobytes()
    for a, b in zip(before, dirty, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_gradients_of_padded_outputs_are_ignored(poison):
    arrays = operands()
    padding = np.arange(T) >= LENGTHS[:, None]
    results = []
    for fill in (0, poison):
        leaves = [Tensor(a, requires_grad=True) for a in arrays]
        output, _, _ = lstm(*leaves, LENGTHS)
        g = np.ones(output.shape)
        g[padding] = fill
        output.backward(g)
        results.append([leaf.grad for leaf in leaves])
    for a, b in zip(*results, strict=True):
        assert a.tobytes() == b.tobytes()


def test_reverse_equals_flipping():
    arrays = operands()
    (y, h, c), grads = run(arrays, reverse=True)
    flipped = [arrays[0][:, ::-1], *arrays[1:]]
    outputs = lstm(*[Tensor(a) for a in flipped])
    np.testing.assert_array_equal(y, outputs[0].data[:, ::-1])
    np.testing.assert_array_equal(h, outputs[1].data)
    np.testing.assert_array_equal(c, outputs[2].data)
    np.testing.assert_array_equal(h, y[:, 0])
    assert np.isfinite(grads[0]).all()


def test_only_needed_gradients_are_computed():
    arrays = operands()
    full = run(arrays)[1]
    for k in range(7):
        leaves = [Tensor(a, requires_grad=j == k) for j, a in enumerate(arrays)]
        outputs = lstm(*leaves)
        rng = np.random.default_rng(99)
        sum((y * rng.standard_normal(y.shape)).sum() for y in outputs).backward()
        np.testing.assert_array_equal(leaves[k].grad, full[k])
        assert all(leaf.grad is None for j, leaf in enumerate(leaves) if j != k)


def test_one_used_output_is_enough():
    leaves = [Tensor(a, requires_grad=True) for a in operands()]
    lstm(*leaves)[2].sum().backward()
    assert all(leaf.grad is not None for leaf in leaves)


def test_the_kernel_walks_back_once():
    outputs, backward = lstm.kernel(*operands())
    grads = [np.ones_like(y) for y in outputs]
    backward(grads)
    assert all((g == 1).all() for g in grads)
    with pytest.raises(RuntimeError, match="once"):
        backward(grads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_dtype_out(dtype):
    outputs, grads = run(operands(dtype=dtype), LENGTHS)
    assert {a.dtype for a in outputs + grads} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({0: np.zeros((B, T))}, ValueError, r"expected x of shape \(B, T, I=3\), got \(5, 7\)"),
        ({0: np.zeros((B, T, 4))}, ValueError, "got \\(5, 7, 4\\); the batch comes first"),
        ({1: np.zeros((B, 3))}, ValueError, r"expected h0 of shape \(5, 2\), got \(5, 3\)"),
        ({2: np.zeros((T, H))}, ValueError, r"expected c0 of shape \(5, 2\), got \(7, 2\)"),
        ({3: np.zeros((6, IN))}, ValueError, r"expected w_ih of shape \(8, 3\)"),
        ({4: np.zeros((6, H))}, ValueError, r"expected w_hh of shape \(8, 2\)"),
        ({5: np.zeros(6)}, ValueError, r"expected b_ih of shape \(8,\)"),
        ({6: np.zeros((8, 1))}, ValueError, r"expected b_hh of shape \(8,\)"),
        ({7: [1.0] * B}, TypeError, "integer lengths, got float64"),
        ({7: [1] * T}, ValueError, r"lengths of shape \(B=5,\), got \(7,\)"),
        ({7: [1, 2, 3, 8, 1]}, ValueError, "lengths from 0 to T=7, got 1 to 8"),
        ({7: [1, -2, 3, 4, 1]}, ValueError, "lengths from 0 to T=7, got -2 to 4"),
    ],
)
def test_errors_of_the_operation(change, error, message):
    arguments = [*operands(), None]
    for position, value in change.items():
        arguments[position] = value
    with pytest.raises(error, match=message):
        lstm(*arguments)


# The module


def golden(case):
    with np.load(GOLDEN) as file:
        return {k.partition("/")[2]: file[k] for k in file.files if k.startswith(f"{case}/")}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("case", "options"), [("one_layer", (3, 5)), ("two_layers_both_directions", (3, 2, 2, True))]
)
def test_agrees_with_pytorch(case, options, ragged, dtype, tolerance):
    arrays = golden(case)
    if ragged:  # the inputs are the same, the results replace the others
        arrays |= golden(f"{case}_ragged")
    prefix = "parameter."
    module = LSTM(*options).astype(dtype)
    state = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    assert list(module.state_dict()) == list(state)
    module.load_state_dict(state)
    x, h0, c0 = (Tensor(arrays[k], requires_grad=True, dtype=dtype) for k in ("x", "h0", "c0"))
    output, (h, c) = module(x, lengths=(4, 7, 1, 6, 2) if ragged else None, state=(h0, c0))
    results = {"output": output, "h": h, "c": c}
    total = sum((y * arrays[f"upstream.{k}"]).sum() for k, y in results.items())
    total.backward()
    found = {k: y.data for k, y in results.items()}
    found |= {f"grad.{k}": leaf.grad for k, leaf in (("x", x), ("h0", h0), ("c0", c0))}
    found |= {f"grad.parameter.{k}": p.grad for k, p in module.named_parameters()}
    for name, array in found.items():
        assert array.dtype == dtype
        np.testing.assert_allclose(
            array, arrays[name], rtol=tolerance, atol=tolerance, err_msg=name
        )


def test_initial_values():
    module = LSTM(7, 41, rng=np.random.default_rng(0))
    bound = 1 / np.sqrt(41)
    forget = slice(41, 82)
    np.testing.assert_array_equal(module.bias_ih_l0.data[forget], 1)
    np.testing.assert_array_equal(module.bias_hh_l0.data[forget], 0)
    others = np.delete(module.bias_ih_l0.data, np.arange(41, 82))
    for values in (module.weight_ih_l0.data, module.weight_hh_l0.data, others):
        assert abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.15)
    again = LSTM(7, 41, rng=np.random.default_rng(0))
    for a, b in zip(module.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes_are_pytorchs(bidirectional):
    directions = 1 + bidirectional
    module = LSTM(IN, H, num_layers=3, bidirectional=bidirectional)
    output, (h, c) = module(np.zeros((B, T, IN), np.float32))
    assert output.shape == (B, T, directions * H)
    assert h.shape == c.shape == (3 * directions, B, H)


def test_gradcheck_of_the_module():
    module = LSTM(IN, H, num_layers=2, bidirectional=True, rng=np.random.default_rng(1))
    x, state = operands()[0], np.random.default_rng(2).standard_normal((2, 4, B, H))

    def outputs(x, h0, c0):
        output, (h, c) = module(x, LENGTHS, (h0, c0))
        return output, h, c

    assert gradcheck(module, Tensor(x, requires_grad=True), max_elements=7)
    module.astype(np.float64)
    assert gradcheck(outputs, x, state[0], state[1], max_elements=29)


def test_state_carried_over_equals_the_whole_sequence():
    module = LSTM(IN, H, num_layers=2, rng=np.random.default_rng(3)).astype(np.float64)
    x = operands()[0]
    whole, (h, c) = module(x)
    first, state = module(x[:, :3])
    second, (h2, c2) = module(x[:, 3:], state=state)
    np.testing.assert_allclose(whole.data, np.concatenate([first.data, second.data], 1), rtol=1e-12)
    np.testing.assert_allclose(h.data, h2.data, rtol=1e-12)
    np.testing.assert_allclose(c.data, c2.data, rtol=1e-12)
    steps, state = [], None
    for t in range(T):
        y, state = module(x[:, t : t + 1], state=state)
        steps.append(y.data)
    np.testing.assert_allclose(whole.data, np.concatenate(steps, 1), rtol=1e-12)


def test_gradient_flows_through_the_carried_state_until_detached():
    module = LSTM(IN, H, rng=np.random.default_rng(3))
    x = Tensor(operands(dtype=np.float32)[0], requires_grad=True)
    _, (h, c) = module(x[:, :3])
    module(x[:, 3:].detach(), state=(h, c))[0].sum().backward()
    assert x.grad[:, :3].any()
    x.grad = None
    _, (h, c) = module(x[:, :3])
    module(x[:, 3:].detach(), state=(h.detach(), c.detach()))[0].sum().backward()
    assert x.grad is None


def test_dropout_acts_between_layers_in_training_only():
    module = LSTM(IN, 53, num_layers=2, dropout=0.5, rng=np.random.default_rng(4))
    x = operands(dtype=np.float32)[0]
    plain = module(x)[0].data
    np.testing.assert_array_equal(plain, module(x)[0].data)
    with train_mode(np.random.default_rng(5)):
        dropped, (h, _) = module(x)
    assert not np.array_equal(plain, dropped.data)
    np.testing.assert_array_equal(h.data[0], module(x)[1][0].data[0])  # the first layer has none
    assert (dropped.data != 0).all()  # nor the output of the last
    with train_mode(np.random.default_rng(5)):
        np.testing.assert_array_equal(module(x)[0].data, dropped.data)


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_padding_of_the_module_changes_no_bit(poison):
    module = LSTM(
        IN, H, num_layers=2, bidirectional=True, dropout=0.3, rng=np.random.default_rng(6)
    )
    results = []
    for fill in (0, poison):
        data = operands(dtype=np.float32)[0]
        data[np.arange(T) >= LENGTHS[:, None]] = fill
        x = Tensor(data, requires_grad=True)
        with train_mode(np.random.default_rng(7)):
            output, (h, c) = module(x, LENGTHS)
        (output.sum() + h.sum() + c.sum()).backward()
        results.append(
            [output.data, h.data, c.data, x.grad] + [p.grad for p in module.parameters()]
        )
        for p in module.parameters():
            p.grad = None
    for a, b in zip(*results, strict=True):
        assert np.isfinite(a).all()
        assert a.tobytes() == b.tobytes()


def test_no_grad_records_nothing():
    with no_grad():
        output, (h, _) = LSTM(IN, H)(np.zeros((B, T, IN), np.float32))
    assert not output.requires_grad
    assert not h.requires_grad


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_size": 0}, "input_size >= 1, got 0"),
        ({"hidden_size": -1}, "hidden_size >= 1, got -1"),
        ({"num_layers": 0}, "num_layers >= 1, got 0"),
        ({"num_layers": 2, "dropout": 1.0}, "0 <= dropout < 1, got 1.0"),
        ({"dropout": 0.1}, "acts between layers, and there is only one"),
    ],
)
def test_errors_of_the_constructor(options, message):
    with pytest.raises(ValueError, match=message):
        LSTM(**({"input_size": IN, "hidden_size": H} | options))


def test_errors_of_the_module():
    module = LSTM(IN, H, num_layers=2)
    x, zeros = np.zeros((B, T, IN), np.float32), np.zeros((2, B, H), np.float32)
    with pytest.raises(ValueError, match=r"x of shape \(B, T, input_size=3\), got \(5, 7\)"):
        module(x[:, :, 0])
    with pytest.raises(
        ValueError, match="h of the state to have shape .* = \\(2, 5, 2\\), got \\(1"
    ):
        module(x, state=(zeros[:1], zeros))
    with pytest.raises(ValueError, match="c of the state"):
        module(x, state=(zeros, zeros[:, :3]))
    with pytest.raises(TypeError, match="pair \\(h, c\\), got ndarray"):
        module(x, state=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="lengths from 0 to T=7"):
        module(x, lengths=[9] * B)
