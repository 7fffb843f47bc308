"""One step at a time: what the layers do within their loop."""

from __future__ import annotations

from typing import Any, ClassVar, Generic

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init, whole_number
from numpy.typing import NDArray

from foundation_seq.recurrent._layers import GRU, LSTM, RNN
from foundation_seq.recurrent._stack import Recurrent, State, States


class _Cell(Module, Generic[State]):
    """The parameters of one layer in one direction, and one step with them."""

    layer: ClassVar[type[Recurrent[Any]]]
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter
    bias_hh: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, *, rng: np.random.Generator | None = None
    ) -> None:
        kind = type(self).__name__
        self.input_size = whole_number(kind, "input_size", input_size, at_least=1)
        self.hidden_size = whole_number(kind, "hidden_size", hidden_size, at_least=1)
        weights = self.layer.initial(init.generator(rng), self.input_size, self.hidden_size)
        for name, array in weights.items():
            setattr(self, name, Parameter(array))

    def forward(self, x: Tensor | NDArray[Any], state: Any = None) -> State:
        """The same as :meth:`step`."""
        return self.step(x, state)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a cell, for checkpoints."""
        return {"input_size": self.input_size, "hidden_size": self.hidden_size}

    def step(self, x: Tensor | NDArray[Any], state: Any = None) -> State:
        """Read one input.

        Parameters
        ----------
        x : (B, I) tensor
        state : (B, H) tensor, optional
            The state before; zeros by default. Of an LSTM the pair (h, c) of two such tensors.

        Returns
        -------
        (B, H) tensor, or a pair of them
            The state after.
        """
        kind = type(self).__name__
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ValueError(
                f"{kind}: expected x of shape (B, input_size={self.input_size}), got {x.shape}"
            )
        states: States
        if state is None:
            zeros = np.zeros((len(x), self.hidden_size), self.weight_hh.dtype)
            states = (zeros,) * len(self.layer.state_names)
        else:
            states = self.layer.separated(state, kind)
        sequence = x[:, None]  # (B, T = 1, I)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        result = self.layer.operation(sequence, *states, *weights)
        after: State = self.layer.joined(result[1:])
        return after


class RNNCell(_Cell[Tensor]):
    """One step of an :class:`RNN` with tanh; parameters as in ``torch.nn.RNNCell``.

    Parameters
    ----------
    input_size, hidden_size : int
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih : (H, I) Parameter
    weight_hh : (H, H) Parameter
    bias_ih, bias_hh : (H,) Parameter
    """

    layer = RNN


class GRUCell(_Cell[Tensor]):
    """One step of a :class:`GRU`; parameters as in ``torch.nn.GRUCell``.

    The same as :class:`RNNCell`, with 3H rows of weights.
    """

    layer = GRU


class LSTMCell(_Cell[tuple[Tensor, Tensor]]):
    """One step of an :class:`LSTM`; parameters as in ``torch.nn.LSTMCell``.

    The same as :class:`RNNCell`, with 4H rows of weights, and the pair (h, c) as its state.

    Examples
    --------
    >>> import numpy as np
    >>> cell = LSTMCell(3, 5, rng=np.random.default_rng(0))
    >>> h, c = cell.step(np.zeros((2, 3)))
    >>> h, c = cell.step(np.ones((2, 3)), (h, c))
    >>> h.shape
    (2, 5)
    """

    layer = LSTM
