"""The long short-term memory over whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
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
    (batch, width, features), size = x.shape, h0.shape[1]
    steps = Steps(batch, width, lengths, reverse)
    longest = len(steps.counts)  # S

    # Within a step the batch comes last: W hᵀ is the faster product, and each gate is one block.
    inputs = np.zeros((longest, batch, features), x.dtype)
    inputs[steps.work] = x[steps.source]
    projected = w_ih @ inputs.swapaxes(1, 2)  # (S, 4H, B)
    gates: Any = projected.reshape(longest, 4, size, batch)
    bias = (b_ih + b_hh).reshape(4, size, 1)
    h = np.zeros((longest + 1, batch, size), x.dtype)  # the initial state, then one per step
    c = np.empty((longest + 1, size, batch), x.dtype)
    h[0], c[0] = h0[steps.order], c0[steps.order].T
    wide, narrow = np.empty((4 * size, batch), x.dtype), np.empty((size, batch), x.dtype)
    for t, n in enumerate(steps.counts):
        a = gates[t, :, :, :n]
        i, f, g, o = a
        a += np.matmul(w_hh, h[t, :n].T, out=wide[:, :n]).reshape(4, size, n)
        a += bias
        # σ(z) = (1 + tanh(z/2)) / 2: one tanh serves all four gates.
        a[:2] *= 0.5
        o *= 0.5
        np.tanh(a, out=a)
        a[:2] *= 0.5
        o *= 0.5
        a[:2] += 0.5
        o += 0.5
        new = np.multiply(f, c[t, :, :n], out=c[t + 1, :, :n])
        new += np.multiply(i, g, out=narrow[:, :n])
        tanh_c = np.tanh(new, out=narrow[:, :n])
        np.multiply(o, tanh_c, out=h[t + 1, :n].T)

    output = np.zeros((batch, width, size), x.dtype)
    output[steps.source] = h[1:][steps.work]
    h_n, c_n = np.empty_like(h0), np.empty_like(c0)
    h_n[steps.order] = h[steps.lengths, np.arange(batch)]
    c_n[steps.order] = c[steps.lengths, :, np.arange(batch)]

    def backward(grads: Sequence[Array], needs: Sequence[bool] = (True,) * 7) -> tuple[Array, ...]:
        nonlocal gates
        if gates is None:
            raise RuntimeError("lstm: backward can be called once; run the forward pass again")
        # The gradients dz take the place of the gates: half the memory, and none that is new.
        saved, gates = gates, None
        dz = saved.reshape(longest, batch, 4 * size)
        dy = grads[0].reshape(batch * width, size)
        dh_all, dc_all = (np.array(grad[steps.order].T, order="C") for grad in grads[1:])  # (H, B)
        slopes, tanhs = np.empty((4, size, batch), x.dtype), np.empty((size, batch), x.dtype)
        parts, arrived = np.empty_like(tanhs), np.empty((batch, size), x.dtype)
        for t, n in reversed(list(enumerate(steps.counts))):
            a, d = saved[t, :, :, :n], slopes[:, :, :n]
            i, f, g, o = a
            dh, dc, tanh_c, part = (w[:, :n] for w in (dh_all, dc_all, tanhs, parts))
            dh += np.take(dy, steps.lines[t, :n], axis=0, out=arrived[:n], mode="clip").T
            np.tanh(c[t + 1, :, :n], out=tanh_c)
            # What c_t receives by way of h_t.
            np.multiply(tanh_c, tanh_c, out=part)
            np.subtract(1, part, out=part)
            part *= o
            part *= dh
            dc += part
            # d starts as the slopes of the gates, σ - σ² and 1 - g².
            np.multiply(a, a, out=d)
            np.subtract(a[:2], d[:2], out=d[:2])
            np.subtract(1, d[2], out=d[2])
            np.subtract(o, d[3], out=d[3])
            d[0] *= g
            d[1] *= c[t, :, :n]
            d[2] *= i
            d[3] *= tanh_c
            d[:3] *= dc
            d[3] *= dh
            dc *= f
            dz_t = d.reshape(4 * size, n)
            np.matmul(w_hh.T, dz_t, out=dh)
            dz[t, :n] = dz_t.T
            dz[t, n:] = 0
        dz = dz.reshape(longest * batch, 4 * size)
        dx = dh0 = dc0 = dw_ih = dw_hh = db = None
        if needs[0]:
            dx = np.zeros_like(x)
            dx[steps.source] = (dz @ w_ih).reshape(inputs.shape)[steps.work]
        if needs[1] or needs[2]:
            dh0, dc0 = np.empty_like(h0), np.empty_like(c0)
            dh0[steps.order], dc0[steps.order] = dh_all.T, dc_all.T
        if needs[3]:
            dw_ih = dz.T @ inputs.reshape(len(dz), features)
        if needs[4]:
            dw_hh = dz.T @ h[:-1].reshape(len(dz), size)
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
