"""From logits to the next token."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foundation_seq._stepwise import Ids, Logits


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How the next token is drawn.

    The steps are taken in this order; each works on what the one before has left.

    Parameters
    ----------
    repetition_penalty : float
        Logits of tokens that the row already holds are divided by it if positive, else
        multiplied [1]_; 1 changes nothing.
    temperature : float
        Divides all logits. Below 1 the likely becomes likelier; towards 0 only the likeliest is
        left, which is what no config at all (``sampling=None``) gives.
    top_k : int, optional
        Keep the k likeliest tokens [2]_; of equals, those with the lower id.
    top_p : float, optional
        Keep the fewest likeliest tokens that together have at least this probability [3]_.
    min_p : float, optional
        Keep tokens at least this fraction as likely as the likeliest [4]_.

    Raises
    ------
    TypeError
        If ``top_k`` is not an integer.
    ValueError
        If a value lies outside its range.

    References
    ----------
    .. [1] N. S. Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable
       Generation", 2019, arXiv:1909.05858.
    .. [2] A. Fan, M. Lewis and Y. Dauphin, "Hierarchical Neural Story Generation", ACL 2018,
       arXiv:1805.04833.
    .. [3] A. Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020,
       arXiv:1904.09751.
    .. [4] M. N. Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM
       Outputs", ICLR 2025, arXiv:2407.01082.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(
                f"SamplingConfig: expected temperature > 0, got {self.temperature}; "
                "for the likeliest token pass sampling=None"
            )
        if self.top_k is not None:
            if isinstance(self.top_k, bool) or not isinstance(self.top_k, int | np.integer):
                raise TypeError(
                    f"SamplingConfig: expected top_k to be an integer, got {self.top_k!r}"
                )
            if self.top_k < 1:
                raise ValueError(
                    f"SamplingConfig: expected top_k >= 1, got {self.top_k}; None keeps all tokens"
                )
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(
                    f"SamplingConfig: expected 0 < {name} <= 1, got {value}; None keeps all tokens"
                )
        if not (self.repetition_penalty > 0 and math.isfinite(self.repetition_penalty)):
            raise ValueError(
                "SamplingConfig: expected repetition_penalty > 0 (1: none), got "
                f"{self.repetition_penalty}"
            )


def token_probabilities(
    logits: Logits, sampling: SamplingConfig, seen: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The distribution from which the next token of each row is drawn.

    Parameters
    ----------
    logits : (B, V) float array
    sampling : SamplingConfig
    seen : (B, V) bool array, optional
        Which tokens each row already holds; only the repetition penalty asks.

    Returns
    -------
    (B, V) float64 array
        Every row sums to one.

    Examples
    --------
    >>> logits = np.log([[0.5, 0.3, 0.2]])
    >>> token_probabilities(logits, SamplingConfig(top_k=2))
    array([[0.625, 0.375, 0.   ]])
    """
    z = logits.astype(np.float64)
    if seen is not None and sampling.repetition_penalty != 1:
        penalty = sampling.repetition_penalty
        z = np.where(seen, np.where(z > 0, z / penalty, z * penalty), z)
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z / sampling.temperature)
    p /= p.sum(axis=1, keepdims=True)
    if sampling.top_k is None and sampling.top_p is None and sampling.min_p is None:
        return p
    # With the likeliest in front, all three keep a first part of each row.
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    if sampling.top_k is not None:
        ranked[:, sampling.top_k :] = 0
        ranked /= ranked.sum(axis=1, keepdims=True)
    if sampling.top_p is not None:
        # A token stays if those before it do not yet reach the threshold.
        reached = np.cumsum(ranked, axis=1) >= sampling.top_p
        ranked[:, 1:][reached[:, :-1]] = 0
    if sampling.min_p is not None:
        ranked[ranked < sampling.min_p * ranked[:, :1]] = 0
    ranked /= ranked.sum(axis=1, keepdims=True)
    np.put_along_axis(p, order, ranked, axis=1)
    return p


def log_probabilities(logits: Logits) -> NDArray[np.float64]:
    """log softmax(logits) of each row, (B, V), in double precision."""
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def draw(probabilities: NDArray[np.float64], uniforms: NDArray[np.float64]) -> Ids:
    """One token per row: where the cumulated probability first exceeds a number from [0, 1)."""
    cumulated = np.cumsum(probabilities, axis=1)
    total = cumulated[:, -1]
    # A sum that rounding left off 1 must not lead behind the last token that is possible.
    threshold = np.minimum(uniforms * total, np.nextafter(total, 0))
    return np.asarray((cumulated <= threshold[:, None]).sum(axis=1))
