"""What a caller asks to be written, checked: prompts, limits and stop ids."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from foundation_nn import no_grad
from numpy.typing import NDArray

from foundation_seq.generation._stepwise import Ids, Logits, StepwiseModel


class Request:
    """Prompts side by side, and how far each may be continued.

    Parameters
    ----------
    prompt, max_new_tokens, stop_ids
        As for :func:`generate`.

    Attributes
    ----------
    ids : (B, T) integer array
        Zeros behind the shorter rows.
    lengths, limits : (B,) integer arrays
    stop_ids : list of int
        Sorted, each once.

    Raises
    ------
    TypeError, ValueError
        As :func:`generate`.
    """

    def __init__(self, prompt: Any, max_new_tokens: Any, stop_ids: Any) -> None:
        self.ids, self.lengths = _padded(prompt)
        self.limits = _limits(max_new_tokens, len(self.lengths))
        self.stop_ids = _stop_ids(stop_ids)

    def start(self, model: StepwiseModel[Any]) -> tuple[Logits, Any]:
        """Let the model read the prompts; refuse stop ids that are not in its vocabulary."""
        # The model never reads the last token of a row, but every prompt, also one with limit 0.
        capacity = int((self.lengths + np.maximum(self.limits, 1)).max()) - 1
        with no_grad():
            logits, state = model.start(self.ids, self.lengths, capacity)
        for stop in self.stop_ids:
            if not 0 <= stop < logits.shape[1]:
                raise ValueError(
                    f"stop id {stop} lies outside the vocabulary of {logits.shape[1]} tokens"
                )
        return logits, state


def _integers(name: str, values: Any) -> NDArray[np.intp]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"expected {name} to be integers, got {array.dtype}")
    return array.astype(np.intp)


def _padded(prompt: Any) -> tuple[Ids, Ids]:
    rows = [_integers("prompt", row) for row in prompt]
    if any(row.ndim != 1 for row in rows):
        raise ValueError(
            "expected the prompt to be rows of ids, (B, T); for a single row write [ids]"
        )
    lengths = np.array([len(row) for row in rows], np.intp)
    if not lengths.all():
        raise ValueError(
            f"the prompt of row {lengths.argmin()} is empty; begin with at least one token, "
            "such as bos_id"
        )
    padded = np.zeros((len(rows), lengths.max(initial=0)), np.intp)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded, lengths


def _limits(max_new_tokens: Any, batch: int) -> Ids:
    limits = _integers("max_new_tokens", max_new_tokens)
    if limits.shape not in ((), (batch,)):
        raise ValueError(
            f"expected max_new_tokens to be one number or of shape (B={batch},), "
            f"got shape {limits.shape}"
        )
    if limits.min(initial=0) < 0:
        raise ValueError(f"expected max_new_tokens >= 0, got {limits.min()}")
    return np.broadcast_to(limits, batch)


def _stop_ids(stop_ids: Any) -> list[int]:
    if not isinstance(stop_ids, Collection):
        raise TypeError(
            f"expected stop_ids to be a collection, got {stop_ids!r}; write stop_ids=[{stop_ids!r}]"
        )
    return sorted(set(_integers("stop_ids", list(stop_ids)).tolist()))
