"""A recurrent decoder that looks back at what it translates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from foundation_nn import (
    Array,
    Embedding,
    Linear,
    Module,
    Parameter,
    Result,
    Tensor,
    init,
    number,
    operation,
    whole_number,
)
from foundation_nn import functional as F
from foundation_seq import LSTM, Ids
from foundation_seq.functional import lstm

from foundation_attn._basic import dot_score, masked_softmax, tanh_sum
from foundation_attn._capture import active_maps
from foundation_attn.masks import Mask, check_key_mask, hide

SCORES = ("dot", "general", "additive")


@dataclass(frozen=True)
class DecoderState:
    """What the decoder knows of each row.

    Attributes
    ----------
    hidden, cell : (B, H) tensor
    feed : (B, 1, H) tensor
        The attentional vector of the step before.
    memory : (B, S, M) tensor
        What is looked at.
    keys : (B, S, ...) tensor
        The memory as the score compares it, projected once.
    key_mask : (B, S) bool array
        True where the memory is real.
    """

    hidden: Tensor
    cell: Tensor
    feed: Tensor
    memory: Tensor
    keys: Tensor
    key_mask: Mask

    def select(self, rows: Ids) -> DecoderState:
        """The state in which row i is the former row ``rows[i]``."""
        moved = {
            name: Tensor.wrap(getattr(self, name).data[rows])
            for name in ("hidden", "cell", "feed", "memory", "keys")
        }
        return replace(self, key_mask=self.key_mask[rows], **moved)


class AttentionDecoder(Module):
    """An LSTM that, at each step, weighs the memory by its state [1]_ and is fed the result.

    With e_t the embedding of the token and ã_0 = 0::

        h_t, c_t = LSTM([e_t; ã_{t-1}], h_{t-1}, c_{t-1})     input feeding
        p_t = softmax over s of score(h_t, m_s)
        ã_t = tanh(W [h_t; Σ_s p_ts m_s])
        logits_t = W_out ã_t + b

    Parameters
    ----------
    vocab_size, embedding_dim, hidden_size, memory_size : int
        V, E, H and M.
    score : {"general", "dot", "additive"}
        See :func:`general_score`, :func:`dot_score` (needs M = H) and :func:`additive_score`.
    dropout : float
        On the embeddings and the attentional vectors, within ``train_mode``.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If the score is unknown, or "dot" and M is not H.

    References
    ----------
    .. [1] T. Luong, H. Pham and C. D. Manning, "Effective Approaches to Attention-based Neural
       Machine Translation", EMNLP 2015, arXiv:1508.04025.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        memory_size: int,
        score: str = "general",
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"score: expected one of {SCORES}, got {score!r}")
        if score == "dot" and memory_size != hidden_size:
            raise ValueError(
                f"score: 'dot' compares vectors of one width, got hidden_size={hidden_size} and "
                f"memory_size={memory_size}; use 'general'"
            )
        kind = "AttentionDecoder"
        vocab_size = whole_number(kind, "vocab_size", vocab_size, at_least=1)
        embedding_dim = whole_number(kind, "embedding_dim", embedding_dim, at_least=1)
        hidden_size = whole_number(kind, "hidden_size", hidden_size, at_least=1)
        memory_size = whole_number(kind, "memory_size", memory_size, at_least=1)
        rng = init.generator(rng)
        self.score = score
        self.dropout = number(kind, "dropout", dropout, at_least=0, less_than=1)
        self.hidden_size = hidden_size
        self.embedding = Embedding(vocab_size, embedding_dim, rng=rng)
        self.lstm = LSTM(embedding_dim + hidden_size, hidden_size, rng=rng)
        if score != "dot":
            self.key = Linear(memory_size, hidden_size, bias=False, rng=rng)
        if score == "additive":
            self.query = Linear(hidden_size, hidden_size, bias=False, rng=rng)
            self.v = Parameter(init.normal(rng, (hidden_size,), hidden_size**-0.5))
        self.combine = Linear(hidden_size + memory_size, hidden_size, bias=False, rng=rng)
        self.output = Linear(hidden_size, vocab_size, rng=rng)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a decoder, for checkpoints."""
        return {
            "vocab_size": self.embedding.num_embeddings,
            "embedding_dim": self.embedding.embedding_dim,
            "hidden_size": self.hidden_size,
            "memory_size": self.combine.in_features - self.hidden_size,
            "score": self.score,
            "dropout": self.dropout,
        }

    def start(self, memory: Tensor, key_mask: Mask, hidden: Tensor) -> DecoderState:
        """The state before the first step.

        Parameters
        ----------
        memory : (B, S, M) tensor
        key_mask : (B, S) bool array
            True where the memory is real; what stands elsewhere may be NaN.
        hidden : (B, H) tensor
            The first hidden and cell state.
        """
        check_key_mask(key_mask, memory.shape[:2])
        memory = hide(memory, key_mask)
        keys = memory if self.score == "dot" else self.key(memory)
        zeros = Tensor.wrap(np.zeros((len(key_mask), 1, self.hidden_size), memory.dtype))
        return DecoderState(hidden, hidden, zeros, memory, keys, key_mask)

    def forward(self, ids: Ids, state: DecoderState) -> Tensor:
        """Logits (B, T, V) of the token after each of ``ids`` (B, T): teacher forcing."""
        return self.read(ids, state)[0]

    def read(self, ids: Ids, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """The same, and the state after them.

        Raises
        ------
        ValueError
            If ``ids`` is not (B, T) with T ≥ 1, or not of the batch of the state.
        """
        if np.ndim(ids) != 2 or len(ids) != len(state.key_mask) or not np.shape(ids)[1]:
            raise ValueError(
                f"expected ids of shape (B={len(state.key_mask)}, T), T >= 1, got {np.shape(ids)}"
            )
        feeds, maps = [], []
        for e in _columns(F.dropout(self.embedding(ids), self.dropout)):
            state, weights = self._step(e, state)
            feeds.append(state.feed)
            maps.append(weights.data)
        recorder = active_maps()
        if recorder is not None:
            recorder.record(self, "cross", np.concatenate(maps, axis=1)[:, None])
        return self.output(F.concat(feeds, axis=1)), state

    def _step(self, e: Tensor, state: DecoderState) -> tuple[DecoderState, Tensor]:
        """One token, embedded (B, 1, E)."""
        x = F.concat([e, state.feed], axis=-1)
        w_ih, w_hh, b_ih, b_hh = self.lstm.parameters()
        h, hidden, cell = lstm(x, state.hidden, state.cell, w_ih, w_hh, b_ih, b_hh)
        if self.score == "additive":
            scores = tanh_sum(self.query(h), state.keys, self.v)
        else:
            scores = dot_score(h, state.keys)
        weights = masked_softmax(scores, state.key_mask[:, None])  # (B, 1, S)
        both = F.concat([h, weights @ state.memory], axis=-1)
        feed = F.dropout(F.tanh(self.combine(both)), self.dropout)
        return replace(state, hidden=hidden, cell=cell, feed=feed), weights


@operation(outputs=2)
def _columns(x: Array) -> Result:
    """(B, T, E) as T tensors (B, 1, E)."""

    def backward(grads: list[Array]) -> Array:
        return np.concatenate(grads, axis=1)

    return tuple(x[:, t : t + 1] for t in range(x.shape[1])), backward
