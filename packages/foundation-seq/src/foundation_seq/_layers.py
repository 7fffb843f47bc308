"""Recurrent layers: stacks of whole-sequence operations, in one or both directions."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Tensor
from numpy.typing import ArrayLike, NDArray

from foundation_seq._gru import gru, gru_step
from foundation_seq._lstm import lstm, lstm_step
from foundation_seq._rnn import rnn, rnn_step
from foundation_seq._stack import Recurrent, Weights

#: The state of an RNN or a GRU: of all layers, (num_layers * directions, B, H).
HiddenState: TypeAlias = Tensor | NDArray[Any]
#: Hidden and cell state of an LSTM, each (num_layers * directions, B, H).
LSTMState: TypeAlias = tuple[Tensor | NDArray[Any], Tensor | NDArray[Any]]


class _OneState(Recurrent):
    """An RNN or a GRU: its state is one tensor."""

    def forward(
        self,
        x: Tensor | NDArray[Any],
        lengths: ArrayLike | None = None,
        state: HiddenState | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Read sequences.

        Parameters
        ----------
        x : (B, T, I) tensor
        lengths : (B,) integers, optional
            How many steps of each row are real, 0 to T, in any order. What stands behind them,
            be it NaN, has no influence.
        state : (num_layers * directions, B, H) tensor, optional
            To start from; zeros by default. To carry it from batch to batch without
            differentiating into the past, ``detach`` it.

        Returns
        -------
        output : (B, T, directions * H) tensor
            Of the last layer; exactly zero beyond the length of a row.
        state : (num_layers * directions, B, H) tensor
            After the last real step of each row; for the backward direction, after its first. Of
            a row of length 0, the one it started from.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or the lengths are no integers from 0 to T.
        """
        if isinstance(state, tuple | list):
            raise TypeError(
                f"{type(self).__name__}: expected state to be one tensor, got "
                f"{type(state).__name__}; only an LSTM has a pair"
            )
        output, (last,) = self._stack(x, lengths, None if state is None else (state,))
        return output, last


