"""The learned part of multi-head attention: from an input to queries, keys and values of all heads.

One matrix holds the projections of queries, keys and values, one beneath the other, as PyTorch's
does; so one product makes all three, and a part of the rows makes one or two of them.
"""

from __future__ import annotations

import numpy as np
from foundation_nn import Linear, Module, Parameter, RMSNorm, Tensor, flag, init, whole_number
from foundation_nn import functional as F

from foundation_attn._arguments import check_heads, check_qk_norm
from foundation_attn._heads import merge_heads, split_heads
from foundation_attn.masks import Mask, hide

#: What one product can make: rows of ``in_proj_weight`` that lie beneath each other.
_NEIGHBOURS = ("q", "k", "v", "qk", "kv", "qkv")


class HeadProjections(Module):
    """The parameters of :class:`MultiHeadAttention`, and the products with them.

    Parameters
    ----------
    d_model, num_heads, num_kv_heads, head_width, bias, out_bias, qk_norm, norm_eps
        As there.
    rng : numpy.random.Generator

    Attributes
    ----------
    in_proj_weight : ((H + 2 · G) · K, D) Parameter
        H · K rows for the queries, G · K for the keys, G · K for the values.
    in_proj_bias : ((H + 2 · G) · K,) Parameter or None
    q_norm, k_norm : RMSNorm or None
    out_proj : Linear
        H · K to D: it mixes what the heads have found.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None,
        head_width: int | None,
        bias: bool,
        out_bias: bool | None,
        qk_norm: str | None,
        norm_eps: float,
        rng: np.random.Generator,
    ) -> None:
        kind = "MultiHeadAttention"
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        d_model = whole_number(kind, "d_model", d_model, at_least=1)
        bias = flag(kind, "bias", bias)
        num_heads = whole_number(kind, "num_heads", num_heads, at_least=1)
        num_kv_heads = whole_number(kind, "num_kv_heads", num_kv_heads, at_least=1)
        check_heads(d_model, num_heads, num_kv_heads, head_width)
        check_qk_norm(qk_norm)
        head_width = d_model // num_heads if head_width is None else head_width
        self.d_model = d_model
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.head_width = whole_number(kind, "head_width", head_width, at_least=1)
        self.qk_norm = qk_norm

        rows = (num_heads + 2 * num_kv_heads) * head_width  # queries; keys and values
        self.in_proj_weight = Parameter(init.xavier_uniform(rng, (rows, d_model)))
        self.in_proj_bias = Parameter(init.zeros((rows,))) if bias else None
        self.q_norm = self._new_norm(num_heads, norm_eps)
        self.k_norm = self._new_norm(num_kv_heads, norm_eps)
        out_bias = bias if out_bias is None else out_bias
        self.out_proj = Linear(num_heads * head_width, d_model, out_bias, rng=rng)
        if self.out_proj.bias is not None:  # it starts at zero, as in PyTorch
            self.out_proj.bias.data = np.zeros(d_model, np.float32)

    def _new_norm(self, heads: int, eps: float) -> RMSNorm | None:
        """What normalises queries or keys of so many heads: each by itself, or all together."""
        if self.qk_norm is None:
            return None
        width = self.head_width if self.qk_norm == "head" else heads * self.head_width
        return RMSNorm(width, eps)

    def project(self, x: Tensor, letters: str) -> tuple[Tensor, ...]:
        """``x`` (B, T, D) as queries (B, H, T, K), keys and values (B, G, T, K).

        ``letters`` says which: "q", "k", "v" or neighbours of "qkv", which one product makes.
        """
        if letters not in _NEIGHBOURS:
            raise ValueError(
                f'project: expected neighbours of "qkv", such as "kv", got {letters!r}'
            )
        H, G, K = self.num_heads, self.num_kv_heads, self.head_width
        heads = {"q": H, "k": G, "v": G}
        first_row = {"q": 0, "k": H * K, "v": (H + G) * K}  # in_proj_weight: queries, keys, values
        wanted = tuple([heads[letter] for letter in letters])
        start = first_row[letters[0]]
        stop = start + K * sum(wanted)

        rows = None if letters == "qkv" else slice(start, stop)
        return split_heads(self.in_proj(x, rows), wanted)  # one (B, heads, T, K) for each letter

    def in_proj(self, x: Tensor, rows: slice | None = None) -> Tensor:
        """``x`` (B, T, D) times some rows of the projections, or all; (B, T, rows).

        A subclass whose weights are of another kind replaces this method.
        """
        W: Tensor = self.in_proj_weight
        b: Tensor | None = self.in_proj_bias
        if rows is not None:  # to select all of them would be one more operation to record
            W = W[rows]
            b = None if b is None else b[rows]
        return F.linear(x, W, b)

    def _project_and_normalise(self, x: Tensor, letters: str) -> tuple[Tensor, ...]:
        """What :meth:`project` gives, with queries and keys normalised if this layer does so."""
        norms = {"q": self.q_norm, "k": self.k_norm, "v": None}
        parts = zip(letters, self.project(x, letters), strict=True)
        return tuple([self._normalise(norms[letter], part) for letter, part in parts])

    def _normalise(self, norm: RMSNorm | None, x: Tensor) -> Tensor:
        """(B, h, T, K) with each head divided by its root mean square, or all h heads together."""
        if norm is None or self.qk_norm == "head":
            return x if norm is None else norm(x)
        (normalised,) = split_heads(norm(merge_heads(x)), (x.shape[1],))
        return normalised

    # --- what attention asks for, with zeros in place of positions that are not real

    def project_text(
        self, x: Tensor, value: Tensor | None, real: Mask | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For self-attention in ``x`` (B, T, D): q (B, H, T, K), k and v (B, G, T, K)."""
        if value is None:
            q, k, v = self._project_and_normalise(hide(x, real), "qkv")
        else:
            q, k = self._project_and_normalise(hide(x, real), "qk")
            v = self._project_and_normalise(hide(value, real), "v")[0]
        return q, k, v

    def project_queries(self, x: Tensor, real: Mask | None) -> Tensor:
        """For cross-attention: the queries (B, H, T, K) of ``x`` (B, T, D)."""
        return self._project_and_normalise(hide(x, real), "q")[0]

    def project_memory(
        self, key: Tensor, value: Tensor | None, real: Mask | None
    ) -> tuple[Tensor, Tensor]:
        """For cross-attention: the keys and values (B, G, S, K) of what is attended to."""
        if value is None:
            k, v = self._project_and_normalise(hide(key, real), "kv")
        else:
            k = self._project_and_normalise(hide(key, real), "k")[0]
            v = self._project_and_normalise(hide(value, real), "v")[0]
        return k, v
