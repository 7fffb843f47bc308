"""What :class:`foundation_attn.MultiHeadAttention` refuses, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Tensor
from numpy.typing import NDArray

Positions: TypeAlias = NDArray[np.integer[Any]]
#: ``relative(length)`` is a bias by distance, (H, 2 · length - 1), with distance 0 in the middle.
Relative: TypeAlias = Callable[[int], Tensor]
#: ``rotary(x, positions)`` turns queries or keys (B, h, T, K) by their positions, (T,) or (B, T).
Rotary: TypeAlias = Callable[[Tensor, Positions], Tensor]


def check_heads(d_model: int, num_heads: int, num_kv_heads: int, head_width: int | None) -> None:
    """Refuse heads that do not divide the width, and key heads that do not divide the heads."""
    if head_width is None and d_model % num_heads:
        raise ValueError(
            f"MultiHeadAttention: num_heads={num_heads} does not divide d_model={d_model}; "
            "give head_width if they need not"
        )
    if num_heads % num_kv_heads:
        raise ValueError(
            f"MultiHeadAttention: num_kv_heads={num_kv_heads} does not divide num_heads={num_heads}"
        )


def check_slopes(slopes: NDArray[Any] | None, num_heads: int) -> None:
    """Refuse slopes that are not (H,)."""
    if slopes is not None and np.shape(slopes) != (num_heads,):
        raise ValueError(
            f"MultiHeadAttention: expected slopes of shape (num_heads={num_heads},), got "
            f"{np.shape(slopes)}"
        )


def check_qk_norm(qk_norm: str | None) -> None:
    """Refuse a normalisation of queries and keys that there is not."""
    if qk_norm not in (None, "head", "width"):
        raise ValueError(
            f"MultiHeadAttention: expected qk_norm to be 'head', 'width' or None, got {qk_norm!r}"
        )


def check_inputs(query: Tensor, key: Tensor | None, value: Tensor | None, D: int) -> None:
    """Refuse queries that are not (B, T, D), and keys and values that are not (B, S, D)."""
    B = query.shape[0] if query.ndim else 0
    for name, x, letter in (("query", query, "T"), ("key", key, "S"), ("value", value, "S")):
        if x is not None and (x.ndim != 3 or x.shape[0] != B or x.shape[-1] != D):
            raise ValueError(f"expected {name} of shape (B={B}, {letter}, D={D}), got {x.shape}")
    keys = query if key is None else key
    if value is not None and value.shape != keys.shape:
        raise ValueError(
            f"expected a value for each key, got shapes {keys.shape} and {value.shape}"
        )


def check_positions(query: Tensor, positions: Positions | None, rotary: Rotary | None) -> None:
    """Refuse positions that are not (T,) or (B, T) integers, or that nothing needs."""
    if positions is None:
        return
    if rotary is None:
        raise ValueError("positions: this layer was made without rotary, which needs them")
    B, T, _ = query.shape
    dtype = getattr(positions, "dtype", None)
    if dtype is None or dtype.kind not in "iu":
        given = type(positions).__name__ if dtype is None else dtype
        raise TypeError(f"positions: expected an array of integers, got {given}")
    if positions.shape not in ((T,), (B, T)):
        raise ValueError(f"positions: expected shape (T={T},) or (B={B}, T), got {positions.shape}")


def refuse_positions(
    positions: Positions | None, rotary: Rotary | None, relative: Relative | None
) -> None:
    """In cross-attention, refuse positions and a layer that needs them."""
    for name, hook in (("rotary", rotary), ("relative", relative)):
        if hook is not None:
            raise ValueError(
                f"{name}: expected self-attention, for which key is left out; positions in two "
                "texts cannot be compared"
            )
    if positions is not None:
        raise ValueError("positions: in cross-attention nothing needs them; leave them out")


def refuse_gradients(*tensors: Tensor) -> None:
    """Beside a cache, refuse tensors that are recorded."""
    if any(x.requires_grad for x in tensors):
        raise ValueError(
            "cache: keys and values in a cache have no gradients, so that a model trained with one "
            "would learn wrongly; call it within no_grad(), or leave the cache out"
        )
