"""What the layers of ``_layers.py`` are made of: attention, two linear layers, and norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

import numpy as np
from foundation_attn import MultiHeadAttention
from foundation_nn import Identity, LayerNorm, Module, Parameter, RMSNorm, flag, init
from numpy.typing import NDArray

from foundation_transformer._buckets import RelativeBuckets
from foundation_transformer._feed_forward import linear_layers
from foundation_transformer._relative import Rotary

Norm: TypeAlias = LayerNorm | RMSNorm

#: The values of ``attention_bias``, by whether there is a bias before the heads and after them.
_ATTENTION_BIASES = {(True, True): "all", (True, False): "qkv", (False, False): "none"}

#: Options of a layer that are options of its self-attention, under the same name.
_OF_SELF_ATTENTION = (
    "num_kv_heads",
    "head_width",
    "qk_norm",
    "window",
    "rotary",
    "slopes",
    "relative",
)


def make_norm(d_model: int, norm: str, eps: float, bias: bool) -> Norm:
    """A normalisation of the kind "layer" or "rms"; the latter never has a bias."""
    if norm == "layer":
        return LayerNorm(d_model, eps, bias)
    if norm == "rms":
        return RMSNorm(d_model, eps)
    raise ValueError(f"norm: expected one of ('layer', 'rms'), got {norm!r}")


class LayerParts(Module):
    """The parameters of a layer, under the names that PyTorch gives them.

    :class:`TransformerEncoderLayer` explains the options.

    Attributes
    ----------
    self_attn : MultiHeadAttention
    linear1, linear2 : Linear
        D to F and F to D: the feed-forward network.
    norm1, norm2 : LayerNorm or RMSNorm
        One for each branch. A stack may put an ``Identity`` in place of the first.
    norm1_last, norm2_last : LayerNorm, RMSNorm or None
        The second norm of each branch, if branches have two.
    multihead_attn, norm3, norm3_last
        The third branch, of a layer that reads a memory.
    """

    #: Whether the layer has a third branch, which attends to the output of an encoder.
    reads_memory: ClassVar[bool]

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        dropout: float = 0.0,
        activation: str = "relu",
        norm_first: bool = False,
        *,
        num_kv_heads: int | None = None,
        head_width: int | None = None,
        norm: str = "layer",
        norm_eps: float = 1e-5,
        norm_last: bool = False,
        bias: bool = True,
        norm_bias: bool | None = None,
        attention_bias: str | None = None,
        attention_scale: float | None = None,
        attention_cap: float | None = None,
        qk_norm: str | None = None,
        window: int | None = None,
        rotary: Rotary | None = None,
        slopes: NDArray[np.float64] | None = None,
        relative: RelativeBuckets | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)  # None: a fresh one
        if attention_bias is None:
            attention_bias = "all" if bias else "none"
        elif attention_bias not in _ATTENTION_BIASES.values():
            allowed = tuple(_ATTENTION_BIASES.values())
            raise ValueError(f"attention_bias: expected one of {allowed}, got {attention_bias!r}")
        if norm_bias is None:
            norm_bias = bias

        def new_attention(**by_distance: Any) -> MultiHeadAttention:
            return MultiHeadAttention(
                d_model,
                num_heads,
                num_kv_heads,
                dropout,
                bias=attention_bias != "none",
                out_bias=attention_bias == "all",
                head_width=head_width,
                qk_norm=qk_norm,
                norm_eps=norm_eps,
                scale=attention_scale,
                cap=attention_cap,
                rng=rng,
                **by_distance,
            )

        def new_norm() -> Norm:
            return make_norm(d_model, norm, norm_eps, norm_bias)

        self.dropout = dropout
        self.activation = activation
        self.norm_first = flag(type(self).__name__, "norm_first", norm_first)
        self.norm_last = flag(type(self).__name__, "norm_last", norm_last)
        branches_have_two_norms = self.norm_first and self.norm_last
        self.self_attn = new_attention(
            rotary=rotary, slopes=slopes, window=window, relative=relative
        )
        self.linear1, self.linear2 = linear_layers(d_model, d_ff, activation, bias, rng)
        self.norm1: Norm | Identity = new_norm()
        self.norm2 = new_norm()
        self.norm1_last = new_norm() if branches_have_two_norms else None
        self.norm2_last = new_norm() if branches_have_two_norms else None
        if self.reads_memory:
            # Without rotary and the like: distances between positions of two texts mean nothing.
            self.multihead_attn = new_attention()
            self.norm3 = new_norm()
            self.norm3_last = new_norm() if branches_have_two_norms else None

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        attention = self.self_attn.to_dict()
        return {
            "d_model": attention["d_model"],
            "num_heads": attention["num_heads"],
            "d_ff": self.linear2.in_features,
            "dropout": self.dropout,
            "activation": self.activation,
            "norm_first": self.norm_first,
            "norm": "rms" if isinstance(self.norm2, RMSNorm) else "layer",
            "norm_eps": self.norm2.eps,
            "norm_last": self.norm_last,
            "bias": self.linear1.bias is not None,
            "norm_bias": isinstance(self.norm2, LayerNorm) and self.norm2.bias is not None,
            "attention_bias": _ATTENTION_BIASES[attention["bias"], attention["out_bias"]],
            "attention_scale": attention["scale"],
            "attention_cap": attention["cap"],
            **{name: attention[name] for name in _OF_SELF_ATTENTION},
        }

    def branch_ends(self) -> Iterator[Parameter]:
        """The last matrix of each branch.

        What they make is added up from layer to layer, so that ``init_normal`` draws them more
        narrowly the more layers there are.
        """
        yield self.self_attn.out_proj.weight
        yield self.linear2.weight
        if self.reads_memory:
            yield self.multihead_attn.out_proj.weight
