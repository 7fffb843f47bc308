"""Class weights of the cross-entropy, and the initialisers that came with them."""

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F

LOGITS = np.log([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]])


def test_two_rows_by_hand():
    weight = np.array([1.0, 2.0, 3.0])
    loss = F.cross_entropy(Tensor(LOGITS), np.array([1, 0]), weight=weight)
    # (2 log 4 + 1 log 5) / (2 + 1)
    assert loss.item() == pytest.approx((2 * np.log(4) + np.log(5)) / 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore", [None, 2])
def test_it_is_the_weighted_sum_of_log_probabilities(smoothing, ignore, rng):
    logits, weight = rng.standard_normal((7, 5)), rng.random(5)
    targets = np.array([0, 1, 2, 3, 4, 2, 0])
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    q = (1 - smoothing) * np.eye(5)[targets] + smoothing / 5
    counts = np.ones(7) if ignore is None else (targets != ignore).astype(float)
    expected = -(counts[:, None] * q * weight * log_p).sum() / (counts * weight[targets]).sum()
    options = {"ignore_index": ignore, "label_smoothing": smoothing, "weight": weight}
    assert F.cross_entropy(Tensor(logits), targets, **options).item() == pytest.approx(expected)
    assert gradcheck(lambda x: F.cross_entropy(x, targets, **options), logits)


def test_equal_weights_change_nothing(rng):
    logits, targets = rng.standard_normal((7, 5)), rng.integers(0, 5, 7)
    plain = F.cross_entropy(Tensor(logits), targets, label_smoothing=0.1).item()
    weighted = F.cross_entropy(
        Tensor(logits), targets, label_smoothing=0.1, weight=np.full(5, 7.0)
    ).item()
    assert weighted == pytest.approx(plain, rel=1e-12)


def test_targets_without_weight_give_zero():
    loss = F.cross_entropy(Tensor(LOGITS), np.array([0, 0]), weight=np.array([0.0, 1.0, 1.0]))
    assert loss.item() == 0


@pytest.mark.parametrize("weight", [[1.0, 2.0], [1.0, -1.0, 1.0], [np.nan, 1.0, 1.0]])
def test_weights_that_do_not_fit_are_refused(weight):
    with pytest.raises(ValueError, match=r"expected weights >= 0 and finite of shape \(3,\)"):
        F.cross_entropy(Tensor(LOGITS), np.array([0, 1]), weight=weight)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_of_weight_0_does_not_count_even_if_it_is_impossible(smoothing):
    """q log p is 0 where q is, also where log p is -∞: the loss is that of the other classes."""
    weight = np.array([1.0, 2.0, 0.0])
    z = np.array([[0.5, 1.0, -np.inf], [0.5, 1.0, -np.inf]])
    logits = Tensor(z, requires_grad=True)
    losses = F.cross_entropy(
        logits, [2, 1], weight=weight, label_smoothing=smoothing, reduction="none"
    )
    log_p = z[0, :2] - np.log(np.exp(z[0, :2]).sum())
    spread = -smoothing / 3 * (weight[:2] * log_p).sum()
    expected = [spread, spread - (1 - smoothing) * weight[1] * log_p[1]]
    np.testing.assert_allclose(losses.data, expected, rtol=1e-12)
    losses.sum().backward()
    assert np.isfinite(logits.grad).all()
    np.testing.assert_allclose(logits.grad.sum(axis=-1), 0, atol=1e-12)
