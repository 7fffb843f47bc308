"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import scratch
from foundation_nn.optim._base import Optimizer


class Adagrad(Optimizer):
    """w ← w - η g / (√s + ε) with s the sum of all g² so far [1]_.

    Weight decay adds λ w to g. PyTorch's ``lr_decay`` and first value of s are left out: a schedule
    does the one, and s starts at 0.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
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
    """

    state_names = ("squares",)

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if eps <= 0:
            raise ValueError(f"Adagrad: expected eps > 0, got {eps}")
        self.eps = eps

    _decay = Optimizer._decay_by_gradient

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        (squares,) = state
        spare = np.multiply(g, g, out=scratch(g.shape, g.dtype))
        squares += spare
        np.sqrt(squares, out=spare)
        spare += self.eps
        np.divide(g, spare, out=spare)
        spare *= self.lr
        p -= spare
