"""Weights of Keras layers under PyTorch's names and in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Where our gates stand in a Keras kernel. Its LSTM has i f c o, which are our i f g o; its GRU has
#: z r h, which are our z r n, and we write r z n.
_ORDER = {"rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}


def from_keras(
    kind: str, weights: Sequence[ArrayLike], name: str = "l0"
) -> dict[str, NDArray[Any]]:
    """The part of a ``state_dict`` that stands for one Keras layer.

    Keras multiplies from the right: its kernels are (I, G·H) and (H, G·H), and ours are their
    transposes. The gates of an LSTM stand in the same order in both, i f g o; Keras calls them
    i f c o. Those of a GRU do not: Keras has z r h, which are our z r n, and they are put into our
    order, r z n.

    Keras has one bias where we have two, so the second becomes zero. Its GRU has both, as (2, 3H),
    if ``reset_after=True``, the default. With ``reset_after=False`` it is another network, whose
    reset gate acts before the product; it is refused.

    Parameters
    ----------
    kind : "rnn", "lstm" or "gru"
        ``SimpleRNN``, ``LSTM`` or ``GRU`` in Keras.
    weights : kernel, recurrent kernel, bias
        What ``layer.get_weights()`` gives.
    name : str
        Ending of the parameter names, such as ``"l1"`` or ``"l0_reverse"``.

    Raises
    ------
    ValueError
        If the kind is unknown or the shapes do not fit.

    Examples
    --------
    >>> from foundation_seq import LSTM, from_keras
    >>> kernels = np.zeros((3, 20)), np.zeros((5, 20)), np.zeros(20)
    >>> LSTM(3, 5).load_state_dict(from_keras("lstm", kernels))
    """
    if kind not in _ORDER:
        raise ValueError(f'from_keras: expected kind "rnn", "lstm" or "gru", got {kind!r}')
    if len(weights) != 3:
        raise ValueError(
            f"from_keras: expected kernel, recurrent kernel and bias, got {len(weights)} arrays"
        )
    kernel, recurrent, bias = (np.asarray(w) for w in weights)
    order = _ORDER[kind]
    size = recurrent.shape[0]
    width = len(order) * size
    bias_shape = (2, width) if kind == "gru" else (width,)
    if kernel.shape[1:] != (width,) or recurrent.shape != (size, width) or bias.shape != bias_shape:
        raise ValueError(
            f"from_keras: expected shapes (I, {width}), ({size}, {width}) and {bias_shape} of a "
            f"{kind}, got {kernel.shape}, {recurrent.shape} and {bias.shape}"
            + ("; a GRU must have reset_after=True" if kind == "gru" else "")
        )
    b_ih, b_hh = bias if kind == "gru" else (bias, np.zeros_like(bias))

    def reordered(w: NDArray[Any]) -> NDArray[Any]:
        """Keras's columns, gate by gate, as our rows, in our order of the gates."""
        gates = np.split(w.T, len(order))
        return np.concatenate([gates[k] for k in order])

    arrays = {"weight_ih": kernel, "weight_hh": recurrent, "bias_ih": b_ih, "bias_hh": b_hh}
    return {f"{part}_{name}": reordered(w) for part, w in arrays.items()}
