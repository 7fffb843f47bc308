"""The numbers of ``torch.nn.MultiheadAttention``, recorded by ``golden/record.py``."""

from pathlib import Path

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, capture_attention
from foundation_nn import Tensor
from golden_arrays import unflatten

CASES = ["self", "self_causal", "self_causal_masked", "cross_masked", "value_masked"]
#: float64 to 1e-10, float32 to 1e-5.
PRECISIONS = [(np.float64, 1e-10), (np.float32, 1e-5)]
every_case = pytest.mark.parametrize("case", CASES)
each_precision = pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parent / "golden" / "multi_head.npz", allow_pickle=False) as file:
        return dict(file)


def make_layer(golden, dtype):
    layer = MultiHeadAttention(6, num_heads=3).astype(dtype)
    layer.load_state_dict(unflatten(golden, golden["state"]))
    return layer


def run(golden, case, dtype):
    layer = make_layer(golden, dtype)
    names = golden[f"{case}.inputs"].tolist()
    inputs = [Tensor(golden[name], requires_grad=True, dtype=dtype) for name in names]
    mask = str(golden[f"{case}.mask"])
    y = layer(*inputs, key_mask=golden[mask] if mask else None, causal="causal" in case)
    return layer, inputs, y


def real_rows(golden, case):
    """Which queries are real; PyTorch lets those of padding attend, too."""
    masked = case == "self_causal_masked"
    return golden["target_mask"] if masked else np.ones(golden["target_mask"].shape, bool)


def test_names_shapes_and_order_are_pytorchs(golden):
    ours = MultiHeadAttention(6, num_heads=3).state_dict()
    theirs = unflatten(golden, golden["state"])
    assert [(n, a.shape) for n, a in ours.items()] == [(n, a.shape) for n, a in theirs.items()]


@every_case
@each_precision
def test_outputs_and_gradients(golden, case, dtype, tolerance):
    layer, inputs, y = run(golden, case, dtype)
    assert y.dtype == dtype

    def check(actual, expected):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)

    real = real_rows(golden, case)
    check(y.data[real], golden[f"{case}.output"][real])
    y.backward(golden["weight"] * real[:, :, None])
    ends = np.cumsum([x.size for x in inputs])
    for x, dx in zip(inputs, np.split(golden[f"{case}.input_gradients"], ends[:-1]), strict=True):
        check(x.grad, dx.reshape(x.shape))
    gradients = unflatten(golden, golden[f"{case}.gradients"])
    for name, parameter in layer.named_parameters():
        check(parameter.grad, gradients[name])


@every_case
def test_captured_weights(golden, case):
    with capture_attention() as maps:
        run(golden, case, np.float64)
    (recorded,) = maps
    rows = real_rows(golden, case)[:, None, :, None]
    expected = golden[f"{case}.weights"] * rows
    np.testing.assert_allclose(recorded.weights * rows, expected, rtol=1e-10, atol=1e-12)
    assert recorded.kind == ("self" if case.startswith("self") else "cross")
