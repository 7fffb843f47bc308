"""Modules with PyTorch's state dicts, as PyTorch computes them; recorded by golden/record.py."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import (
    GELU,
    BatchNorm1d,
    Embedding,
    LayerNorm,
    Linear,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
    Tensor,
    modules,
    train_mode,
)

with np.load(Path(__file__).parent / "golden" / "modules.npz") as file:
    GOLDEN = dict(file)


def mlp(activation):
    return lambda: Sequential(Linear(5, 7), activation, Linear(7, 2))


MODULES = {
    "batch_norm": lambda: BatchNorm1d(3),
    "batch_norm_of_sequences": lambda: BatchNorm1d(3, eps=1e-3, momentum=0.25),
    "linear": lambda: Linear(5, 7),
    "linear_without_bias": lambda: Linear(5, 7, bias=False),
    "embedding": lambda: Embedding(7, 5),
    "layer_norm": lambda: LayerNorm(5, eps=1e-3),
    "layer_norm_without_bias": lambda: LayerNorm(5, bias=False),
    "rms_norm": lambda: RMSNorm(5),
    "mlp_of_relu": mlp(ReLU()),
    "mlp_of_gelu": mlp(GELU()),
    "mlp_of_gelu_tanh": mlp(GELU("tanh")),
    "mlp_of_silu": mlp(SiLU()),
    "mlp_of_tanh": mlp(Tanh()),
    "mlp_of_sigmoid": mlp(Sigmoid()),
}
TRAINING = {"batch_norm": (0, 1, 3), "batch_norm_of_sequences": (0, 1, 3)}


def recorded(prefix):
    return {k.removeprefix(prefix): v for k, v in GOLDEN.items() if k.startswith(prefix)}


def test_every_recorded_case_is_compared():
    assert {name.split("/")[0] for name in GOLDEN} == set(MODULES)


def test_every_module_is_recorded_unless_it_is_random():
    made = [module for make in MODULES.values() for _, module in make().named_modules()]
    kinds = {type(module).__name__ for module in made}
    compute_nothing = {"Identity", "ModuleDict", "ModuleList"}
    assert set(modules.__all__) - kinds == {"Dropout", "MLP"} | compute_nothing  # MLP: Sequential


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_outputs_gradients_and_what_is_kept(name, dtype, tolerance):
    module = MODULES[name]().astype(dtype)
    module.load_state_dict(recorded(f"{name}/state/"))
    close = {"rtol": tolerance, "atol": tolerance}
    i = 0
    while f"{name}/{i}/x" in GOLDEN:
        x = GOLDEN[f"{name}/{i}/x"]
        if x.dtype.kind == "f":
            x = Tensor(x.astype(dtype), requires_grad=True)
        for p in module.parameters():
            p.grad = None
        training = i in TRAINING.get(name, ())
        with train_mode(np.random.default_rng(0)) if training else nullcontext():
            y = module(x)
        y.backward(GOLDEN[f"{name}/{i}/g"])
        np.testing.assert_allclose(y.data, GOLDEN[f"{name}/{i}/y"], **close, err_msg=f"batch {i}")
        if isinstance(x, Tensor):
            np.testing.assert_allclose(x.grad, GOLDEN[f"{name}/{i}/dx"], **close)
        grads = recorded(f"{name}/{i}/grad/")
        assert set(grads) == {k for k, _ in module.named_parameters()}
        for k, p in module.named_parameters():
            np.testing.assert_allclose(p.grad, grads[k], **close, err_msg=f"batch {i}, {k}")
        i += 1
    assert i == (5 if name in TRAINING else 1)
    state = module.state_dict()
    for k, value in recorded(f"{name}/after/").items():
        np.testing.assert_allclose(state[k], value, **close, err_msg=k)
    assert (f"{name}/after/running_var" in GOLDEN) == (name in TRAINING)
