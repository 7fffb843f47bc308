"""The training loop."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeAlias

import numpy as np

from foundation_nn._memory import keep_freed_memory
from foundation_nn._modes import train_mode
from foundation_nn._module import Module
from foundation_nn._tape import no_grad
from foundation_nn._tensor import Tensor
from foundation_nn.optim import Optimizer, clip_grad_norm
from foundation_nn.schedules import Plateau, Schedule
from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._history import Evaluation, History, Step

#: ``loss(model, batch)``: the mean loss and the number of targets it is the mean of.
Loss: TypeAlias = Callable[[Any, Any], tuple[Tensor, int]]


class Callback:
    """Watches a run; every method may be left out."""

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step of a ``fit``."""

    def on_step(self, trainer: Trainer, step: Step) -> None:
        """After every update."""

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """After every validation."""

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also when the run was interrupted or failed."""


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
    rng : numpy.random.Generator, optional
        For dropout.
    callbacks : sequence of Callback
    folder : path, optional
        Where a step with a loss or gradient that is not finite is kept, as ``failed_step_N``: see
        :class:`FailedStep`.

    Attributes
    ----------
    history : History
    steps : int
        Updates so far.
    planned_steps : int or None
        Where ``fit`` will end, if that is known.
    planned_seconds : float or None
    stopped_by : str
        Why the last ``fit`` ended: "steps", "epochs", "seconds" or "interrupt".
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        *,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        rng: np.random.Generator | None = None,
        callbacks: Sequence[Callback] = (),
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = math.inf if clip_norm is None else clip_norm
        self.rng = np.random.default_rng() if rng is None else rng
        self.callbacks = list(callbacks)
        self.folder = None if folder is None else Path(folder)
        self.history = History()
        self.planned_steps: int | None = None
        self.planned_seconds: float | None = None
        self.stopped_by = ""

    @property
    def steps(self) -> int:
        return self.optimizer.steps

    def fit(
        self,
        batches: Iterable[Any],
        *,
        validation: Iterable[Any] | None = None,
        max_steps: int | None = None,
        max_epochs: int | None = None,
        max_seconds: float | None = None,
    ) -> History:
        """Train until the first of the limits is reached.

        Ctrl-C ends the run after the current step, as a limit does; a second one at once. From
        here on the process keeps freed memory, see :func:`foundation_nn.keep_freed_memory`.

        Parameters
        ----------
        batches : iterable
            Each iteration over it is one epoch.
        validation : iterable, optional
            Evaluated after each epoch and at the end.
        max_steps, max_epochs, max_seconds : optional
            Counted from this call.

        Raises
        ------
        ValueError
            If there is no limit, one is negative, or an epoch holds no batch.
        FloatingPointError
            If the loss or its gradient is not finite. Parameters and running statistics are those
            before the step; what it takes to run the step again is in ``folder``.
        """
        if max_steps is None and max_epochs is None and max_seconds is None:
            raise ValueError("fit: expected at least one of max_steps, max_epochs, max_seconds")
        for limit in (max_steps, max_epochs, max_seconds):
            if limit is not None and limit < 0:
                raise ValueError(f"fit: expected limits >= 0, got {limit}")
        keep_freed_memory()
        self._buffers = list(self.model.buffers())
        limits = [] if max_steps is None else [max_steps]
        if max_epochs is not None and isinstance(batches, Sized):
            limits.append(max_epochs * len(batches))
        self.planned_steps = self.steps + min(limits) if limits else None
        self.planned_seconds = max_seconds
        started, first, epoch = time.perf_counter(), self.steps, 0

        def reason_to_stop() -> str:
            if interrupted:
                return "interrupt"
            if max_steps is not None and self.steps - first >= max_steps:
                return "steps"
            if max_seconds is not None and time.perf_counter() - started >= max_seconds:
                return "seconds"
            if max_epochs is not None and epoch >= max_epochs:
                return "epochs"
            return ""

        with _finish_on_interrupt() as interrupted, self._callbacks_told():
            while not (reason := reason_to_stop()):
                before = self.steps
                for batch in batches:
                    self._step(batch)  # a batch that was drawn is used, whatever happened since
                    if reason_to_stop():
                        break
                else:
                    epoch += 1
                if self.steps == before:
                    raise ValueError("fit: an epoch without a single batch; is the data empty?")
                if validation is not None and not interrupted:
                    self._evaluate(validation)
            self.stopped_by = reason
        return self.history

    @contextmanager
    def _callbacks_told(self) -> Iterator[None]:
        for callback in self.callbacks:
            callback.on_start(self)
        try:
            yield
        finally:
            for callback in self.callbacks:
                callback.on_end(self)

    def _step(self, batch: Any) -> None:
        started = time.perf_counter()
        number = self.steps + 1
        if self.schedule is not None:
            self.optimizer.lr = self.schedule(number)
        self.optimizer.zero_grad()
        dropout = self.rng.bit_generator.state
        statistics = [(buffer, buffer.data) for buffer in self._buffers]
        with train_mode(self.rng):
            loss, tokens = self.loss(self.model, batch)
        value = loss.item()
        norm = math.nan
        if math.isfinite(value):
            loss.backward()
            norm = clip_grad_norm(self.optimizer, self.clip_norm)
        if not math.isfinite(norm):
            for buffer, before in statistics:
                buffer.data = before
            self._give_up(number, batch, value, dropout)
        self.optimizer.step()
        step = Step(
            number,
            value,
            float(self.optimizer.lr),
            norm,
            int(tokens),
            time.perf_counter() - started,
        )
        self.history.steps.append(step)
        for callback in self.callbacks:
            callback.on_step(self, step)

    def _give_up(self, number: int, batch: Any, loss: float, dropout: Any) -> NoReturn:
        """Say why a step came to nothing, and keep what it was given."""
        lr = float(self.optimizer.lr)
        failed = FailedStep(number, lr, "", batch, self.model.state_dict(), dropout, self.model)
        culprit = failed.replay(self.loss)
        self.model.load_state_dict(failed.state)  # the replay left its running statistics
        what = "its gradient is not finite" if math.isfinite(loss) else "which is not finite"
        message = (
            f"step {number}: the loss is {loss:.4g}, {what}; the first to blame is the "
            f"{culprit or 'batch'}; lower the learning rate ({lr:g}) or look at the batch"
        )
        if self.folder is not None:
            try:
                place = replace(failed, message=message).save(self.folder / f"failed_step_{number}")
                message += f", which is kept in {place}"
            except (OSError, TypeError, ValueError) as error:
                message += f", which could not be kept: {error}"
        raise FloatingPointError(message)

    def _evaluate(self, validation: Iterable[Any]) -> None:
        result = Evaluation(self.steps, evaluate(self.model, self.loss, validation))
        self.history.evaluations.append(result)
        if isinstance(self.schedule, Plateau):
            self.schedule.observe(result.loss)
        for callback in self.callbacks:
            callback.on_evaluation(self, result)


def evaluate(model: Module, loss: Loss, batches: Iterable[Any]) -> float:
    """The mean loss over all targets of all batches, without dropout or gradients.

    Raises
    ------
    ValueError
        If no target counts.
    """
    total, targets = 0.0, 0
    with no_grad(), train_mode(None):
        for batch in batches:
            value, count = loss(model, batch)
            total += value.item() * int(count)
            targets += int(count)
    if not targets:
        raise ValueError("evaluate: no batch with a target that counts")
    return total / targets


@contextmanager
def _finish_on_interrupt() -> Iterator[list[int]]:
    """Turn the first Ctrl-C into an entry of the list, so that a step is never cut in half."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread is told of signals
        return

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
