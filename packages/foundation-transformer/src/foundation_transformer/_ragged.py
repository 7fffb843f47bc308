"""Prompts of unequal length in one batch: the shorter ones are padded on the left.

So all rows end together, whatever is appended to one is appended to all, and distances within a
row are those of the columns. What is left to tell are absolute positions, and the padding.
"""

from __future__ import annotations

import numpy as np
from foundation_attn.masks import Mask

from foundation_transformer._build import Ids, IntArray
from foundation_transformer._positions import Positions


def align_right(prompt: Ids, lengths: IntArray) -> tuple[Ids, IntArray]:
    """Rows padded on the right as rows padded on the left, with zeros, and their padding (B,)."""
    if np.min(lengths, initial=1) < 1:
        raise ValueError(
            "prompt: expected at least one token in each row, got an empty one; begin with bos_id"
        )
    padding = prompt.shape[1] - lengths
    source = np.arange(prompt.shape[1]) - padding[:, None]  # (B, T)
    ids = np.take_along_axis(prompt, np.maximum(source, 0), axis=1)
    ids[source < 0] = 0
    return ids, padding


def real_and_positions(
    padding: IntArray, start: int, stop: int
) -> tuple[Mask | None, int | Positions]:
    """Which of all columns are real, (B, stop), and the positions of those from ``start`` on.

    Where nothing is padded: None, and ``start`` alone tells them; otherwise (B, stop - start).
    """
    if not padding.any():
        return None, start
    mask = np.arange(stop) >= padding[:, None]
    return mask, np.maximum(np.arange(start, stop) - padding[:, None], 0)


def rotary_positions(scheme: str, positions: int | Positions) -> Positions | None:
    """What layers with rotary positions must be told; they count on beside a cache themselves."""
    return None if scheme != "rotary" or isinstance(positions, int) else positions
