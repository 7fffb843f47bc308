"""The gated recurrent unit over whole sequences.

``_forward_step`` and ``_backward_step`` are the formulas of one step; ``gru`` runs them over time.
Everything that does not depend on time (the products with all inputs, padding, threads) is the same
for all recurrent networks, and stands in ``_recurrence.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq.recurrent._gates import product_into, sigmoid
from foundation_seq.recurrent._panels import multiply, panels
from foundation_seq.recurrent._recurrence import WalkBack, check, recurrence


@operation(outputs=2)
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

    The gate z decides how much of the state stays, the gate r how much of it takes part in n, which
    could take its place. With p_t = W_ih x_t + b_ih and q_t = W_hh h_{t-1} + b_hh, both in three
    parts::

        r = σ(p_r + q_r)    z = σ(p_z + q_z)    n = tanh(p_n + r q_n)
        h_t = (1 - z) n + z h_{t-1}

    and backward, where dh_t arrives from the output and from step t + 1::

        dp_n = dh_t (1 - z) (1 - n²)
        dq_n = dp_n r
        dp_r = dq_r = dp_n q_n r (1 - r)
        dp_z = dq_z = dh_t (h_{t-1} - n) z (1 - z)
        dh_{t-1} = dh_t z + W_hhᵀ dq_t
        dW_hh = Σ_t dq_t h_{t-1}ᵀ

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
        How many steps of each row are real. What stands behind them may be anything.
    reverse : bool
        Read each row backwards, from its last real step to its first. The errors are those of
        :func:`foundation_seq.functional.rnn`.

    Returns
    -------
    output : (B, T, H) tensor
        h_t of each step; zero behind the end of a row.
    h_n : (B, H) tensor
        The state after the step of each row that was read last; of a row of length 0, the first.

    References
    ----------
    .. [1] K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for
       Statistical Machine Translation", EMNLP 2014.

    Examples
    --------
    The same in plain NumPy, one step after the other:

    >>> def sigmoid(z):
    ...     return 1 / (1 + np.exp(-z))
    >>> def plain_gru(x, h, w_ih, w_hh, b_ih, b_hh):
    ...     outputs = []
    ...     for x_t in x.swapaxes(0, 1):  # (B, I)
    ...         p_r, p_z, p_n = np.split(x_t @ w_ih.T + b_ih, 3, axis=1)  # (B, H) each
    ...         q_r, q_z, q_n = np.split(h @ w_hh.T + b_hh, 3, axis=1)
    ...         r = sigmoid(p_r + q_r)
    ...         z = sigmoid(p_z + q_z)
    ...         n = np.tanh(p_n + r * q_n)
    ...         h = (1 - z) * n + z * h
    ...         outputs.append(h)
    ...     return np.stack(outputs, axis=1), h
    >>> rng = np.random.default_rng(0)
    >>> shapes = [(2, 7, 3), (2, 5), (15, 3), (15, 5), (15,), (15,)]
    >>> arrays = [rng.standard_normal(shape) for shape in shapes]
    >>> for result, plain in zip(gru(*arrays), plain_gru(*arrays), strict=True):
    ...     np.testing.assert_allclose(result.data, plain)
    """
    lengths = check("gru", 3, x, {"h0": h0}, w_ih, w_hh, b_ih, b_hh, lengths)
    size = w_hh.shape[1]
    # Columns of p and q.
    r_and_z = slice(2 * size)
    of_n = slice(2 * size, 3 * size)
    bias = b_ih + b_hh

    def unroll(projected: Array, counts: list[int], h: Array) -> WalkBack:
        """The loop over S steps of b rows; see the one of ``lstm``."""
        length, rows, _ = projected.shape
        # The 3H numbers of a step and a row stay in the same memory, which has three names:
        #
        #     projected[t]   (b, 3H)     W_ih x_t, a row after the other
        #     gates[t]       (3, b, H)   from the forward of step t on: r, z, n
        #     dp[t]          (b, 3H)     from the backward of step t on: the gradient of p_t
        gates = projected.reshape(length, 3, rows, size)
        q_n = np.zeros((length, rows, size), x.dtype)  # kept for dp_r; dq_n takes its place
        w = panels(w_hh.T, rows, length)
        work = np.empty((rows, 3 * size), x.dtype)
        for t, k in enumerate(counts):  # the first k rows have a step t
            products = multiply(h[t, :k], w, out=work[:k])
            np.add(products[:, of_n], b_hh[of_n], out=q_n[t, :k])
            # p_r + q_r and p_z + q_z, but of n p_n alone: there r stands between p and q.
            sums = products
            sums[:, r_and_z] += projected[t, :k, r_and_z]
            sums[:, r_and_z] += bias[r_and_z]
            np.add(projected[t, :k, of_n], b_ih[of_n], out=sums[:, of_n])
            _forward_step(sums, q_n[t, :k], h[t, :k], gates[t, :, :k], h[t + 1, :k])

        def walk_back(dy: Array, dh_all: Array) -> tuple[Array, list[Array]]:
            """From the last step to the first; see the one of ``lstm``."""
            w = panels(w_hh, rows, length)
            slopes = np.empty((3, rows, size), x.dtype)
            work = np.empty((2, rows, size), x.dtype)
            dp = projected
            dq_n = q_n
            for t, k in reversed(list(enumerate(counts))):
                dh = dh_all[:k]
                dh += dy[t, :k]
                dp_r, dp_z, dp_n, dh_direct = _backward_step(
                    dh, gates[t, :, :k], q_n[t, :k], h[t, :k], slopes[:, :k], work[:, :k]
                )
                # dh_{t-1} = dh_t z + W_hhᵀ dq_t
                dq = np.concatenate((dp_r, dp_z, dq_n[t, :k]), axis=1, out=dp[t, :k])
                multiply(dq, w, out=dh)
                dh += dh_direct
                # dp_t is dq_t but for the part of n.
                dp[t, :k, of_n] = dp_n
                dp[t, k:] = 0
            # The gradient of W_ih x_t, then that of W_hh h_{t-1} in two arrays. `recurrence` makes
            # the gradients of x, weights and biases of them.
            return dp, [dp[..., r_and_z], dq_n]

        return walk_back

    return recurrence("gru", unroll, x, (h0,), (w_ih, w_hh, b_ih, b_hh), lengths, reverse)


