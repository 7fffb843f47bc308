"""Values and gradients as PyTorch computes them; recorded by golden/record.py."""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F

with np.load(Path(__file__).parent / "golden" / "operations.npz") as file:
    GOLDEN = dict(file)

OPERATIONS = {
    "linear": F.linear,
    "linear_no_bias": F.linear,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "softmax": F.softmax,
    "softmax_axis_1": lambda x: F.softmax(x, axis=1),
    "log_softmax": F.log_softmax,
    "layer_norm": F.layer_norm,
    "layer_norm_plain": F.layer_norm,
    "rms_norm": F.rms_norm,
    "embedding": F.embedding,
    "cross_entropy": F.cross_entropy,
    "cross_entropy_ignoring": lambda z, t: F.cross_entropy(z, t, ignore_index=-100),
    "cross_entropy_smoothed": lambda z, t: F.cross_entropy(
        z, t, ignore_index=-100, label_smoothing=0.1
    ),
    "mse_loss": F.mse_loss,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
}


def test_every_recorded_case_is_compared():
    assert {name.split("/")[0] for name in GOLDEN} == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_value_and_gradients(name, dtype, tolerance):
    arrays = [GOLDEN[f"{name}/in{i}"] for i in range(3) if f"{name}/in{i}" in GOLDEN]
    inputs = [
        Tensor(a.astype(dtype), requires_grad=True) if a.dtype == float else a for a in arrays
    ]
    y = OPERATIONS[name](*inputs)
    y.backward(GOLDEN[f"{name}/g"])
    close = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(y.data, GOLDEN[f"{name}/out"], **close)
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    for i, x in enumerate(leaves):
        np.testing.assert_allclose(x.grad, GOLDEN[f"{name}/d{i}"], **close, err_msg=f"input {i}")
    assert f"{name}/d{len(leaves)}" not in GOLDEN
