"""Activations as modules, for use in ``Sequential``."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from foundation_nn import functional as F
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class ReLU(Module):
    """max(x, 0)."""

    def to_dict(self) -> dict[str, Any]:
        """Nothing: there are no arguments."""
        return {}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.relu(x)


class GELU(Module):
    """x Φ(x); see :func:`foundation_nn.functional.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"approximate": self.approximate}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.gelu(x, self.approximate)


class SiLU(Module):
    """x σ(x)."""

    def to_dict(self) -> dict[str, Any]:
        """Nothing: there are no arguments."""
        return {}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.silu(x)


class Tanh(Module):
    """tanh x."""

    def to_dict(self) -> dict[str, Any]:
        """Nothing: there are no arguments."""
        return {}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ)."""

    def to_dict(self) -> dict[str, Any]:
        """Nothing: there are no arguments."""
        return {}

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.sigmoid(x)
