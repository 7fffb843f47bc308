"""The training loop."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from foundation_nn import checkpoint
from foundation_nn._arguments import flag, number, whole_number
from foundation_nn._log import logger
from foundation_nn.checkpoint._checkpoint import own_classes
from foundation_nn.distributed._shards import shared_update
from foundation_nn.distributed._team import team_of
from foundation_nn.engine._habit_tables import OF_A_TRAINER, TRAINING_KEYWORDS
from foundation_nn.engine._habits import add_habits, explains
from foundation_nn.engine._html import heading
from foundation_nn.modules._module import Module
from foundation_nn.modules._tree import tree
from foundation_nn.optim import EMA, Optimizer
from foundation_nn.schedules import Schedule
from foundation_nn.training._callback import Callback, told_of_the_run
from foundation_nn.training._checks import (
    as_dictionary_of_metrics,
    as_list_of_callbacks,
    check_trainer,
)
from foundation_nn.training._evaluate import Loss
from foundation_nn.training._gradient import groups
from foundation_nn.training._history import History, Sample
from foundation_nn.training._limits import Limits
from foundation_nn.training._position import Position
from foundation_nn.training._resume import (
    load_training_state,
    require_same_model,
    training_state,
)
from foundation_nn.training._run import Run
from foundation_nn.training._signals import finish_on_signal


class Trainer:
    """Trains a model step by step; :meth:`fit` is the loop.

    A step is forward and backward, clipping of the gradients, and the optimiser's update.

    At its core, :meth:`fit` is this loop::

        for batch in batches:
            optimizer.zero_grad()
            with train_mode(rng):                   # with dropout
                mean_loss, num_targets = loss(model, batch)
            mean_loss.backward()                    # the gradient of each parameter
            clip_grad_norm(optimizer, clip_norm)    # a gradient that is too long is shortened
            optimizer.step()                        # the parameters change

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
        error. Its batch is used up, and ``steps`` does not advance: the next batch is for the step
        of the same number. Callbacks are told by ``on_skip``, with the message that the error would
        have had. Ten such steps in a row end the run nevertheless.
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
        Updates so far; at first those that the optimiser has made. A step that was left out by
        ``skip_failed`` is none.
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

    Notes
    -----
    With ``comm``, several processes make each step together: see :mod:`foundation_nn.distributed`.
    Every process makes the same trainer and goes through the same batches, of which it takes its
    share of the rows. The first process decides when the run ends, and it alone has callbacks,
    metrics and samples. Dropout draws other numbers in every process, from a generator that is made
    for each step of ``rng`` and the rank; without dropout, the result differs from that of one
    process only by the order in which sums are added.

    Examples
    --------
    A line y = 2 x + 1 is found from points on it:

    >>> import numpy as np
    >>> from foundation_nn import Linear, optim
    >>> from foundation_nn import functional as F
    >>> def loss(model, batch):
    ...     x, y = batch
    ...     return F.mse_loss(model(x), y), len(y)
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    >>> model = Linear(1, 1, rng=np.random.default_rng(0))
    >>> trainer = Trainer(model, loss, optim.SGD(model, lr=0.3))
    >>> history = trainer.fit([(x, 2 * x + 1)], max_steps=100)
    >>> model.weight.data.round(3), model.bias.data.round(3)
    (array([[2.]], dtype=float32), array([1.], dtype=float32))
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
        self.skip_failed = flag("Trainer", "skip_failed", skip_failed)
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
        self._position = Position(steps=optimizer.steps, first_step=optimizer.steps)
        self._resumed: Mapping[str, Any] | None = None  # the state that the next fit goes on from
        self._batches: Any = None  # of the present fit, or the last one
        self._run: Run | None = None  # the present fit

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

        Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP) end the run after the current step.
        Then there is no last evaluation, because somebody waits for the end; one that was due is
        made when the run is resumed. A second signal raises KeyboardInterrupt at once. A signal
        that the process was started to ignore stays ignored, as SIGHUP is under ``nohup``. A fit
        outside the main thread does not hear signals at all; :meth:`stop` ends it.

        From here on the process keeps freed memory, see :func:`foundation_nn.keep_freed_memory`.

        After :meth:`resume` this goes on with the ``fit`` that was saved: call it with the same
        arguments. The limits count from the beginning of that fit then, not from this call: one
        with ``max_steps=1000`` that was saved after 600 steps makes 400 more. Its place in the
        epoch is found by the ``state_dict`` of the batches; without one, as many batches are passed
        over as were used.

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
            Counted from the beginning of the fit, which is this call, or the one that was saved if
            the trainer was resumed. A step that was skipped does not count for ``max_steps``.

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
        run = Run(self, batches, validation, evaluate_every, limits)
        with self._running(run):
            run.evaluate_if_due()  # after resume: one that was due when the run was interrupted
            reason = run.reason_to_stop()  # "" as long as there is none
            while not reason:
                # An epoch, in groups of as many batches as make up a step.
                for group in groups(run.rest_of_the_epoch(), self.accumulate):
                    run.step(group)  # forward, backward, update
                    run.settle()  # evaluate and save, if it is time to
                    reason = run.reason_to_stop()
                    if reason:
                        break
                if not reason:  # the epoch is complete
                    run.count_epoch()
                    run.settle()
                    reason = run.reason_to_stop()
            run.finish(reason)
        return self.history

    @contextmanager
    def _running(self, run: Run) -> Iterator[None]:
        """What is in force while a run goes on.

        Signals end it after the present step, callbacks are told of its beginning and its end, and
        several processes share the update. The trainer knows the run, so that :meth:`stop` reaches
        it, but not for longer: the run refers to the trainer, too, and a circle of references would
        keep both in memory.
        """
        self._run = run
        try:
            with (
                finish_on_signal(self.stop),
                told_of_the_run(self.callbacks, self, self._team),
                shared_update(self._team, self.optimizer, self.ema) as update,
            ):
                run.update = update
                yield
        finally:
            self._run = None

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
        if self._run is not None:
            self._run.request(reason)

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
            If it belongs to another model or optimiser; if the saved run had a callback with a
            state that this trainer does not have; if only one of the two has an EMA or a plateau
            schedule; or if ``rng`` is a generator of another kind. Parts may have been loaded by
            then, so make the trainer anew.
        """
        loaded = checkpoint.load(path, [*classes, *own_classes(self.model)])
        require_same_model(path, self.model, loaded.model)
        load_training_state(path, self, loaded)
        self.resumed_from = Path(path)
        logger.info("resumed from %s, after step %d", path, self.steps)
        return loaded.extras


add_habits(Trainer, OF_A_TRAINER)
