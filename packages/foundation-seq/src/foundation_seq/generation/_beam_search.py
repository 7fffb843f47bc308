"""Searching for the likeliest continuation, instead of taking the likeliest token at each step.

The likeliest first token may lead into a continuation that is poor as a whole. Beam search
therefore follows several continuations of each row side by side, the *open* hypotheses of its beam:
at every step each is continued by every token, and the best of the results make the next beam.

All open hypotheses of all rows stand in one batch, those of the first row in front. ``_Search``
decides for one row; :func:`beam_search` lets the model read what all of them have decided.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import no_grad
from numpy.typing import NDArray

from foundation_seq.generation._request import Request
from foundation_seq.generation._sampling import log_probabilities
from foundation_seq.generation._stepwise import Ids, Logits, StepwiseModel


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One continuation found by :func:`beam_search`.

    Attributes
    ----------
    tokens : list of int
        Without prompt and stop id.
    log_prob : float
        The sum of log P over the tokens, the stop id included.
    score : float
        What hypotheses are ranked by: ``log_prob`` divided by the length penalty.
    stopped : bool
        Whether a stop id has ended it, not the limit.
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
    penalty: str = "wu",
    patience: str = "exact",
    forbidden_ids: Collection[int] = (),
    forced_stop_id: int | None = None,
) -> list[list[Hypothesis]]:
    """The best continuations of each row of the prompt.

    At every step each of a row's ``beam_size`` open hypotheses is continued by every token, and the
    best of the results are kept. Those that end in a stop id, if they are among the ``beam_size``
    best of the step, are finished, and the ``beam_size`` best of the others stay open.
    The search of a row ends when ``beam_size`` hypotheses are finished and no open one can become
    better than the worst of them. The score of n tokens, the stop id included, is [1]_, eq. 14::

        log P(tokens | prompt) / ((5 + n) / 6)^α

    Rows do not influence each other. A beam of one without length penalty is greedy decoding.

    Published models were tuned with the search of Hugging Face's transformers. It finds what this
    one does with ``penalty="power"`` and ``patience="now"``.

    Parameters
    ----------
    model : StepwiseModel
    prompt : (B, T) integer array or sequence of B sequences of ids
    max_new_tokens : int or (B,) integers
        Hypotheses of this length are finished, stop id or not.
    beam_size : int
        4 with α = 0.6 is what [2]_ translates with.
    length_penalty : float
        α ≥ 0. With 0, hypotheses are ranked by their log-probability, which prefers short ones;
        with 1, nearly by its mean over the tokens.
    stop_ids : collection of int
    penalty : {"wu", "power"}
        What log-probabilities are divided by: ((5 + n) / 6)^α, or n^α, with which α = 1 gives the
        mean over the tokens.
    patience : {"exact", "now", "first"}
        When the search of a row ends, once ``beam_size`` hypotheses are finished: when no open one
        can become better than the worst of them, however long it grows (its log P can only fall,
        and is divided by at most the penalty of the limit); when none would be better if it ended
        now; at once. In transformers, ``early_stopping`` is "never", False or True.
    forbidden_ids : collection of int
        Tokens that are never written. The probabilities of the others stay as they are; a model
        that shares them out anew gives these tokens the logit -inf.
    forced_stop_id : int, optional
        One of the stop ids, with which every hypothesis ends that reaches the limit. It is the last
        of its tokens, and costs nothing: its log P counts as 0.

    Returns
    -------
    list of B lists of Hypothesis
        At most ``beam_size`` of each row, the best first.

    Raises
    ------
    TypeError, ValueError
        As :func:`generate`; also if ``beam_size`` is no positive integer, ``length_penalty`` is
        negative or not finite, ``penalty`` or ``patience`` is none of these, or a forbidden or
        forced id is not in the vocabulary.

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
    for name, value, known in (
        ("penalty", penalty, ("wu", "power")),
        ("patience", patience, ("exact", "now", "first")),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {known}, got {value!r}")
    request = Request(prompt, max_new_tokens, stop_ids)
    if forced_stop_id is not None and forced_stop_id not in request.stop_ids:
        raise ValueError(
            f"forced_stop_id: expected one of the stop ids {request.stop_ids}, got {forced_stop_id}"
        )
    rules = _Rules(
        request.stop_ids,
        sorted(set(forbidden_ids)),
        forced_stop_id,
        beam_size,
        length_penalty,
        penalty,
        patience,
    )
    searches = [_Search(limit, rules) for limit in request.limits.tolist()]
    if request.limits.any():
        logits, state = request.start(model)
        for index in rules.forbidden_ids:
            if not 0 <= index < logits.shape[1]:
                raise ValueError(
                    f"forbidden id {index} lies outside the vocabulary of {logits.shape[1]} tokens"
                )
        with no_grad():
            rows, tokens = _extend(searches, logits)
            while len(rows):
                state = model.select(state, rows)
                logits, state = model.step(state, tokens)
                rows, tokens = _extend(searches, logits)
    return [search.finished for search in searches]


def _extend(searches: list[_Search], logits: Logits) -> tuple[Ids, Ids]:
    """One step of all searches.

    Returns for each hypothesis that is open after it which row of the batch it continues, and by
    which token.
    """
    log_p = log_probabilities(logits)  # (rows of the batch, V)
    rows: list[int] = []
    tokens: list[int] = []
    start = 0
    for search in searches:
        stop = start + len(search.open)
        for parent, token in search.extend(log_p[start:stop]):
            rows.append(start + parent)
            tokens.append(token)
        start = stop
    return np.array(rows, np.intp), np.array(tokens, np.intp)


class _Rules(NamedTuple):
    """What :func:`beam_search` was asked for, which explains it."""

    stop_ids: list[int]
    forbidden_ids: list[int]
    forced_stop_id: int | None
    beam_size: int
    length_penalty: float
    penalty: str
    patience: str

    def score(self, log_prob: float, length: int) -> float:
        """What a hypothesis of so many tokens, the stop id included, is ranked by."""
        base = (5 + length) / 6 if self.penalty == "wu" else length
        return float(log_prob / base**self.length_penalty)


class _Search:
    """The open and the finished hypotheses of one row.

    Attributes
    ----------
    open : list of lists of int
        The tokens of the open hypotheses, all of one length.
    open_log_probs : (len(open),) array
        Their log-probabilities.
    finished : list of Hypothesis
        At most ``beam_size``, the best first.
    """

    def __init__(self, limit: int, rules: _Rules) -> None:
        self.limit = limit
        self.rules = rules
        self.beam_size = rules.beam_size
        self.open: list[list[int]] = [[]]
        self.open_log_probs = np.zeros(1)
        self.finished: list[Hypothesis] = []
        if not limit:
            self.finished.append(Hypothesis([], 0.0, 0.0, stopped=False))

    def extend(self, log_p: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Continue each open hypothesis by one token.

        Parameters
        ----------
        log_p : (len(open), V) array
            Log-probabilities of the next token of each open hypothesis.

        Returns
        -------
        list of (int, int)
            For each hypothesis that is open now, which of the former ones it continues, and by
            which token.
        """
        if not self.open or not self.limit:
            return self._end()
        length = len(self.open[0]) + 1
        vocab_size = log_p.shape[1]
        stop_ids = self.rules.stop_ids
        log_p = self._allowed(log_p, length)
        total = (self.open_log_probs[:, None] + log_p).reshape(-1)  # (len(open) * V,)
        # Even if all that can stop do so among the best, beam_size others are left.
        num_candidates = self.beam_size + len(self.open) * len(stop_ids)
        continued: list[tuple[int, int]] = []
        log_probs: list[float] = []
        for rank, index in enumerate(_largest(total, num_candidates).tolist()):
            parent, token = divmod(index, vocab_size)
            log_prob = float(total[index])
            if token not in stop_ids:
                continued.append((parent, token))
                log_probs.append(log_prob)
            elif rank < self.beam_size:
                self._finish(self.open[parent], log_prob, length, stopped=True)
            if len(continued) == self.beam_size:
                break
        self.open = [[*self.open[parent], token] for parent, token in continued]
        self.open_log_probs = np.array(log_probs)
        if length == self.limit:
            for tokens, log_prob in zip(self.open, log_probs, strict=True):
                self._finish(tokens, log_prob, length, stopped=False)
        if length == self.limit or self._is_decided(length):
            return self._end()
        return continued

    def _allowed(self, log_p: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """The log-probabilities (len(open), V) with those of tokens that may not be next as -inf.

        The next token is the one at this length.
        """
        forced = self.rules.forced_stop_id
        if forced is not None and length == self.limit:
            log_p = np.full_like(log_p, -np.inf)
            log_p[:, forced] = 0
        elif self.rules.forbidden_ids:
            log_p = log_p.copy()
            log_p[:, self.rules.forbidden_ids] = -np.inf
        return log_p

    def _is_decided(self, length: int) -> bool:
        """Whether no open hypothesis, all of this length, is to become one of the best any more."""
        if not self.open:
            return True
        if len(self.finished) < self.beam_size:
            return False
        if self.rules.patience == "first":
            return True
        if self.rules.patience == "exact":
            # A log-probability can only fall, and is divided by at most the penalty of the limit.
            length = self.limit
        best_possible = self.rules.score(float(self.open_log_probs.max()), length)
        return self.finished[-1].score >= best_possible

    def _end(self) -> list[tuple[int, int]]:
        self.open = []
        self.open_log_probs = np.zeros(0)
        return []

    def _finish(self, tokens: list[int], log_prob: float, length: int, stopped: bool) -> None:
        score = self.rules.score(log_prob, length)
        self.finished.append(Hypothesis(tokens, log_prob, score, stopped))
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self.finished[self.beam_size :]


def _largest(values: NDArray[np.float64], count: int) -> Ids:
    """The places of the ``count`` largest values, the largest first; -inf is left out.

    Of equal values the first comes first.
    """
    places = np.flatnonzero(values > -np.inf)
    if count < len(values):
        # A partition finds the smallest of them without sorting all the others.
        smallest = np.partition(values, len(values) - count)[len(values) - count]
        places = places[values[places] >= smallest]
    order = np.argsort(-values[places], kind="stable")
    return places[order][:count]
