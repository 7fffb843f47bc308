"""Learning-rate schedules beside those of ``torch.optim.lr_scheduler``, rate for rate.

Ours are functions of the step, counted from 1. Theirs are objects that are stepped after each
update, of which several may follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import torch
from closeness import settle
from foundation_nn import schedules
from layouts import Array
from report import Report
from torch.optim import lr_scheduler

LENGTH = 60

#: Makes a scheduler for an optimiser of PyTorch.
Maker: TypeAlias = Callable[[Any], Any]
#: Our schedule, a maker of theirs, and how many of their rates come before our first one.
Twins: TypeAlias = tuple[schedules.Schedule, Maker, int]


def in_turn(*phases: tuple[int, Maker]) -> Maker:
    """Schedulers one after the other, each for so many updates, the last one for the rest."""

    def make(optimiser: Any) -> Any:
        *before, (_, last) = phases
        before = [(length, phase) for length, phase in before if length > 0]
        made = [phase(optimiser) for _, phase in before] + [last(optimiser)]
        ends = np.cumsum([length for length, _ in before]).tolist()
        return lr_scheduler.SequentialLR(optimiser, made, ends) if ends else made[0]

    return make


def after_warmup(warmup: int, *phases: tuple[int, Maker]) -> Maker:
    """A linear rise over ``warmup`` updates; the last of them is the first of what follows."""
    rise = (warmup - 1, lambda o: lr_scheduler.LinearLR(o, 1 / warmup, 1.0, warmup - 1))
    return in_turn(rise, *phases)


def ahead(warmup: int) -> int:
    """Without a warm-up theirs begins with an update at the full rate, ours one step later."""
    return 0 if warmup else 1


def constant(warmup: int) -> Twins:
    def hold(o: Any) -> Any:
        return lr_scheduler.ConstantLR(o, 1.0)

    return schedules.constant(1.0, warmup), after_warmup(warmup, (LENGTH, hold)), 0


def linear(warmup: int, steps: int, final: float) -> Twins:
    def fall(o: Any) -> Any:
        return lr_scheduler.LinearLR(o, 1.0, final, steps - warmup)

    ours = schedules.linear(1.0, steps, warmup, final)
    return ours, after_warmup(warmup, (steps, fall)), ahead(warmup)


def polynomial(warmup: int, steps: int) -> Twins:
    def fall(o: Any) -> Any:
        return lr_scheduler.PolynomialLR(o, steps - warmup, 1.0)

    ours = schedules.linear(1.0, steps, warmup)
    return ours, after_warmup(warmup, (steps, fall)), ahead(warmup)


def cosine(warmup: int, steps: int, final: float) -> Twins:
    def fall(o: Any) -> Any:
        return lr_scheduler.CosineAnnealingLR(o, steps - warmup, final)

    def rest(o: Any) -> Any:  # without it, theirs would rise again
        return lr_scheduler.LambdaLR(o, lambda _: final)

    ours = schedules.cosine(1.0, steps, warmup, final)
    phases = (steps + 1 - warmup, fall), (LENGTH, rest)
    return ours, after_warmup(warmup, *phases), ahead(warmup)


def warmup_stable_decay(warmup: int, steps: int, final: float) -> Twins:
    decay = max(1, (steps - warmup) // 3)

    def hold(o: Any) -> Any:
        return lr_scheduler.ConstantLR(o, 1.0)

    def fall(o: Any) -> Any:
        return lr_scheduler.LinearLR(o, 1.0, final, decay)

    ours = schedules.wsd(1.0, steps, decay, warmup, final)
    phases = (steps - warmup - decay, hold), (LENGTH, fall)
    return ours, after_warmup(warmup, *phases), ahead(warmup)


def step(every: int, gamma: float) -> Twins:
    return schedules.step(1.0, every, gamma), lambda o: lr_scheduler.StepLR(o, every, gamma), 0


def noam(warmup: int, d_model: int) -> Twins:
    def factor(epoch: int) -> float:
        n = epoch + 1
        return float(d_model**-0.5 * min(n**-0.5, n * warmup**-1.5))

    return schedules.noam(d_model, warmup), lambda o: lr_scheduler.LambdaLR(o, factor), 0


WARMUPS, STEPS, FINALS = (0, 1, 2, 7), (8, 60, 75), (0.0, 0.1)
SCHEDULES: dict[str, tuple[Callable[..., Twins], Iterable[tuple[Any, ...]]]] = {
    "constant": (constant, product(WARMUPS)),
    "linear": (linear, product(WARMUPS, STEPS, FINALS)),
    "linear (PolynomialLR)": (polynomial, product(WARMUPS, STEPS)),
    "cosine": (cosine, product(WARMUPS, STEPS, FINALS)),
    "wsd": (warmup_stable_decay, product(WARMUPS, STEPS, FINALS)),
    "step": (step, product((1, 7, 100), (0.1, 0.5, 1.0))),
    "noam": (noam, product((1, 7, 4000), (16, 512))),
}


def rates_of_theirs(make: Maker, skip: int = 0, metrics: Array | None = None) -> dict[str, Array]:
    """The rates of the first updates; a metric is observed after each."""
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimiser)
    rates = []
    for n in range(skip + LENGTH):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step(*([] if metrics is None else [metrics[n]]))
    return {"rates": np.array(rates[skip:])}


def rates_of_ours(schedule: schedules.Schedule) -> dict[str, Array]:
    return {"rates": np.array([schedule(n) for n in range(1, 1 + LENGTH)], np.float64)}


def compare_schedules(report: Report) -> None:
    for name, (twins, cases) in SCHEDULES.items():
        for case in cases if report.wants(f"schedules.{name}") else ():
            ours, theirs, skip = twins(*case)
            settle(
                report,
                f"schedules.{name}",
                str(case),
                lambda: rates_of_ours(ours),  # noqa: B023
                lambda _: rates_of_theirs(theirs, skip),  # noqa: B023
                np.float64,
            )


def plateau_of_ours(metrics: Array, *options: Any) -> dict[str, Array]:
    schedule = schedules.plateau(1.0, *options)
    rates = []
    for n, metric in enumerate(metrics):
        rates.append(schedule(n + 1))
        schedule.observe(metric)
    return {"rates": np.array(rates)}


def plateau_of_theirs(
    metrics: Array, factor: float, patience: int, threshold: float, final: float
) -> dict[str, Array]:
    def make(optimiser: Any) -> Any:
        # Theirs waits for one more than ``patience``, and skips changes smaller than eps.
        return lr_scheduler.ReduceLROnPlateau(
            optimiser, "min", factor, patience - 1, threshold, min_lr=final, eps=0
        )

    return rates_of_theirs(make, 0, metrics)


def compare_plateau(report: Report) -> None:
    rng = np.random.default_rng(0)
    metrics = {
        "falling": np.exp(-np.arange(LENGTH) / 20) + 0.05 * rng.random(LENGTH),
        "noise": 3 + rng.random(LENGTH),
        "flat": np.ones(LENGTH),
        "negative": -3 - np.cumsum(rng.random(LENGTH)) / 100,
        "with NaN": np.where(rng.random(LENGTH) < 0.3, np.nan, rng.random(LENGTH)),
    }
    options = list(product((0.1, 0.5), (1, 3), (1e-4, 0.1), (0.0, 0.01)))
    cases = product(metrics, options) if report.wants("schedules.plateau") else ()
    for kind, case in cases:
        settle(
            report,
            "schedules.plateau",
            f"{kind} {case}",
            lambda: plateau_of_ours(metrics[kind], *case),  # noqa: B023
            lambda _: plateau_of_theirs(metrics[kind], *case),  # noqa: B023
            np.float64,
        )
