"""Finding out why the loss or the gradient of a step was not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from foundation_nn.modules._module import Module
from foundation_nn.training._evaluate import Loss
from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._gradient import Part, mean_loss


def blame(
    model: Module, loss: Loss, parts: Sequence[Part], step: int, lr: float, folder: Path | None
) -> str:
    """A message that names the first operation whose result was not finite.

    Each batch of the step is run again with every operation watched, until one is found that
    fails; it is kept in ``folder``. The model stays as it is.
    """
    value = mean_loss(parts)
    suspects = list(parts) if math.isfinite(value) else [parts[-1]]
    state = model.state_dict()
    for part in suspects:
        failed = FailedStep(step, lr, "", part.batch, state, part.rng, model)
        culprit = failed.replay(loss)
        model.load_state_dict(state)  # the replay left its running statistics
        if culprit is not None:
            break
    what = "its gradient is not finite" if math.isfinite(value) else "which is not finite"
    message = (
        f"step {step}: the loss is {value:.4g}, {what}; the first to blame is the "
        f"{culprit or 'batch'}; lower the learning rate ({lr:g}) or look at the batch"
    )
    if folder is None:
        return message
    try:
        place = replace(failed, message=message).save(folder / f"failed_step_{step}")
        return f"{message}, which is kept in {place}"
    except (OSError, TypeError, ValueError) as error:
        return f"{message}, which could not be kept: {error}"
