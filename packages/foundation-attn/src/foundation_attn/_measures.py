"""What a head does, in three numbers, and where it looks most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class HeadScores(NamedTuple):
    """One number for each head, all from 0 to 1.

    Attributes
    ----------
    entropy : (H,) array
        Of a query's weights, relative to that of equal weights: 0 looks at one key, 1 at all.
    previous : (H,) array
        Mean weight on the token before.
    induction : (H,) array
        Mean weight on tokens that follow an earlier occurrence of the query's token, over the
        queries that have one [1]_; NaN if nothing is repeated.

    References
    ----------
    .. [1] C. Olsson et al., "In-context Learning and Induction Heads", 2022, arXiv:2209.11895.
    """

    entropy: NDArray[Any]
    previous: NDArray[Any]
    induction: NDArray[Any]


def head_scores(weights: NDArray[Any], tokens: Sequence[object] | None = None) -> HeadScores:
    """Describe the heads of one layer on one text.

    Parameters
    ----------
    weights : (H, T, S) array
        As captured, of one row of the batch; self-attention for all but the entropy.
    tokens : S tokens, optional
        For the induction score.

    Raises
    ------
    ValueError
        If weights are not (H, T, S), or tokens do not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> previous = np.array([[[1.0, 0, 0], [1, 0, 0], [0, 1, 0]]])  # each token, the one before
    >>> scores = head_scores(previous)
    >>> scores.entropy.tolist(), scores.previous.tolist()
    ([0.0], [1.0])
    """
    if weights.ndim != 3:
        raise ValueError(f"head_scores: expected weights of shape (H, T, S), got {weights.shape}")
    H, T, S = weights.shape
    seen = np.maximum((weights > 0).sum(axis=-1), 2)  # what each query may choose from
    entropy = _entropy(weights) / np.log(seen)
    before = np.diagonal(weights, offset=S - T - 1, axis1=1, axis2=2)
    induction = np.full(H, np.nan)
    if tokens is not None:
        if len(tokens) != S or T != S:
            raise ValueError(
                f"head_scores: expected {S} tokens of a text that attends to itself, got "
                f"{len(tokens)} for weights of shape {weights.shape}"
            )
        same = np.array([[a == b for b in tokens] for a in tokens], bool).reshape(S, S)
        after = np.zeros((S, S), bool)
        after[:, 1:] = np.tril(same, -1)[:, :-1]  # key s where token s - 1 is the query's
        rows = after.any(axis=1)
        if rows.any():
            induction = (weights * after).sum(axis=-1)[:, rows].mean(axis=-1)
    return HeadScores(_mean(entropy), _mean(before), induction)


def information(weights: NDArray[Any]) -> NDArray[Any]:
    """How much it matters to each head which query is looking, (H,), in nats.

    The entropy of the mean of all rows, less the mean of their entropies (Jensen and Shannon's
    divergence). A head whose queries all look at the same key, or all equally at everything, has 0;
    one whose T queries look at a key of their own each has log(T).

    Parameters
    ----------
    weights : (H, T, S) array

    Examples
    --------
    >>> import numpy as np
    >>> own, same = np.eye(4), np.eye(4)[[0, 0, 0, 0]]
    >>> np.exp(information(np.stack([own, same]))).round(6).tolist()
    [4.0, 1.0]
    """
    if not weights.shape[1]:
        return np.zeros(len(weights))
    of_mean = _entropy(weights.mean(axis=1))
    gained: NDArray[Any] = of_mean - _entropy(weights).mean(axis=1)
    return gained


def _entropy(weights: NDArray[Any]) -> NDArray[Any]:
    """Of weights over the last axis, in nats."""
    logs = np.log(np.where(weights > 0, weights, 1))
    entropy: NDArray[Any] = -(weights * logs).sum(axis=-1)
    return entropy


def hard_alignment(weights: NDArray[Any]) -> NDArray[np.intp]:
    """The key each query looks at most, (..., T); -1 for one that may look at nothing."""
    where: NDArray[np.intp] = weights.argmax(axis=-1)
    return np.where(weights.any(axis=-1), where, -1)


def _mean(x: NDArray[Any]) -> NDArray[Any]:
    return x.mean(axis=-1) if x.shape[-1] else np.zeros(len(x))
