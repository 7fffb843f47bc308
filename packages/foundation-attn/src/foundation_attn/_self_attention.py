"""Self-attention with one head: the lesson."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Linear, Module, Tensor, init, whole_number

from foundation_attn._basic import dot_score, score_attention
from foundation_attn._capture import active_maps
from foundation_attn.masks import Mask, check_mask, hide, real_positions


class SelfAttention(Module):
    """Every position asks all positions, by scaled dot products of projections of itself.

        Q = X W_q,  K = X W_k,  V = X W_v;    Y = softmax(Q Kᵀ / √D) V

    The plain formula, to be read. :class:`MultiHeadAttention` has several heads, is faster, and
    holds no (T, T) matrix for long texts.

    Parameters
    ----------
    d_model : int
        D.
    rng : numpy.random.Generator, optional

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Tensor
    >>> layer = SelfAttention(8, rng=np.random.default_rng(0))
    >>> layer(Tensor(np.ones((1, 3, 8), np.float32))).shape
    (1, 3, 8)
    """

    def __init__(self, d_model: int, *, rng: np.random.Generator | None = None) -> None:
        rng = init.generator(rng)
        d_model = whole_number("SelfAttention", "d_model", d_model, at_least=1)
        self.d_model = d_model
        self.query = Linear(d_model, d_model, bias=False, rng=rng)
        self.key = Linear(d_model, d_model, bias=False, rng=rng)
        self.value = Linear(d_model, d_model, bias=False, rng=rng)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"d_model": self.d_model}

    def forward(
        self,
        x: Tensor,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend.

        Parameters
        ----------
        x : (B, T, D) tensor
        key_mask : (B, T) bool array, optional
            Padding: True where a position is real. What stands elsewhere may be NaN.
        mask : (B, T, T) bool array, optional
            A pattern: True where a position may attend to another; axes of length 1 broadcast.
        causal : bool
            No position sees a later one.

        Returns
        -------
        (B, T, D) tensor
            Zeros at padding, and where a position may attend to nothing.
        """
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"expected x of shape (B, T, D={self.d_model}), got {x.shape}")
        B, T, _ = x.shape
        check_mask(mask, (B, T, T), "mask")
        real = real_positions(x.shape[:2], key_mask, mask, causal)
        x = hide(x, real)
        allowed = np.tri(T, dtype=bool)[None] if causal else np.ones((1, T, T), bool)
        if mask is not None:
            allowed = allowed & mask
        if real is not None:
            allowed = allowed & real[:, None, :] & real[:, :, None]
        q, k, v = self.query(x), self.key(x), self.value(x)
        q = q * (1 / math.sqrt(self.d_model))
        context, weights = score_attention(dot_score, q, k, v, mask=allowed)
        maps = active_maps()
        if maps is not None:
            maps.record(self, "self", weights.data[:, None])
        return context
