"""Matrices of one byte a number, widened a block of rows at a time.

What is saved is memory. A product needs float32 numbers: to widen a block takes a little longer
than to read one that is wide already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from foundation_attn import MultiHeadAttention
from foundation_nn import (
    Array,
    Buffer,
    Linear,
    Module,
    Parameter,
    Result,
    Tensor,
    operation,
    over_parts,
    over_rows,
    product,
    scratch,
)
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder

#: Bytes of a widened block, which the product finds in the cache. Threads share the blocks.
_BLOCK_BYTES = 1 << 20


class CompactWeight(Module):
    """A matrix W as codes C of one byte and one scale s for each row: W ≈ s ∘ C [1]_.

    A row is divided by the 127th part of its largest absolute value and rounded. In a product a
    scale is a factor of the result, so that widening is nothing but a cast.

    Parameters
    ----------
    weight : (out, in) array

    Attributes
    ----------
    codes : (out, in) Buffer, int8
    scales : (out,) Buffer

    References
    ----------
    .. [1] T. Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale",
       NeurIPS 2022, arXiv:2208.07339.
    """

    def __init__(self, weight: NDArray[np.float32]) -> None:
        codes = np.empty(weight.shape, np.int8)
        scales = np.empty(len(weight), np.float32)

        def compress(rows: slice) -> None:
            w = weight[rows]
            largest = np.maximum(w.max(axis=1), -w.min(axis=1))
            scales[rows] = np.where(largest > 0, largest, 1) / 127
            scaled = np.divide(w, scales[rows, None], out=scratch(w.shape, w.dtype))
            codes[rows] = np.rint(scaled, out=scaled)

        over_rows(compress, len(weight), weight.shape[1] * 4)
        self.codes = Buffer(codes)
        self.scales = Buffer(scales)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, ids: Any) -> NDArray[np.float32]:
        """Rows of W."""
        rows: NDArray[np.float32] = self.codes.data[ids] * self.scales.data[ids][..., None]
        return rows


@operation
def compact_linear(x: Array, weight: CompactWeight, bias: Parameter | None) -> Result:
    """Y = X Wᵀ + b; the gradient reaches X alone: dX = G W."""
    x2 = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))  # (N, in)
    codes, scales = weight.codes.data, weight.scales.data
    y = np.empty((len(x2), len(codes)), x.dtype)
    step = max(1, _BLOCK_BYTES // (codes.shape[1] * x.itemsize))
    blocks = [slice(start, start + step) for start in range(0, len(codes), step)]

    def columns_of_y(i: int) -> None:
        block = codes[blocks[i]]
        wide = scratch(block.shape, x.dtype)
        wide[...] = block
        np.matmul(x2, wide.T, out=y[:, blocks[i]])

    over_parts(columns_of_y, len(blocks))
    y *= scales
    if bias is not None:
        y += bias.data

    def backward(g: Array) -> Array:
        g2 = g.reshape(-1, len(codes)) * scales
        dx = np.zeros_like(x2)
        for block in blocks:
            dx += product(g2[:, block], codes[block].astype(x.dtype))
        return dx.reshape(x.shape)

    return y.reshape(*x.shape[:-1], len(codes)), backward


class CompactLinear(Module):
    """A :class:`foundation_nn.Linear` with a compact weight."""

    def __init__(self, weight: CompactWeight, bias: Parameter | None) -> None:
        self.weight = weight
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return compact_linear(x, self.weight, self.bias)


class CompactEmbedding(Module):
    """A :class:`foundation_nn.Embedding` with a compact weight."""

    def __init__(self, weight: CompactWeight) -> None:
        self.weight = weight

    def forward(self, ids: NDArray[np.integer[Any]]) -> Tensor:
        if ids.min(initial=0) < 0 or ids.max(initial=0) >= len(self.weight):
            raise ValueError(
                f"embedding: ids from {ids.min()} to {ids.max()}, the table has "
                f"{len(self.weight)} rows; was the text encoded with another vocabulary?"
            )
        return Tensor.wrap(self.weight[ids])


class CompactAttention(MultiHeadAttention):
    """Self-attention with compact projections, instead of an attention layer that is given."""

    def __init__(
        self, layer: MultiHeadAttention, in_proj: CompactWeight, out_proj: CompactWeight
    ) -> None:
        vars(self).update(vars(layer))
        self.in_proj_weight = in_proj  # type: ignore[assignment]
        self.out_proj = CompactLinear(out_proj, layer.out_proj.bias)  # type: ignore[assignment]

    def in_proj(self, x: Tensor, rows: slice | None = None) -> Tensor:
        if rows is not None:
            raise ValueError("a compact layer attends to its own input only")
        weight: CompactWeight = self.in_proj_weight  # type: ignore[assignment]
        return compact_linear(x, weight, self.in_proj_bias)


def load_compact(
    model: CausalLM | TextEncoder, values: Iterable[tuple[str, NDArray[np.float32]]]
) -> None:
    """Give a model its values, one at a time, and keep its matrices compact."""
    plain: dict[str, NDArray[np.float32]] = {}
    weights: dict[str, CompactWeight] = {}
    for name, array in values:
        if array.ndim == 2 and name not in ("positions.weight", "token_types.weight"):
            weights[name] = CompactWeight(array)
        else:
            plain[name] = array
        del array  # before the next one is read
    model.load_state_dict(plain, strict=False, assign=True)

    def linear(path: str, layer: Linear) -> Any:
        return CompactLinear(weights[f"{path}.weight"], layer.bias)

    model.embedding = CompactEmbedding(weights["embedding.weight"])  # type: ignore[assignment]
    if isinstance(model, CausalLM):
        own = weights.get("output.weight", weights["embedding.weight"])
        model.output = CompactLinear(own, None)  # type: ignore[assignment]
    elif model.pooler is not None:
        model.pooler = linear("pooler", model.pooler)
    for i, layer in enumerate(model.stack.layers):
        path = f"stack.layers.{i}"
        layer.linear1 = linear(f"{path}.linear1", layer.linear1)
        layer.linear2 = linear(f"{path}.linear2", layer.linear2)
        attention = f"{path}.self_attn"
        layer.self_attn = CompactAttention(
            layer.self_attn,
            weights[f"{attention}.in_proj_weight"],
            weights[f"{attention}.out_proj.weight"],
        )
