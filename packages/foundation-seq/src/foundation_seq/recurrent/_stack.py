"""What recurrent layers share: a stack of operations, in one or both directions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np
from foundation_nn import (
    Module,
    Parameter,
    Tensor,
    current_generator,
    flag,
    init,
    is_recording,
    number,
    whole_number,
)
from foundation_nn import functional as F
from numpy.typing import ArrayLike, NDArray

#: w_ih, w_hh, b_ih and b_hh of one layer in one direction.
Weights: TypeAlias = tuple[Parameter, Parameter, Parameter, Parameter]
#: One array for each name in :attr:`Recurrent.state_names`.
States: TypeAlias = tuple[Any, ...]
#: What a caller is given: one tensor, or of an LSTM a pair of them.
State = TypeVar("State")


class Recurrent(Module, Generic[State]):
    """What :class:`RNN`, :class:`GRU` and :class:`LSTM` share: all but their operation.

    Attributes
    ----------
    operation : callable
        One layer in one direction over a whole sequence: from x, the states, the four weights,
        lengths and direction to the output and the last states.
    one_step : callable
        One step of it on plain arrays: from x (B, I), the states (B, H) and the four weights to
        the new states.
    gates : int
        How many parts of H rows a weight matrix has.
    state_names : tuple of str
    """

    operation: ClassVar[Callable[..., tuple[Tensor, ...]]]
    one_step: ClassVar[Callable[..., tuple[NDArray[Any], ...]]]
    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]] = ("h",)

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
        input_size = whole_number(kind, "input_size", input_size, at_least=1)
        hidden_size = whole_number(kind, "hidden_size", hidden_size, at_least=1)
        num_layers = whole_number(kind, "num_layers", num_layers, at_least=1)
        dropout = number(kind, "dropout", dropout, at_least=0, less_than=1)
        if dropout and num_layers == 1:
            raise ValueError(
                f"{kind}: dropout={dropout} acts between layers, and there is only one; "
                "apply foundation_nn.Dropout to the output"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = flag(kind, "bidirectional", bidirectional)
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
        rows = cls.gates * size
        bound = 1 / math.sqrt(size)
        b_ih = init.uniform(rng, (rows,), bound)
        b_hh = init.uniform(rng, (rows,), bound)
        w_ih = init.uniform(rng, (rows, width), bound)
        w_hh = init.uniform(rng, (rows, size), bound)
        return {"weight_ih": w_ih, "weight_hh": w_hh, "bias_ih": b_ih, "bias_hh": b_hh}

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            **self.options(),
        }

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def options(self) -> dict[str, Any]:
        """Further keyword arguments of the operation and of its single step."""
        return {}

    def weights(self, name: str) -> Weights:
        """w_ih, w_hh, b_ih and b_hh of one layer and direction, such as "l0" or "l1_reverse"."""
        return (
            getattr(self, f"weight_ih_{name}"),
            getattr(self, f"weight_hh_{name}"),
            getattr(self, f"bias_ih_{name}"),
            getattr(self, f"bias_hh_{name}"),
        )

    def _names(self, layer: int) -> tuple[str, ...]:
        """PyTorch's endings of the parameter names, one for each direction."""
        return (f"l{layer}", f"l{layer}_reverse")[: self.directions]

    def forward(
        self, x: Tensor | NDArray[Any], lengths: ArrayLike | None = None, state: Any = None
    ) -> tuple[Tensor, State]:
        """Read sequences.

        Parameters
        ----------
        x : (B, T, I) tensor
        lengths : (B,) integers, optional
            How many steps of each row are real, 0 to T; rows need not be sorted. What stands behind
            the real steps has no influence, even if it is NaN.
        state : (num_layers * directions, B, H) tensor, optional
            To start from; zeros by default. Of an LSTM the pair (h, c) of two such tensors. To
            carry the state from batch to batch without differentiating into the past, ``detach``
            it.

        Returns
        -------
        output : (B, T, directions * H) tensor
            Of the last layer; exactly zero beyond the length of a row.
        state : (num_layers * directions, B, H) tensor, or a pair of them
            After the last real step of each row; for the backward direction, after its first. Of
            a row of length 0, the one it started from.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or the lengths are no integers from 0 to T.
        """
        states = self._checked(x, state)
        if x.shape[1] == 1 and lengths is None and self._needs_no_operation(x, *states):
            output, last = self._one_step(x, states)
        else:
            output, last = self._whole_sequence(x, states, lengths)
        return output, self.joined(last)

    def _checked(self, x: Tensor | NDArray[Any], state: Any) -> States:
        """The states to start from, one for each name, whose shapes fit."""
        kind = type(self).__name__
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(
                f"{kind}: expected x of shape (B, T, input_size={self.input_size}), got {x.shape}"
            )
        shape = (self.num_layers * self.directions, len(x), self.hidden_size)
        if state is None:
            zeros = np.zeros(shape, self.weights("l0")[0].dtype)
            return (zeros,) * len(self.state_names)
        states = self.separated(state, kind)
        for name, array in zip(self.state_names, states, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"{kind}: expected {name} of the state to have shape "
                    f"(num_layers * directions, B, H) = {shape}, got {array.shape}"
                )
        return states

    @classmethod
    def separated(cls, state: Any, owner: str) -> States:
        """The state that a caller gives as one array for each name.

        Raises
        ------
        TypeError
            If a pair is given where there is one state, or the reverse.
        """
        is_sequence = isinstance(state, tuple | list)
        if len(cls.state_names) == 1:
            if is_sequence:
                raise TypeError(
                    f"{owner}: expected state to be one tensor, got {type(state).__name__}; only "
                    "an LSTM has a pair"
                )
            return (state,)
        if not is_sequence or len(state) != len(cls.state_names):
            raise TypeError(
                f"{owner}: expected state to be the pair (h, c), got {type(state).__name__}"
            )
        return tuple(state)

    @staticmethod
    def joined(states: States) -> Any:
        """The states as they are returned: one tensor, or a pair of them."""
        return states[0] if len(states) == 1 else states

    def _whole_sequence(
        self, x: Tensor | NDArray[Any], states: States, lengths: ArrayLike | None
    ) -> tuple[Tensor, States]:
        if lengths is not None:
            lengths = np.asarray(lengths)
        output: Any = x
        ends: list[States] = []  # of each layer and direction
        for layer in range(self.num_layers):
            if layer > 0:
                output = F.dropout(output, self.dropout)
            outputs = []
            for name in self._names(layer):
                starts = [state[len(ends)] for state in states]
                reverse = name.endswith("_reverse")
                result = self.operation(
                    output, *starts, *self.weights(name), lengths, reverse, **self.options()
                )
                outputs.append(result[0])
                ends.append(result[1:])
            output = F.concat(outputs, axis=-1) if self.bidirectional else outputs[0]
        return output, tuple(F.stack(list(state)) for state in zip(*ends, strict=True))

    def _needs_no_operation(self, *inputs: Any) -> bool:
        """Whether plain arithmetic on the arrays does all that the operations would do."""
        drops = self.dropout > 0 and current_generator() is not None
        dtype = self.weights("l0")[0].dtype
        return not (is_recording() or drops) and all(a.dtype == dtype for a in inputs)

    def _one_step(self, x: Tensor | NDArray[Any], states: States) -> tuple[Tensor, States]:
        """All layers for T = 1 where nobody records, as in writing token by token.

        Operations would take longer there than what they compute.
        """
        output = _array(x)[:, 0]  # (B, I)
        starts = [_array(state) for state in states]
        ends = [np.empty_like(start) for start in starts]
        row = 0  # of the states
        for layer in range(self.num_layers):
            outputs = []
            for name in self._names(layer):
                weights = [weight.data for weight in self.weights(name)]
                before = [start[row] for start in starts]
                after = self.one_step(output, *before, *weights, **self.options())
                for end, value in zip(ends, after, strict=True):
                    end[row] = value
                outputs.append(after[0])
                row += 1
            output = np.concatenate(outputs, axis=1) if self.bidirectional else outputs[0]
        return Tensor.wrap(output[:, None]), tuple(Tensor.wrap(end) for end in ends)


def _array(x: Tensor | NDArray[Any]) -> NDArray[Any]:
    return x.data if isinstance(x, Tensor) else x
