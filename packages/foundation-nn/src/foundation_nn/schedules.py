"""Learning-rate schedules: functions from the step, counted from 1, to the learning rate.

Being functions they hold no state: a run that is resumed at step n asks for step n. The exception
is ``plateau``, which depends on what was observed.

All of them refuse settings that are no finite numbers, rates that are negative, numbers of steps
that are not whole (a warm-up is counted in steps, not in parts of the run), and steps below 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from foundation_nn._arguments import number, whole_number
from foundation_nn.engine._habit_tables import TRAINING_KEYWORDS
from foundation_nn.engine._habits import explains

__all__ = [
    "Plateau",
    "Schedule",
    "constant",
    "cosine",
    "linear",
    "noam",
    "plateau",
    "step",
    "wsd",
]

Schedule: TypeAlias = Callable[[int], float]


@explains(TRAINING_KEYWORDS)
def constant(lr: float, warmup: int = 0) -> Schedule:
    """``lr`` throughout, after a linear rise over ``warmup`` steps.

    Examples
    --------
    >>> [constant(1.0, warmup=4)(step) for step in (1, 2, 4, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    lr = _rate("constant", "lr", lr)
    warmup = _count("constant", "warmup", warmup)
    return _after_warmup(lr, warmup, lambda _: lr)


@explains(TRAINING_KEYWORDS)
def linear(lr: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """A linear rise over ``warmup`` steps to ``lr``, then a linear fall to ``final`` at ``steps``.

    Examples
    --------
    >>> [linear(1.0, steps=10, warmup=2)(step) for step in (1, 2, 6, 10, 11)]
    [0.5, 1.0, 0.5, 0.0, 0.0]
    """
    lr, final, warmup, steps = _rise_and_fall("linear", lr, final, warmup, steps)
    return _after_warmup(
        lr, warmup, lambda step: final + (lr - final) * (1 - _progress(step, warmup, steps))
    )


@explains(TRAINING_KEYWORDS)
def cosine(lr: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """A linear rise over ``warmup`` steps to ``lr``, then half a cosine to ``final`` at ``steps``.

    This is the annealing of [1]_ without its restarts.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, arXiv:1608.03983.

    Examples
    --------
    >>> [round(cosine(1.0, steps=10, warmup=2)(step), 3) for step in (1, 2, 6, 10, 11)]
    [0.5, 1.0, 0.5, 0.0, 0.0]
    """
    lr, final, warmup, steps = _rise_and_fall("cosine", lr, final, warmup, steps)

    def fall(step: int) -> float:
        return final + (lr - final) * (1 + math.cos(math.pi * _progress(step, warmup, steps))) / 2

    return _after_warmup(lr, warmup, fall)


@explains(TRAINING_KEYWORDS)
def noam(d_model: int, warmup: int = 4000, factor: float = 1.0) -> Schedule:
    """factor · d_model^-½ · min(step^-½, step · warmup^-3/2), equation 3 of [1]_.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """
    d_model = _count("noam", "d_model", d_model, at_least=1)
    warmup = _count("noam", "warmup", warmup, at_least=1)
    factor = _rate("noam", "factor", factor)

    def schedule(step: int) -> float:
        _check_step(step)
        return float(factor * d_model**-0.5 * min(step**-0.5, step * warmup**-1.5))

    return schedule


@explains(TRAINING_KEYWORDS)
def step(lr: float, every: int, gamma: float = 0.1, warmup: int = 0) -> Schedule:
    """``lr``, multiplied by ``gamma`` after each ``every`` steps that follow the warm-up.

    Without a warm-up this is ``torch.optim.lr_scheduler.StepLR``, stepped after each update.

    Examples
    --------
    >>> [step(8.0, every=2, gamma=0.5)(n) for n in (1, 2, 3, 4, 5, 7)]
    [8.0, 8.0, 4.0, 4.0, 2.0, 1.0]
    """
    lr = _rate("step", "lr", lr)
    gamma = _rate("step", "gamma", gamma)
    every = _count("step", "every", every, at_least=1)
    warmup = _count("step", "warmup", warmup)
    return _after_warmup(lr, warmup, lambda n: lr * gamma ** (max(0, n - warmup - 1) // every))


@explains(TRAINING_KEYWORDS)
def wsd(lr: float, steps: int, decay: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Warm-up, stable, decay [1]_: ``lr`` until the last ``decay`` steps, which fall to ``final``.

    Where the fall begins may be decided late: the steps before are the same for every end. The
    paper leaves its shape open and halves the rate again and again; here it is linear, as in [2]_.

    References
    ----------
    .. [1] S. Hu et al., "MiniCPM: Unveiling the Potential of Small Language Models with Scalable
       Training Strategies", COLM 2024, arXiv:2404.06395.
    .. [2] A. Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
       Durations", NeurIPS 2024, arXiv:2405.18392.

    Examples
    --------
    >>> [wsd(1.0, steps=10, decay=4, warmup=2)(step) for step in (1, 2, 6, 7, 8, 10, 11)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
    """
    lr = _rate("wsd", "lr", lr)
    final = _rate("wsd", "final", final)
    decay = _count("wsd", "decay", decay, at_least=1)
    warmup = _count("wsd", "warmup", warmup)
    steps = _count("wsd", "steps", steps)
    if warmup + decay > steps:
        raise ValueError(
            f"wsd: expected warmup + decay <= steps, got {warmup} + {decay} and {steps}"
        )
    return _after_warmup(
        lr, warmup, lambda n: final + (lr - final) * (1 - _progress(n, steps - decay, steps))
    )


@explains(TRAINING_KEYWORDS)
def plateau(
    lr: float,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    final: float = 0.0,
    warmup: int = 0,
) -> Plateau:
    """``lr``, multiplied by ``factor`` whenever a metric has stopped falling.

    Parameters
    ----------
    lr : float
    factor : float
        In (0, 1).
    patience : int
        So many evaluations in a row without improvement lower the rate. PyTorch's
        ``ReduceLROnPlateau`` waits for one more.
    threshold : float
        An improvement is more than this part of the best value so far.
    final : float
        The rate falls no lower.
    warmup : int
        Steps of a linear rise, during which metrics are observed all the same.

    Returns
    -------
    Plateau

    Examples
    --------
    >>> schedule = plateau(1.0, factor=0.5, patience=2)
    >>> for loss in (3.0, 2.0, 2.0, 2.5):
    ...     schedule.observe(loss)
    ...     print(schedule(step=100))
    1.0
    1.0
    1.0
    0.5
    """
    return Plateau(lr, factor, patience, threshold, final, warmup)


class Plateau:
    """What :func:`plateau` returns: a schedule with a memory.

    It can be saved in a checkpoint, as an extra.

    Attributes
    ----------
    best : float or None
        The lowest metric so far.
    waited : int
        Evaluations since the last improvement or reduction.
    reductions : int
    """

    def __init__(
        self,
        lr: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        final: float = 0.0,
        warmup: int = 0,
    ) -> None:
        self.lr = _rate("plateau", "lr", lr)
        self.factor = number("plateau", "factor", factor, more_than=0, less_than=1)
        self.patience = _count("plateau", "patience", patience, at_least=1)
        self.threshold = _rate("plateau", "threshold", threshold)
        self.final = _rate("plateau", "final", final)
        self.warmup = _count("plateau", "warmup", warmup)
        self.best: float | None = None
        self.waited = 0
        self.reductions = 0

    def __call__(self, step: int) -> float:
        _check_step(step)
        rise = min(1.0, step / self.warmup) if self.warmup else 1.0
        return rise * max(self.final, self.lr * self.factor**self.reductions)

    def observe(self, metric: float) -> None:
        """Take note of an evaluation; one that is better is lower, and NaN is never better."""
        metric = float(metric)
        if self._is_better(metric):
            self.best, self.waited = metric, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.waited = 0
            self.reductions += 1

    def _is_better(self, metric: float) -> bool:
        if self.best is None:
            return math.isfinite(metric)
        return metric < self.best - self.threshold * abs(self.best)

    def state_dict(self) -> dict[str, Any]:
        """The memory, without the settings."""
        return {"best": self.best, "waited": self.waited, "reductions": self.reductions}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        self.best = state["best"]
        self.waited = state["waited"]
        self.reductions = state["reductions"]

    def to_dict(self) -> dict[str, Any]:
        """Settings and memory, as JSON can hold them."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """The schedule that ``to_dict`` described."""
        memory = ("best", "waited", "reductions")
        schedule = cls(**{name: value for name, value in state.items() if name not in memory})
        schedule.load_state_dict(state)
        return schedule


def _after_warmup(lr: float, warmup: int, then: Schedule) -> Schedule:
    def schedule(step: int) -> float:
        _check_step(step)
        return lr * step / warmup if step < warmup else then(step)

    return schedule


def _rise_and_fall(
    schedule: str, lr: float, final: float, warmup: int, steps: int
) -> tuple[float, float, int, int]:
    """The arguments of a schedule that rises for ``warmup`` steps and has fallen at ``steps``."""
    lr = _rate(schedule, "lr", lr)
    final = _rate(schedule, "final", final)
    warmup = _count(schedule, "warmup", warmup)
    steps = _count(schedule, "steps", steps)
    if steps <= warmup:
        raise ValueError(
            f"{schedule}: expected more steps than warmup steps, got {steps} and {warmup}"
        )
    return lr, final, warmup, steps


def _rate(schedule: str, name: str, value: float) -> float:
    """A setting that is a finite number >= 0."""
    return number(schedule, name, value, at_least=0)


def _count(schedule: str, name: str, value: int, at_least: int = 0) -> int:
    """A setting that is a whole number, such as one of steps."""
    return whole_number(schedule, name, value, at_least=at_least)


def _check_step(step: int) -> None:
    number("schedule", "step", step, at_least=1)


def _progress(step: int, warmup: int, steps: int) -> float:
    """From 0 at the end of the warm-up to 1 at the last step and after."""
    return min(1.0, max(0.0, (step - warmup) / (steps - warmup)))
