"""Values and gradients as PyTorch computes them; recorded by golden/record.py."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F

with np.load(Path(__file__).parent / "golden" / "operations.npz") as file:
    GOLDEN = dict(file)

WEIGHT = GOLDEN["cross_entropy_weighted/weight"]
SOFT = GOLDEN["soft_cross_entropy_targets/in0"]
MASK = np.array([[True, False, True], [False, True, True]])
REDUCTIONS = ("mean", "sum", "none")
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
    "cross_entropy_weighted": lambda z, t: F.cross_entropy(z, t, weight=WEIGHT),
    "cross_entropy_weighted_ignoring_smoothed": lambda z, t: F.cross_entropy(
        z, t, ignore_index=-100, label_smoothing=0.1, weight=WEIGHT
    ),
    "mse_loss": F.mse_loss,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "add": F.add,
    "subtract": F.subtract,
    "multiply": F.multiply,
    "divide": F.divide,
    "negative": F.negative,
    "power": lambda x: F.power(x, 2.5),
    "exp": F.exp,
    "log": F.log,
    "sqrt": F.sqrt,
    "matmul": F.matmul,
    "matmul_vector": F.matmul,
    "sum": lambda x: F.sum(x, (0, 2)),
    "mean": lambda x: F.mean(x, 1, keepdims=True),
    "max": lambda x: F.max(x, 1),
    "min": lambda x: F.min(x, (0, 1)),
    "reshape": lambda x: F.reshape(x, (5, -1)),
    "transpose": lambda x: F.transpose(x, (1, 2, 0)),
    "swapaxes": lambda x: F.swapaxes(x, 0, 2),
    "getitem": lambda x: F.getitem(x, (1, slice(None), slice(None, None, 2))),
    "getitem_by_ids": lambda x: F.getitem(x, (slice(None), np.array([2, 0, 2]))),
    "getitem_by_mask": lambda x: F.getitem(x, MASK),
    "concat": lambda *xs: F.concat(xs, axis=1),
    "stack": lambda *xs: F.stack(xs, axis=-1),
    "where": lambda x, y: F.where(MASK, x, y),
    "mask_rows": lambda x: F.mask_rows(x, MASK),
    "power_of_tensors": F.power,
    "power_of_a_number": lambda y: 2.5**y,
    "power_of_zero": F.power,
    "log1p": F.log1p,
    "abs": F.abs,
    "sign": F.sign,
    "maximum": F.maximum,
    "minimum": F.minimum,
    "clip": lambda x: F.clip(x, -1, 1),
    "clip_from_below": lambda x: F.clip(x, min=0.5),
    "sin": F.sin,
    "cos": F.cos,
    "erf": F.erf,
    "softplus": F.softplus,
    "log_sigmoid": F.log_sigmoid,
    "logsumexp": lambda x: F.logsumexp(x, (0, 2)),
    "cumsum": lambda x: F.cumsum(x, 1),
    "var": lambda x: F.var(x, (0, 2), ddof=1),
    "std": lambda x: F.std(x, 1, keepdims=True),
    "std_of_equal_numbers": lambda x: F.std(x, 1),
    "norm": lambda x: F.norm(x, axis=(0, 2)),
    "norm_of_zeros": lambda x: F.norm(x, axis=1),
    "norm_1": lambda x: F.norm(x, 1, axis=1),
    "squeeze": lambda x: F.squeeze(x, 1),
    "expand_dims": lambda x: F.expand_dims(x, 1),
    "broadcast_to": lambda x: F.broadcast_to(x, (2, 3, 5)),
    "flip": lambda x: F.flip(x, (0, 2)),
    "repeat": lambda x: F.repeat(x, [2, 0, 3], axis=1),
    "split": lambda x: F.split(x, [1, 4], axis=2)[1],
    "take_along_axis": lambda x: F.take_along_axis(
        x, [[[2, 0, 2, 2, 1]], [[0, 1, 1, 0, 0]]], axis=1
    ),
    "pad": lambda x: F.pad(x, ((0, 3), (1, 2)), constant_values=7.0),
    **{
        f"norm_{order}_of_vectors": lambda x, order=order: F.norm(x, order, 1)
        for order in (3, 0.5, -1, -2, -np.inf)
    },
    **{
        f"norm_{order}_of_a_matrix": lambda x, order=order: F.norm(x, order, (1, 0))
        for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    **{
        f"pad_{mode}": lambda x, mode=mode: F.pad(x, ((0, 0), (1, 2)), mode)
        for mode in ("edge", "reflect", "wrap")
    },
    **{
        f"soft_cross_entropy_{reduction}": lambda z, reduction=reduction: F.cross_entropy(
            z, SOFT, reduction=reduction
        )
        for reduction in REDUCTIONS
    },
    "soft_cross_entropy_smoothed_weighted": lambda z: F.cross_entropy(
        z, SOFT, label_smoothing=0.1, weight=GOLDEN["soft_cross_entropy_mean/weight"]
    ),
    "soft_cross_entropy_targets": lambda q: q * 1,
    "tril": lambda x: F.tril(x, 1),
    "triu": lambda x: F.triu(x, -1),
    "outer": F.outer,
    "einsum": lambda *xs: F.einsum("bij,jk,bk->ki", *xs),
    "einsum_of_a_diagonal": lambda x: F.einsum("...ii->...", x),
    "einsum_of_stacks": lambda x, y: F.einsum("...ij,jk", x, y),
    "astype": lambda x: F.astype(x, np.float32),
    "mse_loss_sum": lambda x, t: F.mse_loss(x, t, "sum"),
    "mse_loss_none": lambda x, t: F.mse_loss(x, t, "none"),
    "huber_loss_wide": lambda x, t: F.huber_loss(x, t, delta=2.5),
    "kl_div_of_logs": lambda x, t: F.kl_div(x, t, log_target=True),
    "cross_entropy_sum": lambda z, t: F.cross_entropy(z, t, -100, 0.1, reduction="sum"),
    "cross_entropy_none": lambda z, t: F.cross_entropy(z, t, -100, 0.1, reduction="none"),
    "l1_loss": F.l1_loss,
    "l1_loss_sum": partial(F.l1_loss, reduction="sum"),
    "l1_loss_none": partial(F.l1_loss, reduction="none"),
    "huber_loss": F.huber_loss,
    "huber_loss_sum": partial(F.huber_loss, reduction="sum"),
    "huber_loss_none": partial(F.huber_loss, reduction="none"),
    "kl_div": F.kl_div,
    "kl_div_sum": partial(F.kl_div, reduction="sum"),
    "kl_div_none": partial(F.kl_div, reduction="none"),
    **{
        f"weighted_bce_{kind}": partial(
            F.binary_cross_entropy_with_logits, reduction=kind, pos_weight=[0.5, 1, 2, 3, 7]
        )
        for kind in REDUCTIONS
    },
    "norm_inf": lambda x: F.norm(x, np.inf, axis=1),
}
RANDOM = {"dropout", "keep_scale", "random_keep"}


def test_every_recorded_case_is_compared():
    assert {name.split("/")[0] for name in GOLDEN} == set(OPERATIONS)


def test_every_operation_is_recorded_unless_it_is_random():
    assert set(F.__all__) - set(OPERATIONS) == RANDOM


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_value_and_gradients(name, dtype, tolerance):
    arrays = [GOLDEN[f"{name}/in{i}"] for i in range(3) if f"{name}/in{i}" in GOLDEN]
    inputs = [
        Tensor(a.astype(dtype), requires_grad=True) if a.dtype == float else a for a in arrays
    ]
    y = OPERATIONS[name](*inputs)
    y.backward(GOLDEN[f"{name}/g"])
    assert y.dtype == (np.float32 if name == "astype" else dtype)
    close = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(y.data, GOLDEN[f"{name}/out"], **close)
    leaves = [x for x in inputs if isinstance(x, Tensor)]
    for i, x in enumerate(leaves):
        np.testing.assert_allclose(x.grad, GOLDEN[f"{name}/d{i}"], **close, err_msg=f"input {i}")
    assert f"{name}/d{len(leaves)}" not in GOLDEN
