"""Averages of the parameters over the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn.engine._threads import over_rows
from foundation_nn.modules._module import Module
from foundation_nn.optim._base import Optimizer
from foundation_nn.optim._blocks import overlap
from foundation_nn.optim._buffer import buffer_of
from foundation_nn.optim._parts import InParts


class EMA(InParts):
    """The exponential moving average of the parameters: a ← d a + (1 - d) w after each step [1]_.

    The first update copies, as that of ``torch.optim.swa_utils.AveragedModel`` does. The average of
    a frozen parameter is its value. Running statistics, such as those of ``BatchNorm1d``, are no
    parameters and stay as they are.

    Parameters
    ----------
    optimizer_or_model : Optimizer or Module
        Whose parameters. Make the optimiser of a model first: it moves them.
    decay : float
        d in [0, 1).

    Attributes
    ----------
    updates : int
        How many there were.

    Raises
    ------
    ValueError
        For another ``decay``, or a model that shares its optimiser with other parameters.

    References
    ----------
    .. [1] B. Polyak and A. Juditsky, "Acceleration of Stochastic Approximation by Averaging",
       SIAM J. Control Optim. 30(4), 1992, for the plain mean.

    Examples
    --------
    >>> from foundation_nn import Parameter, optim
    >>> w = Parameter([0.0])
    >>> optimizer = optim.SGD([w], lr=1.0)
    >>> ema = optim.EMA(optimizer, decay=0.75)
    >>> for value in (4.0, 8.0):  # in real life: optimizer.step()
    ...     w.data = [value]
    ...     ema.update()
    >>> with ema.applied():
    ...     print(w.data)
    [5.]
    >>> print(w.data)
    [8.]
    """

    def __init__(self, optimizer_or_model: Optimizer | Module, decay: float = 0.999) -> None:
        self.decay = number("EMA", "decay", decay, at_least=0, less_than=1)
        buffer = buffer_of("EMA", optimizer_or_model)
        super().__init__(buffer, {"average": buffer.data.copy()})
        self.updates = 0
        self._applied = False

    @property
    def _average(self) -> NDArray[Any]:
        return self.state["average"]

    def update(self) -> None:
        """Take the present values into the average; call it after the optimiser's step."""
        self._check("update")
        for learnt in self.buffer.learnt():
            part = overlap(learnt, self.part)
            self._move(self._average[part], self.buffer.data[part])
        self._follow_frozen()
        self.updates += 1

    def _move(self, average: NDArray[Any], values: NDArray[Any]) -> None:
        copies = self.updates == 0 or self.decay == 0

        def task(block: slice) -> None:
            if copies:  # exactly, and also where the average is infinite
                average[block] = values[block]
                return
            change = np.subtract(values[block], average[block])
            change *= 1 - self.decay
            average[block] += change

        over_rows(task, len(values), values.itemsize)

    def _follow_frozen(self) -> None:
        """Where a parameter is frozen, its value is the average, to the bit."""
        for part in self.buffer.frozen():
            self._average[part] = self.buffer.data[part]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the parameters have the averaged values: to evaluate, generate or save.

        The present ones are back afterwards, whatever happened. Do not train within.

        Raises
        ------
        RuntimeError
            If it is entered twice; and within it, from :meth:`update`, :meth:`state_dict` and
            :meth:`load_state_dict`, which would take one kind of values for the other.
        """
        self._check("applied")
        self._follow_frozen()
        other_values = self._average if self._gather is None else self.whole_state("average")
        self._swap(other_values)
        self._applied = True
        try:
            yield
        finally:
            self._applied = False
            self._swap(other_values)

    def _swap(self, other_values: NDArray[Any]) -> None:
        values = self.buffer.data

        def task(block: slice) -> None:
            kept = values[block].copy()
            values[block] = other_values[block]
            other_values[block] = kept

        over_rows(task, len(values), values.itemsize)
        self.buffer.touch()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the average and of the number of updates."""
        self._check("state_dict")
        self._follow_frozen()
        return {"updates": np.array(self.updates), "average": self.whole_state("average")}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state.

        Raises
        ------
        ValueError
            If it is not one of an EMA, or belongs to other parameters.
        """
        self._check("load_state_dict")
        if set(state) != {"updates", "average"}:
            raise ValueError(
                f"EMA: expected the entries ['average', 'updates'], got {sorted(state)}"
            )
        if state["average"].shape != self._average.shape:
            raise ValueError(
                f"EMA: the average has {state['average'].size} entries for a buffer of "
                f"{self._average.size}; it was saved with another model"
            )
        self._average[...] = state["average"]
        self.updates = int(state["updates"])

    def __getstate__(self) -> dict[str, Any]:
        if self._applied:
            raise RuntimeError("a copy of an EMA within applied(): leave that block first")
        return vars(self)

    def _check(self, method: str) -> None:
        if self._applied:
            raise RuntimeError(f"EMA.{method}() within applied(): leave that block first")
        if any(p._buffer is not self.buffer for p in self.buffer.parameters):
            raise RuntimeError(
                "a parameter was given to another optimiser or cast by astype() after this EMA "
                "was made; make a new EMA"
            )
