"""The training loop."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from foundation_nn import checkpoint
from foundation_nn._arguments import number, whole_number
from foundation_nn._log import logger
from foundation_nn.checkpoint._checkpoint import own_classes
from foundation_nn.distributed._begin import begin_alike
from foundation_nn.distributed._shards import Update, shared_update
from foundation_nn.distributed._team import team_of
from foundation_nn.engine._habit_tables import OF_A_TRAINER, TRAINING_KEYWORDS
from foundation_nn.engine._habits import explains, missing
from foundation_nn.engine._html import heading
from foundation_nn.engine._memory import keep_freed_memory
from foundation_nn.engine._parameter import Buffer
from foundation_nn.modules._module import Module
from foundation_nn.modules._tree import tree
from foundation_nn.optim import EMA, Optimizer
from foundation_nn.schedules import Schedule
from foundation_nn.training._blame import blame
from foundation_nn.training._callback import Callback, told_of_the_run
from foundation_nn.training._checks import (
    as_dictionary_of_metrics,
    as_list_of_callbacks,
    check_batches,
    check_trainer,
    no_batch,
)
from foundation_nn.training._evaluate import Loss, full_evaluation
from foundation_nn.training._followers import followers
from foundation_nn.training._gradient import Gradient, compute_gradient, groups
from foundation_nn.training._history import History, Sample, Step
from foundation_nn.training._limits import Limits
from foundation_nn.training._position import Position
from foundation_nn.training._resume import (
    continue_batches,
    load_training_state,
    require_same_model,
    training_state,
)
from foundation_nn.training._signals import finish_on_signal

#: A run that skips steps ends when this many in a row had no finite gradient.
MAX_SKIPPED = 10


class Trainer:
    """Trains a model step by step; :meth:`fit` is the loop.

    A step is forward and backward, clipping of the gradients, and the optimiser's update.

    With ``comm``, several processes make each step together: see :mod:`foundation_nn.distributed`.
    Every process makes the same trainer and goes through the same batches, of which it takes its
    share of the rows. The first process decides when the run ends, and it alone has callbacks,
    metrics and samples. Dropout draws other numbers in every process, from a generator that is made
    for each step of ``rng`` and the rank; without dropout, the result differs from that of one
    process only by the order in which sums are added.

    Parameters
    ----------
    model : Module
    loss : callable
        ``loss(model, batch)`` returns the mean loss and the number of targets that count.
    optimizer : Optimizer
    schedule : callable, optional
        From the step, counted from 1, to the learning rate.
    clip_norm : float, optional
        Largest norm of the gradients.
    accumulate : int
        The number of batches for each step. Their gradients are added, weighed by their targets,
        so that the step is that of all of them in one batch. The last step of an epoch takes the
        batches that are left.
    ema : EMA, optional
        An average of the parameters. It is updated after each step, and evaluations are made with
        the averaged parameters.
    metrics : dict of str to callable, optional
        Numbers that each evaluation computes beside the loss, as ``metric(model)``.
    samples : callable, optional
        What the model can do: each evaluation computes ``samples(model)``, a sequence of texts or
        of :class:`Sample`, which holds what was expected, too.
    skip_failed : bool
        Leave out a step whose loss or gradient is not finite, instead of ending the run with an
        error. Ten such steps in a row end the run nevertheless.
    rng : numpy.random.Generator, optional
        Dropout is drawn from it, and nothing else: the first weights come with the model, and the
        order of the batches is theirs.
    callbacks : sequence of Callback
    folder : path, optional
        Where the first step that was not finite is kept, as ``failed_step_N``: see
        :class:`FailedStep`.
    comm : mpi4py.MPI.Comm, optional
        The processes that train together, such as ``distributed.world()``. A batch is shared out by
        :func:`foundation_nn.distributed.share`.

    Attributes
    ----------
    history : History
    steps : int
        Updates so far; at first those that the optimiser has made.
    resumed_from : Path or None
        The checkpoint that the last :meth:`resume` has read.
    planned_steps : int or None
        Where ``fit`` will end, if that is known.
    planned_seconds : float or None
    stopped_by : str
        Why the last ``fit`` ended: "steps", "epochs", "seconds", "interrupt", or what a callback
        gave as its reason; "" while it runs, and if it failed.

    Raises
    ------
    TypeError
        If an argument is not what is described here, such as a callback that is a class, or has
        a method ``on_…`` that no trainer calls.
    ValueError
        If a number is out of bounds, or optimiser, EMA and model do not belong together.
    """

    @explains(TRAINING_KEYWORDS)
    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        *,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        ema: EMA | None = None,
        metrics: Mapping[str, Callable[[Any], float]] | None = None,
        samples: Callable[[Any], Sequence[str | Sample]] | None = None,
        skip_failed: bool = False,
        rng: np.random.Generator | None = None,
        callbacks: Sequence[Callback] = (),
        folder: str | os.PathLike[str] | None = None,
        comm: Any = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        number("Trainer", "clip_norm", self.clip_norm, more_than=0, finite=False)
        self.accumulate = whole_number("Trainer", "accumulate", accumulate, at_least=1)
        self.ema = ema
        self.metrics = as_dictionary_of_metrics(metrics)
        self.samples = samples
        self.skip_failed = skip_failed
        self.rng = np.random.default_rng() if rng is None else rng
        self.callbacks = as_list_of_callbacks(callbacks)
        self.folder = None if folder is None else Path(folder)
        self.history = History()
        self.resumed_from: Path | None = None
        self.planned_steps: int | None = None
        self.planned_seconds: float | None = None
        self.stopped_by = ""
        check_trainer(self)
        self._team = team_of(comm)
        self._update = Update(optimizer)
        self._position = Position(optimizer.steps, optimizer.steps)
        self._resumed: Mapping[str, Any] | None = None  # the state that the next fit goes on from
        self._batches: Any = None
        self._validation: Iterable[Any] | None = None
        self._evaluate_every: int | None = None
        self._limits = Limits(0, None, None)  # of a trainer that does not run
        self._statistics: list[Buffer] = []
        self._requested = ""

    if not TYPE_CHECKING:  # for a type checker, an attribute that is missing is an error

        def __getattr__(self, name):
            raise missing(self, name, OF_A_TRAINER)

    @property
    def steps(self) -> int:
        return self._position.steps

    @property
    def evaluated_at(self) -> int:
        """The step of the last evaluation; -1 before the first."""
        return self._position.evaluated

    @explains(TRAINING_KEYWORDS)
    def fit(
        self,
        batches: Iterable[Any],
        *,
        validation: Iterable[Any] | None = None,
        evaluate_every: int | None = None,
        max_steps: int | None = None,
        max_epochs: int | None = None,
        max_seconds: float | None = None,
    ) -> History:
        """Train until the first of the limits is reached.

        Ctrl-C, SIGTERM and a terminal that is closed end the run after the current step, as a
        limit does; a second one at once. From here on the process keeps freed memory, see
        :func:`foundation_nn.keep_freed_memory`.

        After :meth:`resume` this goes on with the ``fit`` that was saved: call it with the same
        arguments.

        Parameters
        ----------
        batches : iterable
            Each iteration over it is one epoch. To be resumed within one, it has a ``state_dict``,
            as a ``BatchLoader`` of foundation-data does, or gives the same batches each time.
        validation : iterable, optional
            Evaluated after each epoch and at the end.
        evaluate_every : int, optional
            Evaluate each time this many steps were made, instead of after each epoch.
        max_steps, max_epochs, max_seconds : optional
            Counted from this call.

        Raises
        ------
        TypeError
            If the data cannot be iterated over, or ``loss`` does not return what it should.
        ValueError
            If there is no limit, one is negative, an epoch holds no batch, or the data is an
            iterator, which can be gone through once, and would be needed more often.
        FloatingPointError
            If the loss or its gradient is not finite. Parameters and running statistics are those
            before the step; what it takes to run the step again is in ``folder``.
        """
        limits = Limits(max_steps, max_epochs, max_seconds)
        self._begin(batches, validation, evaluate_every, limits)
        with (
            finish_on_signal(self.stop),
            told_of_the_run(self.callbacks, self, self._team),
            shared_update(self._team, self.optimizer, self.ema) as self._update,
        ):
            self._evaluate_if_due()  # what an interrupt had put off
            while not (reason := self._reason_to_stop()):
                for group in groups(self._rest_of_the_epoch(), self.accumulate):
                    self._step(group)
                    self._settle()
                    if self._reason_to_stop():
                        break
                else:
                    self._count_epoch()
                    self._settle()
            self._finish(reason)
        return self.history

    def __repr__(self) -> str:
        return (
            f"Trainer({type(self.model).__name__}, {type(self.optimizer).__name__}, "
            f"{self.history!r})"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the model, the optimiser and the curve so far."""
        facts = f"{self.steps:,} steps with {type(self.optimizer).__name__}"
        if self.stopped_by:
            facts += f", stopped by {self.stopped_by}"
        return heading("Trainer", facts) + tree(self.model) + self.history._repr_html_()

    def stop(self, reason: str) -> None:
        """End the running ``fit`` after the present step; ``stopped_by`` will be ``reason``."""
        if self._requested != "interrupt":
            self._requested = reason

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A trainer of its own, with a model, an optimiser and an EMA that belong together."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def __reduce__(self) -> Any:
        raise TypeError(
            "Trainer: cannot be pickled; trainer.save(path) writes all that is needed to go on "
            "with resume(path), and copy.deepcopy(trainer) is a copy within the process"
        )

    def save(self, path: str | os.PathLike[str], **extras: Any) -> Path:
        """Write a checkpoint with all that the next bit depends on, for :meth:`resume`.

        Call it between ``fit`` and ``fit``, or in :meth:`Callback.on_settled`.

        Parameters
        ----------
        path : path
        **extras
            As for :func:`foundation_nn.checkpoint.save`, such as tokenizers.
        """
        if self.ema is not None:
            extras["ema"] = self.ema

        def write() -> Path:
            training = training_state(self)
            return checkpoint.save(path, self.model, self.optimizer, training=training, **extras)

        return self._team.lead(write)

    def resume(self, path: str | os.PathLike[str], classes: Sequence[type] = ()) -> dict[str, Any]:
        """Continue a run from a checkpoint, to the same bits as if it had never stopped.

        Make the trainer as it was made for the run: with the same model, optimiser, schedule and
        callbacks.

        Parameters
        ----------
        path : path
        classes : sequence of type
            Your own classes among the extras, as for :func:`foundation_nn.checkpoint.load`. Those
            of the model are known.

        Returns
        -------
        dict
            The extras of the checkpoint.

        Raises
        ------
        FileNotFoundError, CheckpointError
            As :func:`foundation_nn.checkpoint.load`.
        ValueError
            If it was saved by another kind of trainer, or belongs to another model.
        """
        loaded = checkpoint.load(path, [*classes, *own_classes(self.model)])
        require_same_model(path, self.model, loaded.model)
        load_training_state(path, self, loaded)
        self.resumed_from = Path(path)
        logger.info("resumed from %s, after step %d", path, self.steps)
        return loaded.extras

    def _tell(self, hook: str, *news: Any) -> None:
        """Tell the average and the plateau in every process, then the callbacks in the first."""

        def tell(listeners: Sequence[Callback]) -> None:
            for listener in listeners:
                getattr(listener, hook)(self, *news)

        tell(followers(self.ema, self.schedule))
        self._team.lead(lambda: tell(self.callbacks))

    def _begin(
        self,
        batches: Any,
        validation: Iterable[Any] | None,
        evaluate_every: int | None,
        limits: Limits,
    ) -> None:
        """Take note of what a fit is to do; begin anew, or where the resumed run was."""
        check_trainer(self)
        check_batches(batches, validation, limits.epochs)
        if evaluate_every is not None:
            evaluate_every = whole_number("fit", "evaluate_every", evaluate_every, at_least=1)
        keep_freed_memory()
        begin_alike(self._team, self.model, self.optimizer, self.rng, batches)
        if self._resumed is None:
            self._position = self._position.at_a_new_fit()
        else:
            continue_batches(batches, self._resumed["batches"])
            self._resumed = None
        self._batches = batches
        self._validation = validation
        self._evaluate_every = evaluate_every
        self._limits = limits
        self._statistics = list(self.model.buffers())
        self._requested = self.stopped_by = ""
        self.planned_steps = limits.last_step(self._position, batches, self.accumulate)
        self.planned_seconds = limits.seconds
        limits.start(self._position)

    def _reason_to_stop(self) -> str:
        """What ``stopped_by`` will be, or "" to go on; the same in every process."""
        reasons = self._team.everywhere(
            lambda: self._requested or self._limits.reached(self._position)
        )
        return next(filter(None, reasons), "")

    def _rest_of_the_epoch(self) -> Iterable[Any]:
        """All of its batches, or what a resumed run had not used of them."""
        if hasattr(self._batches, "state_dict"):  # such batches go on by themselves
            return self._batches  # type: ignore[no-any-return]
        return islice(self._batches, self._position.batches, None)

    def _step(self, batches: Sequence[Any]) -> None:
        """One update from all these batches: forward and backward, clip, step."""
        started = time.perf_counter()
        place = self._position
        place.batches += len(batches)  # they are used up, whatever becomes of the step
        self._set_rate(place.steps + 1)
        gradient = compute_gradient(
            self.model,
            self.loss,
            self._update,
            batches,
            self.rng,
            self.clip_norm,
            self._statistics,
            self._team,
        )
        if not math.isfinite(gradient.norm):
            self._skip(gradient)
            return
        self._update.step()
        place.steps += 1  # counted here: an optimiser with a step() of its own may not count
        place.skipped_in_a_row = 0
        if self._evaluate_every is not None and place.steps % self._evaluate_every == 0:
            place.evaluate = True
        step = Step(
            step=place.steps,
            loss=gradient.loss,
            lr=self.optimizer.lr,
            grad_norm=gradient.norm,
            tokens=gradient.targets,
            seconds=time.perf_counter() - started,
            clipped=gradient.norm > self.clip_norm,
        )
        self.history.steps.append(step)
        self._tell("on_step", step)

    def _set_rate(self, step: int) -> None:
        schedule = self.schedule
        if schedule is None:
            return
        try:  # the first process's rate: a schedule may look at the clock
            self.optimizer.lr = self._team.lead(lambda: schedule(step))
        except (TypeError, ValueError) as error:
            error.add_note(f"the schedule was asked for the learning rate of step {step}")
            raise

    def _skip(self, gradient: Gradient) -> None:
        """Go on without the step, if that is wanted and not hopeless; the first one is kept."""
        place = self._position
        step = place.steps + 1
        folder = None if place.skipped else self.folder
        message = blame(
            self.model, self.loss, gradient, step, self.optimizer.lr, folder, self._team
        )
        if not self.skip_failed:
            raise FloatingPointError(message)
        logger.info("skipped: %s", message)
        place.skipped += 1
        place.skipped_in_a_row += 1
        if place.skipped_in_a_row >= MAX_SKIPPED:
            raise FloatingPointError(f"{MAX_SKIPPED} steps in a row were skipped; {message}")
        self._tell("on_skip", message)

    def _count_epoch(self) -> None:
        place = self._position
        if not place.batches:
            raise no_batch(self._batches)
        place.epochs += 1
        place.batches = 0
        if self._evaluate_every is None:
            place.evaluate = True

    def _settle(self) -> None:
        """Evaluate if that is due, and say that all is in order: the time to save."""
        self._evaluate_if_due()
        self._tell("on_settled")

    def _evaluate_if_due(self) -> None:
        """Not twice after the same step, and not while somebody waits for the end of the run."""
        place = self._position
        if not place.evaluate:
            return
        if any(self._team.everywhere(lambda: self._requested == "interrupt")):
            return
        place.evaluate = False
        if self._validation is None or place.evaluated == place.steps:
            return
        with nullcontext() if self.ema is None else self.ema.applied():
            evaluation = full_evaluation(
                place.steps,
                self.model,
                self.loss,
                self._validation,
                self.metrics,
                self.samples,
                self._team,
            )
        place.evaluated = place.steps
        self.history.evaluations.append(evaluation)
        self._tell("on_evaluation", evaluation)

    def _finish(self, reason: str) -> None:
        """The last evaluation, unless the run was interrupted or has done nothing."""
        place = self._position
        if reason != "interrupt" and place.steps > place.first_step:
            place.evaluate = True
            self._settle()
        self.stopped_by = reason
