"""How well a language model tells the next token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_nn import Tensor, no_grad
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.evaluation._blocks import blocks
from foundation_transformer.recipes._language_model import TextBatch, texts_apart


@dataclass(frozen=True)
class LanguageModelScores:
    """What a language model makes of a text.

    Attributes
    ----------
    loss : float
        Nats per token.
    accuracy : float
        The share of tokens that the model thought likeliest, from 0 to 1.
    num_tokens : int
        Targets.
    bits_per_byte : float or None
        Of the text in UTF-8, which compares models with different vocabularies.
    """

    loss: float
    accuracy: float
    num_tokens: int
    bits_per_byte: float | None

    @property
    def perplexity(self) -> float:
        """e^loss: guessing among this many equally likely tokens would be as hard."""
        return math.exp(self.loss)


def score_text(
    model: CausalLM,
    ids: Sequence[int],
    before: Sequence[int] = (),
    *,
    context: int | None = None,
    stride: int | None = None,
    batch_size: int | None = None,
) -> LanguageModelScores:
    """Read a text of any length in windows, and compare each token with what was expected.

    Memory depends on the tokens of a batch and not on the size of the vocabulary.

    Parameters
    ----------
    model : CausalLM
    ids : sequence of int
        The text.
    before : sequence of int
        What the model reads before every text: each window begins with it.
    context : int, optional
        Tokens of a window; as many as the model reads by default, and 2048 at most.
    stride : int, optional
        How many tokens each further window adds. The smaller, the more of the text before it each
        token is told by, and the longer it takes. By default windows do not overlap.
    batch_size : int, optional
        Windows at once; by default 4096 tokens.

    Raises
    ------
    ValueError
        If there is nothing to foretell, or a number is out of its range.
    """
    longest = model.config.max_len if model.config.has_length_limit else 2048
    length = min(longest, 2048) if context is None else context
    if not len(before) + 1 <= length <= longest:
        raise ValueError(
            f"score_text: expected a context of {len(before) + 1} to {longest:,}, got {length:,}"
        )
    width = length + 1 - len(before)  # of the text in a row: inputs and the last target
    first = 0 if len(before) else 1  # the first token that is foretold
    most = width - first
    step = most if stride is None else stride
    if not 1 <= step <= most:
        raise ValueError(f"score_text: expected a stride of 1 to {most:,}, got {step:,}")
    if len(ids) <= first:
        raise ValueError("score_text: there is no token to foretell in this text")
    size = max(1, 4096 // length) if batch_size is None else batch_size
    nats, right = 0.0, 0
    for rows, counted in _windows(ids, before, width, step, first, size):
        with no_grad():
            hidden = model.hidden(rows[:, :-1]).data[:, -counted:]  # (B, counted, D)
        hidden = hidden.reshape(-1, hidden.shape[-1])
        targets = rows[:, -counted:].ravel()
        for block in blocks(len(targets), model.config.vocab_size):
            some = _scores(model, hidden[block], targets[block])
            nats += some[0]
            right += some[1]
    count = len(ids) - first
    return LanguageModelScores(nats / count, right / count, count, None)


def _windows(
    ids: Sequence[int], before: Sequence[int], width: int, step: int, first: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Batches of rows of equal length, and how many tokens at the end of each row count."""
    text = np.asarray(ids, np.int64)
    head = np.asarray(before, np.int64)
    batch: list[NDArray[np.int64]] = []
    batch_counted = 0
    begin = first
    while begin < len(text):
        end = min(len(text), width if begin == first else begin + step)
        row = np.concatenate([head, text[max(0, end - width) : end]])
        counted = end - begin
        if batch and (counted != batch_counted or len(row) != len(batch[0])):
            yield np.stack(batch), batch_counted
            batch = []
        batch.append(row)
        batch_counted = counted
        if len(batch) == batch_size:
            yield np.stack(batch), batch_counted
            batch = []
        begin = end
    if batch:
        yield np.stack(batch), batch_counted


def _scores(
    model: CausalLM, hidden: NDArray[np.float32], targets: NDArray[Any]
) -> tuple[float, int]:
    """The nats of targets, and how many of them are the likeliest tokens, from (N, D)."""
    with no_grad():
        logits = model.logits(Tensor(hidden)).data.astype(np.float64)  # (N, V)
    logits -= logits.max(axis=1, keepdims=True)
    right = int((logits.argmax(axis=1) == targets).sum())
    expected = logits[np.arange(len(targets)), targets]
    nats = np.log(np.exp(logits, out=logits).sum(axis=1)) - expected
    return float(nats.sum()), right


def score_language_model(
    model: CausalLM, batches: Iterable[TextBatch], num_bytes: int | None = None
) -> LanguageModelScores:
    """Read all batches, and compare what comes with what was expected.

    Parameters
    ----------
    model : CausalLM
    batches : iterable of TextBatch
        Such as :func:`foundation_transformer.recipes.consecutive_windows`.
    num_bytes : int, optional
        The length of the text of all targets in UTF-8.

    Raises
    ------
    ValueError
        If there is no target, or ``num_bytes`` is not positive.
    """
    if num_bytes is not None and num_bytes < 1:
        raise ValueError(f"score_language_model: expected num_bytes >= 1, got {num_bytes}")
    nats, right, count = 0.0, 0, 0
    with no_grad():
        for batch in batches:
            real = np.ones(batch.ids.shape, bool) if batch.segments is None else batch.segments > 0
            targets = batch.targets[real]  # (N,)
            mask, positions = texts_apart(batch)
            hidden = model.hidden(batch.ids, mask=mask, positions=positions).data[real]  # (N, D)
            for rows in blocks(len(targets), model.config.vocab_size):
                some = _scores(model, hidden[rows], targets[rows])
                nats += some[0]
                right += some[1]
            count += len(targets)
    if not count:
        raise ValueError("score_language_model: no batch with a target that counts")
    bits = None if num_bytes is None else nats / math.log(2) / num_bytes
    return LanguageModelScores(nats / count, right / count, count, bits)
