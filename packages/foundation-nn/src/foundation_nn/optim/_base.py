"""What every optimiser has: a parameter buffer, a step counter and a walk over the buffer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter, ParameterBuffer
from foundation_nn._threads import over_rows


class Optimizer:
    """Base class; a subclass names its state arrays and says how to update one block.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
        They are moved into one contiguous buffer; matrices first, so that vectors (biases and
        norms), which do not decay, are its tail.
    lr : float
        May be changed between steps.
    weight_decay : float
        Applies to parameters of two and more dimensions only.

    Raises
    ------
    ValueError
        For a negative or non-finite ``lr`` or ``weight_decay``, or no parameters.
    """

    #: Names of the state arrays, each as long as the buffer.
    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, model_or_params: Module | Iterable[Parameter], lr: float, weight_decay: float = 0.0
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(
                    f"{type(self).__name__}: expected {name} to be finite and >= 0, got {value}"
                )
        if isinstance(model_or_params, Module):
            model_or_params = model_or_params.parameters()
        parameters = sorted(model_or_params, key=lambda p: p.ndim < 2)
        for p in parameters:
            if not isinstance(p, Parameter):
                raise TypeError(
                    f"{type(self).__name__}: expected parameters, got a {type(p).__name__}; "
                    "wrap what is to be learnt in Parameter(...)"
                )
        self.buffer = ParameterBuffer(parameters)
        vectors = [s for p, s in zip(parameters, self.buffer.slices, strict=True) if p.ndim < 2]
        self._decaying = vectors[0].start if vectors else len(self.buffer.data)
        self.lr = lr
        self.weight_decay = weight_decay
        self.steps = 0
        self.state = {name: np.zeros_like(self.buffer.data) for name in self.state_names}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.buffer.parameters:
            p.grad = None

    def step(self) -> None:
        """Change every parameter according to its gradient; one without counts as zero."""
        grad = self.buffer.collect()
        self.steps += 1
        self._prepare()
        end = self._decaying
        self._walk(slice(0, end), grad, self.weight_decay)
        self._walk(slice(end, len(grad)), grad, 0.0)
        self.buffer.touch()

    def _walk(self, part: slice, grad: NDArray[Any], weight_decay: float) -> None:
        data, g = self.buffer.data[part], grad[part]
        state = [self.state[name][part] for name in self.state_names]

        def task(block: slice) -> None:
            self._update(data[block], g[block], [s[block] for s in state], weight_decay)

        if len(data):
            over_rows(task, len(data), data.itemsize)

    def _prepare(self) -> None:
        """Compute what all blocks of this step share."""

    def _update(self, p: Any, g: Any, state: list[Any], decay: float) -> None:
        """Update one block of parameters and state in place."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the state arrays, and the number of steps."""
        return {"steps": np.array(self.steps)} | {k: v.copy() for k, v in self.state.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state.

        Raises
        ------
        ValueError
            If it belongs to another kind of optimiser or to other parameters.
        """
        if set(state) != {"steps", *self.state_names}:
            raise ValueError(
                f"{type(self).__name__}: expected the entries "
                f"{sorted(['steps', *self.state_names])}, got {sorted(state)}"
            )
        for name, target in self.state.items():
            if state[name].shape != target.shape:
                raise ValueError(
                    f"{type(self).__name__}: {name} has {state[name].size} entries for a buffer "
                    f"of {target.size}; it was saved with another model"
                )
        for name, target in self.state.items():
            target[...] = state[name]
        self.steps = int(state["steps"])
