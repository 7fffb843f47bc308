"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import scratch
from foundation_nn.optim._base import Optimizer


class RMSprop(Optimizer):
    """w ← w - η g / (√v + ε) with v ← α v + (1 - α) g² [1]_.

    Weight decay adds λ w to g. PyTorch's ``momentum`` and ``centered`` are left out.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
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
    """

    state_names = ("v",)

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if not 0 <= alpha < 1:
            raise ValueError(f"RMSprop: expected 0 <= alpha < 1, got {alpha}")
        if eps <= 0:
            raise ValueError(f"RMSprop: expected eps > 0, got {eps}")
        self.alpha = alpha
        self.eps = eps

    _decay = Optimizer._decay_by_gradient

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        (v,) = state
        spare = np.multiply(g, g, out=scratch(g.shape, g.dtype))
        spare *= 1 - self.alpha
        v *= self.alpha
        v += spare
        np.sqrt(v, out=spare)
        spare += self.eps
        np.divide(g, spare, out=spare)
        spare *= self.lr
        p -= spare
