"""The long short-term memory over whole sequences.

``_forward_step`` and ``_backward_step`` are the formulas of one step; ``lstm`` runs them over time.
Everything that does not depend on time (the products with all inputs, padding, threads) is the same
for all recurrent networks, and stands in ``_recurrence.py``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from foundation_nn import Array, Result, operation
from numpy.typing import NDArray

from foundation_seq.recurrent._gates import product_into, tanh_slope
from foundation_seq.recurrent._panels import multiply, panels
from foundation_seq.recurrent._recurrence import WalkBack, check, recurrence


@operation(outputs=3)
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

    The cell c is what is remembered for long. Gates, numbers between 0 and 1, decide what is
    written into it (i), what stays in it (f) and what is shown of it (o); g is what could be
    written. With z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh in four parts::

        i = σ(z_i)    f = σ(z_f)    g = tanh(z_g)    o = σ(z_o)
        c_t = f c_{t-1} + i g
        h_t = o tanh(c_t)

    and backward, where dh_t and dc_t arrive from step t + 1, dh_t from the output too::

        dc_t += dh_t o (1 - tanh² c_t)
        dz_i = dc_t g i (1 - i)
        dz_f = dc_t c_{t-1} f (1 - f)
        dz_g = dc_t i (1 - g²)
        dz_o = dh_t tanh(c_t) o (1 - o)
        dc_{t-1} = dc_t f
        dh_{t-1} = W_hhᵀ dz_t
        dW_hh = Σ_t dz_t h_{t-1}ᵀ

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
        How many steps of each row are real. What stands behind them may be anything.
    reverse : bool
        Read each row backwards, from its last real step to its first. The errors are those of
        :func:`foundation_seq.functional.rnn`.

    Returns
    -------
    output : (B, T, H) tensor
        h_t of each step; zero behind the end of a row.
    h_n, c_n : (B, H) tensor
        The state after the step of each row that was read last; of a row of length 0, the first.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997.
    .. [2] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget: Continual Prediction
       with LSTM", Neural Computation 12, 2000.

    Examples
    --------
    The same in plain NumPy, one step after the other:

    >>> def sigmoid(z):
    ...     return 1 / (1 + np.exp(-z))
    >>> def plain_lstm(x, h, c, w_ih, w_hh, b_ih, b_hh):
    ...     outputs = []
    ...     for x_t in x.swapaxes(0, 1):  # (B, I)
    ...         z = x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh  # (B, 4H)
    ...         z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
    ...         c = sigmoid(z_f) * c + sigmoid(z_i) * np.tanh(z_g)
    ...         h = sigmoid(z_o) * np.tanh(c)
    ...         outputs.append(h)
    ...     return np.stack(outputs, axis=1), h, c
    >>> rng = np.random.default_rng(0)
    >>> shapes = [(2, 7, 3), (2, 5), (2, 5), (20, 3), (20, 5), (20,), (20,)]
    >>> arrays = [rng.standard_normal(shape) for shape in shapes]
    >>> for result, plain in zip(lstm(*arrays), plain_lstm(*arrays), strict=True):
    ...     np.testing.assert_allclose(result.data, plain)
    """
    lengths = check("lstm", 4, x, {"h0": h0, "c0": c0}, w_ih, w_hh, b_ih, b_hh, lengths)
    size = w_hh.shape[1]
    bias = b_ih + b_hh

    def unroll(projected: Array, counts: list[int], h: Array, c: Array) -> WalkBack:
        """The loop over S steps of b rows; ``recurrence`` calls it.

        ``projected`` (S, b, 4H) holds W_ih x_t. ``h`` and ``c`` (S + 1, b, H) begin with h_0 and
        c_0; the steps after that are computed here. Rows are sorted, the longest first: the first
        ``counts[t]`` of them have a step t.
        """
        length, rows, _ = projected.shape
        # The 4H numbers of a step and a row are needed for one thing after the other. They stay in
        # the same memory, which has three names:
        #
        #     projected[t]   (b, 4H)     W_ih x_t, a row after the other
        #     gates[t]       (4, b, H)   from the forward of step t on: i, f, g, o
        #     dz[t]          (b, 4H)     from the backward of step t on: its gradient
        gates = projected.reshape(length, 4, rows, size)
        w = panels(w_hh.T, rows, length)  # W_hhᵀ, laid out so that many products with it are fast
        z = np.empty((rows, 4 * size), x.dtype)
        work = np.empty((rows, size), x.dtype)
        for t, k in enumerate(counts):
            # z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
            z_t = multiply(h[t, :k], w, out=z[:k])
            z_t += projected[t, :k]
            z_t += bias  # here, while z_t is in the cache, and not in a pass over all steps before
            _forward_step(z_t, c[t, :k], gates[t, :, :k], h[t + 1, :k], c[t + 1, :k], work[:k])

        def walk_back(dy: Array, dh_all: Array, dc_all: Array) -> tuple[Array, list[Array]]:
            """From the last step to the first.

            ``dy`` (S, b, H) is the gradient of the outputs. ``dh_all`` and ``dc_all`` (b, H) are
            those of the last state of each row, where they wait until the walk comes to its last
            step; in the end they are those of the first state.
            """
            w = panels(w_hh, rows, length)
            slopes = np.empty((4, rows, size), x.dtype)
            work = np.empty((2, rows, size), x.dtype)
            dz = projected
            for t, k in reversed(list(enumerate(counts))):
                dh = dh_all[:k]
                dh += dy[t, :k]
                parts = _backward_step(
                    dh,
                    dc_all[:k],
                    gates[t, :, :k],
                    c[t, :k],
                    c[t + 1, :k],
                    slopes[:, :k],
                    work[:, :k],
                )
                # The parts lie in ``slopes``, so that the gates of this step can be written over.
                dz_t = np.concatenate(parts, axis=1, out=dz[t, :k])
                dz[t, k:] = 0
                # dh_{t-1} = W_hhᵀ dz_t
                multiply(dz_t, w, out=dh)
            # The gradient of W_ih x_t, then that of W_hh h_{t-1}, which is the same, because z_t is
            # their sum. `recurrence` makes the gradients of x, weights and biases of them.
            return dz, [dz]

        return walk_back

    weights = w_ih, w_hh, b_ih, b_hh
    return recurrence("lstm", unroll, x, (h0, c0), weights, lengths, reverse)


