"""What all tests of the package share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from foundation_nn import functional as F
from foundation_nn import get_num_threads, set_num_threads
from hypothesis import settings

settings.register_profile(
    "foundation", derandomize=True, database=None, deadline=None, max_examples=25
)
settings.load_profile("foundation")

collect_ignore = ["golden"]  # the script there needs PyTorch


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def threads():
    """``set_num_threads``, with the number put back afterwards."""
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


#: Cases whose inputs are between 0 and 1.
POSITIVE = {"log", "log1p", "sqrt", "power", "powers", "bce", "weighted bce", "kl_div"}


class Case(NamedTuple):
    """An operation with the shapes of its inputs; values near a kink or a pole are avoided."""

    name: str
    call: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]

    def inputs(self, dtype=np.float64):
        rng = np.random.default_rng(len(self.name))
        return [
            (rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)).astype(dtype)
            if self.name
            not in ("log", "log1p", "sqrt", "power", "powers", "bce", "weighted bce", "kl_div")
            else rng.uniform(0.1, 0.9, shape).astype(dtype)
            for shape in self.shapes
        ]


IDS = np.array([[3, 0, 3], [6, 3, 1]])
MASK = np.array([[True, False, True], [False, True, True]])
SOFT = np.random.default_rng(3).dirichlet(np.ones(7), (2, 3))

OPERATIONS = [
    Case("add", F.add, ((2, 3, 5), (3, 1))),
    Case("subtract", F.subtract, ((5,), (2, 3, 5))),
    Case("multiply", F.multiply, ((2, 3, 5), (3, 1))),
    Case("divide", F.divide, ((3, 1), (2, 3, 5))),
    Case("negative", F.negative, ((2, 3),)),
    Case("power", lambda x: F.power(x, 2.5), ((2, 3),)),
    Case("exp", F.exp, ((2, 3),)),
    Case("log", F.log, ((2, 3),)),
    Case("sqrt", F.sqrt, ((2, 3),)),
    Case("powers", F.power, ((2, 3), (2, 1))),
    Case("log1p", F.log1p, ((2, 3),)),
    Case("abs", F.abs, ((2, 3, 5),)),
    Case("sign", F.sign, ((2, 3),)),
    Case("maximum", F.maximum, ((2, 3, 5), (3, 1))),
    Case("minimum", F.minimum, ((5,), (2, 3, 5))),
    Case("clip", lambda x: F.clip(x, -1, np.array([[1.0], [1.5], [3]])), ((2, 3, 5),)),
    Case("sin", F.sin, ((2, 3),)),
    Case("cos", F.cos, ((2, 3),)),
    Case("erf", F.erf, ((2, 3),)),
    Case("softplus", F.softplus, ((2, 3, 5),)),
    Case("log_sigmoid", F.log_sigmoid, ((2, 3, 5),)),
    Case("logsumexp", lambda x: F.logsumexp(x, (0, -1)), ((2, 3, 5),)),
    Case("cumsum", lambda x: F.cumsum(x, 1), ((2, 3, 5),)),
    Case("var", lambda x: F.var(x, 1, ddof=1), ((2, 3, 5),)),
    Case("std", lambda x: F.std(x, (0, 2), keepdims=True), ((2, 3, 5),)),
    Case("norm", lambda x: F.norm(x, axis=-1), ((2, 3, 5),)),
    Case("norm 1", lambda x: F.norm(x, 1, axis=-1), ((2, 3),)),
    Case("norm inf", lambda x: F.norm(x, np.inf, axis=0), ((2, 3),)),
    Case("norm 3", lambda x: F.norm(x, 3, axis=-1), ((2, 5),)),
    Case("norm -1", lambda x: F.norm(x, -1, axis=0, keepdims=True), ((2, 3),)),
    Case("nuclear norm", lambda x: F.norm(x, "nuc", axis=(0, 2)), ((2, 3, 5),)),
    Case("spectral norm", lambda x: F.norm(x, 2), ((3, 5),)),
    Case("squeeze", lambda x: F.squeeze(x, 1), ((2, 1, 3),)),
    Case("expand_dims", lambda x: F.expand_dims(x, (0, -1)), ((2, 3),)),
    Case("broadcast_to", lambda x: F.broadcast_to(x, (2, 3, 5)), ((3, 1),)),
    Case("flip", lambda x: F.flip(x, (0, 2)), ((2, 3, 5),)),
    Case("repeat", lambda x: F.repeat(x, [2, 0, 3], axis=1), ((2, 3),)),
    Case("split", lambda x: F.split(x, [2, 3], axis=-1)[0], ((2, 5),)),
    Case("take_along_axis", lambda x: F.take_along_axis(x, IDS, axis=1), ((2, 7),)),
    Case("pad", lambda x: F.pad(x, ((1, 0), (0, 2)), constant_values=7.0), ((2, 3),)),
    Case("pad reflect", lambda x: F.pad(x, ((1, 0), (0, 4)), "reflect"), ((2, 3),)),
    Case("tril", lambda x: F.tril(x, -1), ((2, 3, 5),)),
    Case("triu", F.triu, ((2, 3, 5),)),
    Case("outer", F.outer, ((3,), (5,))),
    Case("einsum", lambda *xs: F.einsum("bij,jk,bk->ki", *xs), ((2, 3, 5), (5, 7), (2, 7))),
    Case("matmul", F.matmul, ((7, 2, 3), (3, 5))),
    Case("matmul of vectors", F.matmul, ((3,), (3,))),
    Case("vector by matrices", F.matmul, ((3,), (2, 3, 5))),
    Case("matrices by vector", F.matmul, ((2, 5, 3), (3,))),
    Case("sum", lambda x: F.sum(x, (0, -1)), ((2, 3, 5),)),
    Case("mean", lambda x: F.mean(x, 1, keepdims=True), ((2, 3, 5),)),
    Case("max", lambda x: F.max(x, -1), ((2, 3, 5),)),
    Case("min", F.min, ((2, 3, 5),)),
    Case("reshape", lambda x: F.reshape(x, (5, -1)), ((2, 3, 5),)),
    Case("transpose", lambda x: F.transpose(x, (1, 2, 0)), ((2, 3, 5),)),
    Case("swapaxes", lambda x: F.swapaxes(x, 0, -1), ((2, 3, 5),)),
    Case("getitem", lambda x: F.getitem(x, (1, slice(None, None, 2))), ((2, 3, 5),)),
    Case("getitem by ids", lambda x: F.getitem(x, IDS), ((7, 2),)),
    Case("getitem by mask", lambda x: F.getitem(x, MASK), ((2, 3, 5),)),
    Case("concat", lambda *xs: F.concat(xs, axis=-1), ((2, 3), (2, 1), (2, 5))),
    Case("stack", lambda *xs: F.stack(xs, axis=-1), ((2, 3), (2, 3))),
    Case("where", lambda x, y: F.where(MASK, x, y), ((2, 3), (3,))),
    Case("mask_rows", lambda x: F.mask_rows(x, MASK), ((2, 3, 5),)),
    Case("relu", F.relu, ((2, 3, 5),)),
    Case("gelu", F.gelu, ((2, 3, 5),)),
    Case("gelu by tanh", lambda x: F.gelu(x, "tanh"), ((2, 3, 5),)),
    Case("silu", F.silu, ((2, 3, 5),)),
    Case("tanh", F.tanh, ((2, 3, 5),)),
    Case("sigmoid", F.sigmoid, ((2, 3, 5),)),
    Case("softmax", lambda x: F.softmax(x, 1), ((2, 3, 5),)),
    Case("log_softmax", F.log_softmax, ((2, 3, 5),)),
    Case("dropout", lambda x: F.dropout(x, 0.5, np.random.default_rng(1)), ((3, 5),)),
    Case("linear", F.linear, ((2, 3, 5), (7, 5), (7,))),
    Case("linear without bias", F.linear, ((5,), (7, 5))),
    Case("layer_norm", F.layer_norm, ((2, 3, 5), (5,), (5,))),
    Case("layer_norm without bias", F.layer_norm, ((2, 3, 5), (5,))),
    Case("plain layer_norm", F.layer_norm, ((3, 5),)),
    Case("rms_norm", F.rms_norm, ((2, 3, 5), (5,))),
    Case("plain rms_norm", F.rms_norm, ((3, 5),)),
    Case("embedding", lambda w: F.embedding(IDS, w), ((7, 5),)),
    Case("cross_entropy", lambda z: F.cross_entropy(z, IDS, 6, 0.1), ((2, 3, 7),)),
    Case("soft cross_entropy", lambda z: F.cross_entropy(z, SOFT, None, 0.1), ((2, 3, 7),)),
    Case("mse", F.mse_loss, ((2, 3), (2, 3))),
    Case("mse none", lambda x, t: F.mse_loss(x, t, "none"), ((2, 3), (2, 3))),
    Case("l1", F.l1_loss, ((2, 3), (2, 3))),
    Case("huber", lambda x, t: F.huber_loss(x, t, "sum", 0.7), ((2, 3), (2, 3))),
    Case("kl_div", F.kl_div, ((2, 3), (2, 3))),
    Case("kl_div of logs", lambda x, t: F.kl_div(x, t, "none", True), ((2, 3), (2, 3))),
    Case(
        "cross_entropy none", lambda z: F.cross_entropy(z, IDS, 6, reduction="none"), ((2, 3, 7),)
    ),
    Case(
        "weighted bce",
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, "sum", [1.0, 2.0, 5.0]),
        ((2, 3), (2, 3)),
    ),
    Case("bce", F.binary_cross_entropy_with_logits, ((2, 3), (2, 3))),
]


@pytest.fixture(params=OPERATIONS, ids=lambda case: case.name)
def case(request):
    return request.param
