"""The best evaluation so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from foundation_nn.training._history import Evaluation


class Best:
    """Which evaluation was the best, and how many came since.

    Parameters
    ----------
    metric : str
        "loss", or the name of one of the trainer's metrics.
    maximize : bool
        More is better, as for BLEU; the loss is to be small.
    min_delta : float
        What is better by no more than this is not better.

    Attributes
    ----------
    value : float or None
    step : int
    waited : int
        Evaluations since.
    """

    def __init__(
        self, metric: str = "loss", maximize: bool = False, min_delta: float = 0.0
    ) -> None:
        self.metric = metric
        self.sign = 1.0 if maximize else -1.0
        self.min_delta = min_delta
        self.value: float | None = None
        self.step = 0
        self.waited = 0

    def observe(self, evaluation: Evaluation) -> bool:
        """Whether it is the best one; NaN never is."""
        value = evaluation.value(self.metric)
        gain = math.inf if self.value is None else self.sign * (value - self.value)
        if math.isnan(value) or not gain > self.min_delta:
            self.waited += 1
            return False
        self.value, self.step, self.waited = value, evaluation.step, 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """What was observed."""
        return {"value": self.value, "step": self.step, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The opposite of :meth:`state_dict`."""
        self.value, self.step, self.waited = state["value"], state["step"], state["waited"]
