"""The edges of the domain, and what lies beyond."""

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F


@pytest.mark.parametrize(("rows", "width", "out"), [(3, 0, 2), (3, 4, 0), (0, 4, 2), (0, 0, 0)])
def test_linear_over_axes_of_length_zero(rows, width, out):
    x = Tensor(np.ones((rows, width)), requires_grad=True)
    w = Tensor(np.ones((out, width)), requires_grad=True)
    b = Tensor(np.full(out, 7.0), requires_grad=True)
    y = F.linear(x, w, b)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, np.full((rows, out), 7.0 + width))
    np.testing.assert_array_equal(x.grad, np.full((rows, width), float(out)))
    np.testing.assert_array_equal(w.grad, np.full((out, width), float(rows)))
    np.testing.assert_array_equal(b.grad, np.full(out, float(rows)))


def test_the_zeroth_power_is_flat_everywhere():
    x = Tensor([0.0, 1.0, -2.0], requires_grad=True)
    y = x**0
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "values", "slopes"),
    [
        (F.relu, [0, 0, 100, 1e30], [0, 0, 1, 1]),
        (F.tanh, [-1, -1, 1, 1], [0, 0, 0, 0]),
        (F.sigmoid, [0, 0, 1, 1], [0, 0, 0, 0]),
        (F.silu, [0, 0, 100, 1e30], [0, 0, 1, 1]),
        (F.gelu, [0, 0, 100, 1e30], [0, 0, 1, 1]),
        (lambda x: F.gelu(x, "tanh"), [0, 0, 100, 1e30], [0, 0, 1, 1]),
    ],
    ids=["relu", "tanh", "sigmoid", "silu", "gelu", "gelu by tanh"],
)
def test_activations_far_out_neither_overflow_nor_warn(function, values, slopes, dtype):
    x = Tensor(np.array([-1e30, -100, 100, 1e30], dtype), requires_grad=True)
    y = function(x)
    y.sum().backward()
    np.testing.assert_allclose(y.data, values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(x.grad, slopes, rtol=1e-6, atol=1e-7)


def test_sigmoid_keeps_its_digits_where_it_is_small():
    x = np.array([-700.0, -80.0, -30.0, -1.0])
    np.testing.assert_allclose(F.sigmoid(Tensor(x)).data, np.exp(x) / (1 + np.exp(x)), rtol=1e-14)


def test_softmax_does_not_care_about_a_common_shift():
    x = np.array([[1.0, 2.0, 4.0]])
    for shift in (-1e6, 1e6):
        for function in (F.softmax, F.log_softmax):
            shifted = function(Tensor(x + shift)).data
            np.testing.assert_allclose(shifted, function(Tensor(x)).data, rtol=1e-9)


def test_losses_far_from_the_target_stay_finite():
    logits = Tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = F.cross_entropy(logits, np.array([0, 0]))
    loss.backward()
    assert loss.item() == 1e4  # the mean of 0 and 2e4
    np.testing.assert_array_equal(logits.grad, [[0, 0], [-0.5, 0.5]])
    x = Tensor([1e4, -1e4], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, [0.0, 0.0])
    loss.backward()
    assert loss.item() == 5e3
    np.testing.assert_allclose(x.grad, [0.5, 0], atol=1e-30)


def test_cross_entropy_by_hand():
    # p = (¼, ¾): -log ¾ and -log ¼, and half of each under full smoothing of two classes.
    logits = Tensor(np.log([[1.0, 3.0], [1.0, 3.0]]), requires_grad=True)
    loss = F.cross_entropy(logits, np.array([1, 0], np.uint8))
    loss.backward()
    np.testing.assert_allclose(loss.item(), -np.log(3 / 16) / 2, rtol=1e-14)
    np.testing.assert_allclose(logits.grad, [[0.125, -0.125], [-0.375, 0.375]], rtol=1e-14)


def test_cross_entropy_of_nothing_that_counts_is_zero():
    for targets in (np.full((2, 3), -100), np.zeros((0, 3), int)):
        logits = Tensor(np.ones((*targets.shape, 7)), requires_grad=True)
        loss = F.cross_entropy(logits, targets, ignore_index=-100)
        loss.backward()
        assert loss.item() == 0
        np.testing.assert_array_equal(logits.grad, np.zeros(logits.shape))


ONES = {n: Tensor(np.ones(n)) for n in (3, 5, 7)}
MATRIX, EMPTY = Tensor(np.ones((2, 5))), Tensor(np.ones((3, 0)))
IDS = np.array([0, 1])
REFUSED = [
    (
        lambda: F.linear(MATRIX, Tensor(np.ones((3, 7)))),
        ValueError,
        r"linear: .*in=7.*got \(2, 5\)",
    ),
    (lambda: F.linear(MATRIX, ONES[5]), ValueError, r"linear: .* got \(2, 5\)"),
    (lambda: F.linear(Tensor(np.float64(1)), MATRIX), ValueError, r"linear: .* got \(\)"),
    (lambda: F.linear(MATRIX, MATRIX, ONES[5]), ValueError, r"bias of shape \(2,\), got \(5,\)"),
    (
        lambda: F.layer_norm(MATRIX, ONES[3]),
        ValueError,
        r"layer_norm: .*weight .*\(5,\).*got \(3,\)",
    ),
    (lambda: F.layer_norm(MATRIX, bias=ONES[3]), ValueError, r"expected bias of shape \(5,\)"),
    (lambda: F.layer_norm(EMPTY), ValueError, "layer_norm: .*nothing to normalise"),
    (lambda: F.rms_norm(MATRIX, ONES[7]), ValueError, r"rms_norm: expected weight of shape \(5,\)"),
    (lambda: F.rms_norm(EMPTY), ValueError, "rms_norm: .*nothing to normalise"),
    (lambda: F.softmax(EMPTY), ValueError, r"softmax: axis -1 of shape \(3, 0\)"),
    (
        lambda: F.log_softmax(Tensor(1.0)),
        ValueError,
        r"log_softmax: axis -1 does not exist",
    ),
    (lambda: F.gelu(MATRIX, "erf"), ValueError, 'approximate is "none" or "tanh", got \'erf\''),
    (lambda: F.embedding([0.0], MATRIX), TypeError, "embedding: expected integer ids, got float64"),
    (lambda: F.embedding([1, 2], MATRIX), ValueError, r"id 2 lies outside .*2 rows \(ids 0..1\)"),
    (lambda: F.embedding([-1], MATRIX), ValueError, "embedding: id -1 lies outside"),
    (
        lambda: F.cross_entropy(MATRIX, IDS * 1.0),
        TypeError,
        r"expected integer targets of shape \(2,\), or probabilities of shape \(2, 5\), got fl",
    ),
    (lambda: F.cross_entropy(MATRIX, IDS[:1]), ValueError, r"targets of shape \(2,\) .*got \(1,\)"),
    (
        lambda: F.cross_entropy(MATRIX, IDS + 4),
        ValueError,
        r"target 5 lies .*0\.\.4; .*ignore_index",
    ),
    (lambda: F.cross_entropy(MATRIX, IDS - 1), ValueError, "target -1 lies outside the 5 classes"),
    (
        lambda: F.cross_entropy(MATRIX, IDS, None, 1.0),
        ValueError,
        "0 <= label_smoothing < 1, got 1",
    ),
    (lambda: F.cross_entropy(EMPTY, IDS), ValueError, r"targets of shape \(3,\)"),
    (lambda: F.cross_entropy(EMPTY, np.zeros(3, int)), ValueError, "at least one class, got shape"),
    (lambda: F.cross_entropy(Tensor(1.0), np.array(0)), ValueError, "cross_entropy: expected"),
    (
        lambda: F.mse_loss(MATRIX, ONES[5]),
        ValueError,
        r"mse_loss: .*\(2, 5\).*got \(5,\).*broadcast",
    ),
    (lambda: F.mse_loss(EMPTY, EMPTY), ValueError, "mse_loss: nothing to average"),
    (
        lambda: F.binary_cross_entropy_with_logits(ONES[3], [0.0, 0.5, 1.5]),
        ValueError,
        r"expected targets in \[0, 1\], got \[0.0, 1.5\]",
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(ONES[3], ONES[5]),
        ValueError,
        r"binary_cross_entropy_with_logits: expected a target of shape \(3,\)",
    ),
    (lambda: F.where([1, 0], 1.0, ONES[3]), TypeError, "expected a boolean condition, got int"),
    (lambda: F.concat([]), ValueError, "concat: expected at least one tensor, got none"),
    (lambda: F.concat([MATRIX, ONES[5]]), ValueError, "concat: expected tensors with"),
    (lambda: F.concat([MATRIX, EMPTY]), ValueError, "must match exactly"),
    (lambda: F.stack([]), ValueError, "stack: expected at least one tensor, got none"),
    (lambda: F.stack([ONES[3], ONES[5]]), ValueError, "same shape"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_what_does_not_fit_is_refused_with_names_and_shapes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def gradient_of(function, values, dtype=np.float32):
    x = Tensor(np.array(values, dtype), requires_grad=True)
    y = function(x)
    y.sum().backward()
    return y.data, x.grad


@pytest.mark.parametrize("c", [1e4, 3e7, 1e30, -1e4])
def test_the_gradient_of_cross_entropy_is_right_for_large_logits(c):
    _, dz = gradient_of(lambda z: F.cross_entropy(z, np.array([0])), [[c, c, c - abs(c)]])
    np.testing.assert_allclose(dz, [[-0.5, 0.5, 0]], atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_an_offset_common_to_all_logits_changes_nothing(rng, offset, smoothing):
    logits = rng.integers(-9, 9, (5, 7)).astype(np.float64) / 2  # exact in float32 with the offset
    targets = np.arange(5)
    loss, dz = gradient_of(lambda z: F.cross_entropy(z, targets, None, smoothing), logits)
    for dtype in (np.float32, np.float64):
        moved, dmoved = gradient_of(
            lambda z: F.cross_entropy(z, targets, None, smoothing), logits + offset, dtype
        )
        np.testing.assert_allclose(moved, loss, rtol=1e-6)
        np.testing.assert_allclose(dmoved, dz, atol=1e-7)


@pytest.mark.parametrize("value", [110, 0.1, 1.1e6, -3e30])
@pytest.mark.parametrize("width", [3, 768, 1023])
def test_a_constant_row_has_no_deviation(value, width):
    y, dx = gradient_of(F.layer_norm, np.full((2, width), value))
    np.testing.assert_array_equal(y, np.zeros((2, width)))
    np.testing.assert_allclose(dx, np.zeros((2, width)), atol=1e-4)  # Σ dy is 0 but for rounding


@pytest.mark.parametrize("mean", [0, 1, 1e3, -1e3])
@pytest.mark.parametrize("width", [5, 64, 768])
def test_layer_norm_of_rows_with_a_large_mean_keeps_its_digits(rng, mean, width):
    x = (rng.standard_normal((7, width)) + mean).astype(np.float32)
    g = rng.standard_normal((7, width)).astype(np.float32)
    single, double = (Tensor(x.astype(d), requires_grad=True) for d in (np.float32, np.float64))
    for leaf in (single, double):
        y = F.layer_norm(leaf)
        y.backward(g)
        if leaf is single:
            ours = y.data
    np.testing.assert_allclose(ours, y.data, atol=1e-5)
    np.testing.assert_allclose(single.grad, double.grad, atol=1e-5)


@pytest.mark.parametrize("value", [110, 0.1, 1.1e6, -7.3])
@pytest.mark.parametrize("axis", [-1, 0, None, (0, 1)])
@pytest.mark.parametrize("function", [F.var, F.std])
def test_equal_numbers_have_no_spread_and_no_slope(function, axis, value):
    y, dx = gradient_of(lambda x: function(x, axis), np.full((29, 768), value))
    np.testing.assert_array_equal(y, np.zeros(y.shape))
    np.testing.assert_array_equal(dx, np.zeros((29, 768)))


@pytest.mark.parametrize("axis", [-1, 0, None])
def test_the_spread_about_a_large_mean_keeps_its_digits(rng, axis):
    x = (rng.standard_normal((29, 768)) + 1e4).astype(np.float32)
    for function in (F.var, F.std):
        single, slope = gradient_of(lambda x, f=function: f(x, axis), x)
        double, slope_in_double = gradient_of(lambda x, f=function: f(x, axis), x, np.float64)
        np.testing.assert_allclose(single, double, rtol=1e-5)
        np.testing.assert_allclose(slope, slope_in_double, atol=1e-6)


def test_softmax_of_the_largest_numbers_neither_overflows_nor_warns():
    y, dx = gradient_of(F.softmax, [[-3e38, 3e38, 0.0]])
    np.testing.assert_array_equal(y, [[0, 1, 0]])
    np.testing.assert_array_equal(dx, [[0, 0, 0]])


INFINITE = np.float32([-np.inf, -1e38, -100, 0, 100, 1e38, np.inf])


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (F.silu, [0, 0, 0, 0.5, 1, 1, 1]),
        (F.gelu, [0, 0, 0, 0.5, 1, 1, 1]),
        (lambda x: F.gelu(x, "tanh"), [0, 0, 0, 0.5, 1, 1, 1]),
        (F.relu, [0, 0, 0, 0, 1, 1, 1]),
    ],
    ids=["silu", "gelu", "gelu tanh", "relu"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_have_their_limits_at_infinity(function, slopes, dtype):
    y, dx = gradient_of(function, INFINITE, dtype)
    np.testing.assert_allclose(y, np.maximum(INFINITE, 0), atol=1e-38)
    np.testing.assert_allclose(dx, slopes, rtol=1e-6, atol=1e-38)


def test_sigmoid_at_infinity():
    y, dx = gradient_of(F.sigmoid, INFINITE)
    np.testing.assert_allclose(y, [0, 0, 0, 0.5, 1, 1, 1], atol=1e-38)
    np.testing.assert_allclose(dx, [0, 0, 0, 0.25, 0, 0, 0], atol=1e-38)


def test_relu_passes_the_gradient_where_its_input_is_nan():
    y, dx = gradient_of(F.relu, [np.nan, -1.0, 2.0])
    np.testing.assert_array_equal(y, [np.nan, 0, 2])
    np.testing.assert_array_equal(dx, [1, 0, 1])


@pytest.mark.parametrize(
    ("logit", "target", "loss"),
    [
        (np.inf, 0.0, np.inf),
        (np.inf, 1.0, 0.0),
        (np.inf, 0.5, np.inf),
        (-np.inf, 0.0, 0.0),
        (-np.inf, 1.0, np.inf),
        (1e38, 0.0, 1e38),
        (0.0, 1.0, np.log(2)),
    ],
)
def test_binary_cross_entropy_of_a_certain_answer(logit, target, loss):
    x = Tensor([logit], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(x, Tensor([target]))
    np.testing.assert_allclose(y.item(), loss, rtol=1e-6)
    y.backward()
    np.testing.assert_allclose(x.grad, 1 / (1 + np.exp(-np.float64([logit]))) - target)


def test_a_yes_of_no_importance_has_no_slope_where_it_is_impossible():
    x, target = Tensor([-np.inf, 0.0], requires_grad=True), Tensor([0.0, 1.0], requires_grad=True)
    y = F.binary_cross_entropy_with_logits(x, target, "none", pos_weight=0.0)
    np.testing.assert_array_equal(y.data, [0, 0])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0])
    np.testing.assert_allclose(target.grad, [0, -np.log(2)], rtol=1e-6)  # -log(1 - p) is in both


def test_targets_of_an_other_shape_are_refused_with_how_the_classes_must_lie():
    logits = Tensor(np.zeros((2, 7, 3)))  # (B, V, T), as in PyTorch
    message = r"targets of shape \(2, 7\) .*got \(2, 3\); the classes are the last axis.*swapaxes"
    with pytest.raises(ValueError, match=message):
        F.cross_entropy(logits, np.zeros((2, 3), int))
    assert F.cross_entropy(logits.swapaxes(1, -1), np.zeros((2, 3), int)).item() > 0
