"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    Notes
    -----
    The corrections cost no pass over the entries. Multiplied by c = √(1 - β₂ᵗ) above and below, the
    quotient is η c / (1 - β₁ᵗ) · m / (√v + ε c), so that they are two numbers for each step.

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

    # The optimiser subtracts η λ w before it calls update_block; otherwise it would add λ w to g.
    decoupled_decay = True

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

    def update_block(
        self,
        w: NDArray[Any],
        g: NDArray[Any],
        settings: Settings,
        m: NDArray[Any],
        v: NDArray[Any],
    ) -> None:
        """Change a block of the parameters, as much of them as stays in the cache, in place."""
        beta1, beta2 = self.betas
        t = settings.steps  # 1, 2, 3, ...
        work = workspace(w)  # memory for one intermediate result
        # m ← β₁ m + (1 - β₁) g
        move_average(m, g, beta1, work)
        # v ← β₂ v + (1 - β₂) g²
        g_squared = np.multiply(g, g, out=work)
        move_average(v, g_squared, beta2, work)  # writes over g², which lies in work

        # In m̂ / (√v̂ + ε), numerator and denominator are multiplied by c = √(1 - β₂ᵗ). With
        # c √v̂ = √v, that turns two corrections of all elements into two numbers:
        #
        #     w ← w - rate · m / (√v + ε c)    with rate = η c / (1 - β₁ᵗ)
        c = math.sqrt(1 - beta2**t)
        rate = settings.lr * c / (1 - beta1**t)
        root = np.sqrt(v, out=work)
        root += self.eps * c
        change = np.divide(m, root, out=work)
        change *= rate
        w -= change


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
