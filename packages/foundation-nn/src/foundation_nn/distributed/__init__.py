"""Data-parallel training: several processes, each with a part of every batch.

One program runs in every process, ``mpiexec -n 4 python train.py``. Every process builds the same
model and goes through the same batches, of which it takes its share of the rows. Before each step
the gradients of all processes are added, each process updates its part of the parameters, and all
of them receive the result: the step is that of one process with the whole batch. A
:class:`~foundation_nn.training.Trainer` does all of it when it is given ``comm=world()``.

Read in this order:

* ``_world``: which processes there are, how many threads each of them has, and how all of them end
  when one of them fails;
* ``_sharing``: the rows of a batch that a process takes;
* ``_gradients``: equal parameters at the start, and the mean of the gradients, for loops of one's
  own;
* ``_team``: what processes say to each other during a run, where the first one decides;
* ``_shards``: the part of the parameters that a process updates, whose optimiser state it alone
  has;
* ``launch``: starting a program in several processes, for commands.
"""

from foundation_nn._publish import publish
from foundation_nn.distributed._gradients import average_gradients, broadcast
from foundation_nn.distributed._sharing import rows_of, share
from foundation_nn.distributed._team import ProcessFailedError
from foundation_nn.distributed._world import describe, world

__all__ = [
    "ProcessFailedError",
    "average_gradients",
    "broadcast",
    "describe",
    "rows_of",
    "share",
    "world",
]

publish(__name__)
