"""Looking for the likeliest continuation, not only at the likeliest next token."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_nn import no_grad
from numpy.typing import NDArray

from foundation_seq._request import Request, require_finite
from foundation_seq._sampling import log_probabilities
from foundation_seq._stepwise import Ids, StepwiseModel


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One continuation found by :func:`beam_search`.

    Attributes
    ----------
    tokens : list of int
        Without prompt and stop id.
    log_prob : float
        The sum over the tokens, the stop id included.
    score : float
        By which hypotheses are ranked: ``log_prob`` divided by the length penalty.
    stopped : bool
        A stop id has ended it, not the limit.
    """

    tokens: list[int]
    log_prob: float
    score: float
    stopped: bool


def beam_search(
    model: StepwiseModel[Any],
    prompt: Sequence[Sequence[int]] | Ids,
    max_new_tokens: int | Sequence[int] | Ids,
    *,
    beam_size: int = 4,
    length_penalty: float = 0.6,
    stop_ids: Collection[int] = (),
) -> list[list[Hypothesis]]:
    """The best continuations of each row of the prompt.

    At every step each of a row's ``beam_size`` open hypotheses is continued by every token. Of
    all these the best are kept: those that end in a stop id are set aside as finished, the others
    stay open. The search ends when no open hypothesis can come before the worst of ``beam_size``
    finished ones any more. The score of n tokens, the stop id included, is [1]_, eq. 14,

        log P(tokens | prompt) / ((5 + n) / 6)^α.

    Rows do not influence each other. A beam of one without length penalty is greedy decoding.

    Parameters
    ----------
    model : StepwiseModel
    prompt : (B, T) integer array or sequence of B sequences of ids
    max_new_tokens : int or (B,) integers
        Hypotheses of this length are finished, stop id or not.
    beam_size : int
        4 with α = 0.6 is what [2]_ translates with.
    length_penalty : float
        α ≥ 0: 0 ranks by log-probability, which prefers the short; 1 nearly by its mean.
    stop_ids : collection of int

    Returns
    -------
    list of B lists of Hypothesis
        At most ``beam_size`` of each row, the best first.

    Raises
    ------
    TypeError, ValueError
        As :func:`generate`; also if ``beam_size`` is no positive integer or ``length_penalty`` is
        negative or not finite.

    References
    ----------
    .. [1] Y. Wu et al., "Google's Neural Machine Translation System", 2016, arXiv:1609.08144.
    .. [2] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 6.1.

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, beam_search
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> ((best, second, third),) = beam_search(model, [[1, 2]], 7, beam_size=3)
    >>> best.score >= second.score >= third.score
    True
    """
    if isinstance(beam_size, bool) or not isinstance(beam_size, int | np.integer):
        raise TypeError(f"expected beam_size to be an integer, got {beam_size!r}")
    if beam_size < 1:
        raise ValueError(f"expected beam_size >= 1, got {beam_size}; 1 is greedy")
    if not (length_penalty >= 0 and math.isfinite(length_penalty)):
        raise ValueError(f"expected length_penalty >= 0 (0: none), got {length_penalty}")
    request = Request(prompt, max_new_tokens, stop_ids)
    searches = [_Search(limit, beam_size, length_penalty) for limit in request.limits.tolist()]
    if not request.limits.any():
        return [search.finished for search in searches]
    logits, state = request.start(model)
    with no_grad():
        while True:
            require_finite(logits)
            parents, tokens = _extend(searches, log_probabilities(logits), request.stops)
            if not len(parents):
                return [search.finished for search in searches]
            state = model.select(state, parents)
            logits, state = model.step(state, tokens)


def _extend(
    searches: list[_Search], log_p: NDArray[np.float64], stops: list[int]
) -> tuple[Ids, Ids]:
    """One step of all searches, whose open hypotheses share the rows of ``log_p`` (N, V)."""
    parents: list[int] = []
    tokens: list[int] = []
    first = 0
    for search in searches:
        behind = first + len(search.log_probs)
        for parent, token in search.extend(log_p[first:behind], stops):
            parents.append(first + parent)
            tokens.append(token)
        first = behind
    return np.array(parents, np.intp), np.array(tokens, np.intp)


class _Search:
    """The open and the finished hypotheses of one row."""

    def __init__(self, limit: int, beam_size: int, length_penalty: float) -> None:
        self.limit = limit
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.open: list[list[int]] = [[]]
        self.log_probs = np.zeros(1)  # of the open hypotheses
        self.finished: list[Hypothesis] = []  # the best first
        if not limit:
            self._finish([], 0.0, 0, stopped=False)

    def extend(self, log_p: NDArray[np.float64], stops: list[int]) -> list[tuple[int, int]]:
        """Continue each open hypothesis; what stays open, as (former place, new token)."""
        if not self.open or not self.limit:
            return self._close()
        length = len(self.open[0]) + 1
        total = (self.log_probs[:, None] + log_p).reshape(-1)  # (N · V,)
        # So many that beam_size are left if all stop ids are among them.
        ranked = _largest(total, self.beam_size + len(self.open) * len(stops))
        chosen: list[tuple[int, int]] = []
        log_probs: list[float] = []
        for rank, index in enumerate(ranked.tolist()):
            parent, token = divmod(index, log_p.shape[1])
            value = float(total[index])
            if token not in stops:
                chosen.append((parent, token))
                log_probs.append(value)
            elif rank < self.beam_size:
                self._finish(self.open[parent], value, length, stopped=True)
            if len(chosen) == self.beam_size:
                break
        self.open = [[*self.open[parent], token] for parent, token in chosen]
        self.log_probs = np.array(log_probs)
        if length == self.limit:
            for tokens, value in zip(self.open, log_probs, strict=True):
                self._finish(tokens, value, length, stopped=False)
            return self._close()
        return self._close() if self._decided() else chosen

    def _decided(self) -> bool:
        """No open hypothesis can still be one of the best."""
        if not self.open:
            return True
        # Its log-probability can only fall, and no penalty is larger than the last one.
        hope = self.log_probs.max() / self._penalty(self.limit)
        return len(self.finished) == self.beam_size and bool(self.finished[-1].score >= hope)

    def _close(self) -> list[tuple[int, int]]:
        self.open, self.log_probs = [], np.zeros(0)
        return []

    def _finish(self, tokens: list[int], log_prob: float, length: int, stopped: bool) -> None:
        score = log_prob / self._penalty(length)
        self.finished.append(Hypothesis(tokens, log_prob, score, stopped))
        self.finished.sort(key=lambda h: -h.score)
        del self.finished[self.beam_size :]

    def _penalty(self, length: int) -> float:
        return float(((5 + length) / 6) ** self.length_penalty)


def _largest(values: NDArray[np.float64], count: int) -> Ids:
    """Where the largest values stand, the largest first and of equals the first; none is -inf."""
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        places = np.flatnonzero((values >= least) & (values > -np.inf))
    else:
        places = np.flatnonzero(values > -np.inf)
    return places[np.argsort(-values[places], kind="stable")][:count]
