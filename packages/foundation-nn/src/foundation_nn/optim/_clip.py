"""Clipping gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn.optim._base import Optimizer


def clip_grad_norm(target: Optimizer | Module | Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients so that their common Euclidean norm is at most ``max_norm`` [1]_.

    Gradients that are not finite are left alone.

    Parameters
    ----------
    target : Optimizer, Module or iterable of Parameter
        Whose gradients. An optimiser's lie side by side: one dot product.
    max_norm : float
        ``math.inf`` measures without clipping.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    ValueError
        If ``max_norm`` is not positive.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013, arXiv:1211.5063.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: expected max_norm > 0, got {max_norm}")
    if isinstance(target, Optimizer):
        grads = [target.buffer.collect()]
    else:
        parameters = target.parameters() if isinstance(target, Module) else target
        grads = [p.grad for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if math.isfinite(norm) and norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm
