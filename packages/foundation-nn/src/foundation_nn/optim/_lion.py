"""Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import scratch
from foundation_nn.optim._base import Optimizer


class Lion(Optimizer):
    """w ← w - η (sign(β₁ m + (1 - β₁) g) + λ w), then m ← β₂ m + (1 - β₂) g [1]_.

    Every entry moves by the same amount, but for those with neither gradient nor momentum, which
    stay. The learning rate is therefore three to ten times smaller than AdamW's, and the decay as
    many times larger. PyTorch has no Lion; this is the paper's program.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
    lr : float
        η.
    betas : pair of float
        β₁ and β₂, each in [0, 1).
    weight_decay : float
        λ, for matrices only.

    References
    ----------
    .. [1] X. Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023,
       arXiv:2302.06675.
    """

    state_names = ("m",)

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Lion: expected betas in [0, 1), got {betas}")
        self.betas = betas
        self._smallest = float(np.finfo(self.buffer.data.dtype).tiny)

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        (m,) = state
        beta1, beta2 = self.betas
        towards = np.multiply(m, beta1, out=scratch(m.shape, m.dtype, 1))
        spare = np.multiply(g, 1 - beta1, out=scratch(g.shape, g.dtype))
        towards += spare
        # The sign; np.sign takes five times as long.
        np.abs(towards, out=spare)
        np.maximum(spare, self._smallest, out=spare)
        towards /= spare
        towards *= self.lr
        p -= towards
        np.multiply(g, 1 - beta2, out=spare)
        m *= beta2
        m += spare