def _forward_step(
    sums: NDArray[Any],
    q_n: NDArray[Any],
    h: NDArray[Any],
    gates: NDArray[Any],
    new_h: NDArray[Any],
) -> None:
    """From p_r + q_r, p_z + q_z and p_n, (b, 3H), and h_{t-1} to the gates (3, b, H) and h_t."""
    sums = sums.reshape(len(sums), 3, -1).swapaxes(0, 1)  # (3, b, H)
    r, z, n = gates
    # r = σ(p_r + q_r) and z = σ(p_z + q_z)
    sigmoid(sums[:2], out=gates[:2])
    # n = tanh(p_n + r q_n)
    np.multiply(r, q_n, out=n)
    n += sums[2]
    np.tanh(n, out=n)
    # h_t = (1 - z) n + z h_{t-1} = z (h_{t-1} - n) + n
    np.subtract(h, n, out=new_h)
    new_h *= z
    new_h += n


def _backward_step(
    dh: NDArray[Any],
    gates: NDArray[Any],
    q_n: NDArray[Any],
    h: NDArray[Any],
    slopes: NDArray[Any],
    work: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """From dh_t (b, H) to dp_r, dp_z, dp_n and the part of dh_{t-1} that comes by way of z.

    In ``q_n``, q_n becomes dq_n.
    """
    r, z, n = gates
    # r (1 - r), z (1 - z), 1 - n²; each gradient below is computed in the memory of its slope.
    slope_r, slope_z, slope_n = _slopes(gates, out=slopes)
    # dp_n = dh_t (1 - z) (1 - n²), where dh_t (1 - z) = dh_t - dh_t z
    dh_direct = np.multiply(dh, z, out=work[0])
    dn = np.subtract(dh, dh_direct, out=work[1])
    dp_n = product_into(slope_n, dn)
    # dp_z = dh_t (h_{t-1} - n) z (1 - z)
    difference = np.subtract(h, n, out=work[1])
    dp_z = product_into(slope_z, dh, difference)
    # dp_r = dp_n q_n r (1 - r)
    dp_r = product_into(slope_r, dp_n, q_n)
    # dq_n = dp_n r, in the memory of q_n
    np.multiply(dp_n, r, out=q_n)
    return dp_r, dp_z, dp_n, dh_direct


def _slopes(gates: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """The derivative of each gate: σ (1 - σ) = σ - σ² for r and z, 1 - n² for n."""
    squares = np.multiply(gates, gates, out=out)
    np.subtract(gates[:2], squares[:2], out=out[:2])  # r and z
    np.subtract(1, squares[2], out=out[2])  # n
    return out


def gru_step(
    x: NDArray[Any],
    h: NDArray[Any],
    w_ih: NDArray[Any],
    w_hh: NDArray[Any],
    b_ih: NDArray[Any],
    b_hh: NDArray[Any],
) -> tuple[NDArray[Any]]:
    """One step on plain arrays: from x (B, I) and h_{t-1} (B, H) to h_t."""
    size = h.shape[1]
    p = x @ w_ih.T
    p += b_ih
    q = h @ w_hh.T
    q += b_hh
    sums = p  # of n p_n alone
    sums[:, : 2 * size] += q[:, : 2 * size]
    gates = np.empty((3, *h.shape), p.dtype)
    new_h = np.empty(h.shape, p.dtype)
    _forward_step(sums, q[:, 2 * size :], h, gates, new_h)
    return (new_h,)
