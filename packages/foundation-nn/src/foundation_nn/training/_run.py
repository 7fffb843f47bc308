"""One fit of a trainer: what each line of the loop in :meth:`Trainer.fit` does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any

from foundation_nn._arguments import whole_number
from foundation_nn._log import logger
from foundation_nn.distributed._begin import begin_alike
from foundation_nn.distributed._shards import Update
from foundation_nn.engine._memory import keep_freed_memory
from foundation_nn.training._blame import blame
from foundation_nn.training._callback import Callback
from foundation_nn.training._checks import check_batches, check_trainer, no_batch
from foundation_nn.training._evaluate import full_evaluation
from foundation_nn.training._followers import followers
from foundation_nn.training._gradient import Gradient, compute_gradient
from foundation_nn.training._history import Step
from foundation_nn.training._limits import Limits
from foundation_nn.training._position import Position
from foundation_nn.training._resume import continue_batches

if TYPE_CHECKING:
    from foundation_nn.training._trainer import Trainer

#: A run that skips steps ends when this many in a row had no finite gradient.
MAX_SKIPPED = 10


class Run:
    """What a fit works with, and its steps; it begins anew, or where a resumed one was.

    Model, optimiser and options are the trainer's. So are the history and the position, which are
    still there when the run is over.

    Parameters
    ----------
    trainer : Trainer
    batches, validation, evaluate_every
        As for :meth:`Trainer.fit`, and checked here.
    limits : Limits

    Attributes
    ----------
    update : Update
        How the parameters are changed: by this process, or by several.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Any,
        validation: Iterable[Any] | None,
        evaluate_every: int | None,
        limits: Limits,
    ) -> None:
        check_trainer(trainer)
        check_batches(batches, validation, limits.epochs)
        if evaluate_every is not None:
            evaluate_every = whole_number("fit", "evaluate_every", evaluate_every, at_least=1)
        self.trainer = trainer
        self.batches = batches
        self.validation = validation
        self.evaluate_every = evaluate_every
        self.limits = limits
        self.team = trainer._team
        self.update = Update(trainer.optimizer)
        self.statistics = list(trainer.model.buffers())  # running means and the like
        self.requested = ""  # what somebody gave as the reason to stop

        keep_freed_memory()
        begin_alike(self.team, trainer.model, trainer.optimizer, trainer.rng, batches)
        if trainer._resumed is None:
            trainer._position = self.place.at_a_new_fit()
        else:
            continue_batches(batches, trainer._resumed["batches"])
            trainer._resumed = None
        trainer._batches = batches
        trainer.stopped_by = ""
        trainer.planned_steps = limits.last_step(self.place, batches, trainer.accumulate)
        trainer.planned_seconds = limits.seconds
        limits.start(self.place)

    @property
    def place(self) -> Position:
        """What has been done so far."""
        return self.trainer._position

    # --- when it ends

    def request(self, reason: str) -> None:
        """Have the run end after the present step. An interrupt is not replaced by others."""
        if self.requested != "interrupt":
            self.requested = reason

    def reason_to_stop(self) -> str:
        """What ``stopped_by`` will be, or "" to go on; the same in every process."""
        reasons = self.team.everywhere(lambda: self.requested or self.limits.reached(self.place))
        return next(filter(None, reasons), "")

    def finish(self, reason: str) -> None:
        """The last evaluation, unless the run was interrupted or has done nothing."""
        if reason != "interrupt" and self.place.steps > self.place.first_step:
            self.place.evaluate = True
            self.settle()
        self.trainer.stopped_by = reason

    # --- epochs

    def rest_of_the_epoch(self) -> Iterable[Any]:
        """All of its batches, or what a resumed run had not used of them."""
        if hasattr(self.batches, "state_dict"):  # such batches go on by themselves
            return self.batches  # type: ignore[no-any-return]
        return islice(self.batches, self.place.batches, None)

    def count_epoch(self) -> None:
        """The batches are at their end."""
        if not self.place.batches:
            raise no_batch(self.batches)
        self.place.epochs += 1
        self.place.batches = 0
        if self.evaluate_every is None:
            self.place.evaluate = True

    # --- steps

    def step(self, batches: Sequence[Any]) -> None:
        """One update from all these batches: forward and backward, clip, step."""
        started = time.perf_counter()
        trainer = self.trainer
        place = self.place
        place.batches += len(batches)  # they are used up, whatever becomes of the step
        self._set_rate(place.steps + 1)
        gradient = compute_gradient(
            trainer.model,
            trainer.loss,
            self.update,
            batches,
            trainer.rng,
            trainer.clip_norm,
            self.statistics,
            self.team,
        )
        if not math.isfinite(gradient.norm):
            self._skip(gradient)
            return
        self.update.step()
        place.steps += 1  # counted here: an optimiser with a step() of its own may not count
        place.skipped_in_a_row = 0
        if self.evaluate_every is not None and place.steps % self.evaluate_every == 0:
            place.evaluate = True
        step = Step(
            step=place.steps,
            loss=gradient.loss,
            lr=trainer.optimizer.lr,
            grad_norm=gradient.norm,
            tokens=gradient.targets,
            seconds=time.perf_counter() - started,
            clipped=gradient.norm > trainer.clip_norm,
        )
        trainer.history.steps.append(step)
        self._tell("on_step", step)

    def _set_rate(self, step: int) -> None:
        """The learning rate of a step, as the first process finds it: it may look at the clock."""
        schedule = self.trainer.schedule
        if schedule is None:
            return
        try:
            self.trainer.optimizer.lr = self.team.lead(lambda: schedule(step))
        except (TypeError, ValueError) as error:
            error.add_note(f"the schedule was asked for the learning rate of step {step}")
            raise

    def _skip(self, gradient: Gradient) -> None:
        """Go on without the step, if that is wanted and not hopeless; the first one is kept."""
        trainer = self.trainer
        place = self.place
        message = blame(
            trainer.model,
            trainer.loss,
            gradient,
            place.steps + 1,
            trainer.optimizer.lr,
            None if place.skipped else trainer.folder,
            self.team,
        )
        if not trainer.skip_failed:
            raise FloatingPointError(message)
        logger.info("skipped: %s", message)
        place.skipped += 1
        place.skipped_in_a_row += 1
        if place.skipped_in_a_row >= MAX_SKIPPED:
            raise FloatingPointError(f"{MAX_SKIPPED} steps in a row were skipped; {message}")
        self._tell("on_skip", message)

    # --- between the steps

    def settle(self) -> None:
        """Evaluate if that is due, and say that all is in order: the time to save."""
        self.evaluate_if_due()
        self._tell("on_settled")

    def evaluate_if_due(self) -> None:
        """Not twice after the same step, and not while somebody waits for the end of the run."""
        place = self.place
        if not place.evaluate:
            return
        if any(self.team.everywhere(lambda: self.requested == "interrupt")):
            return
        place.evaluate = False
        if self.validation is None or place.evaluated == place.steps:
            return
        trainer = self.trainer
        with nullcontext() if trainer.ema is None else trainer.ema.applied():
            evaluation = full_evaluation(
                place.steps,
                trainer.model,
                trainer.loss,
                self.validation,
                trainer.metrics,
                trainer.samples,
                self.team,
            )
        place.evaluated = place.steps
        trainer.history.evaluations.append(evaluation)
        self._tell("on_evaluation", evaluation)

    def _tell(self, hook: str, *news: Any) -> None:
        """Tell the average and the plateau in every process, then the callbacks in the first."""
        trainer = self.trainer

        def tell(listeners: Sequence[Callback]) -> None:
            for listener in listeners:
                getattr(listener, hook)(trainer, *news)

        tell(followers(trainer.ema, trainer.schedule))
        self.team.lead(lambda: tell(trainer.callbacks))
