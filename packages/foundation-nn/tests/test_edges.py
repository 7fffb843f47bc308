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
    (lambda: F.layer_norm(MATRIX, ONES[3]), ValueError, r"layer_norm: .*weight .*\(5,\).*got \(3,"),
    (lambda: F.layer_norm(MATRIX, bias=ONES[3]), ValueError, r"expected bias of shape \(5,\)"),
    (lambda: F.layer_norm(EMPTY), ValueError, "layer_norm: .*nothing to normalise"),
    (lambda: F.layer_norm(Tensor(1.0)), ValueError, "layer_norm: .*nothing to normalise"),
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
        "expected integer targets, got float64",
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
