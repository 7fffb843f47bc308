"""One step at a time: what the layers do within their loop."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init
from numpy.typing import NDArray

from foundation_seq._arguments import require_sizes
from foundation_seq._gru import gru
from foundation_seq._layers import GRU, LSTM, RNN, LSTMState
from foundation_seq._lstm import lstm
from foundation_seq._rnn import rnn
from foundation_seq._stack import Recurrent, Weights


class _Cell(Module):
    """The parameters of one layer in one direction."""

    layer: ClassVar[type[Recurrent]]
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter
    bias_hh: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, *, rng: np.random.Generator | None = None
    ) -> None:
        require_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        drawn = self.layer.initial(init.generator(rng), input_size, hidden_size)
        for part, array in drawn.items():
            setattr(self, part, Parameter(array))

    def _weights(self) -> Weights:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _inputs(self, x: Any, states: tuple[Any, ...] | None) -> tuple[Any, tuple[Any, ...]]:
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: expected x of shape (B, input_size={self.input_size}), "
                f"got {x.shape}"
            )
        if states is None:
            zeros = np.zeros((len(x), self.hidden_size), self.weight_hh.dtype)
            states = (zeros,) * len(self.layer.states)
        return x[:, None], states

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The same as ``step``."""
        return self.step(*args, **kwargs)

    def step(self, x: Any, state: Any = None) -> Any:
        raise NotImplementedError


class RNNCell(_Cell):
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

    def step(self, x: Tensor | NDArray[Any], state: Tensor | NDArray[Any] | None = None) -> Tensor:
        """From x (B, I) and the state before, (B, H), to the state after; zeros by default."""
        inputs, (h,) = self._inputs(x, None if state is None else (state,))
        return rnn(inputs, h, *self._weights())[1]


class GRUCell(_Cell):
    """One step of a :class:`GRU`; parameters as in ``torch.nn.GRUCell``.

    Parameters
    ----------
    input_size, hidden_size : int
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih : (3H, I) Parameter
    weight_hh : (3H, H) Parameter
    bias_ih, bias_hh : (3H,) Parameter
    """

    layer = GRU

    def step(self, x: Tensor | NDArray[Any], state: Tensor | NDArray[Any] | None = None) -> Tensor:
        """From x (B, I) and the state before, (B, H), to the state after; zeros by default."""
        inputs, (h,) = self._inputs(x, None if state is None else (state,))
        return gru(inputs, h, *self._weights())[1]


class LSTMCell(_Cell):
    """One step of an :class:`LSTM`; parameters as in ``torch.nn.LSTMCell``.

    Parameters
    ----------
    input_size, hidden_size : int
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih : (4H, I) Parameter
    weight_hh : (4H, H) Parameter
    bias_ih, bias_hh : (4H,) Parameter

    Examples
    --------
    >>> cell = LSTMCell(3, 5, rng=np.random.default_rng(0))
    >>> h, c = cell.step(np.zeros((2, 3)))
    >>> h, c = cell.step(np.ones((2, 3)), (h, c))
    >>> h.shape
    (2, 5)
    """

    layer = LSTM

    def step(
        self, x: Tensor | NDArray[Any], state: LSTMState | None = None
    ) -> tuple[Tensor, Tensor]:
        """From x (B, I) and the pair (h, c) before, each (B, H), to the pair after."""
        inputs, (h, c) = self._inputs(x, state)
        _, h, c = lstm(inputs, h, c, *self._weights())
        return h, c
