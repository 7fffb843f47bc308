"""The buckets of T5's relative positions, of Hugging Face's transformers.

    python record_buckets.py      writes buckets.npz beside this file

Needs ``torch`` and ``transformers``.
"""

from pathlib import Path

import numpy as np
import torch
from transformers.models.t5.modeling_t5 import T5Attention

HERE = Path(__file__).parent
SIZES = [(32, 128), (8, 20), (12, 37), (4, 5), (64, 256), (32, 1000)]


def main():
    distances = np.arange(-1100, 1101)
    arrays = {"distances": distances}
    for num_buckets, max_distance in SIZES:
        for both_sides in (True, False):
            buckets = T5Attention._relative_position_bucket(
                torch.tensor(distances), both_sides, num_buckets, max_distance
            )
            name = f"{num_buckets} {max_distance} {both_sides:d}"
            arrays[name] = buckets.numpy().astype(np.int8)
    np.savez_compressed(HERE / "buckets.npz", **arrays)


if __name__ == "__main__":
    main()
