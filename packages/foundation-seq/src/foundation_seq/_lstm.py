"""The long short-term memory over whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq._panels import multiply, panels
from foundation_seq._recurrence import WalkBack, check, recurrence


@operation(outputs=3, selective=True)
def lstm(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    lengths: NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
) -> Result:
    """Run an LSTM [1]_ with forget gate [2]_ over sequences.

    With z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh in four parts, and σ' = σ (1 - σ)::

        i = σ(z_i)   f = σ(z_f)   g = tanh(z_g)   o = σ(z_o)
        c_t = f c_{t-1} + i g                     h_t = o tanh(c_t)

    and backward, where dh_t is what arrives from the output and from step t + 1::

        dc_t += dh_t o (1 - tanh² c_t)            dc_{t-1} = dc_t f
        dz_i = dc_t g σ'(z_i)                     dz_g = dc_t i (1 - g²)
        dz_f = dc_t c_{t-1} σ'(z_f)               dz_o = dh_t tanh(c_t) σ'(z_o)
        dh_{t-1} = W_hhᵀ dz_t                     dW_hh = Σ_t dz_t h_{t-1}ᵀ

    Parameters
    ----------
    x : (B, T, I) tensor
    h0, c0 : (B, H) tensor
        The state before the first step.
    w_ih : (4H, I) tensor
    w_hh : (4H, H) tensor
    b_ih, b_hh : (4H,) tensor
        Layout and order of the gates, i f g o, are PyTorch's.
    lengths : (B,) integer array, optional
        How many steps of each row are real, 0 to T. What stands behind them has no influence.
    reverse : bool
        Read each row from its last real step to its first.

    Returns
    -------
    output : (B, T, H) tensor
        h_t; exactly zero beyond the length of a row.
    h_n, c_n : (B, H) tensor
        The state after the step of each row that was read last; of a row of length 0, the initial
        one.

    Raises
    ------
    TypeError
        If the lengths are not integers.
    ValueError
        If shapes do not fit, or a length lies outside [0, T].

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997.
    .. [2] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget: Continual Prediction
       with LSTM", Neural Computation 12, 2000.
    """
    lengths = check("lstm", 4, x, {"h0": h0, "c0": c0}, w_ih, w_hh, b_ih, b_hh, lengths)
    size, bias, squash = w_hh.shape[1], b_ih + b_hh, _SQUASH.astype(x.dtype)

    def unroll(a: Array, counts: list[int], h: Array, c: Array) -> WalkBack:
        length, rows, _ = a.shape
        # The gates take the place of what they are computed from, each in one block.
        gates = a.reshape(length, 4, rows, size)
        w = panels(w_hh.T, rows, length)
        z_all, part_all = np.empty((rows, 4 * size), x.dtype), np.empty((rows, size), x.dtype)
        for t, k in enumerate(counts):
            z = multiply(h[t, :k], w, out=z_all[:k])
            z += a[t, :k]
            z += bias
            new = h[t + 1, :k], c[t + 1, :k]
            _advance(z, squash, c[t, :k], gates[t, :, :k], part_all[:k], *new)

        def walk_back(dy: Array, dh_all: Array, dc_all: Array) -> tuple[Array, list[Array]]:
            w = panels(w_hh, rows, length)
            slopes, parts = (np.empty((m, rows, size), x.dtype) for m in (4, 2))
            for t, k in reversed(list(enumerate(counts))):
                gate, d = gates[t, :, :k], slopes[:, :k]
                (i, f, g, o), (tanh_c, part) = gate, parts[:, :k]
                dh, dc = dh_all[:k], dc_all[:k]
                dh += dy[t, :k]
                np.tanh(c[t + 1, :k], out=tanh_c)
                # What c_t receives by way of h_t.
                np.multiply(tanh_c, tanh_c, out=part)
                np.subtract(1, part, out=part)
                part *= o
                part *= dh
                dc += part
                # d starts as the slopes of the gates, σ - σ² and 1 - g².
                np.multiply(gate, gate, out=d)
                np.subtract(gate[:2], d[:2], out=d[:2])
                np.subtract(1, d[2], out=d[2])
                np.subtract(o, d[3], out=d[3])
                d[0] *= g
                d[1] *= c[t, :k]
                d[2] *= i
                d[3] *= tanh_c
                d[:3] *= dc
                d[3] *= dh
                dc *= f
                dz = a[t]  # where the gates were: half the memory, and none that is new
                dz[:k].reshape(k, 4, size)[...] = d.swapaxes(0, 1)
                dz[k:] = 0
                multiply(dz[:k], w, out=dh)
            return a, [a]

        return walk_back

    weights = w_ih, w_hh, b_ih, b_hh
    return recurrence("lstm", unroll, x, (h0, c0), weights, lengths, reverse)


def lstm_step(
    x: NDArray[Any],
    h: NDArray[Any],
    c: NDArray[Any],
    w_ih: NDArray[Any],
    w_hh: NDArray[Any],
    b_ih: NDArray[Any],
    b_hh: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """One step on plain arrays: from x (B, I) and the state before, (B, H), to h_t and c_t."""
    z = x @ w_ih.T
    z += h @ w_hh.T
    z += b_ih + b_hh
    gate, (part, *new) = np.empty((4, *c.shape), z.dtype), np.empty((3, *c.shape), z.dtype)
    _advance(z, _SQUASH.astype(z.dtype), c, gate, part, *new)
    return new[0], new[1]


#: σ(z) = (1 + tanh(z / 2)) / 2, so that one tanh serves i, f, g and o: their scales and shifts.
_SQUASH = np.array([[0.5, 0.5, 1, 0.5], [0.5, 0.5, 0, 0.5]])[..., None, None]


def _advance(
    z: NDArray[Any],
    squash: NDArray[Any],
    c: NDArray[Any],
    gate: NDArray[Any],
    part: NDArray[Any],
    new_h: NDArray[Any],
    new_c: NDArray[Any],
) -> None:
    """From z_t (b, 4H), which is used up, to the gates (4, b, H) and the new state (b, H)."""
    scale, shift = squash
    z = z.reshape(len(z), 4, -1).swapaxes(0, 1)  # (4, b, H)
    z *= scale
    np.tanh(z, out=gate)
    gate *= scale
    gate += shift
    i, f, g, o = gate
    np.multiply(f, c, out=new_c)
    new_c += np.multiply(i, g, out=part)
    np.tanh(new_c, out=part)
    np.multiply(o, part, out=new_h)
