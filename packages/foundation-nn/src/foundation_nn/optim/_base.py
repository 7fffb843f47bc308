"""What every optimiser has: a parameter buffer, a step counter and a walk over the buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described, number
from foundation_nn.engine._parameter import ParameterBuffer
from foundation_nn.engine._threads import over_rows
from foundation_nn.optim._parameters import Parameters, parameters_of


class Optimizer:
    """Base class of all optimisers; to write one, override :meth:`update_block`.

    The parameters are moved into one contiguous buffer. Matrices (everything with two or more
    dimensions) come first; vectors, which are biases and norms and do not decay, are its tail.

    Copying or pickling an optimiser copies its parameters with it. Copy a model and its optimiser
    together, as in ``model, optimizer = copy.deepcopy((model, optimizer))``: then the one trains
    the other. The copy of an optimiser alone trains parameters of its own, which are
    ``optimizer.buffer.parameters``.

    Parameters
    ----------
    model_or_params : Module, Parameter or iterable of Parameter
    lr : float
        May be changed between steps.
    weight_decay : float
        Applies to matrices only.
    state : sequence of str
        Names of the arrays that the optimiser keeps from step to step, such as averages. Each has
        an entry for every entry of the buffer, and is zero at first.

    Attributes
    ----------
    buffer : ParameterBuffer
    end_of_matrices : int
        Where in the buffer the vectors begin.
    steps : int
        How many there were.
    state : dict of ndarray

    Raises
    ------
    TypeError
        For something else than parameters, or a rate that is no number.
    ValueError
        For a negative or non-finite ``lr`` or ``weight_decay``, or no parameters.

    Examples
    --------
    An optimiser of one's own is the formula for one block of the buffer, in place. This one moves
    every entry by the same amount, against the sign of an average of its gradients:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> class SignDescent(optim.Optimizer):
    ...     def __init__(self, model_or_params, lr, weight_decay=0.0):
    ...         super().__init__(model_or_params, lr, weight_decay, state=("average",))
    ...     def update_block(self, w, g, lr, decay, average):
    ...         average += 0.5 * (g - average)
    ...         w -= lr * (np.sign(average) + decay * w)
    >>> w = Parameter([[1.0, 2.0, 3.0]])
    >>> optimizer = SignDescent(w, lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([[0.75, 1.75, 2.75]], dtype=float32)
    """

    def __init__(
        self,
        model_or_params: Parameters,
        lr: float,
        weight_decay: float = 0.0,
        state: Sequence[str] = (),
    ) -> None:
        name = type(self).__name__
        self.lr = lr
        self.weight_decay = number(name, "weight_decay", weight_decay, at_least=0)
        parameters = sorted(parameters_of(name, model_or_params), key=lambda p: p.ndim < 2)
        self.buffer = ParameterBuffer(parameters)
        pairs = zip(parameters, self.buffer.slices, strict=True)
        vectors = [part.start for p, part in pairs if p.ndim < 2]
        self.end_of_matrices = min(vectors, default=len(self.buffer.data))
        self.steps = 0
        self.state = {key: np.zeros_like(self.buffer.data) for key in state}

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        name = type(self).__name__
        if callable(value):
            raise TypeError(
                f"{name}: lr is a number, got {described(value)}; pass a schedule to "
                "Trainer(schedule=...), or set optimizer.lr = schedule(step) before each step"
            )
        self._lr = number(name, "lr", value, at_least=0)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.buffer.parameters:
            p.grad = None

    def step(self) -> None:
        """Change every parameter according to its gradient; one without counts as zero."""
        grad = self.buffer.collect()
        self.steps += 1
        self.update_all(grad)
        self.buffer.touch()

    def update_all(self, grad: NDArray[Any]) -> None:
        """Change all parameters: matrices, which decay, and vectors, which do not.

        An optimiser that treats whole matrices overrides this instead of :meth:`update_block`.

        Parameters
        ----------
        grad : (n,) ndarray
            The gradients of all parameters, side by side as ``buffer.data`` is.
        """
        decaying = self.end_of_matrices if self.weight_decay else 0
        for part, decay in (
            (slice(0, decaying), self.weight_decay),
            (slice(decaying, None), 0.0),
        ):
            state = {name: array[part] for name, array in self.state.items()}
            self.update_in_blocks(self.buffer.data[part], grad[part], self.lr, decay, state)

    def update_in_blocks(
        self,
        w: NDArray[Any],
        g: NDArray[Any],
        lr: float,
        decay: float,
        state: Mapping[str, NDArray[Any]],
    ) -> None:
        """Call :meth:`update_block` for all entries, a block at a time and on all threads."""

        def task(block: slice) -> None:
            of_block = {name: array[block] for name, array in state.items()}
            self.update_block(w[block], g[block], lr, decay, **of_block)

        if len(w):
            over_rows(task, len(w), w.itemsize)

    def update_block(self, w: Any, g: Any, lr: float, decay: float, *_: Any, **state: Any) -> None:
        """Change some entries of the parameters and of the state, in place.

        It is called for one block of entries after the other, on several threads at once, so it
        must not write to attributes. What it writes to is given to it.

        Parameters
        ----------
        w : (n,) ndarray
            Parameters, to be changed.
        g : (n,) ndarray
            Their gradients, which stay as they are.
        lr : float
            The learning rate.
        decay : float
            The weight decay of these entries; 0 for vectors.
        **state : (n,) ndarray
            The arrays that ``state`` named, to be changed.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update_block()")

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the state arrays, the number of steps, and what they belong to."""
        arrays = {"steps": np.array(self.steps), "shapes": self._shapes()}
        return arrays | {name: array.copy() for name, array in self.state.items()}

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
                f"got {sorted(state)}; make the optimiser as it was when its state was saved"
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
