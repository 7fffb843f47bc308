"""From logits to the next token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from foundation_seq.generation._stepwise import Ids, Logits


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How the next token is drawn.

    The steps are taken in this order; each works on what the one before has left.

    They act in the order in which they stand here, each on what the one before has left, shared out
    anew.

    Parameters
    ----------
    repetition_penalty : float
        Logits of tokens that the row already holds, prompt included, are divided by it if positive,
        else multiplied [1]_; 1 changes nothing. Greedy decoding, ``sampling=None``, has none.
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
        for name in ("temperature", "top_p", "min_p", "repetition_penalty"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                raise TypeError(f"SamplingConfig: expected {name} to be a number, got {value!r}")
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
        -inf forbids a token.
    sampling : SamplingConfig
    seen : (B, V) bool array, optional
        Which tokens each row already holds; only the repetition penalty asks.

    Returns
    -------
    (B, V) float64 array
        Every row sums to one.

    Raises
    ------
    ValueError
        If a logit is NaN or +inf, or all logits of a row are -inf.

    Examples
    --------
    >>> logits = np.log([[0.5, 0.3, 0.2]])
    >>> token_probabilities(logits, SamplingConfig(top_k=2))
    array([[0.625, 0.375, 0.   ]])
    >>> token_probabilities(logits, SamplingConfig(top_p=0.4))
    array([[1., 0., 0.]])
    """
    require_usable(logits)
    z = logits.astype(np.float64)
    if seen is not None and sampling.repetition_penalty != 1:
        penalty = sampling.repetition_penalty
        largest = np.finfo(z.dtype).max
        with np.errstate(over="ignore"):  # of an extreme penalty
            penalized = np.where(z > 0, z / penalty, z * penalty).clip(-largest, largest)
        z = np.where(seen & np.isfinite(z), penalized, z)  # what is forbidden stays so
    # The greatest becomes 0, so that exp cannot overflow. Others may become -inf, by an extreme
    # penalty or a very low temperature.
    with np.errstate(over="ignore"):
        z -= z.max(axis=1, keepdims=True)
        z /= sampling.temperature
    p = _normalized(np.exp(z))
    if sampling.top_k is not None:
        p = _keep_top_k(p, sampling.top_k)
    if sampling.top_p is not None:
        p = _keep_top_p(p, sampling.top_p)
    if sampling.min_p is not None:
        p = _keep_min_p(p, sampling.min_p)
    return p


def _keep_top_k(p: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Only the k likeliest tokens of each row."""
    vocab_size = p.shape[1]
    if k >= vocab_size:
        return p
    # A partition finds the k-th likeliest without sorting all the others.
    place = vocab_size - k
    least = np.partition(p, place, axis=1)[:, place]
    return _keep_likeliest(p, np.full(len(p), k), least)


def _keep_top_p(p: NDArray[np.float64], top_p: float) -> NDArray[np.float64]:
    """Only the fewest likeliest tokens of each row that together reach ``top_p``."""
    falling = np.sort(p, axis=1)[:, ::-1]  # the likeliest first
    # A token stays if those before it do not yet reach the threshold.
    before = np.cumsum(falling, axis=1)[:, :-1]
    counts = 1 + (before < top_p).sum(axis=1)
    least = falling[np.arange(len(p)), counts - 1]
    return _keep_likeliest(p, counts, least)


def _keep_min_p(p: NDArray[np.float64], min_p: float) -> NDArray[np.float64]:
    """Only the tokens that are at least ``min_p`` times as likely as the likeliest of their row."""
    threshold = min_p * p.max(axis=1, keepdims=True)
    return _normalized(np.where(p >= threshold, p, 0))


def _keep_likeliest(
    p: NDArray[np.float64], counts: NDArray[np.intp], least: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each row the ``counts`` likeliest tokens, the last of which has the probability ``least``.

    Where several have that probability, those with the lower ids stay.
    """
    above = p > least[:, None]
    equal = p == least[:, None]
    num_equal = counts - above.sum(axis=1)  # how many of the equals stay
    first_equals = equal & (np.cumsum(equal, axis=1) <= num_equal[:, None])
    return _normalized(np.where(above | first_equals, p, 0))


def _normalized(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same proportions, so that each row sums to one."""
    p: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return p


def log_probabilities(logits: Logits) -> NDArray[np.float64]:
    """log softmax(logits) of each row, (B, V), in double precision.

    Raises
    ------
    ValueError
        As :func:`token_probabilities`.
    """
    require_usable(logits)
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def require_usable(logits: Logits) -> None:
    """Refuse logits from which no token can be chosen; single ones may be -inf.

    Raises
    ------
    ValueError
    """
    largest = logits.max(axis=1)  # NaN if there is one in the row
    if np.isfinite(largest).all():
        return
    row = int(np.flatnonzero(~np.isfinite(largest))[0])
    if np.isneginf(largest[row]):
        raise ValueError(
            f"expected at least one token that is possible in each row of the logits, got only "
            f"-inf in row {row}; leave at least one logit finite"
        )
    found = "NaN" if np.isnan(largest[row]) else "+inf"
    raise ValueError(
        f"expected finite logits, or -inf for tokens that are forbidden, got {found} in row {row}; "
        "has the training of the model diverged?"
    )


def draw(probabilities: NDArray[np.float64], uniforms: NDArray[np.float64]) -> Ids:
    """One token per row: where the cumulated probability first exceeds a number from [0, 1)."""
    cumulated = np.cumsum(probabilities, axis=1)
    total = cumulated[:, -1]
    # A sum that rounding left off 1 must not lead behind the last token that is possible.
    threshold = np.minimum(uniforms * total, np.nextafter(total, 0))
    return np.asarray((cumulated <= threshold[:, None]).sum(axis=1))
