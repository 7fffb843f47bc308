"""Several batches in one step are the step of all of them in one batch."""

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Tensor, optim
from foundation_nn import functional as F
from foundation_nn.training import FailedStep, Trainer

ROWS = np.random.default_rng(5).standard_normal((17, 3))


def square(model, rows):
    """A mean over the rows, which differ in number from batch to batch."""
    y = model(Tensor(rows))
    return (y * y).sum() / max(1, len(rows)), len(rows)


def fit(batches, accumulate, dtype=np.float64, **limits):
    model = MLP([3, 5, 1], rng=np.random.default_rng(0)).astype(dtype)
    trainer = Trainer(
        model, square, optim.Adam(model, lr=0.05), accumulate=accumulate, clip_norm=0.01
    )
    trainer.fit([rows.astype(dtype) for rows in batches], **limits)
    return trainer


@pytest.mark.parametrize("cuts", [[2, 5], [1, 2, 3], [16], [0, 4], [4, 4, 11]])
def test_unequal_parts_are_weighed_by_their_targets(cuts):
    parts = np.split(ROWS, cuts)
    whole = fit([ROWS], 1, max_steps=7)
    split = fit(parts, len(parts), max_steps=7)
    for a, b in zip(whole.history.steps, split.history.steps, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-12, abs=0)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-12, abs=0)
        assert (a.tokens, a.clipped) == (b.tokens, b.clipped) == (17, True)
    for name, value in whole.model.state_dict().items():
        np.testing.assert_allclose(split.model.state_dict()[name], value, rtol=0, atol=1e-12)


def test_a_gradient_by_hand():
    # y = w x, the loss is y; batches of 1 and 3 rows: dw = (2 + 3 · 6) / 4
    model = Linear(1, 1, bias=False).astype(np.float64)
    before = model.weight.data.copy()

    def loss(model, rows):
        return model(Tensor(rows)).mean(), len(rows)

    trainer = Trainer(model, loss, optim.SGD(model, lr=1.0), accumulate=2)
    batches = [np.array([[2.0]]), np.array([[5.0], [6.0], [7.0]])]
    trainer.fit(batches, max_epochs=1)
    assert model.weight.data - before == pytest.approx(-5)
    assert trainer.history.steps[0].loss == pytest.approx(before.item() * 5)


def test_the_last_step_of_an_epoch_takes_what_is_left():
    trainer = fit(np.split(ROWS, [3, 6, 9, 12]), 2, max_epochs=2)
    assert [s.tokens for s in trainer.history.steps] == [6, 6, 5] * 2
    assert trainer.planned_steps == trainer.steps == 6


def test_a_batch_without_targets_among_others_has_no_say():
    def loss(model, rows):
        if not len(rows):
            return model(Tensor(np.zeros((1, 3)))).mean() * 7, 0
        return square(model, rows)

    def one(batches):
        model = MLP([3, 1], rng=np.random.default_rng(0)).astype(np.float64)
        trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), accumulate=len(batches))
        trainer.fit(batches, max_steps=1)
        return trainer.history.steps[0].loss, next(iter(model.parameters())).data

    (a, wa), (b, wb) = one([ROWS]), one([ROWS, ROWS[:0]])
    assert a == pytest.approx(b, rel=1e-14)
    np.testing.assert_allclose(wa, wb, rtol=0, atol=1e-15)


def test_a_part_that_fails_is_found_among_the_others(tmp_path):
    bad = ROWS[:4].astype(np.float32).copy()
    bad[2, 1] = np.nan
    good = ROWS[:5].astype(np.float32)
    model = MLP([3, 1], rng=np.random.default_rng(0))
    trainer = Trainer(model, square, optim.SGD(model, lr=0.1), accumulate=3, folder=tmp_path)
    with pytest.raises(FloatingPointError, match="step 1: the loss is nan"):
        trainer.fit([good, bad, good], max_steps=1)
    np.testing.assert_array_equal(FailedStep.load(tmp_path / "failed_step_1").batch, bad)


def test_a_part_whose_gradient_alone_fails_is_found(tmp_path):
    def loss(model, rows):  # a root has no slope at zero
        return F.relu(model(Tensor(rows)) * float(rows[0, 0])).sum().sqrt(), len(rows)

    good, bad = np.ones((2, 1), np.float32), np.zeros((3, 1), np.float32)
    model = Linear(1, 1)
    model.weight.data = [[1.0]]
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), accumulate=3, folder=tmp_path)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="its gradient is not"):
        trainer.fit([good, bad, good], max_steps=1)
    np.testing.assert_array_equal(FailedStep.load(tmp_path / "failed_step_1").batch, bad)


def test_zero_batches_a_step_are_refused():
    model = Linear(1, 1)
    with pytest.raises(ValueError, match="Trainer: expected accumulate >= 1, got 0"):
        Trainer(model, square, optim.SGD(model, lr=0.1), accumulate=0)
