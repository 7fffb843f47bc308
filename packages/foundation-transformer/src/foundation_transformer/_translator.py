"""A transformer bound to source sentences, writing their translations token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foundation_nn import Tensor, no_grad
from numpy.typing import NDArray

from foundation_transformer._layers import DecoderCache, Mask
from foundation_transformer._transformer import Ids, Transformer


@dataclass
class TranslationState:
    """What is remembered of each row.

    Attributes
    ----------
    caches : list of DecoderCache
        Keys and values of the target so far and, projected once, of the memory.
    memory : (B, S, D) array
    memory_mask : (B, S) bool array or None
    """

    caches: list[DecoderCache]
    memory: NDArray[Any]
    memory_mask: Mask | None


class Translator:
    """The step-wise model (see :class:`foundation_seq.StepwiseModel`) of given sources.

    The sources are encoded once, here.

    Parameters
    ----------
    model : Transformer
    source : (B, S) integer array
    source_mask : (B, S) bool array, optional
    """

    def __init__(self, model: Transformer, source: Ids, source_mask: Mask | None = None) -> None:
        self.model = model
        self.source_mask = source_mask
        with no_grad():
            self.memory = model.encode(source, source_mask).data

    def start(
        self, prompt: Ids, lengths: Ids, capacity: int
    ) -> tuple[NDArray[Any], TranslationState]:
        """Read the prompts, (B, T) ids that begin with ``bos_id``, all of one length."""
        if len(prompt) != len(self.memory):
            raise ValueError(
                f"expected one prompt for each of the {len(self.memory)} sources, got {len(prompt)}"
            )
        if len(prompt) and lengths.min() != prompt.shape[1]:
            raise ValueError(
                "expected prompts of one length; translations begin alike, with bos_id"
            )
        caches = self.model.decoder.new_caches(capacity, self.memory.shape[1])
        state = TranslationState(caches, self.memory, self.source_mask)
        return self._read(state, prompt), state

    def step(self, state: TranslationState, tokens: Ids) -> tuple[NDArray[Any], TranslationState]:
        """Append one token to each row."""
        return self._read(state, tokens[:, None]), state

    def select(self, state: TranslationState, rows: Ids) -> TranslationState:
        """The state in which row i is the former row ``rows[i]``."""
        for cache in state.caches:
            cache.target.reorder(rows)
            cache.memory.reorder(rows)
        mask = None if state.memory_mask is None else state.memory_mask[rows]
        return TranslationState(state.caches, state.memory[rows], mask)

    def _read(self, state: TranslationState, ids: Ids) -> NDArray[Any]:
        """Logits (B, V) after new target ids (B, T)."""
        model = self.model
        with no_grad():
            x = model.embed(model.target_embedding, ids, offset=state.caches[0].target.length)
            h = model.decoder(
                x,
                Tensor.wrap(state.memory),
                memory_mask=state.memory_mask,
                caches=state.caches,
            )
            return model.output(h[:, -1]).data  # type: ignore[no-any-return]
