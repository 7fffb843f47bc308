"""State that several processes share out: each has a part of it, and of the parameters' buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._parameter import ParameterBuffer

#: From the name of an array, and what this process has of it, to the array of all processes.
Gather: TypeAlias = Callable[[str, NDArray[Any]], NDArray[Any]]


class InParts:
    """What an optimiser and an average have in common: arrays that belong to a buffer.

    Usually a process has all of them. While it trains together with others it has the part that
    goes with its part of the buffer. The arrays keep their length then, so that a place in the
    buffer is the same place in them; the operating system gives no memory to entries that nobody
    writes to.

    Attributes
    ----------
    buffer : ParameterBuffer
    state : dict of ndarray
    part : slice
        Of the buffer: what this process changes.
    """

    def __init__(self, buffer: ParameterBuffer, state: dict[str, NDArray[Any]]) -> None:
        self.buffer = buffer
        self.state = state
        self.part = slice(0, len(buffer.data))
        self._gather: Gather | None = None  # None: all of the state is here

    def places_in_state(self, part: slice) -> dict[str, slice]:
        """Where each array of the state has what belongs to a part of the buffer.

        To be overridden if the arrays are laid out in another way than the buffer. What belongs to
        one part after the other must be one array after the other.
        """
        return dict.fromkeys(self.state, part)

    def take_part(self, part: slice, gather: Gather) -> None:
        """Leave all but one part of the buffer to other processes, until :meth:`take_whole`.

        Parameters
        ----------
        part : slice
        gather : callable
            From the name of an array and this process's part of it to the whole array. It must be
            called in all processes at once.
        """
        self.part = part
        self._gather = gather
        for name, place in self.places_in_state(part).items():
            whole = self.state[name]
            self.state[name] = np.zeros(whole.shape, whole.dtype)
            self.state[name][place] = whole[place]

    def state_of_part(self, name: str) -> NDArray[Any]:
        """What this process has of an array of the state."""
        return self.state[name][self.places_in_state(self.part)[name]]

    def take_whole(self) -> None:
        """Have the state of all processes, and all of the buffer, from now on."""
        self.state = {name: self.whole_state(name) for name in self.state}
        self.part = slice(0, len(self.buffer.data))
        self._gather = None

    def whole_state(self, name: str) -> NDArray[Any]:
        """A copy of an array of the state, gathered from all processes."""
        if self._gather is None:
            return self.state[name].copy()
        return self._gather(name, self.state_of_part(name))
