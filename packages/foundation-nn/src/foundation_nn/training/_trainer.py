"""The training loop."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np

from foundation_nn import checkpoint
from foundation_nn._arguments import number, whole_number
from foundation_nn._memory import keep_freed_memory
from foundation_nn._module import Module
from foundation_nn.optim import EMA, Optimizer, clip_grad_norm
from foundation_nn.schedules import Plateau, Schedule
from foundation_nn.training._accumulate import accumulate, groups, mean_loss
from foundation_nn.training._blame import blame
from foundation_nn.training._callback import Callback
from foundation_nn.training._checks import as_list_of_callbacks, check_batches, check_trainer
from foundation_nn.training._evaluate import Loss, evaluate
from foundation_nn.training._history import Evaluation, History, Step
from foundation_nn.training._position import Position
from foundation_nn.training._resume import load_training_state, require_same_model, training_state
from foundation_nn.training._signals import finish_on_signal

#: So many steps in a row without a finite gradient end a run that skips them.
MAX_SKIPPED = 10


class Trainer:
    """Forward, backward, clip, step; until enough.

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
        Batches for each step, weighed by their targets: the gradient is that of all of them in
        one. The last step of an epoch takes what is left.
    ema : EMA, optional
        Updated after each step; evaluations are made with the averaged parameters.
    metrics : dict of str to callable, optional
        ``metric(model)`` is a number that is told with each evaluation.
    samples : callable, optional
        ``samples(model)`` is a list of texts that shows what the model can do, for the same place.
    skip_failed : bool
        Leave out a step with a loss or gradient that is not finite, instead of ending the run;
        ten in a row end it all the same.
    rng : numpy.random.Generator, optional
        For dropout.
    callbacks : sequence of Callback
    folder : path, optional
        Where the first such step is kept, as ``failed_step_N``: see :class:`FailedStep`.

    Attributes
    ----------
    history : History
    steps : int
        Updates so far; at first those that the optimiser has made.
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
        samples: Callable[[Any], Sequence[str]] | None = None,
        skip_failed: bool = False,
        rng: np.random.Generator | None = None,
        callbacks: Sequence[Callback] = (),
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        number("Trainer", "clip_norm", self.clip_norm, more_than=0, finite=False)
        self.accumulate = whole_number("Trainer", "accumulate", accumulate, at_least=1)
        self.ema = ema
        self.metrics = dict(metrics or {})
        self.samples = samples
        self.skip_failed = skip_failed
        self.rng = np.random.default_rng() if rng is None else rng
        self.callbacks = as_list_of_callbacks(callbacks)
        self.folder = None if folder is None else Path(folder)
        self.history = History()
        self.planned_steps: int | None = None
        self.planned_seconds: float | None = None
        self.stopped_by = ""
        check_trainer(self)
        self._position = Position(optimizer.steps, optimizer.steps)
        self._resumed: Mapping[str, Any] | None = None  # its batches are known to fit alone
        self._batches: Any = None
        self._requested = ""
        self._skipped_in_a_row = 0

    @property
    def steps(self) -> int:
        return self._position.steps

    @property
    def evaluated_at(self) -> int:
        """The step of the last evaluation; -1 before the first."""
        return self._position.evaluated

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

        Ctrl-C and SIGTERM end the run after the current step, as a limit does; a second one at
        once. From here on the process keeps freed memory, see
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
            Evaluate after so many steps instead of each epoch.
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
        if max_steps is None and max_epochs is None and max_seconds is None:
            raise ValueError("fit: expected at least one of max_steps, max_epochs, max_seconds")
        limits = {"max_steps": max_steps, "max_epochs": max_epochs, "max_seconds": max_seconds}
        for name, limit in limits.items():
            if limit is not None:
                number("fit", name, limit, at_least=0, finite=False)
        if evaluate_every is not None:
            whole_number("fit", "evaluate_every", evaluate_every, at_least=1)
        check_trainer(self)
        check_batches(batches, validation, max_epochs)
        keep_freed_memory()
        skip = self._take_position(batches)
        place = self._position
        self.planned_steps = self._plan(batches, max_steps, max_epochs)
        self.planned_seconds = max_seconds
        started = time.perf_counter() - place.seconds

        def reason_to_stop() -> str:
            if max_seconds is not None:
                place.seconds = time.perf_counter() - started
            if interrupted:
                return "interrupt"
            if self._requested:
                return self._requested
            if max_steps is not None and self.steps - place.first_step >= max_steps:
                return "steps"
            if max_seconds is not None and place.seconds >= max_seconds:
                return "seconds"
            if max_epochs is not None and place.epochs >= max_epochs:
                return "epochs"
            return ""

        with finish_on_signal() as interrupted, self._callbacks_told():
            if place.evaluate and not interrupted:
                self._evaluate(validation)
            while not (reason := reason_to_stop()):
                continued = place.batches > 0
                for group in groups(islice(batches, skip, None), self.accumulate):
                    # Batches that were drawn are used, whatever happened since.
                    updated = self._step(group)
                    place.batches += len(group)
                    if updated and evaluate_every and self.steps % evaluate_every == 0:
                        place.evaluate = True
                    self._settle(validation, reason_to_stop())
                    if reason_to_stop():
                        break
                else:
                    if not place.batches and not continued:
                        raise ValueError(
                            "fit: an epoch without a single batch; is the data empty, or an "
                            "iterator that is used up?"
                        )
                    place.epochs += 1
                    place.batches = 0
                    place.evaluate = place.evaluate or evaluate_every is None
                    self._settle(validation, reason_to_stop())
                skip = 0
            if reason != "interrupt" and self.steps > place.first_step:
                place.evaluate = True
                self._settle(validation, reason)
            self.stopped_by = reason
        return self.history

    def stop(self, reason: str) -> None:
        """End the running ``fit`` after the present step; ``stopped_by`` will be ``reason``."""
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
        training = training_state(self)
        return checkpoint.save(path, self.model, self.optimizer, training=training, **extras)

    def resume(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Go on where a checkpoint was saved: the run ends with the bits it would have had.

        Make this trainer as the one that was saved: model, optimiser, schedule, callbacks.

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
        loaded = checkpoint.load(path, [type(self.model)])
        require_same_model(path, self.model, loaded.model)
        load_training_state(path, self, loaded)
        return loaded.extras

    def _take_position(self, batches: Any) -> int:
        """Begin, or go on; how many batches of the epoch are to be passed over."""
        self._batches = batches
        self._buffers = list(self.model.buffers())
        self._requested = self.stopped_by = ""
        resumed, self._resumed = self._resumed, None
        if resumed is None:
            evaluated, skipped = self._position.evaluated, self._position.skipped
            steps = self.steps
            self._position = Position(steps, steps, evaluated=evaluated, skipped=skipped)
            return 0
        if resumed["batches"] is None:
            return self._position.batches
        batches.load_state_dict(resumed["batches"])
        return 0

    def _plan(self, batches: Any, max_steps: int | None, max_epochs: int | None) -> int | None:
        limits = [] if max_steps is None else [max_steps]
        if max_epochs is not None and isinstance(batches, Sized):
            limits.append(max_epochs * math.ceil(len(batches) / self.accumulate))
        return self._position.first_step + min(limits) if limits else None

    @contextmanager
    def _callbacks_told(self) -> Iterator[None]:
        """Tell every callback of the start and, whatever happens, of the end."""
        failure: BaseException | None = None
        try:
            for callback in self.callbacks:
                callback.on_start(self)
            yield
        except BaseException as error:  # noqa: BLE001  (raised below)
            failure = error
        for callback in self.callbacks:
            try:
                callback.on_end(self)
            except BaseException as error:  # noqa: BLE001  (raised below)
                if failure is None:
                    failure = error
                else:
                    name = type(callback).__name__
                    failure.add_note(f"{name}.on_end failed, too: {error!r}")
        if failure is not None:
            raise failure

    def _step(self, batches: Sequence[Any]) -> bool:
        """Whether the parameters were updated."""
        started = time.perf_counter()
        step_number = self.steps + 1
        if self.schedule is not None:
            self._set_rate(self.schedule, step_number)
        statistics = [(buffer, buffer.data) for buffer in self._buffers]
        parts = accumulate(self.model, self.loss, self.optimizer, batches, self.rng)
        value, norm = mean_loss(parts), math.nan
        if math.isfinite(value):
            norm = clip_grad_norm(self.optimizer, self.clip_norm)
        lr = float(self.optimizer.lr)
        if not math.isfinite(norm):
            for buffer, before in statistics:
                buffer.data = before
            folder = None if self._position.skipped else self.folder
            self._skip(blame(self.model, self.loss, parts, step_number, lr, folder))
            return False
        self.optimizer.step()
        self._position.steps += 1  # not the optimiser's: one with a step() of its own may not count
        if self.ema is not None:
            self.ema.update()
        self._skipped_in_a_row = 0
        tokens = sum(part.targets for part in parts)
        seconds = time.perf_counter() - started
        step = Step(step_number, value, lr, norm, tokens, seconds, norm > self.clip_norm)
        self.history.steps.append(step)
        for callback in self.callbacks:
            callback.on_step(self, step)
        return True

    def _set_rate(self, schedule: Schedule, step: int) -> None:
        try:
            self.optimizer.lr = schedule(step)
        except (TypeError, ValueError) as error:
            error.add_note(f"the schedule was asked for the learning rate of step {step}")
            raise

    def _skip(self, message: str) -> None:
        """Go on without the step, if that is wanted and not hopeless."""
        if not self.skip_failed:
            raise FloatingPointError(message)
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= MAX_SKIPPED:
            raise FloatingPointError(f"{MAX_SKIPPED} steps in a row were skipped; {message}")
        self._position.skipped += 1
        for callback in self.callbacks:
            callback.on_skip(self, message)

    def _settle(self, validation: Iterable[Any] | None, reason: str) -> None:
        """Evaluate if that is due and nobody waits for the end, and say that all is in order."""
        if self._position.evaluate and reason != "interrupt":
            self._evaluate(validation)
        for callback in self.callbacks:
            callback.on_settled(self)

    def _evaluate(self, validation: Iterable[Any] | None) -> None:
        """Unless that was done after this very step."""
        self._position.evaluate = False
        if validation is None or self._position.evaluated == self.steps:
            return
        with nullcontext() if self.ema is None else self.ema.applied():
            result = Evaluation(
                self.steps,
                evaluate(self.model, self.loss, validation),
                {name: float(metric(self.model)) for name, metric in self.metrics.items()},
                [] if self.samples is None else list(self.samples(self.model)),
            )
        self._position.evaluated = self.steps
        self.history.evaluations.append(result)
        if isinstance(self.schedule, Plateau):
            self.schedule.observe(result.loss)
        for callback in self.callbacks:
            callback.on_evaluation(self, result)
