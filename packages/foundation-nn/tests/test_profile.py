"""The time by operation. What is tested is the counting, never the speed."""

import numpy as np
import pytest
from foundation_nn import MLP, Tanh, Tensor
from foundation_nn import functional as F
from foundation_nn.inspection._flops import count_flops
from foundation_nn.inspection._profile import OperationTime, Profile, profile

X = np.ones((5, 2), np.float32)


def loss(model, batch):
    return F.mse_loss(model(batch), np.ones((5, 1), np.float32)), len(batch)


def test_calls_and_flops_of_one_run(rng):
    result = profile(loss, MLP([2, 3, 7, 1], Tanh, rng=rng), X, repeat=2)
    assert {row.operation: row.calls for row in result} == {"linear": 3, "tanh": 2, "mse_loss": 1}
    forward = 2 * 5 * (2 * 3 + 3 * 7 + 7 * 1)
    # dW for each layer, dX for all but the first
    assert result["linear"].flops == 2 * forward + forward - 2 * 5 * (2 * 3)
    assert result["tanh"].flops == 0
    for row in result:
        assert row.forward > 0
        assert row.backward > 0
    assert result.rows[0].seconds == max(row.seconds for row in result)
    assert result.peak > 0
    assert result.seconds > 0


def test_a_forward_pass_alone(rng):
    model = MLP([2, 3], rng=rng)
    result = profile(model, X, backward=False, repeat=1)
    assert result["linear"].flops == 2 * 5 * 2 * 3
    assert result["linear"].backward == 0
    assert all(p.grad is None for p in model.parameters())


def test_what_it_prints():
    rows = (
        OperationTime("linear", 3, 0.002, 0.004, 600_000_000),
        OperationTime("tanh", 2, 0.001, 0.001, 0),
    )
    lines = str(Profile(rows, seconds=0.010, peak=2e11)).splitlines()
    assert lines[0].split("  ")[0] == "operation"
    assert lines[0].endswith("calls  forward ms  backward ms  share  GFLOP/s  of peak")
    assert lines[1].split() == ["linear", "3", "2.000", "4.000", "60.0%", "100.0", "50%"]
    assert lines[2].split() == ["tanh", "2", "1.000", "1.000", "20.0%"]
    assert lines[3].split() == ["all", "operations", "5", "3.000", "5.000", "80.0%"]
    assert lines[4].startswith("one run: 10.000 ms; ")
    assert lines[4].endswith("200.0 GFLOP/s")


def test_bad_input(rng):
    with pytest.raises(ValueError, match="repeat >= 1, got 0"):
        profile(MLP([2, 3], rng=rng), X, repeat=0)
    with pytest.raises(TypeError, match="profile: expected a function that returns a tensor"):
        profile(lambda: "nothing")
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        profile(F.tanh, Tensor(X))


@pytest.mark.parametrize(
    ("x", "y", "flops"),
    [
        ((2, 3), (3, 5), 60),
        ((3,), (3,), 6),
        ((7, 2, 3), (3, 5), 7 * 60),
        ((3,), (7, 3, 5), 7 * 2 * 3 * 5),
        ((7, 1, 2, 3), (11, 3, 5), 77 * 60),
        ((2, 3), (3,), 12),
    ],
)
def test_flops_of_matmul(x, y, flops):
    assert count_flops(F.matmul.kernel, [np.ones(x), np.ones(y)]) == (flops, (flops, flops))


def test_flops_of_linear():
    x, weight, bias = np.ones((2, 3, 5)), np.ones((7, 5)), np.ones(7)
    assert count_flops(F.linear.kernel, [x, weight, bias]) == (420, (420, 420, 0))
    assert count_flops(F.linear.kernel, [x, weight, None]).forward == 420
    assert count_flops(F.tanh.kernel, [x]) == (0, (0,))
