"""Record what ``torch.nn.MultiheadAttention`` computes, as ``multi_head.npz`` beside this file.

In an environment with PyTorch (recorded with 2.13.0, CPU)::

    python packages/foundation-attn/tests/golden/record.py            # record
    python packages/foundation-attn/tests/golden/record.py --check    # compare, write nothing

All numbers are float64. Masks are written in our sense: True means "may attend".
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[3]))  # for what the recorders share
from golden_arrays import described, flat, record_or_check

FILE = Path(__file__).with_name("multi_head.npz")
D, H, B, T, S = 6, 3, 4, 5, 7


def record():
    torch.set_num_threads(1)
    rng = np.random.default_rng(20240229)
    layer = torch.nn.MultiheadAttention(D, H, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for p in layer.parameters():  # biases, too, are not zero
            p.copy_(torch.from_numpy(rng.normal(0, 0.6, tuple(p.shape))))
    state = layer.state_dict()
    data = {
        **described(state),
        "state": flat(state.values()),
        "query": rng.standard_normal((B, T, D)),
        "key": rng.standard_normal((B, S, D)),
        "value": rng.standard_normal((B, S, D)),
        "weight": rng.standard_normal((B, T, D)),  # the gradient that arrives
        "target_mask": np.arange(T) < np.array([[5], [1], [3], [4]]),
        "memory_mask": np.arange(S) < np.array([[2], [7], [1], [5]]),
    }
    cases = {  # the arguments, their padding mask, causal
        "self": (["query"], None, False),
        "self_causal": (["query"], None, True),
        "self_causal_masked": (["query"], "target_mask", True),
        "cross_masked": (["query", "key"], "memory_mask", False),
        "value_masked": (["query", "key", "value"], "memory_mask", False),
    }
    for case, (names, mask, causal) in cases.items():
        layer.zero_grad()
        inputs = [torch.tensor(data[name], requires_grad=True) for name in names]
        y, weights = layer(
            *(inputs + inputs[-1:] * 2)[:3],
            key_padding_mask=None if mask is None else torch.from_numpy(~data[mask]),
            attn_mask=torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None,
            average_attn_weights=False,
        )
        weight = data["weight"]
        if mask == "target_mask":  # what stands in the rows of padding is nobody's concern
            weight = weight * data[mask][:, :, None]
        y.backward(torch.from_numpy(weight))
        data[f"{case}.inputs"] = np.array(names)
        data[f"{case}.mask"] = np.array(mask or "")
        data[f"{case}.output"] = y.detach().numpy()
        data[f"{case}.weights"] = weights.detach().numpy()
        data[f"{case}.input_gradients"] = flat([x.grad for x in inputs])
        data[f"{case}.gradients"] = flat([p.grad for p in layer.parameters()])
    return data


if __name__ == "__main__":
    record_or_check(record, FILE, __doc__, 1e-12)
