"""A transformer bound to source sentences, writing their translations token by token."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_attn.masks import Mask
from foundation_nn import Tensor, no_grad, one_blas_thread
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._layers import DecoderCache
from foundation_transformer._ragged import align_right, real_and_positions, rotary_positions
from foundation_transformer._transformer import Transformer


@dataclass
class TranslationState:
    """What is remembered of each row.

    Attributes
    ----------
    caches : list of DecoderCache
        Keys and values of the target so far and, projected once, of the memory.
    padding : (B,) integer array
        How many target columns of each row, on its left, are not real.
    sources : (B,) integer array
        Which source each row translates.
    memory : (B, S, D) array
    source_mask : (B, S) bool array or None
        Padding: True where the memory is real.
    """

    caches: list[DecoderCache]
    padding: Ids
    sources: Ids
    memory: NDArray[Any]
    source_mask: Mask | None


class Translator:
    """The step-wise model (see :class:`foundation_seq.StepwiseModel`) of given sources.

    The sources are encoded once, here.

    Parameters
    ----------
    model : Transformer
    source : (B, S) integer array
    source_mask : (B, S) bool array, optional
    forbidden_ids : collection of int
        Tokens that are never written: their logits are -inf.
    """

    def __init__(
        self,
        model: Transformer,
        source: Ids,
        source_mask: Mask | None = None,
        forbidden_ids: Collection[int] = (),
    ) -> None:
        self.model = model
        self.source_mask = source_mask
        self.forbidden_ids = list(forbidden_ids)
        with no_grad():
            self.memory = model.encode(source, source_mask).data

    def start(
        self, prompt: Ids, lengths: Ids, capacity: int
    ) -> tuple[NDArray[Any], TranslationState]:
        """Read the prompts, one for each source; each begins with ``bos_id``.

        Raises
        ------
        ValueError
            If there are more or fewer prompts than sources.
        """
        B, S, _ = self.memory.shape
        if len(prompt) != B:
            raise ValueError(f"expected one prompt for each of the {B} sources, got {len(prompt)}")
        del capacity  # caches grow; rows of one length, as translations mostly are, seldom
        ids, padding = align_right(prompt, lengths)
        caches = self.model.decoder.new_caches(S)
        state = TranslationState(caches, padding, np.arange(B), self.memory, self.source_mask)
        return self._read(state, ids), state

    def step(self, state: TranslationState, tokens: Ids) -> tuple[NDArray[Any], TranslationState]:
        """Append one token to each row."""
        return self._read(state, tokens[:, None]), state

    def select(self, state: TranslationState, rows: Ids) -> TranslationState:
        """The state in which row i is the former row ``rows[i]``; the former state is used up."""
        sources, memory, mask = state.sources[rows], state.memory, state.source_mask
        for cache in state.caches:
            cache.target.reorder(rows)
        # Beams that change places within a source leave what belongs to the source as it is.
        if not np.array_equal(sources, state.sources):
            for cache in state.caches:
                cache.memory.reorder(rows)
            memory = memory[rows]
            mask = None if mask is None else mask[rows]
        return TranslationState(state.caches, state.padding[rows], sources, memory, mask)

    def _read(self, state: TranslationState, ids: Ids) -> NDArray[Any]:
        """Logits (B, V) after new target ids (B, T)."""
        model = self.model
        start = state.caches[0].target.length
        real, positions = real_and_positions(state.padding, start, start + ids.shape[1])
        with no_grad(), one_blas_thread():
            h = model.decoder(
                model.embed(model.target_embedding, ids, positions),
                Tensor.wrap(state.memory),
                real,
                state.source_mask,
                caches=state.caches,
                positions=rotary_positions(model.config.positions, positions),
            )
            logits: NDArray[Any] = model.logits(h[:, -1]).data
        if self.forbidden_ids:
            logits = logits.copy()
            logits[:, self.forbidden_ids] = -np.inf
        return logits
