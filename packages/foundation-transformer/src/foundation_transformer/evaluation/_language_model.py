"""How well a language model tells the next token."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from foundation_nn import no_grad

from foundation_transformer._causal_lm import CausalLM
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
            logits = model(batch.ids, mask=mask, positions=positions).data
            logits = logits[real].astype(np.float64)  # (N, V)
            logits -= logits.max(axis=1, keepdims=True)
            expected = logits[np.arange(len(targets)), targets]
            nats += float((np.log(np.exp(logits).sum(axis=1)) - expected).sum())
            right += int((logits.argmax(axis=1) == targets).sum())
            count += len(targets)
    if not count:
        raise ValueError("score_language_model: no batch with a target that counts")
    bits = None if num_bytes is None else nats / math.log(2) / num_bytes
    return LanguageModelScores(nats / count, right / count, count, bits)
