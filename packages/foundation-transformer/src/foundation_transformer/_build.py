"""What all models make of a configuration, and of ids."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from foundation_attn.masks import Mask
from foundation_nn import Linear, Module, init
from numpy.typing import NDArray

from foundation_transformer._buckets import RelativeBuckets
from foundation_transformer._positions import LearnedPositions, SinusoidalPositions
from foundation_transformer._relative import ALiBi, Rotary
from foundation_transformer._stacks import TransformerEncoder
from foundation_transformer.config import TransformerConfig

#: Whole numbers, such as the lengths of texts or the rows that are chosen.
IntArray: TypeAlias = NDArray[np.integer[Any]]
#: Tokens, as numbers: rows of an embedding.
Ids: TypeAlias = IntArray


def absolute_positions(
    c: TransformerConfig, rng: np.random.Generator
) -> SinusoidalPositions | LearnedPositions | None:
    """The layer that adds positions to embeddings, if there is one."""
    if c.positions == "sinusoidal":
        return SinusoidalPositions(c.d_model, c.max_len, c.sinusoid_pairs)
    if c.positions in ("learned", "learned_and_buckets"):
        return LearnedPositions(c.d_model, c.max_len, c.first_position, rng=rng)
    return None


def layer_options(c: TransformerConfig, rng: np.random.Generator, causal: bool) -> dict[str, Any]:
    """The keyword arguments of a stack for its layers; relative positions are theirs.

    ``causal`` says whether nobody sees a later position.
    """
    options: dict[str, Any] = {
        "dropout": c.dropout,
        "activation": c.activation,
        "norm_first": c.norm_first,
        "norm_last": c.norm_last,
        "num_kv_heads": c.num_kv_heads,
        "head_width": c.head_width,
        "norm": c.norm,
        "norm_eps": c.norm_eps,
        "bias": c.bias,
        "norm_bias": c.norm_bias,
        "attention_bias": c.attention_bias,
        "attention_scale": c.attention_scale,
        "attention_cap": c.attention_cap,
        "qk_norm": c.qk_norm,
        "window": [c.window if kind == "local" else None for kind in c.layer_pattern],
        "rng": rng,
    }
    if c.positions == "rotary":
        rotary = _rotary(c)
        options["rotary"] = [rotary[kind] for kind in c.layer_pattern]
    elif c.positions == "alibi":
        options["slopes"] = ALiBi(c.num_heads).slopes
    elif c.positions in ("buckets", "learned_and_buckets"):
        options["relative"] = RelativeBuckets(
            c.num_heads, c.num_buckets, c.max_distance, both_sides=not causal, rng=rng
        )
    return options


def _rotary(c: TransformerConfig) -> dict[str, Rotary | None]:
    """What turns queries and keys, for each kind of layer."""
    K, pairs, width = c.width_of_heads, c.rotary_pairs, c.rotary_width
    usual = Rotary(K, c.max_len, c.rotary_base, pairs, c.rotary_scaling, width)
    local = usual
    if c.local_rotary_base is not None:
        local = Rotary(K, c.max_len, c.local_rotary_base, pairs, None, width)
    return {"global": usual, "local": local, "no_positions": None}


def real_ids(ids: Ids, real: Mask | None) -> Ids:
    """Zeros in place of padding: whatever stands there, gradients are summed in one order."""
    return ids if real is None else np.where(real, ids, 0)


def require_ids(ids: Ids) -> None:
    """Refuse ids that are not (B, T)."""
    if np.ndim(ids) != 2:
        raise ValueError(
            f"expected ids of shape (B, T), got {np.shape(ids)}; write ids[None] for one row"
        )


def refuse_compact(model: Module) -> None:
    """Refuse to describe a model with one byte a number as one that has its weights.

    Raises
    ------
    TypeError
    """
    if any(True for _ in model.buffers()):
        raise TypeError(
            f"a compact {type(model).__name__} has lost what its weights were and cannot be saved; "
            "load it without compact=True, and save that"
        )


def init_normal(
    model: Module, rng: np.random.Generator, branches_of: TransformerEncoder | None = None
) -> None:
    """Draw all matrices from a normal distribution of width 0.02; biases become zero.

    In the layers of ``branches_of`` what ends a residual branch is drawn more narrowly, see
    :func:`foundation_nn.init.gpt2_residual`.
    """
    layers = [] if branches_of is None else branches_of.layers
    branch_ends = {id(p) for layer in layers for p in layer.branch_ends()}
    for p in model.parameters():
        if id(p) in branch_ends:
            p.data = init.gpt2_residual(rng, p.shape, len(layers))
        elif p.ndim > 1:
            p.data = init.normal(rng, p.shape, 0.02)
    for _, module in model.named_modules():
        if isinstance(module, Linear) and module.bias is not None:
            module.bias.data = np.zeros(module.bias.shape, np.float32)
