"""Self-attention with one head: the lesson."""

from __future__ import annotations

import math

import numpy as np
from foundation_nn import Linear, Module, Tensor, init

from foundation_attn._basic import dot_score, score_attention
from foundation_attn._capture import active_maps
from foundation_attn._masks import Mask


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
    >>> layer = SelfAttention(8, rng=np.random.default_rng(0))
    >>> layer(Tensor(np.ones((1, 3, 8), np.float32))).shape
    (1, 3, 8)
    """

    def __init__(self, d_model: int, *, rng: np.random.Generator | None = None) -> None:
        rng = init.generator(rng)
        self.d_model = d_model
        self.query = Linear(d_model, d_model, bias=False, rng=rng)
        self.key = Linear(d_model, d_model, bias=False, rng=rng)
        self.value = Linear(d_model, d_model, bias=False, rng=rng)

    def forward(self, x: Tensor, mask: Mask | None = None, causal: bool = False) -> Tensor:
        """Attend.

        Parameters
        ----------
        x : (B, T, D) tensor
        mask : bool array, optional
            Broadcasts to (B, T, T); a padding mask (B, T) is written ``mask[:, None]``.
        causal : bool
            No position sees a later one.

        Returns
        -------
        (B, T, D) tensor
        """
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"expected x of shape (B, T, D={self.d_model}), got {x.shape}")
        if causal:
            before = np.tri(x.shape[1], dtype=bool)
            mask = before if mask is None else mask & before
        q, k, v = self.query(x), self.key(x), self.value(x)
        context, weights = score_attention(dot_score, q * (1 / math.sqrt(self.d_model)), k, v, mask)
        maps = active_maps()
        if maps is not None:
            maps.record(self, "self", weights.data[:, None])
        return context
