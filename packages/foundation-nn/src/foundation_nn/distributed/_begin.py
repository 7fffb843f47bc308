"""Every process begins a run with the same parameters, random numbers and batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_nn.distributed._gradients import broadcast
from foundation_nn.distributed._team import Alone, Team
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer


def begin_alike(
    team: Alone, model: Module, optimizer: Optimizer, rng: np.random.Generator, batches: Any
) -> None:
    """Give every process what the first one has, where seeds were forgotten or differ.

    Parameters
    ----------
    team : Alone
    model : Module
    optimizer : Optimizer
    rng : numpy.random.Generator
        The run's.
    batches : object
        Those with a ``state_dict`` are brought to the place of the first process's. Others must be
        the same in every process by themselves.

    Raises
    ------
    ValueError
        If the models have different parameters.
    """
    if not isinstance(team, Team):
        return
    plan = (type(optimizer).__name__, [(name, p.shape) for name, p in model.named_parameters()])
    plan_of_the_first = team.everywhere(lambda: plan)[0]

    def check() -> None:
        if plan != plan_of_the_first:
            raise ValueError(
                "another model or optimizer than in process 0; every process must make the same"
            )

    team.everywhere(check)
    broadcast(model, team.comm)
    rng.bit_generator.state = team.lead(lambda: rng.bit_generator.state)
    if hasattr(batches, "state_dict"):
        state = team.lead(batches.state_dict)
        if not team.leads:
            batches.load_state_dict(state)
