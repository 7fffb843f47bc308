"""A hundred steps as PyTorch's optimisers make them; recorded by golden/record.py."""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Parameter, Tensor, optim
from foundation_nn import functional as F

with np.load(Path(__file__).parent / "golden" / "optimisers.npz") as file:
    GOLDEN = dict(file)

ADAM = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-6}
# The vector b comes first, so that the buffer, too, has to tell it from the matrix.
OPTIMISERS = {
    "sgd": lambda w, b: optim.SGD([b, w], lr=0.02),
    "momentum": lambda w, b: optim.SGD([b, w], lr=0.02, momentum=0.9, weight_decay=0.1),
    "adam": lambda w, b: optim.Adam([b, w], **ADAM),
    "adamw": lambda w, b: optim.AdamW([b, w], **ADAM, weight_decay=0.1),
    "clipped": lambda w, b: optim.SGD([b, w], lr=0.02),
    "rmsprop": lambda w, b: optim.RMSprop([b, w], 0.01, alpha=0.9, eps=1e-2, weight_decay=0.1),
    "adagrad": lambda w, b: optim.Adagrad([b, w], lr=0.1, eps=1e-6, weight_decay=0.1),
    "lion": lambda w, b: optim.Lion([b, w], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1),
    "muon": lambda w, b: optim.Muon([b, w], lr=0.03, weight_decay=0.1, betas=(0.8, 0.95)),
    "muon_tall": lambda w, b: optim.Muon(
        [b, w],
        lr=0.02,
        weight_decay=0.1,
        momentum=0.8,
        nesterov=False,
        ns_steps=3,
        scale="original",
        adamw_lr_ratio=0.5,
        betas=(0.8, 0.95),
    ),
    "adafactor": lambda w, b: optim.Adafactor([b, w], lr=0.05, weight_decay=0.1),
    "adafactor_tall": lambda w, b: optim.Adafactor(
        [b, w], lr=0.03, beta2_decay=-0.5, eps=(1e-2, 1e-1), d=1.5, weight_decay=0.1
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_a_hundred_steps(name, dtype, tolerance):
    x, y, w, b = (GOLDEN[key].astype(dtype) for key in ("x", "y", "w0", "b0"))
    if name.endswith("_tall"):
        x, y, w, b = y, x, w.T, w[0]
    w, b = Parameter(w), Parameter(b)
    optimiser = OPTIMISERS[name](w, b)
    recorded = {step: i for i, step in enumerate(GOLDEN["steps"].tolist())}
    close = {"rtol": tolerance, "atol": tolerance}
    for step in range(1, 101):
        optimiser.zero_grad()
        F.mse_loss(F.linear(Tensor(x), w, b), y).backward()
        if name == "clipped":
            norm = optim.clip_grad_norm(optimiser, 3)  # in the end it is less
            np.testing.assert_allclose(norm, GOLDEN["clipped/norms"][step - 1], **close)
        optimiser.step()
        if step in recorded:
            at = recorded[step]
            np.testing.assert_allclose(w.data, GOLDEN[f"{name}/w"][at], **close, err_msg=f"{step}")
            np.testing.assert_allclose(b.data, GOLDEN[f"{name}/b"][at], **close, err_msg=f"{step}")
    assert set(recorded) == {1, 2, 10, 100}


def test_every_optimiser_is_recorded():
    w, b = Parameter(GOLDEN["w0"]), Parameter(GOLDEN["b0"])
    kinds = {type(make(w, b)).__name__ for make in OPTIMISERS.values()}
    own = {"Optimizer", "Settings", "Trainable", "ParameterGroup", "Group"}  # to write one
    assert kinds | own | {"EMA", "clip_grad_norm"} == set(optim.__all__)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_the_average_of_a_hundred_steps(dtype, tolerance):
    x, y, w, b = (GOLDEN[key].astype(dtype) for key in ("x", "y", "w0", "b0"))
    w, b = Parameter(w), Parameter(b)
    optimiser = OPTIMISERS["sgd"](w, b)
    ema = optim.EMA(optimiser, decay=0.9)
    recorded = {step: i for i, step in enumerate(GOLDEN["steps"].tolist())}
    close = {"rtol": tolerance, "atol": tolerance}
    for step in range(1, 101):
        optimiser.zero_grad()
        F.mse_loss(F.linear(Tensor(x), w, b), y).backward()
        optimiser.step()
        ema.update()
        if step in recorded:
            with ema.applied():
                for p, name in ((w, "w"), (b, "b")):
                    expected = GOLDEN[f"ema/{name}"][recorded[step]]
                    np.testing.assert_allclose(p.data, expected, **close, err_msg=f"{step} {name}")
