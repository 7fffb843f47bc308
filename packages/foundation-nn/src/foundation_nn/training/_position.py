"""Where a ``fit`` is, and the generators behind it: what the next bit depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass
class Position:
    """What a trainer, and its present ``fit``, have done.

    Attributes
    ----------
    steps : int
        Updates so far, also those of earlier fits.
    first_step : int
        The steps there were before the present fit: its limits count from there.
    epochs : int
        Complete ones of the present fit.
    batches : int
        Drawn in the present epoch.
    seconds : float
        Used by the present fit, if it has a limit in seconds.
    evaluate : bool
        An evaluation is due.
    evaluated : int
        The step of the last evaluation; -1 before the first.
    skipped : int
        Steps that were left out.
    skipped_in_a_row : int
        Since the last update.
    """

    steps: int
    first_step: int
    epochs: int = 0
    batches: int = 0
    seconds: float = 0.0
    evaluate: bool = False
    evaluated: int = -1
    skipped: int = 0
    skipped_in_a_row: int = 0

    def at_a_new_fit(self) -> Position:
        """The same place, from where the next fit counts."""
        return replace(
            self, first_step=self.steps, epochs=0, batches=0, seconds=0.0, evaluate=False
        )


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of its bit generator, as JSON can hold it."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else value

    return dict(plain(rng.bit_generator.state))


def set_generator(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Let a generator go on where :func:`generator_state` was taken.

    Raises
    ------
    ValueError
        If it is of another kind, or the state is malformed.
    """

    def arrays(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: arrays(item) for name, item in value.items()}
        return np.array(value, np.uint64) if isinstance(value, list) else value

    kind = type(rng.bit_generator).__name__
    if state.get("bit_generator") != kind:
        raise ValueError(
            f"rng: the state is that of a {state.get('bit_generator')}, the generator is a {kind}; "
            "make it as for the run that is resumed"
        )
    try:
        rng.bit_generator.state = arrays(state)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"rng: malformed state ({error!r})") from None
