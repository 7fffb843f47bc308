"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn._arguments import number
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import with_decay, workspace
from foundation_nn.optim._groups import Trainable


class Adagrad(Optimizer):
    """w ← w - η g / (√s + ε) with s the sum of all g² so far [1]_.

    Weight decay adds λ w to g. PyTorch's ``lr_decay`` and first value of s are left out: a schedule
    does the one, and s starts at 0.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
    lr : float
        η.
    eps : float
        ε.
    weight_decay : float
        λ, for matrices only; PyTorch decays every parameter it is given.

    References
    ----------
    .. [1] J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and
       Stochastic Optimization", JMLR 12, 2011.

    Examples
    --------
    The formula in plain NumPy, step by step beside the optimiser:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, s = np.array([[1.0, -2.0]]), 0.0
    >>> parameter = Parameter(w)
    >>> optimizer = optim.Adagrad(parameter, lr=0.1)
    >>> for _ in range(3):
    ...     g = parameter.grad = 2 * w  # the gradient of |w|²
    ...     optimizer.step()
    ...     s = s + g**2
    ...     w = w - 0.1 * g / (np.sqrt(s) + 1e-10)
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay, state=("squares",))
        self.eps = number(type(self).__name__, "eps", eps, more_than=0)

    def update_block(self, w: Any, g: Any, settings: Settings, squares: Any) -> None:
        work = workspace(w)
        g = with_decay(w, g, settings.weight_decay)
        squares += np.multiply(g, g, out=work)
        np.sqrt(squares, out=work)
        work += self.eps
        np.divide(g, work, out=work)
        work *= settings.lr
        w -= work
