"""The affine layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn import functional as F
from foundation_nn import init
from foundation_nn._arguments import flag, whole_number
from foundation_nn.engine._parameter import Parameter
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class Linear(Module):
    """y = x Wᵀ + b.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    rng : numpy.random.Generator, optional
        Draws the initial values as PyTorch does, uniform on ±1/√in_features.

    Raises
    ------
    TypeError, ValueError
        If a size is no whole number, or negative.

    Attributes
    ----------
    weight : (out_features, in_features) Parameter
    bias : (out_features,) Parameter or None
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        in_features = whole_number("Linear", "in_features", in_features, at_least=0)
        out_features = whole_number("Linear", "out_features", out_features, at_least=0)
        bias = flag("Linear", "bias", bias)
        rng = init.generator(rng)
        shape = (out_features, in_features)
        self.weight = Parameter(init.torch_linear(rng, shape, in_features))
        self.bias = Parameter(init.torch_linear(rng, shape[:1], in_features)) if bias else None

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
        }

    @property
    def in_features(self) -> int:
        return self.weight.shape[1]

    @property
    def out_features(self) -> int:
        return self.weight.shape[0]

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def _options(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
