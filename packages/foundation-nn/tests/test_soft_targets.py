"""Cross-entropy with probabilities as targets."""

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F

LOGITS = np.log([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]])
SOFT = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])


def test_two_rows_by_hand():
    loss = F.cross_entropy(Tensor(LOGITS), SOFT)
    first = 0.5 * np.log(2) + 0.5 * np.log(4)
    second = -0.25 * np.log(0.3) + 0.75 * np.log(2)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-12)
    each = F.cross_entropy(Tensor(LOGITS), SOFT, reduction="none")
    np.testing.assert_allclose(each.data, [first, second], rtol=1e-12)
    assert F.cross_entropy(Tensor(LOGITS), SOFT, reduction="sum").item() == first + second


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_hot_rows_are_classes(smoothing, reduction, rng):
    logits, ids = rng.standard_normal((2, 3, 7)), rng.integers(0, 7, (2, 3))
    gradients, losses = [], []
    for targets in (ids, np.eye(7)[ids]):
        z = Tensor(logits, requires_grad=True)
        loss = F.cross_entropy(z, targets, None, smoothing, reduction=reduction)
        loss.backward(np.ones(loss.shape))
        gradients.append(z.grad)
        losses.append(loss.data)
    np.testing.assert_allclose(*losses, rtol=1e-12)
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-15)


def test_many_rows_are_cut_into_blocks(rng):
    logits = rng.standard_normal((1009, 211)).astype(np.float32)
    soft = rng.dirichlet(np.ones(211), 1009).astype(np.float32)
    z = Tensor(logits, requires_grad=True)
    loss = F.cross_entropy(z, soft)
    loss.backward()
    p = np.exp(logits.astype(float))
    p /= p.sum(1, keepdims=True)
    assert loss.item() == pytest.approx(-(soft * np.log(p)).sum() / 1009, rel=1e-6)
    np.testing.assert_allclose(z.grad, (p * soft.sum(1, keepdims=True) - soft) / 1009, atol=1e-9)
    assert z.grad.dtype == loss.dtype == np.float32


def test_rows_of_zeros_cost_nothing_and_are_counted():
    soft = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    z = Tensor(LOGITS, requires_grad=True)
    loss = F.cross_entropy(z, soft)
    loss.backward()
    assert loss.item() == pytest.approx((0.5 * np.log(2) + 0.5 * np.log(4)) / 2)
    assert not z.grad[1].any()


def test_a_class_without_probability_may_be_impossible():
    z = Tensor([[0.0, 0.0, -np.inf]], requires_grad=True)
    loss = F.cross_entropy(z, np.array([[0.25, 0.75, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    np.testing.assert_allclose(z.grad, [[0.25, -0.25, 0]], atol=1e-7)


def test_targets_are_kept_as_they_were_and_may_be_a_tensor():
    soft = SOFT.copy()
    assert gradcheck(lambda z: F.cross_entropy(z, Tensor(soft)), LOGITS)
    z = Tensor(LOGITS, requires_grad=True)
    loss = F.cross_entropy(z, soft)
    soft[:] = 0
    loss.backward()
    np.testing.assert_allclose(z.grad, (np.exp(LOGITS) - SOFT) / 2, atol=1e-15)


@pytest.mark.parametrize(
    ("targets", "options", "error", "message"),
    [
        (SOFT[:, :2], {}, ValueError, r"expected probabilities of shape \(2, 3\).*got \(2, 2\)"),
        (-SOFT, {}, ValueError, r"expected probabilities >= 0, got -0.5 in row 0; .* by softmax"),
        (SOFT * np.nan, {}, ValueError, r"expected probabilities >= 0, got nan in row 0"),
        (SOFT.astype(int), {}, ValueError, r"write targets\.astype\(np\.float32\)"),
        (SOFT > 0, {}, TypeError, r"expected integer targets of shape \(2,\), or prob.* got bool"),
        (
            SOFT,
            {"ignore_index": 0},
            ValueError,
            r"cross_entropy\(logits\[real\], targets\[real\]\)",
        ),
        (Tensor(SOFT, requires_grad=True), {}, TypeError, r"are constants.*targets\.detach\(\)"),
    ],
)
def test_what_does_not_fit_is_refused(targets, options, error, message):
    with pytest.raises(error, match=f"^cross_entropy: .*{message}"):
        F.cross_entropy(Tensor(LOGITS), targets, **options)
