"""Learning-rate schedules: functions from the step, counted from 1, to the learning rate.

Being functions they hold no state: a run that is resumed at step n asks for step n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def constant(lr: float, warmup: int = 0) -> Schedule:
    """``lr`` throughout, after a linear rise over ``warmup`` steps.

    Examples
    --------
    >>> [constant(1.0, warmup=4)(step) for step in (1, 2, 4, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return _after_warmup(lr, warmup, lambda _: lr)


def linear(lr: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """A linear rise over ``warmup`` steps to ``lr``, then a linear fall to ``final`` at ``steps``.

    Examples
    --------
    >>> [linear(1.0, steps=10, warmup=2)(step) for step in (1, 2, 6, 10, 11)]
    [0.5, 1.0, 0.5, 0.0, 0.0]
    """
    _check(steps, warmup)
    return _after_warmup(
        lr, warmup, lambda step: final + (lr - final) * (1 - _progress(step, warmup, steps))
    )


def cosine(lr: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """A linear rise over ``warmup`` steps to ``lr``, then half a cosine to ``final`` at ``steps``.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, arXiv:1608.03983.

    Examples
    --------
    >>> [round(cosine(1.0, steps=10, warmup=2)(step), 3) for step in (1, 2, 6, 10, 11)]
    [0.5, 1.0, 0.5, 0.0, 0.0]
    """
    _check(steps, warmup)

    def fall(step: int) -> float:
        return final + (lr - final) * (1 + math.cos(math.pi * _progress(step, warmup, steps))) / 2

    return _after_warmup(lr, warmup, fall)


def noam(d_model: int, warmup: int = 4000, factor: float = 1.0) -> Schedule:
    """factor · d_model^-½ · min(step^-½, step · warmup^-3/2), equation 3 of [1]_.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """
    if warmup < 1:
        raise ValueError(f"noam: expected warmup >= 1, got {warmup}")
    return lambda step: factor * d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def _after_warmup(lr: float, warmup: int, then: Schedule) -> Schedule:
    if warmup < 0:
        raise ValueError(f"expected warmup >= 0, got {warmup}")
    return lambda step: lr * step / warmup if step < warmup else then(step)


def _check(steps: int, warmup: int) -> None:
    if steps <= warmup:
        raise ValueError(f"expected more steps than warmup steps, got {steps} and {warmup}")


def _progress(step: int, warmup: int, steps: int) -> float:
    """From 0 at the end of the warm-up to 1 at the last step and after."""
    return min(1.0, max(0.0, (step - warmup) / (steps - warmup)))