def _forward_step(
    z: NDArray[Any],
    c: NDArray[Any],
    gates: NDArray[Any],
    new_h: NDArray[Any],
    new_c: NDArray[Any],
    work: NDArray[Any],
) -> None:
    """From z_t (b, 4H), which is used up, and c_{t-1} to the gates (4, b, H), h_t and c_t."""
    z = z.reshape(len(z), 4, -1).swapaxes(0, 1)  # (4, b, H)
    # i = σ(z_i), f = σ(z_f), g = tanh(z_g), o = σ(z_o) by one call of tanh, because
    # σ(z) = tanh(z / 2) / 2 + 1 / 2
    scale, shift = _scale_and_shift(z.dtype)
    z *= scale
    np.tanh(z, out=gates)
    gates *= scale
    gates += shift
    i, f, g, o = gates
    # c_t = f c_{t-1} + i g
    np.multiply(f, c, out=new_c)
    new_c += np.multiply(i, g, out=work)
    # h_t = o tanh(c_t)
    tanh_c = np.tanh(new_c, out=work)
    np.multiply(o, tanh_c, out=new_h)


@cache
def _scale_and_shift(dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each of the gates i, f, g, o is scale · tanh(scale · z) + shift, (4, 1, 1) each.

    For i, f and o, scale and shift are 1/2, which makes a σ of the tanh; for g they are 1 and 0.
    """
    scale = np.array([0.5, 0.5, 1, 0.5], dtype)
    shift = np.array([0.5, 0.5, 0, 0.5], dtype)
    return scale[:, None, None], shift[:, None, None]


def _backward_step(
    dh: NDArray[Any],
    dc: NDArray[Any],
    gates: NDArray[Any],
    c_before: NDArray[Any],
    c: NDArray[Any],
    slopes: NDArray[Any],
    work: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """From dh_t and dc_t (b, H) to dz_i, dz_f, dz_g and dz_o; in ``dc``, dc_t becomes dc_{t-1}."""
    i, f, g, o = gates
    # i (1 - i), f (1 - f), 1 - g², o (1 - o)
    slope_i, slope_f, slope_g, slope_o = _slopes(gates, out=slopes)
    # dc_t += dh_t o (1 - tanh² c_t)
    tanh_c = np.tanh(c, out=work[0])
    slope_c = tanh_slope(tanh_c, out=work[1])
    dc += product_into(slope_c, dh, o)  # in the memory of slope_c, and so on below
    # dz_i = dc_t g i (1 - i)
    dz_i = product_into(slope_i, dc, g)
    # dz_f = dc_t c_{t-1} f (1 - f)
    dz_f = product_into(slope_f, dc, c_before)
    # dz_g = dc_t i (1 - g²)
    dz_g = product_into(slope_g, dc, i)
    # dz_o = dh_t tanh(c_t) o (1 - o)
    dz_o = product_into(slope_o, dh, tanh_c)
    # dc_{t-1} = dc_t f
    dc *= f
    return dz_i, dz_f, dz_g, dz_o


def _slopes(gates: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """The derivative of each gate by its z: σ (1 - σ) = σ - σ² for i, f and o, 1 - g² for g."""
    squares = np.multiply(gates, gates, out=out)
    np.subtract(gates[:2], squares[:2], out=out[:2])  # i and f
    np.subtract(1, squares[2], out=out[2])  # g
    np.subtract(gates[3], squares[3], out=out[3])  # o
    return out


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
    gates = np.empty((4, *c.shape), z.dtype)
    new_h, new_c, work = np.empty((3, *c.shape), z.dtype)
    _forward_step(z, c, gates, new_h, new_c, work)
    return new_h, new_c
