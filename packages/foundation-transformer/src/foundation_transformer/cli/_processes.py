"""Commands that train use all cores: they start themselves again, in several processes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from foundation_nn.distributed import describe, launch, world

#: The number of processes where no flag says otherwise: for tests, and for jobs of a scheduler.
VARIABLE = "FOUNDATION_PROCESSES"


def chosen(options: argparse.Namespace) -> int | None:
    """The number of processes that was asked for; None if that is left to the command.

    Raises
    ------
    ValueError
        If the environment asks for something that is no number.
    """
    if options.processes is not None:
        return None if options.processes == "auto" else int(options.processes)
    given = os.environ.get(VARIABLE)
    if given is None:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"{VARIABLE}: expected a number of processes, such as 2, got {given!r}")
    return int(given)


def how_many(options: argparse.Namespace, usual: int | None = None) -> int:
    """The number of processes to start, at last; if it cannot be had, a line says why.

    Parameters
    ----------
    options : Namespace
    usual : int, optional
        Instead of one for each core, where nothing else was said: as many as a run had before.
    """
    if launch.is_launched():
        return 1
    asked = chosen(options) or usual
    count = asked or launch.physical_cores()
    if count == 1:
        return 1
    obstacle = launch.obstacle(count)
    if obstacle:
        print(f"One process instead of {count}: {obstacle}", file=sys.stderr)
        return 1
    return count


def start(count: int, arguments: Sequence[str]) -> int:
    """Run this command in so many processes; returns the exit status."""
    return launch.run(count, ["-m", "foundation_transformer.cli", *arguments])


class Crew:
    """The processes that a command was started in; usually one.

    Attributes
    ----------
    comm : mpi4py.MPI.Comm or None
        For :class:`~foundation_nn.training.Trainer`.
    size : int
    leads : bool
        Whether this is the first process, or the only one: it alone prints and writes.
    """

    def __init__(self) -> None:
        self.comm: Any = world() if launch.is_launched() else None
        self._team = launch.team_of(self.comm)
        self.size = self._team.size
        self.leads = self._team.leads
        self._alone = False  # among those that failed
        if self.comm is not None:
            launch.watch_launcher(self.comm.rank)

    @contextmanager
    def only_first(self, context: AbstractContextManager[Any]) -> Iterator[None]:
        """Be within a context in the first process; the others wait until it has been entered."""
        with ExitStack() as entered:
            self.first(lambda: entered.enter_context(context) and None)
            yield

    def first(self, function: Callable[[], Any]) -> Any:
        """What a function returns in the first process, which alone runs it."""
        return self._team.lead(function)

    def meet(self, error: BaseException) -> bool:
        """At the end of a command that failed: whether it is this process's to say why.

        If only this process has failed, the others are ended at once.
        """
        if self.size == 1:
            return True
        everybody, is_ours = launch.meet_at_the_end(error)
        self._alone = not everybody
        return is_ours

    def leave(self, status: int) -> int:
        """The exit status, after :meth:`meet`."""
        if self._alone:
            launch.abort(status)
        return status

    def line(self) -> str:
        """How many processes there are, for the beginning of a run."""
        return describe(self.comm) if self.comm is not None else ""
