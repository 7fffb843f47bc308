"""Record what ``torch.nn.RNN``, ``GRU`` and ``LSTM`` compute, as golden arrays for the tests.

Run where PyTorch is installed; the tests themselves only read the files ``*.npz``::

    python packages/foundation-seq/tests/golden/record.py
"""

from pathlib import Path

import numpy as np
import torch

CASES = {
    "one_layer": {"input_size": 3, "hidden_size": 5},
    "two_layers_both_directions": {
        "input_size": 3,
        "hidden_size": 2,
        "num_layers": 2,
        "bidirectional": True,
    },
}
B, T = 5, 7
LENGTHS = (4, 7, 1, 6, 2)


KINDS = {
    "rnn": (torch.nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "gru": (torch.nn.GRU, {}),
    "lstm": (torch.nn.LSTM, {}),
}


def record(
    kind: str, options: dict[str, int], lengths: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    make, more = KINDS[kind]
    layer = make(batch_first=True, dtype=torch.float64, **options, **more)
    directions = 2 if layer.bidirectional else 1
    state_shape = (layer.num_layers * directions, B, layer.hidden_size)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    x = draw(B, T, layer.input_size)
    names = ("h", "c") if kind == "lstm" else ("h",)
    starts = {f"{name}0": draw(*state_shape) for name in names}
    state = tuple(starts.values()) if kind == "lstm" else starts["h0"]
    if lengths is None:
        output, last = layer(x, state)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        output, last = layer(packed, state)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=T)
    ends = dict(zip(names, last if kind == "lstm" else (last,), strict=True))
    arrays = {"x": x} | starts | {"output": output} | ends
    results = ("output", *names)
    for name in results:
        arrays[f"upstream.{name}"] = torch.randn(arrays[name].shape, dtype=torch.float64)
    sum((arrays[name] * arrays[f"upstream.{name}"]).sum() for name in results).backward()
    arrays |= {f"grad.{name}": arrays[name].grad for name in ("x", *starts)}
    for name, parameter in layer.named_parameters():
        arrays[f"parameter.{name}"] = parameter
        arrays[f"grad.parameter.{name}"] = parameter.grad
    return {name: array.detach().numpy() for name, array in arrays.items()}


def main() -> None:
    for kind in KINDS:
        golden = {}
        for case, options in CASES.items():
            for suffix, lengths in (("", None), ("_ragged", LENGTHS)):
                for name, array in record(kind, options, lengths).items():
                    # The same seed gives the same inputs: only the results differ.
                    if not (suffix and np.array_equal(array, golden[f"{case}/{name}"])):
                        golden[f"{case}{suffix}/{name}"] = array
        np.savez_compressed(Path(__file__).with_name(f"{kind}.npz"), **golden)


if __name__ == "__main__":
    main()
