"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import scratch
from foundation_nn.optim._base import Optimizer


class AdamW(Optimizer):
    """Adam with decoupled weight decay [1]_.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,
    w ← w - η λ w - η m̂ / (√v̂ + ε) with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ).

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
    lr : float
        η.
    betas : pair of float
        β₁ and β₂, each in [0, 1).
    eps : float
        ε.
    weight_decay : float
        λ, for matrices only; PyTorch decays every parameter it is given.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
       arXiv:1711.05101.
    """

    state_names: ClassVar[tuple[str, ...]] = ("m", "v")

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: expected betas in [0, 1), got {betas}")
        if eps <= 0:
            raise ValueError(f"{type(self).__name__}: expected eps > 0, got {eps}")
        self.betas = betas
        self.eps = eps

    def _prepare(self) -> None:
        beta1, beta2 = self.betas
        # m̂ / (√v̂ + ε) = m · scale / (√v + ε'): the corrections need no pass of their own.
        correction = math.sqrt(1 - beta2**self.steps)
        self._rate = self.lr * correction / (1 - beta1**self.steps)
        self._eps = self.eps * correction

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        m, v = state
        beta1, beta2 = self.betas
        spare = np.multiply(g, 1 - beta1, out=scratch(g.shape, g.dtype))
        m *= beta1
        m += spare
        np.multiply(g, g, out=spare)
        spare *= 1 - beta2
        v *= beta2
        v += spare
        np.sqrt(v, out=spare)
        spare += self._eps
        np.divide(m, spare, out=spare)
        spare *= self._rate
        p -= spare


class Adam(AdamW):
    """Adam [1]_: AdamW without decay.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
       arXiv:1412.6980.
    """

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(model_or_params, lr, betas, eps, weight_decay=0.0)
