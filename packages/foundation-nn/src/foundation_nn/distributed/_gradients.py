"""Equal parameters in all processes, and the mean of their gradients."""

from __future__ import annotations

from typing import Any

from foundation_nn._arguments import whole_number
from foundation_nn.distributed._world import mpi, world
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer
from foundation_nn.optim._buffer import buffer_of


def broadcast(model: Module, comm: Any = None) -> None:
    """Give every process the parameters and kept values of process 0.

    Parameters
    ----------
    model : Module
        Of the same shape everywhere, and with optimisers of its own, if any, already made.
    comm : mpi4py.MPI.Comm, optional
        Some of the processes; all by default.
    """
    comm = world() if comm is None else comm
    parameters = list(model.parameters())
    buffers = {id(p._buffer): p._buffer for p in parameters if p._buffer is not None}
    for buffer in buffers.values():
        comm.Bcast(buffer.data)
        buffer.touch()
    for single in [*(p for p in parameters if p._buffer is None), *model.buffers()]:
        value = single.numpy()
        comm.Bcast(value)
        single.data = value


def average_gradients(
    optimizer_or_model: Optimizer | Module, targets: int = 1, comm: Any = None
) -> int:
    """Replace the gradients of every process by their mean, in one reduction.

    g ← Σ_r n_r g_r / Σ_r n_r with the n of process r: the gradient of the mean over the whole
    batch, if each g_r is that of a mean over n_r targets. Call it after ``backward`` and before
    clipping. A :class:`~foundation_nn.training.Trainer` with ``comm=`` does not need it.

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
    comm.Allreduce(mpi().IN_PLACE, grad)
    for p in buffer.parameters:  # also what was used by other processes only
        if p.requires_grad:
            p.grad = p._grad_view
    return total
