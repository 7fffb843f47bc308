"""The processes of a run: who they are, what each of them may use, and how they end."""

from __future__ import annotations

import os
import re
import sys
import time
from functools import cache
from types import TracebackType
from typing import Any

import numpy as np

from foundation_nn.distributed._team import ProcessFailedError
from foundation_nn.engine._threads import get_num_threads, set_num_threads

#: Seconds that a process which failed waits for the others to fail with it.
PATIENCE = 3.0


def world() -> Any:
    """All processes of the run, ``mpi4py.MPI.COMM_WORLD``: ``.rank`` is ours of ``.size``.

    The first call divides the cores of a machine among the processes on it: each has its share as
    threads, unless :func:`~foundation_nn.set_num_threads` is called afterwards.

    From then on an error that ends one process ends all of them. For this, ``sys.excepthook`` is
    replaced if there are several processes. A process with an error that nobody caught waits three
    seconds for the others to fail, too. If all do, one of them shows its error, and each leaves by
    itself. Otherwise the others are waiting for this process in the midst of something, and would
    do so for ever: it shows its error and ends all of them by ``MPI Abort`` with the status 1.

    Raises
    ------
    ImportError
        If the extra ``mpi`` is not installed, or there is no MPI library.
    """
    comm = mpi().COMM_WORLD
    if comm.size > 1:
        _prepare()
    return comm


def mpi() -> Any:
    """The module ``mpi4py.MPI``; the first import of it makes this process one of its world."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the package, or the library it loads
        raise ImportError(
            "distributed: several processes need mpi4py and an MPI library, both of which come "
            f"with pip install 'foundation-nn[mpi]' ({error})"
        ) from error
    return MPI


def describe(comm: Any = None) -> str:
    """One line: processes, threads of each, machines and library.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Some of the processes; all by default. Every one of them must call this.

    Examples
    --------
    >>> distributed.describe()  # doctest: +SKIP
    '2 processes × 1 thread, MPICH 5.0.2'
    """
    comm = world() if comm is None else comm
    machines = len(set(comm.allgather(mpi().Get_processor_name())))
    text = f"{_counted(comm.size, 'process', 'processes')} × {_threads_of_all(comm)}"
    if machines > 1:
        text += f" on {machines} machines"
    return f"{text}, {_library()}"


def _threads_of_all(comm: Any) -> str:
    counts = sorted(set(comm.allgather(get_num_threads())))
    if len(counts) == 1:
        return _counted(counts[0], "thread", "threads")
    return f"{counts[0]} to {counts[-1]} threads"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _library() -> str:
    """Name and version, such as ``MPICH 5.0.2``; a library says many lines of itself."""
    text = mpi().Get_library_version()
    found = re.match(r"(MPICH|Open MPI|Intel\(R\) MPI Library)\D*([\d.]+\d)", text)
    if found is None:
        return str(text.splitlines()[0]).strip()
    return f"{found[1]} {found[2]}"


@cache
def _prepare() -> None:
    """Done once: threads, and an end in common."""
    _share_cores()
    _end_together_after_an_error()


def _share_cores() -> None:
    """Give this process its part of the cores that it may run on.

    A launcher may have bound each process to cores of its own; then these are its part. Otherwise
    all processes on the machine may run on the same cores, and divide them.
    """
    MPI = mpi()
    neighbours = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    mine = _allowed_cores()
    sharing = sum(mine == theirs for theirs in neighbours.allgather(mine))
    set_num_threads(max(1, len(mine) // sharing))


def _allowed_cores() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _end_together_after_an_error() -> None:
    """Let an error that nobody catches end all processes, not only the one it happened in.

    The others would wait for it for ever.
    """
    usual_hook = sys.excepthook
    _for_emergencies()

    def end(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        everybody, is_ours = meet_at_the_end(error)
        if is_ours:
            usual_hook(kind, error, traceback)
        if not everybody:
            abort(1)

    sys.excepthook = end


@cache
def _for_emergencies() -> Any:
    """The processes once more, for messages that have nothing to do with those of a run."""
    return mpi().COMM_WORLD.Dup()


def meet_at_the_end(error: BaseException) -> tuple[bool, bool]:
    """Whether all processes have failed, and whether it is ours to say why.

    Often an error happens in all processes, such as a file that none of them finds: then one says
    so, and all can leave. If it happened in this process alone, the others wait for it in the midst
    of something: they do not come here, and must be aborted.
    """
    comm = _for_emergencies()
    tells = not isinstance(error, ProcessFailedError)  # of that, the process that failed tells
    codes = np.zeros(comm.size, np.int8)
    request = comm.Iallgather(np.array([tells], np.int8), codes)
    deadline = time.monotonic() + PATIENCE
    while not request.Test():
        if time.monotonic() > deadline:
            return False, True
        time.sleep(0.01)
    return True, tells and codes.argmax() == comm.rank


def abort(status: int) -> None:
    """End all processes at once."""
    sys.stdout.flush()
    sys.stderr.flush()
    mpi().COMM_WORLD.Abort(status)
