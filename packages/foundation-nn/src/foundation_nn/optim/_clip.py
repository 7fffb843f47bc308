"""Clipping gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    norm = _norm(grads)
    if math.isinf(norm):  # the squares may be too large for the dtype where the norm is not
        largest = max(float(np.abs(g).max(initial=0)) for g in grads)
        norm = largest * _norm([g / largest for g in grads]) if math.isfinite(largest) else norm
    if math.isfinite(norm) and norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm


def _norm(grads: list[NDArray[Any]]) -> float:
    return math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
