"""What the processes of a run say to each other.

All processes go through the same code, and the first one decides: when to stop, what to save, what
to show. :meth:`Team.lead` is the way to say so. It runs a function in the first process while the
others wait, and all of them receive its result. What the first process needs of the others
meanwhile, such as their parts of the optimiser's state for a checkpoint, it collects by
:meth:`Team.gather`: the waiting processes answer.

A run of one process has a team, too: :class:`Alone`. So there is one way to write a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn.distributed._sharing import digest, share

T = TypeVar("T")
#: Finds an array of this process by name, to be gathered.
Finder = Callable[[str], NDArray[Any]]


class ProcessFailedError(RuntimeError):
    """Another process of the run has failed; it says why, this one only follows.

    An error that happens to one process within what all do together, such as the forward pass of a
    step or a callback of the first process, is told to the others before it goes on. The process
    itself raises the error that happened, and all others raise this one, whose message begins with
    ``process 2 of 4 failed:`` and repeats it. So nobody waits for a process that has left. What
    happens to an error elsewhere, :func:`world` says.
    """


class Alone:
    """A run of one process: it decides, and does everything itself."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    def lead(self, function: Callable[[], T]) -> T:
        """What the function returns in the first process, which alone runs it."""
        return function()

    def everywhere(self, function: Callable[[], T]) -> list[T]:
        """What the function returns in each process; all fail if one does."""
        return [function()]

    def share(self, batch: Any) -> Any:
        """The part of a batch that is ours, or None."""
        return batch

    def digest(self, batches: Any) -> int | None:  # noqa: ARG002  (nobody to compare it with)
        """A number by which processes compare the first batches of a run; None for later ones."""
        return None

    def generator(self, rng: np.random.Generator) -> np.random.Generator:
        """The generator that this process draws from in the present step."""
        return rng

    def offer(self, owner: str, find: Finder) -> None:
        """Say how to find the arrays of an owner, of which :meth:`gather` may be asked."""

    def gather(
        self,
        owner: str,  # noqa: ARG002  (of a team of one)
        name: str,  # noqa: ARG002
        array: NDArray[Any],
    ) -> NDArray[Any]:
        """The arrays of all processes, one after the other.

        Parameters
        ----------
        owner : str
            Whose array it is, as in :meth:`offer`.
        name : str
        array : (n,) ndarray
            What this process has of it.
        """
        return array

    def broken_by(self, error: BaseException) -> None:
        """Note that an error ends the run. If only this process has it, nobody listens any more."""


class Team(Alone):
    """Several processes, of which the first one leads.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm

    Notes
    -----
    Every message is a collective call, and all processes make the same calls in the same order.
    That holds although only the first process runs what it leads, because the others are in
    :meth:`_follow` meanwhile, and take part in each collective call that it announces.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank = comm.rank
        self.size = comm.size
        self._finders: dict[str, Finder] = {}
        self._leading = False
        self._broken = False
        self._compared = False  # whether all have the same first batch
        self._known: BaseException | None = None  # an error that all processes know of

    def __deepcopy__(self, memo: Any) -> Team:
        return self  # there is one set of processes, whoever speaks for it

    def lead(self, function: Callable[[], T]) -> T:
        if self._leading or self._broken:
            return function() if self.leads else None  # type: ignore[return-value]
        if not self.leads:
            return self._follow()  # type: ignore[no-any-return]
        self._leading = True
        try:
            result = function()
        except BaseException as error:
            self._known = error
            self.comm.bcast(("failed", _in_words(error)))
            raise
        finally:
            self._leading = False
        self.comm.bcast(("done", result))
        return result

    def _follow(self) -> Any:
        """Take part in what the first process leads, until it has a result."""
        while True:
            what, value = self.comm.bcast(None)
            if what == "done":
                return value
            if what == "failed":
                self._known = ProcessFailedError(f"process 0 of {self.size} failed: {value}")
                raise self._known
            owner, _, array = value.partition("/")
            self._gather_to_the_first(self._finders[owner](array))

    def everywhere(self, function: Callable[[], T]) -> list[T]:
        try:
            answer: tuple[str | None, Any] = (None, function())
        except Exception as error:
            self._known = error
            self.comm.allgather((_in_words(error), None))
            raise
        answers = self.comm.allgather(answer)
        for rank, (failure, _) in enumerate(answers):
            if failure is not None:
                self._known = ProcessFailedError(f"process {rank} of {self.size} failed: {failure}")
                raise self._known
        return [value for _, value in answers]

    def share(self, batch: Any) -> Any:
        return share(batch, self.rank, self.size)

    def digest(self, batches: Any) -> int | None:
        if self._compared:
            return None
        self._compared = True
        return digest(batches)

    def generator(self, rng: np.random.Generator) -> np.random.Generator:
        """A generator for one step, from the run's generator and the rank.

        The run's generator moves on by one number in every process alike. So its state, which a
        checkpoint keeps, is the same everywhere, and a run can be resumed with more or fewer
        processes.
        """
        seed = int(rng.integers(1 << 63))
        return np.random.default_rng([seed, self.rank])

    def offer(self, owner: str, find: Finder) -> None:
        self._finders[owner] = find

    def gather(self, owner: str, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """As one array: in the first process if it leads, else in every process."""
        if not self._leading:
            sizes = self.comm.allgather(array.size)
            whole = np.empty(sum(sizes), array.dtype)
            self.comm.Allgatherv(np.ascontiguousarray(array), [whole, sizes])
            return whole
        self.comm.bcast(("gather", f"{owner}/{name}"))
        return self._gather_to_the_first(array)

    def _gather_to_the_first(self, array: NDArray[Any]) -> NDArray[Any]:
        sizes = self.comm.gather(array.size)
        if not self.leads:
            self.comm.Gatherv(np.ascontiguousarray(array), None)
            return array
        whole = np.empty(sum(sizes), array.dtype)
        self.comm.Gatherv(np.ascontiguousarray(array), [whole, sizes])
        return whole

    def broken_by(self, error: BaseException) -> None:
        self._broken = self._broken or error is not self._known


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def team_of(comm: Any) -> Alone:
    """The team of these processes; None, or a single process, is alone."""
    return Alone() if comm is None or comm.size == 1 else Team(comm)
