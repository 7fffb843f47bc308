"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn._arguments import number
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import move_average, with_decay, workspace
from foundation_nn.optim._groups import Trainable


class RMSprop(Optimizer):
    """w ← w - η g / (√v + ε) with v ← α v + (1 - α) g² [1]_.

    Weight decay adds λ w to g. PyTorch's ``momentum`` and ``centered`` are left out.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
    lr : float
        η.
    alpha : float
        α in [0, 1).
    eps : float
        ε.
    weight_decay : float
        λ, for matrices only; PyTorch decays every parameter it is given.

    References
    ----------
    .. [1] T. Tieleman and G. Hinton, "Lecture 6.5: RMSprop", Neural Networks for Machine Learning,
       2012.

    Examples
    --------
    The formula in plain NumPy, step by step beside the optimiser:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, v = np.array([[1.0, -2.0]]), 0.0
    >>> parameter = Parameter(w)
    >>> optimizer = optim.RMSprop(parameter, lr=0.1, alpha=0.9)
    >>> for _ in range(3):
    ...     g = parameter.grad = 2 * w  # the gradient of |w|²
    ...     optimizer.step()
    ...     v = 0.9 * v + 0.1 * g**2
    ...     w = w - 0.1 * g / (np.sqrt(v) + 1e-8)
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay, state=("v",))
        name = type(self).__name__
        self.alpha = number(name, "alpha", alpha, at_least=0, less_than=1)
        self.eps = number(name, "eps", eps, more_than=0)

    def update_block(self, w: Any, g: Any, settings: Settings, v: Any) -> None:
        work = workspace(w)
        g = with_decay(w, g, settings.weight_decay)
        np.multiply(g, g, out=work)
        move_average(v, work, self.alpha, work)
        np.sqrt(v, out=work)
        work += self.eps
        np.divide(g, work, out=work)
        work *= settings.lr
        w -= work
