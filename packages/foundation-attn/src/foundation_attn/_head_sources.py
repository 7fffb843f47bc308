"""Where the heads get queries, keys and values from: the four ways to call multi-head attention.

A position that is not *real* is padding. Padding is *hidden*: zeros take its place before it is
projected, so that nothing that stands there has an effect, not even NaN. What is padding:

    _self_heads           The keys are those of the same text. A position is padding if key_mask
                          says so, or if it has no link: it neither attends to a real position nor
                          does one attend to it.
    _cross_heads          The keys are those of another text. A key is padding if key_mask says so,
                          or if no query may attend to it; a query, if it may attend to no key.
    _cached_self_heads    The keys are those of the text so far. Padding is what key_mask says.
    _cached_cross_heads   The keys are those of another text, and the first call has projected them.
                          A key is padding if key_mask says so; the queries of a row are, if
                          key_mask leaves no key in it.

Beside a cache ``mask`` does not tell what is padding, because a later query may look at what nobody
has looked at yet. So a key that ``mask`` hides from all queries of one call was projected as it was
and may be NaN. :meth:`HeadInputs.without_unseen` hides it for this call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Tensor
from numpy.typing import NDArray

from foundation_attn._arguments import Positions, Relative, Rotary, refuse_gradients
from foundation_attn._cache import KVCache
from foundation_attn._head_inputs import HeadInputs
from foundation_attn._projections import HeadProjections
from foundation_attn._rule import Rule, check_head_masks
from foundation_attn.masks import Mask, real_positions


class MaskArguments(NamedTuple):
    """What a call says about who may attend to whom, see ``MultiHeadAttention.forward``."""

    key_mask: Mask | None
    mask: Mask | None
    causal: bool


class HeadSources(HeadProjections):
    """The four ways of :class:`MultiHeadAttention`, whose options they read.

    Each takes texts of width D and returns queries (B, H, T, K), keys and values (B, G, S, K).
    """

    rotary: Rotary | None
    slopes: NDArray[Any] | None
    window: int | None
    cap: float | None
    relative: Relative | None
    scale: float | None

    def _self_heads(
        self,
        x: Tensor,
        value: Tensor | None,
        masks: MaskArguments,
        positions: Positions | None,
    ) -> HeadInputs:
        """Self-attention in ``x`` (B, T, D)."""
        B, T, _ = x.shape
        rule = self._rule(masks, B, T, T)
        real = real_positions((B, T), *masks, self.window)  # (B, T); None: all
        q, k, v = self.project_text(x, value, real)  # (B, H, T, K), (B, G, T, K), (B, G, T, K)
        q, k = self._turn(q, k, np.arange(T) if positions is None else positions)
        return HeadInputs(q, k, v, rule, self._bias_by_distance(T), real)

    def _cross_heads(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor | None,
        masks: MaskArguments,
    ) -> HeadInputs:
        """Attention of ``query`` (B, T, D) to ``key`` (B, S, D)."""
        B, T, _ = query.shape
        S = key.shape[1]
        rule = self._rule(masks, B, T, S)
        real_queries, real_keys = rule.real_queries_and_keys(T, S)  # (B, T) and (B, S); None: all
        q = self.project_queries(query, real_queries)  # (B, H, T, K)
        k, v = self.project_memory(key, value, real_keys)  # (B, G, S, K) each
        return HeadInputs(q, k, v, rule)

    def _cached_self_heads(
        self,
        x: Tensor,
        value: Tensor | None,
        masks: MaskArguments,
        positions: Positions | None,
        cache: KVCache,
    ) -> HeadInputs:
        """Self-attention of ``x`` (B, T, D), the latest of S positions, to all of them.

        The cache holds the keys and values of the S - T positions before, and then of all S.
        """
        B, T, _ = x.shape
        S = cache.length + T
        rule = self._rule(masks, B, T, S)
        real = real_positions((B, T), *masks, self.window, cache)
        cache.check_padding(masks.key_mask)
        q, k, v = self.project_text(x, value, real)
        q, k = self._turn(q, k, np.arange(S - T, S) if positions is None else positions)
        refuse_gradients(q, k, v)
        k, v = _append(cache, k, v, real)  # (B, G, S, K) each
        inputs = HeadInputs(q, k, v, rule, self._bias_by_distance(S), real)
        return inputs if masks.mask is None else inputs.without_unseen()

    def _cached_cross_heads(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor | None,
        masks: MaskArguments,
        cache: KVCache,
    ) -> HeadInputs:
        """Attention of ``query`` (B, T, D) to ``key`` (B, S, D), which the first call projects.

        All later calls read its keys and values from the cache.
        """
        B, T, _ = query.shape
        S = key.shape[1]
        key_mask = masks.key_mask
        rule = self._rule(masks, B, T, S)
        rows_with_keys: Mask | None = None  # all
        if key_mask is not None:
            rows_with_keys = np.any(key_mask, axis=1, keepdims=True)  # (B, 1)
        q = self.project_queries(query, rows_with_keys)
        refuse_gradients(q)
        filled_from = (key.data, key.data if value is None else value.data)
        if cache.length == 0:
            k, v = self.project_memory(key, value, key_mask)
            refuse_gradients(k, v)
            k, v = _append(cache, k, v, key_mask)
            cache.source = filled_from
        else:
            cache.check_source(filled_from, key_mask)
            cache.check_padding(key_mask)
            k, v = map(Tensor.wrap, cache.view())
        inputs = HeadInputs(q, k, v, rule)
        return inputs if masks.mask is None else inputs.without_unseen()

    # --- what the four have in common

    def _rule(self, masks: MaskArguments, B: int, T: int, S: int) -> Rule:
        """All that decides about the weights (B, H, T, S): the masks of a call, and the options."""
        key_mask, mask, causal = masks
        four_axes = check_head_masks(key_mask, mask, B, self.num_heads, T, S)
        return Rule(four_axes, causal, self.scale, self.window, self.slopes, self.cap)

    def _turn(self, q: Tensor, k: Tensor, positions: Positions) -> tuple[Tensor, Tensor]:
        """Queries and keys (B, heads, T, K) turned by their positions, if this layer does so."""
        if self.rotary is None:
            return q, k
        return self.rotary(q, positions), self.rotary(k, positions)

    def _bias_by_distance(self, S: int) -> Tensor | None:
        """What is added to the scores of each distance, (H, 2S - 1), if this layer does so."""
        return None if self.relative is None else self.relative(S)


def _append(cache: KVCache, k: Tensor, v: Tensor, real: Mask | None) -> tuple[Tensor, Tensor]:
    """Put keys and values (B, G, n, K) into a cache; return all that it holds, (B, G, S, K) each.

    ``real`` (B, n) says which of the new ones are no padding.
    """
    all_k, all_v = cache.append(k.data, v.data)
    cache.add_padding(real)
    return Tensor.wrap(all_k), Tensor.wrap(all_v)
