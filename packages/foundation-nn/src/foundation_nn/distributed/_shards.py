"""The update of the parameters: by one process, or by several that share them out.

With several processes, each updates one stretch of the parameters' buffer, and only it has the
optimiser's state for that stretch: this is the first stage of ZeRO [1]_. A step sends as much as if
every process received all gradients and made the whole update, takes a part of the time for the
update, and a part of the memory for the state.

References
----------
.. [1] S. Rajbhandari, J. Rasley, O. Ruwase and Y. He, "ZeRO: Memory Optimizations Toward Training
   Trillion Parameter Models", SC 2020, arXiv:1910.02054.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from foundation_nn.distributed._team import Alone, Team
from foundation_nn.distributed._world import mpi
from foundation_nn.optim import EMA, Optimizer, clip_grad_norm
from foundation_nn.optim._clip import norm_of


class Update:
    """The update of a run of one process."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def combine(self, weight: float) -> None:
        """Turn the sum of gradients that every process has into their mean.

        Parameters
        ----------
        weight : float
            The sum of all processes is multiplied by it.
        """
        gradient = self.optimizer.buffer.collect()
        if weight != 1:
            gradient *= weight

    def clip(self, max_norm: float) -> float:
        """Limit the norm of the gradient, and return what it was before."""
        return clip_grad_norm(self.optimizer, max_norm)

    def step(self) -> None:
        """Let the optimiser change the parameters of all processes."""
        self.optimizer.step()


class SharedUpdate(Update):
    """The update of a run of several processes, each with its part of the buffer."""

    def __init__(self, optimizer: Optimizer, team: Team) -> None:
        super().__init__(optimizer)
        self.team = team
        parts = optimizer.cuts(team.size)
        self.part = parts[team.rank]
        self.sizes = [part.stop - part.start for part in parts]
        self._sum = np.empty(self.sizes[team.rank], optimizer.buffer.data.dtype)

    def combine(self, weight: float) -> None:
        buffer = self.optimizer.buffer
        gradient = buffer.collect()
        self.team.comm.Reduce_scatter(gradient, self._sum, self.sizes)
        np.multiply(self._sum, weight, out=gradient[self.part])
        for p in buffer.parameters:  # also what only other processes have used
            if p.requires_grad:
                p.grad = p._grad_view

    def clip(self, max_norm: float) -> float:
        gradient = self.optimizer.buffer.grad[self.part]
        norm = math.hypot(*self.team.comm.allgather(norm_of([gradient])))
        if math.isfinite(norm) and norm > max_norm:
            gradient *= max_norm / norm
        return norm

    def step(self) -> None:
        self.optimizer.step()
        data = self.optimizer.buffer.data
        self.team.comm.Allgatherv(mpi().IN_PLACE, [data, self.sizes])
        self.optimizer.buffer.touch()


@contextmanager
def shared_update(team: Alone, optimizer: Optimizer, ema: EMA | None) -> Iterator[Update]:
    """The update of a run, whose state lies in parts while it goes on and whole afterwards."""
    if not isinstance(team, Team):
        yield Update(optimizer)
        return
    update = SharedUpdate(optimizer, team)
    holders = {"optimizer": optimizer} | ({} if ema is None else {"ema": ema})
    for name, holder in holders.items():
        team.offer(name, holder.state_of_part)
        holder.take_part(update.part, partial(team.gather, name))
    yield update  # after an error the parts stay apart: nobody could collect them
    for holder in holders.values():
        holder.take_whole()
