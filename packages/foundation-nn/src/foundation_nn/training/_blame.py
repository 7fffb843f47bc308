"""Finding out why the loss or the gradient of a step was not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foundation_nn.distributed._team import Alone
from foundation_nn.inspection._finite import NonFinite
from foundation_nn.modules._module import Module
from foundation_nn.training._evaluate import Loss
from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._gradient import Gradient, Part


def blame(
    model: Module,
    loss: Loss,
    gradient: Gradient,
    step: int,
    lr: float,
    folder: Path | None,
    team: Alone,
) -> str:
    """A message that names the first operation whose result was not finite.

    Each batch of the step is run again with every operation watched, until one is found that
    fails; it is kept in ``folder``. The model stays as it is. Of several processes, each looks at
    its own batches, and the first one that finds something tells it to all.
    """
    parts = gradient.parts
    failed, culprit = _first_failure(model, loss, parts, step, lr)
    is_ours = culprit is not None or not all(math.isfinite(part.loss) for part in parts)
    found = team.everywhere(lambda: is_ours)
    teller = found.index(True) if True in found else 0

    def tell() -> str:
        if team.rank != teller:
            return ""
        message = _message(gradient.loss, culprit, step, lr)
        return message if folder is None or failed is None else _keep(failed, message, folder)

    return team.everywhere(tell)[teller]


def _first_failure(
    model: Module, loss: Loss, parts: Sequence[Part], step: int, lr: float
) -> tuple[FailedStep | None, NonFinite | None]:
    """The first batch that fails again, and the operation to blame; the last one if none does."""
    failed, culprit = None, None
    ends_the_step = parts and not math.isfinite(parts[-1].loss)
    state = model.state_dict()
    for part in parts[-1:] if ends_the_step else parts:
        failed = FailedStep(step, lr, "", part.batch, state, part.rng, model)
        culprit = failed.replay(loss)
        model.load_state_dict(state)  # the replay left its running statistics
        if culprit is not None:
            break
    return failed, culprit


def _message(value: float, culprit: NonFinite | None, step: int, lr: float) -> str:
    what = "its gradient is not finite" if math.isfinite(value) else "which is not finite"
    return (
        f"step {step}: the loss is {value:.4g}, {what}; the first to blame is the "
        f"{culprit or 'batch'}; lower the learning rate ({lr:g}) or look at the batch"
    )


def _keep(failed: FailedStep, message: str, folder: Path) -> str:
    """Save the step; the message with the place."""
    try:
        place = replace(failed, message=message).save(folder / f"failed_step_{failed.step}")
        return f"{message}, which is kept in {place}"
    except (OSError, TypeError, ValueError) as error:
        return f"{message}, which could not be kept: {error}"
