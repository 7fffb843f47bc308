"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn._arguments import number
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import with_decay, workspace
from foundation_nn.optim._groups import Trainable


class SGD(Optimizer):
    """w ← w - η u with u ← μ u + g + λ w.

    Without momentum u is g + λ w, and nothing is kept from step to step.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
    lr : float
        η.
    momentum : float
        μ in [0, 1).
    weight_decay : float
        λ, for matrices only.

    Examples
    --------
    The formula in plain NumPy, step by step beside the optimiser:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, u = np.array([[1.0, -2.0]]), 0.0
    >>> parameter = Parameter(w)
    >>> optimizer = optim.SGD(parameter, lr=0.1, momentum=0.9, weight_decay=0.5)
    >>> for _ in range(3):
    ...     g = parameter.grad = 2 * w  # the gradient of |w|²
    ...     optimizer.step()
    ...     u = 0.9 * u + g + 0.5 * w
    ...     w = w - 0.1 * u
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        name = type(self).__name__
        self.momentum = number(name, "momentum", momentum, at_least=0, less_than=1)
        state = ("velocity",) if self.momentum else ()
        super().__init__(model_or_params, lr, weight_decay, state)

    def update_block(self, w: Any, g: Any, settings: Settings, velocity: Any = None) -> None:
        u = with_decay(w, g, settings.weight_decay)
        if velocity is not None:
            velocity *= self.momentum
            velocity += u
            u = velocity
        w -= np.multiply(u, settings.lr, out=workspace(w))
