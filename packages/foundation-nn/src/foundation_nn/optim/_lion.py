"""Lion."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import move_average, pair_of_betas, workspace
from foundation_nn.optim._groups import Trainable


class Lion(Optimizer):
    """w ← w - η (sign(β₁ m + (1 - β₁) g) + λ w), then m ← β₂ m + (1 - β₂) g [1]_.

    Every entry moves by the same amount, but for those with neither gradient nor momentum, which
    stay. The learning rate is therefore three to ten times smaller than AdamW's, and the decay as
    many times larger. PyTorch has no Lion; this is the paper's program.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
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

    Examples
    --------
    The formula in plain NumPy, step by step beside the optimiser:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, m = np.array([[1.0, -2.0]]), 0.0
    >>> parameter = Parameter(w)
    >>> optimizer = optim.Lion(parameter, lr=0.1, weight_decay=0.5)
    >>> for _ in range(3):
    ...     g = parameter.grad = 2 * w  # the gradient of |w|²
    ...     optimizer.step()
    ...     w = w - 0.1 * (np.sign(0.9 * m + 0.1 * g) + 0.5 * w)
    ...     m = 0.99 * m + 0.01 * g
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay, state=("m",))
        self.betas = pair_of_betas(type(self).__name__, betas)

    decoupled_decay = True  # w ← w - η λ w was done before

    def update_block(self, w: Any, g: Any, settings: Settings, m: Any) -> None:
        work = workspace(w)
        direction = workspace(w, slot=1)
        beta1, beta2 = self.betas

        np.copyto(direction, m)
        move_average(direction, g, beta1, work)
        # Its sign, as x / max(|x|, tiny): np.sign takes five times as long.
        np.abs(direction, out=work)
        np.maximum(work, np.finfo(w.dtype).tiny, out=work)
        direction /= work
        direction *= settings.lr
        w -= direction

        move_average(m, g, beta2, work)