class RNN(_OneState):
    """A stack of simple recurrent layers; see :func:`foundation_seq.functional.rnn`.

    Parameter names, shapes and initial values are those of ``torch.nn.RNN``, whose ``state_dict``
    loads as it is. The batch comes first, and ``lengths`` stands for packing.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        I, H and the number of layers.
    bidirectional : bool
        Every layer reads in both directions, and the next one sees both outputs.
    dropout : float
        Between the layers, within ``train_mode`` only.
    nonlinearity : "tanh" or "relu"
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih_l0, weight_ih_l0_reverse, ... : (H, I) Parameter
        In the layers above the first, (H, directions * H).
    weight_hh_l0, ... : (H, H) Parameter
    bias_ih_l0, bias_hh_l0, ... : (H,) Parameter

    Raises
    ------
    ValueError
        If a size is less than one, ``dropout`` is not in [0, 1), there is dropout but nothing
        to drop between, or the nonlinearity is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> rnn = RNN(3, 5, num_layers=2, rng=np.random.default_rng(0))
    >>> output, h = rnn(np.zeros((2, 7, 3)), lengths=[7, 4])
    >>> output.shape, h.shape
    ((2, 7, 5), (2, 2, 5))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        *,
        nonlinearity: str = "tanh",
        rng: np.random.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNN: expected nonlinearity "tanh" or "relu", got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, num_layers, bidirectional, dropout, rng=rng)
        self.nonlinearity = nonlinearity

    def _run(
        self, x: Any, states: tuple[Any, ...], weights: Weights, lengths: Any, reverse: bool
    ) -> tuple[Tensor, ...]:
        return rnn(x, states[0], *weights, lengths, reverse, self.nonlinearity)

    def _step(
        self, x: NDArray[Any], states: list[NDArray[Any]], weights: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        return rnn_step(x, *states, *weights, nonlinearity=self.nonlinearity)


class GRU(_OneState):
    """A stack of GRU layers; see :func:`foundation_seq.functional.gru` for the formulas.

    Parameter names, shapes and initial values are those of ``torch.nn.GRU``, whose ``state_dict``
    loads as it is. The batch comes first, and ``lengths`` stands for packing.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        I, H and the number of layers.
    bidirectional : bool
        Every layer reads in both directions, and the next one sees both outputs.
    dropout : float
        Between the layers, within ``train_mode`` only.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih_l0, weight_ih_l0_reverse, ... : (3H, I) Parameter
        In the layers above the first, (3H, directions * H).
    weight_hh_l0, ... : (3H, H) Parameter
    bias_ih_l0, bias_hh_l0, ... : (3H,) Parameter

    Raises
    ------
    ValueError
        If a size is less than one, ``dropout`` is not in [0, 1), or there is dropout but nothing
        to drop between.

    Examples
    --------
    >>> import numpy as np
    >>> gru = GRU(3, 5, bidirectional=True, rng=np.random.default_rng(0))
    >>> output, h = gru(np.zeros((2, 7, 3)), lengths=[7, 4])
    >>> output.shape, h.shape
    ((2, 7, 10), (2, 2, 5))
    """

    gates = 3

    def _run(
        self, x: Any, states: tuple[Any, ...], weights: Weights, lengths: Any, reverse: bool
    ) -> tuple[Tensor, ...]:
        return gru(x, states[0], *weights, lengths, reverse)

    def _step(
        self, x: NDArray[Any], states: list[NDArray[Any]], weights: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        return gru_step(x, *states, *weights)


class LSTM(Recurrent):
    """A stack of LSTM layers; see :func:`foundation_seq.functional.lstm` for the formulas.

    Parameter names and shapes are those of ``torch.nn.LSTM``, whose ``state_dict`` loads as it
    is. Three things differ on purpose: the batch comes first, ``lengths`` stands for packing, and
    the forget gate starts with a bias of 1 (1 in ``bias_ih``, 0 in ``bias_hh``), so that a fresh
    network remembers [1]_ [2]_. The other initial values are PyTorch's, uniform on ±1/√H.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        I, H and the number of layers.
    bidirectional : bool
        Every layer reads in both directions, and the next one sees both outputs.
    dropout : float
        Between the layers, within ``train_mode`` only.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    weight_ih_l0, weight_ih_l0_reverse, ... : (4H, I) Parameter
        In the layers above the first, (4H, directions * H).
    weight_hh_l0, ... : (4H, H) Parameter
    bias_ih_l0, bias_hh_l0, ... : (4H,) Parameter

    Raises
    ------
    ValueError
        If a size is less than one, ``dropout`` is not in [0, 1), or there is dropout but nothing
        to drop between.

    References
    ----------
    .. [1] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget: Continual Prediction
       with LSTM", Neural Computation 12, 2000.
    .. [2] R. Jozefowicz, W. Zaremba and I. Sutskever, "An Empirical Exploration of Recurrent
       Network Architectures", ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> lstm = LSTM(3, 5, num_layers=2, bidirectional=True, rng=np.random.default_rng(0))
    >>> output, (h, c) = lstm(np.zeros((2, 7, 3)), lengths=[7, 4])
    >>> output.shape, h.shape, c.shape
    ((2, 7, 10), (4, 2, 5), (4, 2, 5))
    """

    gates = 4
    states = ("h", "c")

    @classmethod
    def initial(cls, rng: np.random.Generator, width: int, size: int) -> dict[str, NDArray[Any]]:
        """Fresh weights of one layer and direction: PyTorch's, but the forget gate is open."""
        weights = super().initial(rng, width, size)
        forget = np.arange(4 * size) // size == 1
        # Not in place: what a checkpoint is about to fill is not even allocated.
        opened = {"bias_ih": 1, "bias_hh": 0}
        return weights | {k: np.where(forget, v, weights[k]) for k, v in opened.items()}

    def forward(
        self,
        x: Tensor | NDArray[Any],
        lengths: ArrayLike | None = None,
        state: LSTMState | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read sequences.

        Parameters
        ----------
        x : (B, T, I) tensor
        lengths : (B,) integers, optional
            How many steps of each row are real, 0 to T, in any order. What stands behind them,
            be it NaN, has no influence.
        state : pair of (num_layers * directions, B, H) tensors, optional
            The hidden and the cell state to start from; zeros by default. To carry it from batch
            to batch without differentiating into the past, ``detach`` both.

        Returns
        -------
        output : (B, T, directions * H) tensor
            Of the last layer; exactly zero beyond the length of a row.
        state : pair of (num_layers * directions, B, H) tensors
            After the last real step of each row; for the backward direction, after its first. Of
            a row of length 0, the one it started from.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or the lengths are no integers from 0 to T.
        """
        given: Any = state
        if given is not None and (not isinstance(given, tuple | list) or len(given) != 2):
            raise TypeError(
                f"LSTM: expected state to be the pair (h, c), got {type(given).__name__}"
            )
        output, (h, c) = self._stack(x, lengths, None if given is None else tuple(given))
        return output, (h, c)

    def _run(
        self, x: Any, states: tuple[Any, ...], weights: Weights, lengths: Any, reverse: bool
    ) -> tuple[Tensor, ...]:
        return lstm(x, states[0], states[1], *weights, lengths, reverse)

    def _step(
        self, x: NDArray[Any], states: list[NDArray[Any]], weights: list[NDArray[Any]]
    ) -> tuple[NDArray[Any], ...]:
        return lstm_step(x, *states, *weights)
