"""The checkpoints of a run: the last few to resume from, and the best one to use."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint
from foundation_nn.training._best import Best
from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation
from foundation_nn.training._resume import training_state
from foundation_nn.training._trainer import Trainer

_NAME = re.compile(r"\.?step_(\d+)(\.previous)?")


class Checkpoints(Callback):
    """Save a run as it goes.

    ``last/step_N`` are for :meth:`Trainer.resume`. ``checkpoint`` is the model to use: the one of
    the best evaluation, or without any validation the newest; with an EMA, its averaged
    parameters.

    Parameters
    ----------
    folder : path
        Of the run.
    every : int, optional
        Save after so many steps; by default after each evaluation. The end of a run that did not
        fail is saved in any case.
    keep : int
        How many of ``last`` stay.
    metric : str
        What is best: "loss", or the name of one of the trainer's metrics.
    maximize : bool
        More is better.
    **extras
        For :func:`foundation_nn.checkpoint.save`, such as tokenizers.

    Raises
    ------
    ValueError
        If ``every`` or ``keep`` is less than 1.
    OSError
        During the run, if it cannot be written, e.g. for want of space; older ones stay.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: int | None = None,
        keep: int = 3,
        metric: str = "loss",
        maximize: bool = False,
        **extras: Any,
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"Checkpoints: expected every >= 1, got {every}")
        if keep < 1:
            raise ValueError(f"Checkpoints: expected keep >= 1, got {keep}")
        self.folder = Path(folder)
        self.every = every
        self.keep = keep
        self.best = Best(metric, maximize)
        self.extras = extras
        self._saved: Any = None  # the state of the newest of ``last``
        self._evaluated = False  # since then

    def on_start(self, trainer: Trainer) -> None:  # noqa: ARG002
        self._saved = None
        self._evaluated = False
        _clear(self.folder)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self._evaluated = True
        if self.best.observe(evaluation):
            self._save_to_use(trainer)

    def on_settled(self, trainer: Trainer) -> None:
        due = self._evaluated if self.every is None else trainer.steps % self.every == 0
        if due:
            self._evaluated = False
            self._save(trainer)

    def on_end(self, trainer: Trainer) -> None:
        if trainer.stopped_by:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """Unless nothing has changed."""
        state = training_state(trainer), trainer.steps
        if state == self._saved:
            return
        last = self.folder / "last"
        trainer.save(last / f"step_{trainer.steps:06}", **self.extras)
        self._saved = state
        if self.best.value is None:
            self._save_to_use(trainer)
        for old in checkpoints_of(self.folder)[: -self.keep]:
            shutil.rmtree(old)

    def _save_to_use(self, trainer: Trainer) -> None:
        with nullcontext() if trainer.ema is None else trainer.ema.applied():
            place = self.folder / "checkpoint"
            checkpoint.save(place, trainer.model, step=trainer.steps, **self.extras)

    def state_dict(self) -> dict[str, Any]:
        return self.best.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best.load_state_dict(state)


def checkpoints_of(folder: str | os.PathLike[str]) -> list[Path]:
    """What a run can be resumed from, the newest at the end."""
    found: dict[int, Path] = {}
    for place in Path(folder, "last").glob("*step_*"):
        match = _NAME.fullmatch(place.name)
        # One that was being replaced is read under its own name: see foundation_nn.checkpoint.
        path = place.with_name(f"step_{match[1]}") if match else place
        if match and checkpoint.exists(path):
            found[int(match[1])] = path
    return [found[step] for step in sorted(found)]


def _clear(folder: Path) -> None:
    """Remove what a kill left half written."""
    for place in (*folder.glob("last/.step_*"), *folder.glob(".checkpoint.*")):
        if not place.name.endswith(".previous"):
            shutil.rmtree(place, ignore_errors=True)
