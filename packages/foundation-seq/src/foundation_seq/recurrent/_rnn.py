"""The simple recurrent network over whole sequences.

The easiest of the three recurrences to read. Everything that does not depend on time (the products
with all inputs, padding, threads) is the same for all of them, and stands in ``_recurrence.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq.recurrent._gates import product_into, tanh_slope
from foundation_seq.recurrent._panels import multiply, panels
from foundation_seq.recurrent._recurrence import WalkBack, check, recurrence


@operation(outputs=2)
def rnn(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    lengths: NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> Result:
    """Run a simple recurrent network [1]_ over sequences.

    Forward, with φ = tanh or relu::

        z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        h_t = φ(z_t)

    and backward, where dh_t arrives from the output and from step t + 1::

        dz_t = dh_t φ'(z_t)
        dh_{t-1} = W_hhᵀ dz_t
        dW_hh = Σ_t dz_t h_{t-1}ᵀ

    with φ' = 1 - h_t² (tanh), or 1 where h_t > 0 and else 0 (relu). On its way back to step 0 the
    gradient is multiplied by φ' and W_hhᵀ once for each step: it vanishes or explodes [2]_.

    Parameters
    ----------
    x : (B, T, I) tensor
    h0 : (B, H) tensor
        The state before the first step.
    w_ih : (H, I) tensor
    w_hh : (H, H) tensor
    b_ih, b_hh : (H,) tensor
    lengths : (B,) integer array, optional
        How many steps of each row are real, 0 to T. What stands behind them has no influence.
    reverse : bool
        Read each row from its last real step to its first.
    nonlinearity : "tanh" or "relu"

    Returns
    -------
    output : (B, T, H) tensor
        h_t; exactly zero beyond the length of a row.
    h_n : (B, H) tensor
        The state after the step of each row that was read last; of a row of length 0, the initial
        one.

    Raises
    ------
    TypeError
        If the lengths are not integers.
    ValueError
        If shapes do not fit, a length lies outside [0, T], or the nonlinearity is unknown.

    References
    ----------
    .. [1] J. L. Elman, "Finding Structure in Time", Cognitive Science 14, 1990.
    .. [2] Y. Bengio, P. Simard and P. Frasconi, "Learning Long-Term Dependencies with Gradient
       Descent is Difficult", IEEE Transactions on Neural Networks 5, 1994.

    Examples
    --------
    The same in plain NumPy, one step after the other:

    >>> def plain_rnn(x, h, w_ih, w_hh, b_ih, b_hh):
    ...     outputs = []
    ...     for x_t in x.swapaxes(0, 1):  # (B, I)
    ...         h = np.tanh(x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh)
    ...         outputs.append(h)
    ...     return np.stack(outputs, axis=1), h
    >>> rng = np.random.default_rng(0)
    >>> shapes = [(2, 7, 3), (2, 5), (5, 3), (5, 5), (5,), (5,)]
    >>> arrays = [rng.standard_normal(shape) for shape in shapes]
    >>> for result, plain in zip(rnn(*arrays), plain_rnn(*arrays), strict=True):
    ...     np.testing.assert_allclose(result.data, plain)
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'rnn: expected nonlinearity "tanh" or "relu", got {nonlinearity!r}')
    lengths = check("rnn", 1, x, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, lengths)
    bias = b_ih + b_hh

    def unroll(projected: Array, counts: list[int], h: Array) -> WalkBack:
        length, rows, _ = projected.shape
        w = panels(w_hh.T, rows, length)
        for t, k in enumerate(counts):  # the first k rows have a step t
            # z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh, written where h_t belongs
            z = multiply(h[t, :k], w, out=h[t + 1, :k])
            z += projected[t, :k]
            z += bias
            # h_t = φ(z_t)
            _activate(z, nonlinearity)

        def walk_back(dy: Array, dh_all: Array) -> tuple[Array, list[Array]]:
            w = panels(w_hh, rows, length)
            dz = projected  # in the memory of W_ih x_t, which nobody needs any more
            for t, k in reversed(list(enumerate(counts))):
                dh = dh_all[:k]
                dh += dy[t, :k]
                # dz_t = dh_t φ'(z_t)
                slope = _slope(h[t + 1, :k], nonlinearity, out=dz[t, :k])
                dz_t = product_into(slope, dh)
                dz[t, k:] = 0
                # dh_{t-1} = W_hhᵀ dz_t
                multiply(dz_t, w, out=dh)
            # The gradients of W_ih x_t and of W_hh h_{t-1} are the same: z_t is their sum.
            return dz, [dz]

        return walk_back

    weights = w_ih, w_hh, b_ih, b_hh
    return recurrence("rnn", unroll, x, (h0,), weights, lengths, reverse)


def _activate(z: NDArray[Any], nonlinearity: str) -> None:
    """φ, in place."""
    if nonlinearity == "tanh":
        np.tanh(z, out=z)
    else:
        np.maximum(z, 0, out=z)


def _slope(h: NDArray[Any], nonlinearity: str, out: NDArray[Any]) -> NDArray[Any]:
    """φ' where φ has the value h."""
    if nonlinearity == "tanh":
        return tanh_slope(h, out=out)
    np.greater(h, 0, out=out)
    return out


def rnn_step(
    x: NDArray[Any],
    h: NDArray[Any],
    w_ih: NDArray[Any],
    w_hh: NDArray[Any],
    b_ih: NDArray[Any],
    b_hh: NDArray[Any],
    *,
    nonlinearity: str,
) -> tuple[NDArray[Any]]:
    """One step on plain arrays: from x (B, I) and h_{t-1} (B, H) to h_t."""
    z = x @ w_ih.T
    z += h @ w_hh.T
    z += b_ih + b_hh
    _activate(z, nonlinearity)
    return (z,)
