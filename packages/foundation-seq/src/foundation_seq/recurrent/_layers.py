"""Recurrent layers: stacks of whole-sequence operations, in one or both directions."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Tensor
from numpy.typing import NDArray

from foundation_seq.recurrent._gru import gru, gru_step
from foundation_seq.recurrent._lstm import lstm, lstm_step
from foundation_seq.recurrent._rnn import rnn, rnn_step
from foundation_seq.recurrent._stack import Recurrent

#: Hidden and cell state of an LSTM, each (num_layers * directions, B, H).
LSTMState: TypeAlias = tuple[Tensor | NDArray[Any], Tensor | NDArray[Any]]


class RNN(Recurrent[Tensor]):
    """A stack of simple recurrent layers; see :func:`foundation_seq.functional.rnn`.

    Called as ``output, state = rnn(x, lengths=None, state=None)`` with x (B, T, I), the output of
    the last layer (B, T, directions * H) and the state (num_layers * directions, B, H).

    Parameter names, shapes and initial values are those of ``torch.nn.RNN``, whose ``state_dict``
    loads as it is. Two things differ on purpose: the batch comes first, and ``lengths`` stands for
    packing.

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
        Draws the initial weights.

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

    operation = staticmethod(rnn)
    one_step = staticmethod(rnn_step)
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

    def options(self) -> dict[str, Any]:
        """The nonlinearity."""
        return {"nonlinearity": self.nonlinearity}


class GRU(Recurrent[Tensor]):
    """A stack of GRU layers; see :func:`foundation_seq.functional.gru` for the formulas.

    Called as an :class:`RNN`, with the same parameters and errors, but for the nonlinearity, which
    is fixed. The weights have three parts, r z n, one below the other: 3H rows. Names, shapes and
    initial values are those of ``torch.nn.GRU``.

    Examples
    --------
    >>> import numpy as np
    >>> gru = GRU(3, 5, bidirectional=True, rng=np.random.default_rng(0))
    >>> output, h = gru(np.zeros((2, 7, 3)), lengths=[7, 4])
    >>> output.shape, h.shape
    ((2, 7, 10), (2, 2, 5))
    """

    operation = staticmethod(gru)
    one_step = staticmethod(gru_step)
    gates = 3


class LSTM(Recurrent[tuple[Tensor, Tensor]]):
    """A stack of LSTM layers; see :func:`foundation_seq.functional.lstm` for the formulas.

    Called as an :class:`RNN`, with the same parameters and errors, but for the nonlinearity, which
    is fixed, and the state, which is the pair (h, c) of hidden and cell state. The weights have
    four parts, i f g o, one below the other: 4H rows. Names and shapes are those of
    ``torch.nn.LSTM``. Its initial values are, too, uniform on ±1/√H, with one difference: the
    forget gate starts with a bias of 1 (1 in ``bias_ih``, 0 in ``bias_hh``), so that a fresh
    network remembers [1]_ [2]_.

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

    operation = staticmethod(lstm)
    one_step = staticmethod(lstm_step)
    gates = 4
    state_names = ("h", "c")

    @classmethod
    def initial(cls, rng: np.random.Generator, width: int, size: int) -> dict[str, NDArray[Any]]:
        """Fresh weights of one layer and direction: PyTorch's, but the forget gate is open."""
        weights = super().initial(rng, width, size)
        is_forget_gate = np.arange(4 * size) // size == 1  # the second of four parts
        # New arrays, because those of weights that a checkpoint will fill cannot be written to.
        weights["bias_ih"] = np.where(is_forget_gate, 1, weights["bias_ih"])
        weights["bias_hh"] = np.where(is_forget_gate, 0, weights["bias_hh"])
        return weights
