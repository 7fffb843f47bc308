"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import scratch
from foundation_nn.optim._base import Optimizer


class SGD(Optimizer):
    """w ← w - η u with u ← μ u + g + λ w.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
    lr : float
        η.
    momentum : float
        μ in [0, 1).
    weight_decay : float
        λ, for matrices only.
    """

    state_names = ("velocity",)

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD: expected 0 <= momentum < 1, got {momentum}")
        self.momentum = momentum

    _decay = Optimizer._decay_by_gradient

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        (velocity,) = state
        velocity *= self.momentum
        velocity += g
        p -= np.multiply(velocity, self.lr, out=scratch(p.shape, p.dtype))
