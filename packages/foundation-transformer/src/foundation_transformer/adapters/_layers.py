"""Layers with an adapter beside their weights."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from foundation_attn import MultiHeadAttention
from foundation_nn import Linear, Module, Tensor
from numpy.typing import NDArray

from foundation_transformer.adapters._low_rank import Adapter
from foundation_transformer.pretrained._compact import CompactAttention, CompactLinear


class _Adapted(Module):
    """What the adapted kinds share: they are the layer that they were, and have an adapter."""

    adapter: Adapter

    @classmethod
    def around(cls, layer: Module, adapter: Adapter) -> Self:
        """The layer with an adapter; weights are shared, and their names stay."""
        adapted = cls.__new__(cls)
        vars(adapted).update(vars(layer), adapter=adapter)
        return adapted


class AdaptedLinear(_Adapted, Linear):
    """A :class:`foundation_nn.Linear` with an adapter."""

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        return self.adapter(super().forward(x), x)


class AdaptedCompactLinear(_Adapted, CompactLinear):
    """The same of one byte a weight."""

    def forward(self, x: Tensor) -> Tensor:
        return self.adapter(super().forward(x), x)


class AdaptedAttention(_Adapted, MultiHeadAttention):
    """Attention whose projections, queries above keys above values, have an adapter."""

    def in_proj(self, x: Tensor, rows: slice | None = None) -> Tensor:
        return self.adapter(super().in_proj(x, rows), x, rows)


class AdaptedCompactAttention(_Adapted, CompactAttention):
    """The same of one byte a weight."""

    def in_proj(self, x: Tensor, rows: slice | None = None) -> Tensor:
        return self.adapter(super().in_proj(x, rows), x, rows)


_ADAPTED: dict[type[Module], type[_Adapted]] = {
    Linear: AdaptedLinear,
    CompactLinear: AdaptedCompactLinear,
    MultiHeadAttention: AdaptedAttention,
    CompactAttention: AdaptedCompactAttention,
}
_PLAIN: dict[type[Module], type[Module]] = {adapted: plain for plain, adapted in _ADAPTED.items()}


def require_plain(layer: Module) -> None:
    """Refuse a layer that can have no adapter.

    Raises
    ------
    TypeError
        If it is of a kind that has none, or has one already.
    """
    if type(layer) in _PLAIN:
        raise TypeError(
            "the model is adapted already; take that adapter off by detach(), or merge it"
        )
    if type(layer) not in _ADAPTED:
        known = ", ".join(kind.__name__ for kind in _ADAPTED)
        raise TypeError(f"a {type(layer).__name__} has no adapter; expected one of {known}")


def adapted(layer: Module, adapter: Adapter) -> Module:
    """A plain layer with an adapter."""
    return _ADAPTED[type(layer)].around(layer, adapter)


def plain(layer: Any) -> Module:
    """An adapted layer as it was before."""
    kind: Any = _PLAIN[type(layer)]
    found: Module = kind.__new__(kind)
    vars(found).update({name: value for name, value in vars(layer).items() if name != "adapter"})
    return found


def weight_of(layer: Any) -> Any:
    """The matrix that an adapter changes: a Parameter, or a CompactWeight."""
    return layer.in_proj_weight if isinstance(layer, MultiHeadAttention) else layer.weight


def shape_of(layer: Module) -> tuple[int, int]:
    """The shape (out, in) of that matrix."""
    weight = weight_of(layer)
    shape: tuple[int, int] = weight.shape if hasattr(weight, "shape") else weight.codes.shape
    return shape


def merge_into(layer: Any) -> Module:
    """The layer with W + ΔW for its weight, and without the adapter.

    Raises
    ------
    TypeError
        If the weights are of one byte: a change does not fit between their steps.
    """
    weight = weight_of(layer)
    if hasattr(weight, "codes"):
        raise TypeError(
            "a compact model has steps of a 127th between its weights, which a change does not "
            "fit; load it without compact=True to merge"
        )
    adapter: Adapter = layer.adapter
    weight.data = np.add(weight.data, adapter.change(len(weight.data)))
    return plain(layer)
