"""The long short-term memory over whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq._steps import Steps


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
    lengths = _check(x, h0, c0, w_ih, w_hh, b_ih, b_hh, lengths)
    (batch, width, _), size = x.shape, h0.shape[1]
    steps = Steps(batch, width, lengths, reverse)
    i, f, g, o = (slice(k * size, (k + 1) * size) for k in range(4))
    i_and_f = slice(0, 2 * size)

    packed = x[steps.index]  # (N, I)
    gates = packed @ w_ih.T  # (N, 4H)
    gates += b_ih + b_hh
    h = np.empty((batch + len(gates), size), x.dtype)  # the initial states, then one for each line
    c = np.empty_like(h)
    h[:batch], c[:batch] = h0[steps.order], c0[steps.order]
    wide, narrow = np.empty((batch, 4 * size), x.dtype), np.empty((batch, size), x.dtype)
    for rows, before, after in steps.blocks:
        a, n = gates[rows], rows.stop - rows.start
        a += np.matmul(h[before], w_hh.T, out=wide[:n])
        # σ(z) = (1 + tanh(z/2)) / 2: one tanh serves all four gates.
        a_if, a_o = a[:, i_and_f], a[:, o]
        a_if *= 0.5
        a_o *= 0.5
        np.tanh(a, out=a)
        a_if *= 0.5
        a_o *= 0.5
        a_if += 0.5
        a_o += 0.5
        np.multiply(a[:, f], c[before], out=c[after])
        c[after] += np.multiply(a[:, i], a[:, g], out=narrow[:n])
        tanh_c = np.tanh(c[after], out=narrow[:n])
        np.multiply(a_o, tanh_c, out=h[after])

    output = np.zeros((batch, width, size), x.dtype)
    output[steps.index] = h[batch:]
    h_n, c_n = np.empty_like(h0), np.empty_like(c0)
    h_n[steps.order], c_n[steps.order] = h[steps.last], c[steps.last]

    def backward(
        grads: tuple[Array, Array, Array], needs: tuple[bool, ...] = (True,) * 7
    ) -> tuple[Array, ...]:
        nonlocal gates
        if gates is None:
            raise RuntimeError("lstm: backward can be called once; run the forward pass again")
        # The gradients dz take the place of the gates: half the memory, and none that is new.
        dz, gates = gates, None
        dy = grads[0].reshape(batch * width, size)
        lines = steps.index[0] * width + steps.index[1]
        dh_all, dc_all = grads[1][steps.order], grads[2][steps.order]  # (B, H)
        slopes = np.empty((batch, 4 * size), x.dtype)
        tanhs, parts = np.empty((2, batch, size), x.dtype)
        for rows, before, after in reversed(steps.blocks):
            a, n = dz[rows], rows.stop - rows.start
            dh, dc, slope, tanh_c, part = (s[:n] for s in (dh_all, dc_all, slopes, tanhs, parts))
            np.tanh(c[after], out=tanh_c)
            dh += np.take(dy, lines[rows], axis=0, out=part, mode="clip")
            np.multiply(h[after], tanh_c, out=part)
            np.subtract(a[:, o], part, out=part)  # o (1 - tanh² c), since h = o tanh c
            part *= dh
            dc += part
            np.multiply(a, a, out=slope)
            np.subtract(a[:, i_and_f], slope[:, i_and_f], out=slope[:, i_and_f])
            np.subtract(1, slope[:, g], out=slope[:, g])
            np.subtract(a[:, o], slope[:, o], out=slope[:, o])
            # Each gate is overwritten when nobody needs it any more.
            np.multiply(dc, a[:, i], out=part)
            np.multiply(dc, a[:, g], out=a[:, i])
            a[:, g] = part
            np.multiply(dc, a[:, f], out=part)
            np.multiply(dc, c[before], out=a[:, f])
            dc[...] = part
            np.multiply(dh, tanh_c, out=a[:, o])
            a *= slope
            np.matmul(a, w_hh, out=dh)
        dx = dh0 = dc0 = dw_ih = dw_hh = db = None
        if needs[0]:
            dx = np.zeros_like(x)
            dx[steps.index] = dz @ w_ih
        if needs[1] or needs[2]:
            dh0, dc0 = np.empty_like(h0), np.empty_like(c0)
            dh0[steps.order], dc0[steps.order] = dh_all, dc_all
        if needs[3]:
            dw_ih = dz.T @ packed
        if needs[4]:
            dw_hh = dz.T @ h[steps.previous]
        if needs[5] or needs[6]:
            db = np.ones(len(dz), x.dtype) @ dz
        return dx, dh0, dc0, dw_ih, dw_hh, db, db

    return (output, h_n, c_n), backward


def _check(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    lengths: Any,
) -> NDArray[np.integer[Any]] | None:
    if w_ih.ndim != 2 or w_hh.ndim != 2 or x.ndim != 3 or x.shape[2] != w_ih.shape[1]:
        raise ValueError(
            f"lstm: expected x of shape (B, T, I={w_ih.shape[-1]}), got {x.shape}; "
            "the batch comes first"
        )
    batch, size = x.shape[0], w_hh.shape[1]
    for name, array, shape in (
        ("w_ih", w_ih, (4 * size, w_ih.shape[1])),
        ("w_hh", w_hh, (4 * size, size)),
        ("b_ih", b_ih, (4 * size,)),
        ("b_hh", b_hh, (4 * size,)),
        ("h0", h0, (batch, size)),
        ("c0", c0, (batch, size)),
    ):
        if array.shape != shape:
            raise ValueError(f"lstm: expected {name} of shape {shape}, got {array.shape}")
    if lengths is None:
        return None
    given: NDArray[Any] = np.asarray(lengths)
    if given.dtype.kind not in "iu":
        raise TypeError(f"lstm: expected integer lengths, got {given.dtype}")
    if given.shape != (batch,):
        raise ValueError(f"lstm: expected lengths of shape (B={batch},), got {given.shape}")
    if batch and (given.min() < 0 or given.max() > x.shape[1]):
        raise ValueError(
            f"lstm: expected lengths from 0 to T={x.shape[1]}, got {given.min()} to {given.max()}"
        )
    return given
