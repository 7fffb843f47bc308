"""What happens within a recurrent network, step by step: for pictures and lessons."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Tensor, no_grad
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_seq.recurrent._layers import LSTM
from foundation_seq.recurrent._lstm import lstm as run_lstm

#: The gates of an LSTM in the order of its weights.
_GATES = ("input gate", "forget gate", "candidate", "output gate")


def lstm_gates(lstm: LSTM, x: Tensor | NDArray[Any]) -> dict[str, NDArray[Any]]:
    """How far the gates of the first layer are open at each step.

    Parameters
    ----------
    lstm : LSTM
    x : (1, T, I) tensor
        One sequence.

    Returns
    -------
    dict of str to (T, H) array
        "input gate", "forget gate" and "output gate", from 0 to 1.

    Raises
    ------
    ValueError
        If x is not one sequence, or the first layer is bidirectional.

    Examples
    --------
    >>> from foundation_seq import LSTM
    >>> gates = lstm_gates(LSTM(3, 5), np.zeros((1, 7, 3), np.float32))
    >>> gates["forget gate"].shape
    (7, 5)
    """
    if x.ndim != 3 or x.shape[0] != 1:
        raise ValueError(f"lstm_gates: expected x of shape (1, T, I), got {x.shape}")
    if lstm.bidirectional:
        raise ValueError("lstm_gates: expected an LSTM that reads in one direction")
    w_ih, w_hh, b_ih, b_hh = lstm.weights("l0")
    with no_grad():
        start = np.zeros((1, lstm.hidden_size), w_hh.dtype)
        output, _, _ = run_lstm(x, start, start, w_ih, w_hh, b_ih, b_hh)
        h_before = F.concat([Tensor(start), output[0, :-1]])  # (T, H)
        z = F.linear(x[0], w_ih, b_ih) + F.linear(h_before, w_hh, b_hh)
        parts = np.split(F.sigmoid(z).data, 4, axis=1)
    return {name: part for name, part in zip(_GATES, parts, strict=True) if name.endswith("gate")}


def state_gradients(layer: Any, x: NDArray[Any]) -> NDArray[Any]:
    """‖∂L/∂h_t‖ at each step, where L is the sum of the last output.

    That is how much the last output depends on each state before it. The parameters of the layer
    and their gradients are left as they are.

    Parameters
    ----------
    layer : RNN, GRU or LSTM
        Of one layer and direction.
    x : (B, T, I) array

    Returns
    -------
    (T,) array
        The mean over the batch. Of an LSTM, the gradient by way of all later cells and states, with
        c_t held constant.

    Raises
    ------
    ValueError
        If the layer is a stack, or bidirectional.

    Examples
    --------
    >>> from foundation_seq import RNN
    >>> norms = state_gradients(RNN(3, 5), np.zeros((2, 7, 3), np.float32))
    >>> norms.shape, round(float(norms[-1]), 3)  # the last step: ‖(1, 1, 1, 1, 1)‖
    ((7,), 2.236)
    """
    if layer.num_layers > 1 or layer.bidirectional:
        raise ValueError("state_gradients: expected a single layer in one direction")
    is_lstm = isinstance(layer, LSTM)
    shape = (1, len(x), layer.hidden_size)
    zeros: list[Tensor] = []
    state: Any = None
    for t in range(x.shape[1]):
        _, state = layer(Tensor.wrap(x[:, t : t + 1]), state=state)
        # A zero that is added to h_t receives the whole gradient of h_t.
        zero = Tensor(np.zeros(shape, x.dtype), requires_grad=True)
        zeros.append(zero)
        state = (state[0] + zero, state[1]) if is_lstm else state + zero
    last_h = state[0] if is_lstm else state
    grads_before = [None if p.grad is None else p.grad.copy() for p in layer.parameters()]
    last_h.sum().backward()
    for parameter, grad in zip(layer.parameters(), grads_before, strict=True):
        parameter.grad = grad
    grads = np.stack([np.asarray(zero.grad)[0] for zero in zeros])  # (T, B, H)
    return np.asarray(np.linalg.norm(grads, axis=-1).mean(axis=1))
