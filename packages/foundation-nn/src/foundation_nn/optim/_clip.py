"""Clipping gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn.optim._base import Optimizer
from foundation_nn.optim._parameters import Parameters, parameters_of


def clip_grad_norm(target: Optimizer | Parameters, max_norm: float) -> float:
    """Scale all gradients so that their common Euclidean norm is at most ``max_norm`` [1]_.

    Gradients that are not finite are left alone, and those of frozen parameters do not count. If
    squares are too large for the dtype and the norm is not, it is found from the gradients divided
    by their largest element.

    Parameters
    ----------
    target : Optimizer, Module, Parameter or iterable of Parameter
        Whose gradients. An optimiser's lie side by side: one dot product.
    max_norm : float
        ``math.inf`` measures without clipping.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    TypeError
        If ``target`` is something else.
    ValueError
        If ``max_norm`` is not positive, or a gradient has another shape than its parameter.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013, arXiv:1211.5063.
    """
    number("clip_grad_norm", "max_norm", max_norm, more_than=0, finite=False)
    if isinstance(target, Optimizer):
        grad = target.buffer.collect()
        grads = [grad[part] for part in target.buffer.learnt()]
    else:
        # One that is listed twice, as tied weights may be, has one gradient.
        listed = parameters_of("clip_grad_norm", target)
        parameters = {id(p): p for p in listed}.values()
        found = [p.checked_grad() for p in parameters if p.requires_grad]
        grads = [grad for grad in found if grad is not None]
    norm = norm_of(grads)
    if math.isfinite(norm) and norm > max_norm:
        for g in grads:
            g *= max_norm / norm
    return norm


def norm_of(grads: Sequence[NDArray[Any]]) -> float:
    """The Euclidean norm of all entries together."""
    norm = _root_of_squares(grads)
    if math.isinf(norm):  # the squares may be too large for the dtype where the norm is not
        largest = max(float(np.abs(g).max(initial=0)) for g in grads)
        if math.isfinite(largest):
            norm = largest * _root_of_squares([g / largest for g in grads])
    return norm


def _root_of_squares(grads: Sequence[NDArray[Any]]) -> float:
    return math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
