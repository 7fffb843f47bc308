"""The numbers of ``torch.nn.Transformer``'s encoder and decoder, recorded by golden/record.py."""

from pathlib import Path

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_transformer import TransformerDecoder, TransformerEncoder
from golden_arrays import unflatten

CASES = ["post_relu", "post_gelu", "pre_relu", "pre_gelu"]
every_case = pytest.mark.parametrize("case", CASES)
#: float64 to 1e-10, float32 to 1e-5.
each_precision = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)]
)


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parent / "golden" / "stacks.npz", allow_pickle=False) as file:
        return dict(file)


def make(golden, case, dtype):
    norm, activation = case.split("_")
    options = {"activation": activation, "norm_first": norm == "pre"}
    models = (
        TransformerEncoder(2, 6, 3, 11, **options).astype(dtype),
        TransformerDecoder(2, 6, 3, 11, **options).astype(dtype),
    )
    for part, model in zip(("encoder", "decoder"), models, strict=True):
        model.load_state_dict(unflatten(golden, golden["state"], part))
    return models


def test_names_shapes_and_order_are_pytorchs(golden):
    for part, model in zip(
        ("encoder", "decoder"), make(golden, "pre_relu", np.float64), strict=True
    ):
        ours = {name: a.shape for name, a in model.state_dict().items()}
        theirs = {n: a.shape for n, a in unflatten(golden, golden["state"], part).items()}
        assert ours == theirs


@every_case
@each_precision
def test_outputs_and_gradients(golden, case, dtype, tolerance):
    def check(actual, expected):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)

    encoder, decoder = make(golden, case, dtype)
    source = Tensor(golden["source"], requires_grad=True, dtype=dtype)
    target = Tensor(golden["target"], requires_grad=True, dtype=dtype)
    source_mask, target_mask = golden["source_mask"], golden["target_mask"]

    memory = encoder(source, source_mask)
    output = decoder(target, memory, target_mask, source_mask)
    check(memory.data[source_mask], golden[f"{case}.memory"][source_mask])
    check(output.data[target_mask], golden[f"{case}.output"][target_mask])

    memory_weight = golden["memory_weight"] * source_mask[:, :, None]
    output_weight = golden["output_weight"] * target_mask[:, :, None]
    ((memory * memory_weight).sum() + (output * output_weight).sum()).backward()
    check(source.grad, golden[f"{case}.source_gradient"])
    check(target.grad, golden[f"{case}.target_gradient"])
    for part, model in (("encoder", encoder), ("decoder", decoder)):
        gradients = unflatten(golden, golden[f"{case}.gradients"], part)
        for name, parameter in model.named_parameters():
            check(parameter.grad, gradients[name])
