"""Optimiser and schedule of a run, by the names that one types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foundation_nn import optim, schedules

from foundation_transformer.cli._settings import Settings

#: The learning rate of each optimiser, as a multiple of AdamW's. They update by different amounts:
#: Lion by the sign of the gradient, for which its paper (Chen et al., 2023) takes a third to a
#: tenth; Adafactor and Adagrad have their usual rate of 0.01; SGD moves by the gradient itself,
#: which is small. Muon is scaled so that AdamW's rates can be kept.
LR_FACTORS: Mapping[str, float] = {
    "adamw": 1.0,
    "adam": 1.0,
    "sgd": 30.0,
    "lion": 0.1,
    "muon": 1.0,
    "adafactor": 3.0,
    "rmsprop": 0.1,
    "adagrad": 3.0,
}
_BETAS = (0.9, 0.98)


def decay_of(settings: Settings) -> float:
    """The weight decay, also if none was given; Adam has none."""
    return 0.01 if settings.weight_decay is None else settings.weight_decay


def make_optimizer(settings: Settings, model: Any, lr: float) -> optim.Optimizer:
    """The optimiser that the settings name."""
    decay = decay_of(settings)
    output = getattr(model, "output", None)  # a change beside a model has none of its own
    untied = [] if output is None or model.config.tie_embeddings else [output.weight]
    makers: dict[str, Callable[[], optim.Optimizer]] = {
        "adamw": lambda: optim.AdamW(model, lr, betas=_BETAS, weight_decay=decay),
        "adam": lambda: optim.Adam(model, lr, betas=_BETAS),
        "sgd": lambda: optim.SGD(model, lr, momentum=0.9, weight_decay=decay),
        "lion": lambda: optim.Lion(model, lr, weight_decay=decay),
        "muon": lambda: optim.Muon(model, lr, weight_decay=decay, adamw=untied, betas=_BETAS),
        "adafactor": lambda: optim.Adafactor(model, lr, weight_decay=decay),
        "rmsprop": lambda: optim.RMSprop(model, lr, weight_decay=decay),
        "adagrad": lambda: optim.Adagrad(model, lr, weight_decay=decay),
    }
    return makers[settings.optimizer]()


def make_schedule(
    name: str, lr: float, steps: int, warmup: int, final: float, d_model: int
) -> schedules.Schedule:
    """The learning rate over a run of ``steps`` steps; its peak is always ``lr``.

    ``final`` is where a cosine, a line and the fall at the end of "wsd" lead to.
    """
    steps = max(steps, warmup + 1)
    if name == "constant":
        return schedules.constant(lr, warmup)
    if name == "noam":
        warmup = max(1, warmup)
        return schedules.noam(d_model, warmup, factor=lr * (d_model * warmup) ** 0.5)
    if name == "wsd":
        decay = max(1, min(steps // 5, steps - warmup))
        return schedules.wsd(lr, steps, decay, warmup, final)
    fall = {"cosine": schedules.cosine, "linear": schedules.linear}[name]
    return fall(lr, steps, warmup, final)
