"""Record what the encoder and decoder of ``torch.nn.Transformer`` compute, as ``stacks.npz``.

In an environment with PyTorch (recorded with 2.13.0, CPU)::

    python packages/foundation-transformer/tests/golden/record.py          # record
    python packages/foundation-transformer/tests/golden/record.py --check  # compare only

All numbers are float64. Masks are written in our sense: True means "is real".
"""

import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[3]))  # for what the recorders share
from golden_arrays import described, flat, record_or_check

FILE = Path(__file__).with_name("stacks.npz")
D, H, F, LAYERS = 6, 3, 11, 2
B, T, S = 4, 5, 7


def make(norm_first, activation, state=None, rng=None):
    options = {"dropout": 0.0, "batch_first": True, "dtype": torch.float64}
    with warnings.catch_warnings():  # nested tensors, of which nothing is used here
        warnings.simplefilter("ignore")
        model = torch.nn.Transformer(
            D, H, LAYERS, LAYERS, F, activation=activation, norm_first=norm_first, **options
        )
    if state is not None:
        model.load_state_dict(state)
    else:
        with torch.no_grad():
            for p in model.parameters():  # biases and norms, too, are not zeros and ones
                p.copy_(torch.from_numpy(rng.normal(p.ndim == 1 and 0.4, 0.5, tuple(p.shape))))
    return model


def record():
    torch.set_num_threads(1)
    rng = np.random.default_rng(20240229)
    state = make(False, "relu", rng=rng).state_dict()
    data = {
        **described(state),
        "state": flat(state.values()),
        "source": rng.standard_normal((B, S, D)),
        "target": rng.standard_normal((B, T, D)),
        "source_mask": np.arange(S) < np.array([[2], [7], [1], [5]]),
        "target_mask": np.arange(T) < np.array([[5], [1], [3], [4]]),
        "memory_weight": rng.standard_normal((B, S, D)),  # the gradients that arrive
        "output_weight": rng.standard_normal((B, T, D)),
    }
    for norm_first, activation in itertools.product((False, True), ("relu", "gelu")):
        model = make(norm_first, activation, state)
        source = torch.tensor(data["source"], requires_grad=True)
        target = torch.tensor(data["target"], requires_grad=True)
        hidden = torch.from_numpy(~data["source_mask"])
        memory = model.encoder(source, src_key_padding_mask=hidden)
        output = model.decoder(
            target,
            memory,
            tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),
            tgt_key_padding_mask=torch.from_numpy(~data["target_mask"]),
            memory_key_padding_mask=hidden,
        )
        # What stands in the rows of padding is nobody's concern.
        memory_weight = data["memory_weight"] * data["source_mask"][:, :, None]
        output_weight = data["output_weight"] * data["target_mask"][:, :, None]
        loss = (memory * torch.from_numpy(memory_weight)).sum()
        (loss + (output * torch.from_numpy(output_weight)).sum()).backward()
        case = f"{'pre' if norm_first else 'post'}_{activation}"
        data[f"{case}.memory"] = memory.detach().numpy()
        data[f"{case}.output"] = output.detach().numpy()
        data[f"{case}.source_gradient"] = source.grad.numpy()
        data[f"{case}.target_gradient"] = target.grad.numpy()
        data[f"{case}.gradients"] = flat([p.grad for p in model.parameters()])
    return data


if __name__ == "__main__":
    record_or_check(record, FILE, __doc__, 1e-11)
