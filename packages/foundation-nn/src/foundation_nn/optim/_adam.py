"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foundation_nn._arguments import number
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import move_average, pair_of_betas, workspace
from foundation_nn.optim._groups import Trainable


class AdamW(Optimizer):
    """Adam with decoupled weight decay [1]_.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,
    w ← w - η λ w - η m̂ / (√v̂ + ε) with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ).

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
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

    Examples
    --------
    The formula in plain NumPy, step by step beside the optimiser:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, m, v = np.array([[1.0, -2.0]]), 0.0, 0.0
    >>> parameter = Parameter(w)
    >>> optimizer = optim.AdamW(parameter, lr=0.1, weight_decay=0.5)
    >>> for t in (1, 2, 3):
    ...     g = 2 * w  # the gradient of |w|²
    ...     parameter.grad = g
    ...     optimizer.step()
    ...     m = 0.9 * m + 0.1 * g
    ...     v = 0.999 * v + 0.001 * g**2
    ...     m_hat = m / (1 - 0.9**t)
    ...     v_hat = v / (1 - 0.999**t)
    ...     w = w - 0.1 * 0.5 * w - 0.1 * m_hat / (np.sqrt(v_hat) + 1e-8)
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay, state=("m", "v"))
        name = type(self).__name__
        self.betas = pair_of_betas(name, betas)
        self.eps = number(name, "eps", eps, more_than=0)

    # The base class takes η λ w off before it calls update_block, instead of adding λ w to g.
    decoupled_decay = True

    def update_block(self, w: Any, g: Any, settings: Settings, m: Any, v: Any) -> None:
        # A block is as much of all parameters as stays in the cache; settings.steps is t, from 1.
        beta1, beta2 = self.betas
        work = workspace(w)
        move_average(m, g, beta1, work)
        np.multiply(g, g, out=work)
        move_average(v, work, beta2, work)  # g² itself is used up by it

        # With c₁ = 1 - β₁ᵗ and c₂ = √(1 - β₂ᵗ), η m̂ / (√v̂ + ε) is (η c₂ / c₁) m / (√v + ε c₂): the
        # corrections are two numbers instead of two passes over the block.
        c1 = 1 - beta1**settings.steps
        c2 = math.sqrt(1 - beta2**settings.steps)
        np.sqrt(v, out=work)
        work += self.eps * c2
        np.divide(m, work, out=work)
        work *= settings.lr * c2 / c1
        w -= work


class Adam(AdamW):
    """Adam [1]_: AdamW without decay.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015,
       arXiv:1412.6980.
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(model_or_params, lr, betas, eps, weight_decay=0.0)
        for index, group in enumerate(self.groups):
            if group.weight_decay:
                raise TypeError(
                    f"{type(self).__name__}, group {index}: has no weight_decay; AdamW has"
                )
