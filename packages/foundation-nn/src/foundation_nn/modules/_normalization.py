"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn import functional as F
from foundation_nn import init
from foundation_nn._arguments import flag, number, whole_number
from foundation_nn.engine._modes import current_generator
from foundation_nn.engine._parameter import Buffer, Parameter
from foundation_nn.engine._tensor import Tensor
from foundation_nn.functional._spread import first_along
from foundation_nn.modules._module import Module


class LayerNorm(Module):
    """Layer normalisation over the last axis; see :func:`foundation_nn.functional.layer_norm`.

    Raises
    ------
    TypeError, ValueError
        If the width is no whole number above 0, or ``eps`` is negative.

    Attributes
    ----------
    weight : (width,) Parameter
        Starts at one.
    bias : (width,) Parameter or None
        Starts at zero.
    """

    def __init__(self, width: int, eps: float = 1e-5, bias: bool = True) -> None:
        width = whole_number("LayerNorm", "width", width, at_least=1)
        self.eps = number("LayerNorm", "eps", eps, at_least=0)
        self.weight = Parameter(init.ones((width,)))
        has_bias = flag("LayerNorm", "bias", bias)
        self.bias = Parameter(init.zeros((width,))) if has_bias else None

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.layer_norm(x, self.weight, self.bias, self.eps)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"width": self.weight.size, "eps": self.eps, "bias": self.bias is not None}


class RMSNorm(Module):
    """Root-mean-square normalisation; see :func:`foundation_nn.functional.rms_norm`.

    Raises
    ------
    TypeError, ValueError
        If the width is no whole number above 0, or ``eps`` is negative.

    Attributes
    ----------
    weight : (width,) Parameter
        Starts at one.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        width = whole_number("RMSNorm", "width", width, at_least=1)
        self.eps = number("RMSNorm", "eps", eps, at_least=0)
        self.weight = Parameter(init.ones((width,)))

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        return F.rms_norm(x, self.weight, self.eps)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"width": self.weight.size, "eps": self.eps}


class BatchNorm1d(Module):
    """Normalisation of each feature over the batch [1]_.

    y = (x - μ) / √(σ² + ε) · w + b, with mean and variance of the batch within ``train_mode``, and
    their running means outside of it. State dicts of ``torch.nn.BatchNorm1d`` load as they are.
    Differs from PyTorch in what decides: the surrounding context, not a flag on the layer.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
    momentum : float
        Weight of the newest batch in the running means.

    Attributes
    ----------
    weight, bias : (C,) Parameter
        Start at one and zero.
    running_mean, running_var : (C,) Buffer
        The variance is the unbiased one.
    num_batches_tracked : () Buffer

    Raises
    ------
    TypeError, ValueError
        If ``num_features`` is no whole number above 0, ``eps`` is negative, or ``momentum`` not in
        [0, 1].

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        num_features = whole_number("BatchNorm1d", "num_features", num_features, at_least=1)
        self.eps = number("BatchNorm1d", "eps", eps, at_least=0)
        self.momentum = number("BatchNorm1d", "momentum", momentum, at_least=0, at_most=1)
        self.weight = Parameter(init.ones((num_features,)))
        self.bias = Parameter(init.zeros((num_features,)))
        self.running_mean = Buffer(np.zeros(num_features, np.float32))
        self.running_var = Buffer(np.ones(num_features, np.float32))
        self.num_batches_tracked = Buffer(np.array(0))

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Normalise ``x`` of shape (N, C) or (N, C, L).

        Raises
        ------
        ValueError
            If the shape does not fit, or a batch to learn from has fewer than two values a feature.
        """
        C = self.weight.size
        x = x if isinstance(x, Tensor) else Tensor(x)
        if x.ndim not in (2, 3) or x.shape[1] != C:
            raise ValueError(f"expected x of shape (N, C={C}) or (N, C={C}, L), got {x.shape}")
        shape = (C, 1) if x.ndim == 3 else (C,)
        if current_generator() is None:
            mean = self.running_mean.reshape(*shape)
            inverse = (self.running_var + self.eps) ** -0.5
            return (x - mean) * (inverse * self.weight).reshape(*shape) + self.bias.reshape(*shape)
        n = x.size // C
        if n < 2:
            raise ValueError(f"expected at least two values for each feature, got shape {x.shape}")
        axes = (0, 2) if x.ndim == 3 else (0,)
        # Counted from the first value of each feature, a constant feature is exactly zero, and a
        # mean that is large beside the spread costs no digits. From where one counts is a constant:
        # it has no influence on what is left when the mean is subtracted.
        first: NDArray[Any] = first_along(x.data, axes)
        shifted = x - first
        mean = shifted.mean(axes, keepdims=True)
        centred = shifted - mean
        variance = (centred * centred).mean(axes, keepdims=True)
        mean_of_x = (mean.data + first).reshape(C)
        self._track(mean_of_x, variance.data.reshape(C) * (n / (n - 1)))
        normal = centred * (variance + self.eps) ** -0.5
        return normal * self.weight.reshape(*shape) + self.bias.reshape(*shape)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"num_features": self.weight.size, "eps": self.eps, "momentum": self.momentum}

    def _track(self, mean: NDArray[Any], variance: NDArray[Any]) -> None:
        keep = 1 - self.momentum
        self.running_mean.data = keep * self.running_mean.data + self.momentum * mean
        self.running_var.data = keep * self.running_var.data + self.momentum * variance
        self.num_batches_tracked.data = self.num_batches_tracked.data + 1
