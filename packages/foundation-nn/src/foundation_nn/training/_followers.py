"""What the options of a trainer ask for, as callbacks of its own: they are told first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundation_nn.optim import EMA
from foundation_nn.schedules import Plateau, Schedule
from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation, Step

if TYPE_CHECKING:
    from foundation_nn.training._trainer import Trainer


class FollowParameters(Callback):
    """Takes the parameters into an average after every step."""

    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self.ema.update()


class ObserveLoss(Callback):
    """Tells a plateau schedule of every evaluation, so that it can lower the rate."""

    def __init__(self, schedule: Plateau) -> None:
        self.schedule = schedule

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:  # noqa: ARG002
        self.schedule.observe(evaluation.loss)


def followers(ema: EMA | None, schedule: Schedule | None) -> list[Callback]:
    """The callbacks that a trainer with these options has beside those it was given."""
    made: list[Callback] = []
    if ema is not None:
        made.append(FollowParameters(ema))
    if isinstance(schedule, Plateau):
        made.append(ObserveLoss(schedule))
    return made
