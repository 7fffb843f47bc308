"""Data-parallel training: several processes, each with a part of every batch.

Every process holds the whole model. They begin with the same parameters (:func:`broadcast`), each
computes the gradients of its part, and these are averaged (:func:`average_gradients`) before each
makes the same step. Start N of them with ``mpiexec -n N python train.py``.
"""

from __future__ import annotations

from typing import Any

from foundation_nn._arguments import whole_number
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer
from foundation_nn.optim._buffer import buffer_of

__all__ = ["average_gradients", "broadcast", "world"]


def world() -> Any:
    """All processes of the run, ``mpi4py.MPI.COMM_WORLD``: ``.rank`` is ours of ``.size``.

    Raises
    ------
    ImportError
        If the extra ``mpi`` is not installed, or there is no MPI library.
    """
    return _mpi().COMM_WORLD


def _mpi() -> Any:
    try:
        from mpi4py import MPI  # starts MPI: not before it is needed
    except (ImportError, RuntimeError) as error:  # the package, or the library it loads
        raise ImportError(
            "distributed: several processes need mpi4py (pip install 'foundation-nn[mpi]') and an "
            f"MPI library such as Open MPI, MPICH or impi-rt ({error})"
        ) from error
    return MPI


def broadcast(model: Module, comm: Any = None) -> None:
    """Give every process the parameters and kept values of process 0.

    Parameters
    ----------
    model : Module
        Of the same shape everywhere, and with an optimiser of its own, if any, already made.
    comm : mpi4py.MPI.Comm, optional
        Some of the processes; all by default.
    """
    comm = world() if comm is None else comm
    buffer = buffer_of("broadcast", model)
    comm.Bcast(buffer.data)
    buffer.touch()
    for kept in model.buffers():
        value = kept.numpy()
        comm.Bcast(value)
        kept.data = value


def average_gradients(
    optimizer_or_model: Optimizer | Module, targets: int = 1, comm: Any = None
) -> int:
    """Replace the gradients of every process by their mean, in one reduction.

    g ← Σ_r n_r g_r / Σ_r n_r with the n of process r: the gradient of the mean over the whole
    batch, if each g_r is that of a mean over n_r targets. Call it after ``backward`` and before
    clipping.

    Parameters
    ----------
    optimizer_or_model : Optimizer or Module
        Whose gradients; an optimiser's lie side by side.
    targets : int
        n of this process; a part of a batch may be empty on some.
    comm : mpi4py.MPI.Comm, optional
        Some of the processes; all by default.

    Returns
    -------
    int
        The targets of all processes.
    """
    targets = whole_number("average_gradients", "targets", targets, at_least=0)
    comm = world() if comm is None else comm
    buffer = buffer_of("average_gradients", optimizer_or_model)
    grad = buffer.collect()
    total = int(comm.allreduce(targets))
    if targets:
        grad *= targets / total
    else:
        grad[...] = 0  # a mean over nothing may be NaN
    comm.Allreduce(_mpi().IN_PLACE, grad)
    for p in buffer.parameters:  # also what was used by other processes only
        if p.requires_grad:
            p.grad = p._grad_view
    return total
