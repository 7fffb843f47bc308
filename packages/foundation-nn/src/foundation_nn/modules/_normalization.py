"""Normalisation layers."""

from __future__ import annotations

import numpy as np

from foundation_nn import functional as F
from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._tensor import Tensor


class LayerNorm(Module):
    """Layer normalisation over the last axis; see :func:`foundation_nn.functional.layer_norm`.

    Attributes
    ----------
    weight : (width,) Parameter
        Starts at one.
    bias : (width,) Parameter or None
        Starts at zero.
    """

    def __init__(self, width: int, eps: float = 1e-5, bias: bool = True) -> None:
        self.eps = eps
        self.weight = Parameter(np.ones(width, np.float32))
        self.bias = Parameter(np.zeros(width, np.float32)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """Root-mean-square normalisation; see :func:`foundation_nn.functional.rms_norm`.

    Attributes
    ----------
    weight : (width,) Parameter
        Starts at one.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        self.eps = eps
        self.weight = Parameter(np.ones(width, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight, self.eps)
