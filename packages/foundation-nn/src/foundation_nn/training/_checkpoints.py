"""The checkpoints of a run: the last few to resume from, and the best one to use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint
from foundation_nn._arguments import whole_number
from foundation_nn._log import logger
from foundation_nn.engine._habit_tables import TRAINING_KEYWORDS
from foundation_nn.engine._habits import refuse_habits
from foundation_nn.files import remove_folder
from foundation_nn.training._best import Best
from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation
from foundation_nn.training._resume import training_state
from foundation_nn.training._run_folder import (
    LAST,
    TO_USE,
    checkpoints_after,
    checkpoints_of,
    mend_run,
    own_folder,
    place_for_step,
)
from foundation_nn.training._trainer import Trainer


class Checkpoints(Callback):
    """Saves a run while it goes on.

    In the folder of the run, ``last/step_N`` are checkpoints for :meth:`Trainer.resume`, and
    ``checkpoint`` is the model to use: that of the best evaluation, or the newest if there is no
    validation. With an EMA it has the averaged parameters.

    The folder has one owner at a time: while a run saves there, another process is refused. At the
    start, what a process that was killed has left there is completed or removed. A run that was
    resumed from an older one of the checkpoints gives the later ones up, and they are removed. A
    run that was not resumed from this folder does not begin if it would mix with another one.

    A model that could not be saved, or loaded again, is refused before the first step, and the
    message says what to write: see :func:`foundation_nn.checkpoint.check`.

    Parameters
    ----------
    folder : path
        Of the run.
    every : int, optional
        Save whenever this number of steps has been made; by default after each evaluation. The end
        of a run that did not fail is saved in any case.
    keep : int
        How many checkpoints to keep in ``last``.
    metric : str
        What tells the best evaluation: "loss", or the name of one of the trainer's metrics.
    maximize : bool
        Whether a larger value is better, as for BLEU.
    **extras
        For :func:`foundation_nn.checkpoint.save`, such as tokenizers.

    Raises
    ------
    ValueError
        If ``every`` or ``keep`` is less than 1. At the start of a run, if the folder holds the
        checkpoints of another one, or the model would be another one after loading.
    TypeError
        If an extra has the name of an option of other libraries, or nearly that of one of these. At
        the start of a run, if the model or an extra cannot be saved.
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
        refuse_habits(Checkpoints, extras, TRAINING_KEYWORDS)
        self.folder = Path(folder)
        self.every = None
        if every is not None:
            self.every = whole_number("Checkpoints", "every", every, at_least=1)
        self.keep = whole_number("Checkpoints", "keep", keep, at_least=1)
        self.best = Best(metric, maximize)
        self.extras = extras
        self._saved: Any = None  # the state of the newest of ``last``
        self._evaluated = False  # since then
        self._ownership = ExitStack()

    def on_start(self, trainer: Trainer) -> None:
        checkpoint.check(trainer.model, **self.extras)
        self._saved = None
        self._evaluated = False
        self._ownership.enter_context(own_folder(self.folder))
        mend_run(self.folder)
        self._give_up_later_ones(trainer)

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
        with self._ownership:  # ends with it
            if trainer.stopped_by:
                self._save(trainer)

    def _give_up_later_ones(self, trainer: Trainer) -> None:
        """Checkpoints of later steps: of a course that was given up, or else of another run."""
        later = checkpoints_after(self.folder, trainer.steps)
        if not later:
            return
        origin = trainer.resumed_from
        if origin is None or origin.resolve().parent != (self.folder / LAST).resolve():
            raise ValueError(
                f"{self.folder}: holds the checkpoints of another run, {later[-1].name} the last "
                "of them; go on with that one by trainer.resume(checkpoints_of(folder)[-1]), or "
                "choose another folder"
            )
        for place in later:
            logger.info("removed %s: the run goes on from an earlier checkpoint", place)
            remove_folder(place)

    def _save(self, trainer: Trainer) -> None:
        """Save for a resume and remove older ones, unless nothing has changed since the last."""
        state = training_state(trainer), trainer.steps
        with self._folder_that_is_there():
            if state == self._saved:
                return
            trainer.save(place_for_step(self.folder, trainer.steps), **self.extras)
            self._saved = state
            if self.best.value is None:
                self._save_to_use(trainer)
            for old in checkpoints_of(self.folder)[: -self.keep]:
                remove_folder(old)

    def _save_to_use(self, trainer: Trainer) -> None:
        averaged = nullcontext() if trainer.ema is None else trainer.ema.applied()
        with self._folder_that_is_there(), averaged:
            place = self.folder / TO_USE
            checkpoint.save(place, trainer.model, step=trainer.steps, **self.extras)

    @contextmanager
    def _folder_that_is_there(self) -> Iterator[None]:
        """A folder that was deleted meanwhile is not made anew: somebody wanted it gone.

        If that happens while something is being written there, the error says the same.
        """
        removed = FileNotFoundError(
            f"{self.folder}: was removed while the run went on, and with it what was saved"
        )
        if not self.folder.is_dir():
            raise removed
        try:
            yield
        except OSError as error:
            if self.folder.is_dir():
                raise
            raise removed from error

    def state_dict(self) -> dict[str, Any]:
        return self.best.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best.load_state_dict(state)
