"""The learning-rate range test against the recursion that it is."""

import math

import numpy as np
import pytest
from foundation_nn import Linear, Tensor, optim
from foundation_nn.plotting import plot_range_test
from foundation_nn.training import find_lr

ONES = [np.ones((1, 1), np.float64)] * 3


def half_square(model, batch):
    w = model(Tensor(batch))
    return (w * w).mean() / 2, len(batch)


def line(start=2.0):
    model = Linear(1, 1, bias=False, rng=np.random.default_rng(0)).astype(np.float64)
    model.load_state_dict({"weight": np.full((1, 1), start)})
    return model


def by_hand(w, lowest, highest, steps):
    """w <- (1 - lr) w, until the mean is three times its smallest value."""
    lrs, losses, smoothed = [], [], []
    weights = []
    for step in range(steps):
        lr = lowest * (highest / lowest) ** (step / (steps - 1))
        lrs.append(lr)
        losses.append(w * w / 2)
        weights = [0.9 * x for x in weights] + [0.1]
        smoothed.append(np.dot(weights, losses) / sum(weights))
        if smoothed[-1] > 3 * min(smoothed):
            break
        w -= lr * w
    return lrs, losses, smoothed


@pytest.mark.parametrize(("highest", "ends"), [(1.0, False), (1000.0, True)])
def test_it_is_the_recursion(highest, ends):
    model = line()
    optimizer = optim.SGD(model, 0.5)
    found = find_lr(model, half_square, optimizer, ONES, lowest=0.01, highest=highest, steps=20)
    lrs, losses, smoothed = by_hand(2.0, 0.01, highest, 20)
    assert (len(lrs) < 20) == ends
    np.testing.assert_allclose(found.lrs, lrs, rtol=1e-12)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-12)
    np.testing.assert_allclose(found.smoothed, smoothed, rtol=1e-12)
    assert found.suggestion == lrs[int(np.argmin(smoothed))] / 10


def test_nothing_of_the_caller_changes():
    model = line()
    optimizer = optim.AdamW(model, 0.5)
    rng = np.random.default_rng(1)
    find_lr(model, half_square, optimizer, ONES, steps=5, rng=rng)
    assert model.weight.data.tolist() == [[2.0]]
    assert (optimizer.lr, optimizer.steps) == (0.5, 0)
    assert rng.random() == np.random.default_rng(1).random()


def test_what_cannot_be_tested_is_refused():
    model = line()
    optimizer = optim.SGD(model, 0.5)
    with pytest.raises(ValueError, match="an epoch without a single batch"):
        find_lr(model, half_square, optimizer, [])
    with pytest.raises(ValueError, match="highest"):
        find_lr(model, half_square, optimizer, ONES, lowest=1.0, highest=0.1)
    lost = line(math.nan)
    with pytest.raises(ValueError, match="not finite before the first step"):
        find_lr(lost, half_square, optim.SGD(lost, 0.5), ONES)


def test_a_rate_at_which_all_is_lost_ends_it():
    model = line()
    found = find_lr(
        model, half_square, optim.SGD(model, 1.0), ONES, lowest=1e-3, highest=1e300, steps=9
    )
    assert len(found.lrs) < 9
    assert all(map(math.isfinite, found.losses))


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    model = line()
    found = find_lr(model, half_square, optim.SGD(model, 1.0), ONES, lowest=1e-3, highest=10.0)
    plot_range_test(found, tmp_path / "find_lr.png")
    assert (tmp_path / "find_lr.png").read_bytes().startswith(b"\x89PNG")
