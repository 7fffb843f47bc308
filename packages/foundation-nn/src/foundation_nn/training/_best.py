"""The best evaluation so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from foundation_nn._arguments import flag
from foundation_nn.training._history import Evaluation


class Best:
    """Remembers which evaluation was the best, and counts those that came afterwards.

    Parameters
    ----------
    metric : str
        "loss", or the name of one of the trainer's metrics.
    maximize : bool
        Whether a larger value is better, as for BLEU.
    min_delta : float
        A value that is better by no more than this does not count as better.

    Attributes
    ----------
    value : float or None
        The best value so far.
    step : int
        The step at which it was observed.
    waited : int
        The number of evaluations since then.
    """

    def __init__(
        self, metric: str = "loss", maximize: bool = False, min_delta: float = 0.0
    ) -> None:
        self.metric = metric
        self.sign = 1.0 if flag("a metric", "maximize", maximize) else -1.0
        self.min_delta = min_delta
        self.value: float | None = None
        self.step = 0
        self.waited = 0

    def observe(self, evaluation: Evaluation) -> bool:
        """Take note of an evaluation; whether it is the best one so far. NaN never is."""
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
