"""What recurrent layers share: a stack of operations, in one or both directions."""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias

import numpy as np
from foundation_nn import Module, Parameter, Tensor, current_generator, init, is_recording
from foundation_nn import functional as F
from numpy.typing import ArrayLike, NDArray

from foundation_seq._arguments import require_dropout, require_sizes

Weights: TypeAlias = tuple[Parameter, Parameter, Parameter, Parameter]


class Recurrent(Module):
    """What :class:`RNN`, :class:`GRU` and :class:`LSTM` share."""

    gates: ClassVar[int]  # parts of a weight matrix
    states: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        kind = type(self).__name__
        require_sizes(kind, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        require_dropout(kind, dropout)
        if dropout and num_layers == 1:
            raise ValueError(
                f"{kind}: dropout={dropout} acts between layers, and there is only one; "
                "apply foundation_nn.Dropout to the output"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        rng = init.generator(rng)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self.directions
            for name in self._names(layer):
                for part, array in self.initial(rng, width, hidden_size).items():
                    setattr(self, f"{part}_{name}", Parameter(array))

    @classmethod
    def initial(cls, rng: np.random.Generator, width: int, size: int) -> dict[str, NDArray[Any]]:
        """Fresh weights of one layer and direction, uniform on ±1/√H as in PyTorch."""
        gates, bound = cls.gates * size, 1 / math.sqrt(size)
        b_ih, b_hh = init.uniform(rng, (gates,), bound), init.uniform(rng, (gates,), bound)
        w_ih = init.uniform(rng, (gates, width), bound)
        w_hh = init.uniform(rng, (gates, size), bound)
        return {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": b_ih, "bias_hh": b_hh}

    def _run(
        self, x: Any, states: tuple[Any, ...], weights: Weights, lengths: Any, reverse: bool
    ) -> tuple[Tensor, ...]:
        """The operation of one layer in one direction."""
        raise NotImplementedError

    def _step(
        self, x: NDArray[Any], states: list[NDArray[Any]], weights: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        """One step of it, on plain arrays: the new states."""
        raise NotImplementedError

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _stack(
        self, x: Tensor | NDArray[Any], lengths: ArrayLike | None, states: tuple[Any, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers: the output of the last one, and the last states of each."""
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: expected x of shape (B, T, input_size={self.input_size}), "
                f"got {x.shape}"
            )
        shape = (self.num_layers * self.directions, len(x), self.hidden_size)
        if states is None:
            states = (np.zeros(shape, self.weights("l0")[0].dtype),) * len(self.states)
        for name, array in zip(self.states, states, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"{type(self).__name__}: expected {name} of the state to have shape "
                    f"(num_layers * directions, B, H) = {shape}, got {array.shape}"
                )
        if x.shape[1] == 1 and lengths is None and self._unobserved(x, *states):
            return self._one_step(x, states)
        lengths = None if lengths is None else np.asarray(lengths)
        output: Any = x
        ends: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            if layer:
                output = F.dropout(output, self.dropout)
            parts = []
            for name in self._names(layer):
                start = tuple(state[len(ends)] for state in states)
                reverse = name.endswith("_reverse")
                y, *end = self._run(output, start, self.weights(name), lengths, reverse)
                parts.append(y)
                ends.append(tuple(end))
            output = F.concat(parts, axis=-1) if self.bidirectional else parts[0]
        return output, tuple(F.stack(list(state)) for state in zip(*ends, strict=True))

    def _unobserved(self, *inputs: Any) -> bool:
        """Whether plain arithmetic on the arrays is all that the operations would do."""
        drops = self.dropout > 0 and current_generator() is not None
        dtype = self.weights("l0")[0].dtype
        return not (is_recording() or drops) and all(a.dtype == dtype for a in inputs)

    def _one_step(
        self, x: Tensor | NDArray[Any], states: tuple[Any, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers for T = 1, as in writing token by token: there, operations would take longer
        than what they compute."""
        y, *before = (a.data if isinstance(a, Tensor) else a for a in (x, *states))
        y = y[:, 0]
        after = [np.empty_like(state) for state in before]
        row = 0
        for layer in range(self.num_layers):
            parts = []
            for name in self._names(layer):
                weights = [weight.data for weight in self.weights(name)]
                new = self._step(y, [state[row] for state in before], weights)
                for state, value in zip(after, new, strict=True):
                    state[row] = value
                parts.append(new[0])
                row += 1
            y = np.concatenate(parts, axis=1) if self.bidirectional else parts[0]
        return Tensor.wrap(y[:, None]), tuple(Tensor.wrap(state) for state in after)

    def _names(self, layer: int) -> tuple[str, ...]:
        """PyTorch's endings of the parameter names, one for each direction."""
        return (f"l{layer}", f"l{layer}_reverse")[: self.directions]

    def weights(self, name: str) -> Weights:
        """w_ih, w_hh, b_ih and b_hh of one layer and direction, such as "l0" or "l1_reverse"."""
        return (
            getattr(self, f"weight_ih_{name}"),
            getattr(self, f"weight_hh_{name}"),
            getattr(self, f"bias_ih_{name}"),
            getattr(self, f"bias_hh_{name}"),
        )
