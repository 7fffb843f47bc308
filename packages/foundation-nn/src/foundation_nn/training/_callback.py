"""What a trainer tells while it runs, and to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from foundation_nn.distributed._team import Alone
from foundation_nn.training._history import Evaluation, Step

if TYPE_CHECKING:
    from foundation_nn.training._trainer import Trainer


class Callback:
    """Watches a run. Define only the methods that you need.

    A trainer refuses other methods whose names begin with ``on_``: they would never be called. A
    callback ends the run with :meth:`Trainer.stop`. If it must remember something to go on after a
    resume, such as a counter, it returns that from ``state_dict()``.
    """

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step of a ``fit``."""

    def on_step(self, trainer: Trainer, step: Step) -> None:
        """After every update."""

    def on_skip(self, trainer: Trainer, message: str) -> None:
        """In place of ``on_step``, after a step whose loss or gradient was not finite."""

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """After every validation."""

    def on_settled(self, trainer: Trainer) -> None:
        """When a step, and an evaluation that may follow it, are complete: the moment to save.

        A run that is resumed from a checkpoint made now goes on to the same bits.
        """

    def on_end(self, trainer: Trainer) -> None:
        """After the last step, also when the run was interrupted or failed.

        Every callback is told, also one that was never told of the start because another one
        failed there, and also if another one fails here: the first error is raised afterwards.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the callback needs to go on after a resume, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""


@contextmanager
def told_of_the_run(callbacks: Sequence[Callback], trainer: Trainer, team: Alone) -> Iterator[None]:
    """Tell every callback of the start and, whatever happens, of the end.

    The first error is raised when all have been told; errors that follow it are noted on it. Of
    several processes, the first one has the callbacks.
    """
    failure: BaseException | None = None

    def tell_of_the_start() -> None:
        for callback in callbacks:
            callback.on_start(trainer)

    def tell_of_the_end() -> None:
        failure_at_the_end: BaseException | None = None
        for callback in callbacks:
            try:
                callback.on_end(trainer)
            except BaseException as error:  # noqa: BLE001  (raised below)
                first = failure or failure_at_the_end
                if first is None:
                    failure_at_the_end = error
                else:
                    name = type(callback).__name__
                    first.add_note(f"{name}.on_end failed, too: {error!r}")
        if failure_at_the_end is not None:
            raise failure_at_the_end

    try:
        team.lead(tell_of_the_start)
        yield
    except BaseException as error:  # noqa: BLE001  (raised below)
        team.broken_by(error)
        failure = error
    team.lead(tell_of_the_end)
    if failure is not None:
        raise failure
