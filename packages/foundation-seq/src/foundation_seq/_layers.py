"""Recurrent layers: stacks of whole-sequence operations, in one or both directions."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init
from foundation_nn import functional as F
from numpy.typing import ArrayLike, NDArray

from foundation_seq._lstm import lstm

#: Hidden and cell state of all layers, each (num_layers * directions, B, H).
LSTMState: TypeAlias = tuple[Tensor | NDArray[Any], Tensor | NDArray[Any]]


class LSTM(Module):
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
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if value < 1:
                raise ValueError(f"LSTM: expected {name} >= 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"LSTM: expected 0 <= dropout < 1, got {dropout}")
        if dropout and num_layers == 1:
            raise ValueError(
                f"LSTM: dropout={dropout} acts between layers, and there is only one; "
                "apply foundation_nn.Dropout to the output"
            )
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        rng = init.generator(rng)
        gates, bound = 4 * hidden_size, 1 / math.sqrt(hidden_size)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self.directions
            for name in self._names(layer):
                b_ih = init.uniform(rng, (gates,), bound)
                b_hh = init.uniform(rng, (gates,), bound)
                forget = slice(hidden_size, 2 * hidden_size)
                b_ih[forget], b_hh[forget] = 1, 0
                w_ih = init.uniform(rng, (gates, width), bound)
                w_hh = init.uniform(rng, (gates, hidden_size), bound)
                setattr(self, f"weight_ih_{name}", Parameter(w_ih))
                setattr(self, f"weight_hh_{name}", Parameter(w_hh))
                setattr(self, f"bias_ih_{name}", Parameter(b_ih))
                setattr(self, f"bias_hh_{name}", Parameter(b_hh))

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

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
            After the last real step of each row; for the backward direction, after its first.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or the lengths are no integers from 0 to T.
        """
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ValueError(
                f"LSTM: expected x of shape (B, T, input_size={self.input_size}), got {x.shape}"
            )
        h0, c0 = self._start(len(x)) if state is None else self._checked(state, len(x))
        lengths = None if lengths is None else np.asarray(lengths)
        output: Any = x
        last_h: list[Tensor] = []
        last_c: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer:
                output = F.dropout(output, self.dropout)
            parts = []
            for name in self._names(layer):
                k, reverse = len(last_h), name.endswith("_reverse")
                y, h, c = lstm(output, h0[k], c0[k], *self._weights(name), lengths, reverse)
                parts.append(y)
                last_h.append(h)
                last_c.append(c)
            output = F.concat(parts, axis=-1) if self.bidirectional else parts[0]
        return output, (F.stack(last_h), F.stack(last_c))

    def _names(self, layer: int) -> tuple[str, ...]:
        """PyTorch's endings of the parameter names, one for each direction."""
        return (f"l{layer}", f"l{layer}_reverse")[: self.directions]

    def _weights(self, name: str) -> tuple[Parameter, Parameter, Parameter, Parameter]:
        return (
            getattr(self, f"weight_ih_{name}"),
            getattr(self, f"weight_hh_{name}"),
            getattr(self, f"bias_ih_{name}"),
            getattr(self, f"bias_hh_{name}"),
        )

    def _state_shape(self, batch: int) -> tuple[int, int, int]:
        return self.num_layers * self.directions, batch, self.hidden_size

    def _start(self, batch: int) -> LSTMState:
        zeros = np.zeros(self._state_shape(batch), next(self.parameters()).dtype)
        return zeros, zeros

    def _checked(self, state: Any, batch: int) -> LSTMState:
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise TypeError(
                f"LSTM: expected state to be the pair (h, c), got {type(state).__name__}"
            )
        shape = self._state_shape(batch)
        for name, array in zip(("h", "c"), state, strict=True):
            if array.shape != shape:
                raise ValueError(
                    f"LSTM: expected {name} of the state to have shape (num_layers * directions, "
                    f"B, H) = {shape}, got {array.shape}"
                )
        return state[0], state[1]
