"""What the heads of multi-head attention work on, whichever way a call has come to it.

Self-attention, cross-attention and a cache differ in where queries, keys and values come from. From
there on everything is the same: each head attends by itself. This file holds that common part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from foundation_nn import Tensor
from numpy.typing import NDArray

from foundation_attn._attention import attend, weights_by
from foundation_attn._rule import Rule
from foundation_attn.masks import Mask, hide_unseen


@dataclass(frozen=True)
class HeadInputs:
    """Queries, keys and values of all heads, and which query may attend to which key.

    Attributes
    ----------
    q : (B, H, T, K) tensor
    k, v : (B, G, S, K) tensors
        Each of the G key heads is shared by a group of H / G query heads.
    rule : Rule
        Its masks have four axes, (B, H, T, S).
    bias : (H, 2S - 1) tensor, optional
        What is added to the scores by distance.
    real : (B, T) bool array, optional
        Which queries are no padding. None: all of them.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    rule: Rule
    bias: Tensor | None = None
    real: Mask | None = None

    def attend(self, dropout: float) -> Tensor:
        """What each head finds by itself: for each query a mean of the values, (B, H, T, K)."""
        B, H, T, K = self.q.shape
        q, k, v, rule, bias = self._in_groups()
        heads = attend(q, k, v, rule, dropout, bias)
        return heads if heads.ndim == 4 else heads.reshape(B, H, T, K)

    def weights(self) -> NDArray[Any]:
        """The weights of the means, (B, H, T, S), for looking at; zeros for a padded query."""
        B, H, T, _ = self.q.shape
        S = self.k.shape[2]
        q, k, _, rule, bias = self._in_groups()
        weights = weights_by(rule, q.data, k.data, None if bias is None else bias.data)
        weights = weights.reshape(B, H, T, S)
        return weights if self.real is None else weights * self.real[:, None, :, None]

    def without_unseen(self) -> HeadInputs:
        """The same, with zeros in place of keys and values that no real query may see in any head.

        A weight of 0 does not hide what stands there if it is NaN, because 0 · NaN is NaN. Queries
        that may see nothing are replaced, too.
        """
        rule = self.rule
        if self.real is not None:  # what a padded query may see does not count
            rule = replace(rule, masks=(*rule.masks, self.real[:, None, :, None]))
        attends, seen = rule.real_queries_and_keys(self.q.shape[2], self.k.shape[2])
        if attends is None or seen is None:
            return self
        return replace(
            self,
            q=hide_unseen(self.q, attends[:, None]),
            k=hide_unseen(self.k, seen[:, None]),
            v=hide_unseen(self.v, seen[:, None]),
        )

    def _in_groups(self) -> tuple[Tensor, Tensor, Tensor, Rule, Tensor | None]:
        """q, k, v, rule and bias with an axis more, if several query heads share a key head.

        Then q is (B, G, H / G, T, K), and k and v are (B, G, 1, S, K): NumPy broadcasts the axis of
        length 1, so that no key head is copied.
        """
        B, H, T, K = self.q.shape
        G, S = self.k.shape[1:3]
        if G == H:
            return self.q, self.k, self.v, self.rule, self.bias
        q = self.q.reshape(B, G, H // G, T, K)
        k = self.k.reshape(B, G, 1, S, K)
        v = self.v.reshape(B, G, 1, S, K)
        bias = None if self.bias is None else self.bias.reshape(G, H // G, 2 * S - 1)
        return q, k, v, self.rule.in_groups(G), bias
