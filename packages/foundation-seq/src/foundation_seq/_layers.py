"""Recurrent layers: stacks of whole-sequence operations, in one or both directions."""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias

import numpy as np
from foundation_nn import Module, Parameter, Tensor, current_generator, init, is_recording
from foundation_nn import functional as F
from numpy.typing import ArrayLike, NDArray

from foundation_seq._gru import gru, gru_step
from foundation_seq._lstm import lstm, lstm_step
from foundation_seq._rnn import rnn, rnn_step

#: The state of an RNN or a GRU: of all layers, (num_layers * directions, B, H).
HiddenState: TypeAlias = Tensor | NDArray[Any]
#: Hidden and cell state of an LSTM, each (num_layers * directions, B, H).
LSTMState: TypeAlias = tuple[Tensor | NDArray[Any], Tensor | NDArray[Any]]

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
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if value < 1:
                raise ValueError(f"{kind}: expected {name} >= 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"{kind}: expected 0 <= dropout < 1, got {dropout}")
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
