"""The trainer that the recipes for transformers without a schedule of their own share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from foundation_nn import Module, optim, schedules
from foundation_nn.training import Callback, Trainer

from foundation_transformer._build import Ids


def fit(
    model: Module,
    loss: Any,
    batches: Iterable[Any],
    *,
    steps: int,
    validation: Iterable[Any] | None = None,
    lr: float,
    final_lr: float | None = None,
    warmup: int,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """AdamW, gradients clipped to norm 1, and a rate that rises and falls along a cosine.

    Parameters as :func:`train_lm` has them; at most half the steps are used for the warm-up.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least 1 batch for an update, got {accumulate}")
    final = lr / 10 if final_lr is None else final_lr
    trainer = Trainer(
        model,
        loss,
        optim.AdamW(model, lr, betas=betas, weight_decay=weight_decay),
        schedule=schedules.cosine(lr, max(2, steps), min(warmup, steps // 2), final),
        clip_norm=1.0,
        accumulate=accumulate,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
    trainer.fit(batches, validation=validation, max_steps=steps, max_seconds=max_seconds)
    return trainer


def padded(rows: Sequence[Sequence[int]], pad_id: int = 0) -> tuple[Ids, np.ndarray[Any, Any]]:
    """Rows of ids of any lengths as one array, and which of it is real.

    Parameters
    ----------
    rows : sequence of B sequences of int
    pad_id : int
        What stands behind the shorter ones; models do not look at it.

    Returns
    -------
    ids : (B, T) integer array
    key_mask : (B, T) bool array

    Examples
    --------
    >>> ids, key_mask = padded([[3, 1, 4], [1]])
    >>> ids.tolist()
    [[3, 1, 4], [1, 0, 0]]
    >>> key_mask.tolist()
    [[True, True, True], [True, False, False]]
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    key_mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    ids = np.full(key_mask.shape, pad_id, np.int64)
    if key_mask.any():
        ids[key_mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, key_mask


def trimmed(ids: Ids, key_mask: np.ndarray[Any, Any], *others: Any) -> list[Any]:
    """The same without the last columns, where no row has a real token: (B, T) to (B, T').

    Rows that were padded to the longest of a data set need less when they are in a batch.
    """
    is_real = np.flatnonzero(key_mask.any(axis=0))
    columns = slice(0, int(is_real[-1]) + 1 if len(is_real) else 0)
    return [array[:, columns] for array in (ids, key_mask, *others)]
