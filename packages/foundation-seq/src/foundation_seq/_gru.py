"""The gated recurrent unit over whole sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq._panels import multiply, panels
from foundation_seq._recurrence import WalkBack, check, recurrence


@operation(outputs=2, selective=True)
def gru(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    lengths: NDArray[np.integer[Any]] | None = None,
    reverse: bool = False,
) -> Result:
    """Run a GRU [1]_ over sequences, in the form of PyTorch and cuDNN.

    With p_t = W_ih x_t + b_ih and q_t = W_hh h_{t-1} + b_hh, both in three parts, and
    σ' = σ (1 - σ)::

        r = σ(p_r + q_r)    z = σ(p_z + q_z)    n = tanh(p_n + r q_n)
        h_t = (1 - z) n + z h_{t-1}

    and backward, where dh_t is what arrives from the output and from step t + 1::

        dp_n = dh_t (1 - z) (1 - n²)            dq_n = dp_n r
        dp_r = dq_r = dp_n q_n σ'(r)            dp_z = dq_z = dh_t (h_{t-1} - n) σ'(z)
        dh_{t-1} = dh_t z + W_hhᵀ dq_t          dW_hh = Σ_t dq_t h_{t-1}ᵀ

    In [1]_ the reset gate r acts on h_{t-1}, before the product with W_hh; here, on what comes out
    of it.

    Parameters
    ----------
    x : (B, T, I) tensor
    h0 : (B, H) tensor
        The state before the first step.
    w_ih : (3H, I) tensor
    w_hh : (3H, H) tensor
    b_ih, b_hh : (3H,) tensor
        Layout and order of the parts, r z n, are PyTorch's.
    lengths : (B,) integer array, optional
        How many steps of each row are real, 0 to T. What stands behind them has no influence.
    reverse : bool
        Read each row from its last real step to its first.

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
        If shapes do not fit, or a length lies outside [0, T].

    References
    ----------
    .. [1] K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation", EMNLP 2014.
    """
    lengths = check("gru", 3, x, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, lengths)
    size = w_hh.shape[1]

    def unroll(a: Array, counts: list[int], h: Array) -> WalkBack:
        length, rows, _ = a.shape
        # The gates take the place of what they are computed from, each in one block.
        gates = a.reshape(length, 3, rows, size)
        q_n = np.zeros((length, rows, size), x.dtype)
        w = panels(w_hh.T, rows, length)
        work = np.empty((rows, 3 * size), x.dtype)
        for t, k in enumerate(counts):
            q = multiply(h[t, :k], w, out=work[:k])
            q += b_hh
            q_n[t, :k] = q[:, 2 * size :]
            q[:, 2 * size :] = b_ih[2 * size :]
            q[:, : 2 * size] += b_ih[: 2 * size]
            q += a[t, :k]
            _advance(q, q_n[t, :k], h[t, :k], gates[t, :, :k], h[t + 1, :k])

        def walk_back(dy: Array, dh_all: Array) -> tuple[Array, list[Array]]:
            w = panels(w_hh, rows, length)
            slopes, parts = (np.empty((m, rows, size), x.dtype) for m in (3, 2))
            for t, k in reversed(list(enumerate(counts))):
                (r, z, n), d, dh = gates[t, :, :k], slopes[:, :k], dh_all[:k]
                straight, part = parts[:, :k]
                dh += dy[t, :k]
                np.multiply(dh, z, out=straight)
                # d starts as the slopes of the gates, σ - σ² and 1 - n².
                np.multiply(gates[t, :, :k], gates[t, :, :k], out=d)
                np.subtract(gates[t, :2, :k], d[:2], out=d[:2])
                np.subtract(1, d[2], out=d[2])
                d[1] *= np.multiply(dh, np.subtract(h[t, :k], n, out=part), out=part)
                d[2] *= np.subtract(dh, straight, out=part)
                d[0] *= np.multiply(d[2], q_n[t, :k], out=part)
                np.multiply(d[2], r, out=q_n[t, :k])
                # dq goes through the product, then dp stays where the gates were.
                dp = a[t].reshape(rows, 3, size)
                dp[:k, :2] = d[:2].swapaxes(0, 1)
                dp[:k, 2] = q_n[t, :k]
                multiply(a[t, :k], w, out=dh)
                dh += straight
                dp[:k, 2] = d[2]
                dp[k:] = 0
            return a, [a[..., : 2 * size], q_n]

        return walk_back

    return recurrence("gru", unroll, x, (h0,), (w_ih, w_hh, b_ih, b_hh), lengths, reverse)


def gru_step(
    x: NDArray[Any],
    h: NDArray[Any],
    w_ih: NDArray[Any],
    w_hh: NDArray[Any],
    b_ih: NDArray[Any],
    b_hh: NDArray[Any],
) -> tuple[NDArray[Any]]:
    """One step on plain arrays: from x (B, I) and h_{t-1} (B, H) to h_t."""
    two = 2 * h.shape[1]
    p, q = x @ w_ih.T, h @ w_hh.T
    p += b_ih
    q += b_hh
    p[:, :two] += q[:, :two]
    gate, new = np.empty((3, *h.shape), p.dtype), np.empty(h.shape, p.dtype)
    _advance(p, q[:, two:], h, gate, new)
    return (new,)


def _advance(
    pre: NDArray[Any],
    q_n: NDArray[Any],
    h: NDArray[Any],
    gate: NDArray[Any],
    new: NDArray[Any],
) -> None:
    """From p_r + q_r, p_z + q_z and p_n, side by side in ``pre`` (b, 3H), to r, z, n and h_t."""
    pre = pre.reshape(len(pre), 3, -1).swapaxes(0, 1)  # (3, b, H)
    rz, (r, z, n) = gate[:2], gate
    # σ(z) = (1 + tanh(z / 2)) / 2
    np.multiply(pre[:2], 0.5, out=rz)
    np.tanh(rz, out=rz)
    rz *= 0.5
    rz += 0.5
    np.multiply(r, q_n, out=n)
    n += pre[2]
    np.tanh(n, out=n)
    np.subtract(h, n, out=new)
    new *= z
    new += n
