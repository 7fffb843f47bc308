"""The loss of fine-tuning: some of the tokens count, and logits are computed for these alone."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from foundation_nn import Array, Result, Tensor, operation
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.recipes._language_model import TextBatch, texts_apart

#: The target of a place that does not count, as in PyTorch.
IGNORE_INDEX = -100


class AnswerBatch(TextBatch, Protocol):
    """A batch of text of which some targets count; ``foundation_data.TextBatch`` can be one."""

    @property
    def trained(self) -> NDArray[np.bool_] | None:
        """(B, T): which targets count; None: all that are real."""


def answer_targets(batch: AnswerBatch) -> NDArray[np.integer[Any]]:
    """The targets (B, T), with :data:`IGNORE_INDEX` where a loss counts nothing.

    That is what ``cross_entropy(logits, targets, ignore_index=IGNORE_INDEX)`` takes.
    """
    counts = batch.trained
    if counts is None:
        counts = np.ones(batch.ids.shape, bool) if batch.segments is None else batch.segments > 0
    return np.where(counts, batch.targets, IGNORE_INDEX)


def answer_loss(model: CausalLM, batch: AnswerBatch) -> tuple[Tensor, int]:
    """The cross-entropy of the targets that count, and their number.

    A model of few layers spends half of its time on logits: each is a product with the embedding of
    every token in the vocabulary. Here those of questions and of padding are never computed.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_data import TextDataset
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.recipes import IGNORE_INDEX, answer_loss, answer_targets
    >>> learnt = [[False, False, True, True], [True, True, True]]
    >>> rows = TextDataset.from_ids([[1, 5, 6, 2], [1, 7, 2]], 8, pack=True, trained=learnt)
    >>> batch = rows.batch([0])
    >>> answer_targets(batch)
    array([[-100,    6,    2,    7,    2]])
    >>> config = TransformerConfig.llama(vocab_size=11, d_model=8, num_heads=2, num_layers=1)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> loss, count = answer_loss(model, batch)
    >>> logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
    >>> plain = F.cross_entropy(logits, answer_targets(batch), ignore_index=IGNORE_INDEX)
    >>> count, bool(np.isclose(loss.item(), plain.item()))
    (4, True)
    """
    targets = answer_targets(batch)
    counts = targets != IGNORE_INDEX
    mask, positions = texts_apart(batch)
    hidden = model.hidden(batch.ids, mask=mask, positions=positions)  # (B, T, D)
    logits = model.logits(rows_of(hidden, counts))  # (N, V)
    return F.cross_entropy(logits, targets[counts]), batch.num_tokens


@operation
def rows_of(x: Array, chosen: NDArray[np.bool_]) -> Result:
    """The rows of ``x`` (B, T, D) that are chosen (B, T) as (N, D); others have no gradient."""

    def backward(g: Array) -> Array:
        dx = np.zeros(x.shape, g.dtype)
        dx[chosen] = g  # no row is chosen twice
        return dx

    return x[chosen], backward
