"""What every optimiser has: a parameter buffer, a step counter and a walk over the buffer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter, ParameterBuffer
from foundation_nn._threads import over_rows, scratch


class Optimizer:
    """Base class; a subclass names its state arrays and says how to update one block.

    One that treats whole matrices overrides ``_update_all`` and makes ``state`` itself.

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
        self._update_all(grad)
        self.buffer.touch()

    def _prepare(self) -> None:
        """Compute what all blocks of this step share."""

    def _update_all(self, grad: NDArray[Any]) -> None:
        """Update every parameter and the state in place."""
        self._walk(grad, list(self.state.values()))

    def _walk(self, grad: NDArray[Any], state: list[NDArray[Any]], first: int = 0) -> None:
        """Update the buffer from entry ``first`` on, where the state arrays begin, in blocks."""
        arrays = [self.buffer.data[first:], grad[first:], *state]
        matrices = self._decaying - first if self.weight_decay else 0

        def task(block: slice) -> None:
            p, g, *state = (a[block] for a in arrays)
            if block.start < matrices:
                g = self._decay(p, g, matrices - block.start)
            self._update(p, g, state)

        if len(arrays[0]):
            over_rows(task, len(arrays[0]), arrays[0].itemsize)

    def _decay(self, p: Any, g: Any, count: int) -> Any:
        """Shrink the first ``count`` entries of a block; the gradient to go on with.

        Here the decay is decoupled from the gradient. Where it belongs to it, a subclass says
        ``_decay = Optimizer._decay_by_gradient``.
        """
        p[:count] *= 1 - self.lr * self.weight_decay
        return g

    def _decay_by_gradient(self, p: Any, g: Any, count: int) -> Any:
        """g + λ w, the gradient of the loss and of ½ λ |w|² together."""
        total = scratch(g.shape, g.dtype, 1)
        np.copyto(total, g)
        part = np.multiply(p[:count], self.weight_decay, out=scratch(g.shape, g.dtype)[:count])
        total[:count] += part
        return total

    def _update(self, p: Any, g: Any, state: list[Any]) -> None:
        """Update one block of parameters and state in place."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the state arrays, the number of steps, and what they belong to."""
        arrays = {"steps": np.array(self.steps), "shapes": self._shapes()}
        return arrays | {k: v.copy() for k, v in self.state.items()}

    def _shapes(self) -> NDArray[np.int64]:
        """The shapes of all parameters in a row, each after its length."""
        flat = [n for p in self.buffer.parameters for n in (p.ndim, *p.shape)]
        return np.array(flat, np.int64)

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state.

        Raises
        ------
        ValueError
            If it belongs to another kind of optimiser or to other parameters.
        """
        expected = {"steps", "shapes", *self.state}
        if set(state) != expected:
            raise ValueError(
                f"{type(self).__name__}: expected the entries {sorted(expected)}, "
                f"got {sorted(state)}"
            )
        fits = all(state[name].shape == target.shape for name, target in self.state.items())
        if not fits or not np.array_equal(state["shapes"], self._shapes()):
            raise ValueError(
                f"{type(self).__name__}: the state was saved with another model: its parameters "
                "had other shapes, or another order"
            )
        for name, target in self.state.items():
            target[...] = state[name]
        self.steps = int(state["steps"])
