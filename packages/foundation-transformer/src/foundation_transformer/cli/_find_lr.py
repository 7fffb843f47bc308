"""``foundation train … --find-lr``: a learning rate to begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from foundation_nn.plotting import plot_range_test
from foundation_nn.training import find_lr

from foundation_transformer.cli._optimization import make_optimizer
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._size import describe_size, lr_of
from foundation_transformer.cli._task_kind import Task

#: Within the folder of the run to come.
PICTURE = "find_lr.png"


def propose_lr(folder: Path, settings: Settings, task: Task) -> None:
    """Try learning rates on a model that is thrown away; draw and print what they did."""
    rng = np.random.default_rng(settings.seed)
    model = task.make_model(rng)
    if settings.depth is not None:
        print(describe_size(settings, model))
    lr = lr_of(settings)
    found = find_lr(
        model,
        task.loss,
        make_optimizer(settings, model, lr),
        task.batches,
        lowest=lr / 1e3,
        highest=lr * 1e3,
        clip_norm=settings.clip_norm,
        rng=rng,
    )
    plot_range_test(found, folder / PICTURE, title=f"{settings.optimizer}: loss over learning rate")
    print(
        f"\nThe loss was smallest at a learning rate of {10 * found.suggestion:.2g}, after "
        f"{len(found.lrs)} steps from {found.lrs[0]:.2g} on.\n"
        f"  picture:     {folder / PICTURE}\n"
        f"  suggestion:  --lr {found.suggestion:.2g}"
    )
