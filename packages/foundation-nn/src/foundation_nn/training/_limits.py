"""When a fit ends."""

from __future__ import annotations

import math
import time
from collections.abc import Sized
from typing import Any

from foundation_nn._arguments import number
from foundation_nn.training._position import Position


class Limits:
    """How much a fit may do. The trainer asks :meth:`reached` after every step and epoch.

    Parameters
    ----------
    steps, epochs, seconds : float or None
        Counted from the beginning of the fit.

    Raises
    ------
    TypeError, ValueError
        If there is none, or one is no number >= 0.
    """

    def __init__(self, steps: float | None, epochs: float | None, seconds: float | None) -> None:
        if steps is None and epochs is None and seconds is None:
            raise ValueError("fit: expected at least one of max_steps, max_epochs, max_seconds")
        limits = {"max_steps": steps, "max_epochs": epochs, "max_seconds": seconds}
        for name, limit in limits.items():
            if limit is not None:
                value = number("fit", name, limit, at_least=0, finite=False)
                counted = name != "max_seconds" and math.isfinite(value)
                if counted and not value.is_integer():
                    raise ValueError(f"fit: expected {name} to be a whole number, got {limit}")
        self.steps = steps
        self.epochs = epochs
        self.seconds = seconds
        self._started = 0.0

    def start(self, place: Position) -> None:
        """Let the clock run. What a run had used before it was resumed counts."""
        self._started = time.perf_counter() - place.seconds

    def reached(self, place: Position) -> str:
        """The first limit that is reached: "steps", "seconds" or "epochs"; "" while none is."""
        if self.seconds is not None:  # without that limit, a resumed run has the same position
            place.seconds = time.perf_counter() - self._started
        if self.steps is not None and place.steps - place.first_step >= self.steps:
            return "steps"
        if self.seconds is not None and place.seconds >= self.seconds:
            return "seconds"
        if self.epochs is not None and place.epochs >= self.epochs:
            return "epochs"
        return ""

    def last_step(self, place: Position, batches: Any, accumulate: int) -> int | None:
        """Where the fit will end, if that can be told: not if seconds alone limit it."""
        limits = [] if self.steps is None else [self.steps]
        if self.epochs is not None and isinstance(batches, Sized):
            limits.append(self.epochs * math.ceil(len(batches) / accumulate))
        finite = [math.ceil(limit) for limit in limits if math.isfinite(limit)]
        return place.first_step + min(finite) if finite else None
