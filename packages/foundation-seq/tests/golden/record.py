"""Record what ``torch.nn.LSTM`` computes, as golden arrays for the tests.

Run where PyTorch is installed; the tests themselves only read ``lstm.npz``::

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


def record(options: dict[str, int], lengths: tuple[int, ...] | None) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(batch_first=True, dtype=torch.float64, **options)
    directions = 2 if lstm.bidirectional else 1
    state_shape = (lstm.num_layers * directions, B, lstm.hidden_size)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    x, h0, c0 = draw(B, T, lstm.input_size), draw(*state_shape), draw(*state_shape)
    if lengths is None:
        output, (h, c) = lstm(x, (h0, c0))
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), batch_first=True, enforce_sorted=False
        )
        output, (h, c) = lstm(packed, (h0, c0))
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=T)
    arrays = {"x": x, "h0": h0, "c0": c0, "output": output, "h": h, "c": c}
    for name in ("output", "h", "c"):
        arrays[f"upstream.{name}"] = torch.randn(arrays[name].shape, dtype=torch.float64)
    sum(
        (arrays[name] * arrays[f"upstream.{name}"]).sum() for name in ("output", "h", "c")
    ).backward()
    arrays |= {f"grad.{name}": arrays[name].grad for name in ("x", "h0", "c0")}
    for name, parameter in lstm.named_parameters():
        arrays[f"parameter.{name}"] = parameter
        arrays[f"grad.parameter.{name}"] = parameter.grad
    return {name: array.detach().numpy() for name, array in arrays.items()}


def main() -> None:
    golden = {}
    for case, options in CASES.items():
        for suffix, lengths in (("", None), ("_ragged", LENGTHS)):
            for name, array in record(options, lengths).items():
                # The same seed gives the same inputs: only the results differ.
                if not (suffix and np.array_equal(array, golden[f"{case}/{name}"])):
                    golden[f"{case}{suffix}/{name}"] = array
    np.savez_compressed(Path(__file__).with_name("lstm.npz"), **golden)


if __name__ == "__main__":
    main()
