"""What the recurrent operations share: everything but the loop over time.

The loop is a function ``unroll`` of each operation. It reads the projected inputs W_ih x_t of all
steps, which are one matrix product, and fills in the states; it returns ``walk_back``, which goes
from the last step to the first. From what that finds, the gradients of inputs, weights and biases
are again single products over all steps.

Between the two, the inputs and the states of all steps are held, and what ``unroll`` has put in the
place of the projected inputs: the gates, if there are any. ``walk_back`` writes the gradients of a
step over the gates of this step, so that nothing is allocated for them. That is why there is one
way back only; what a share of the rows holds is freed when its way back is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from foundation_nn import Array, Result, column_sum, get_num_threads, over_parts, product
from numpy.typing import NDArray

from foundation_seq.recurrent._steps import share_rows

#: ``walk_back(dy, *dstates)`` takes the gradients of the outputs, (S, b, H), and of the last
#: states, (b, H), which it turns into those of the first. It returns the gradients of the projected
#: inputs, (S, b, G), and those of the recurrent products W_hh h_{t-1}, as one or several arrays
#: (S, b, ...) that stand side by side in the order of the rows of W_hh.
WalkBack: TypeAlias = Callable[..., tuple[NDArray[Any], Sequence[NDArray[Any]]]]
#: ``unroll(projected, counts, *states)`` is the loop. ``projected`` (S, b, G) may be written to;
#: ``counts`` tells how many rows have each step; ``states`` are (S + 1, b, H), of which the first
#: entry is given, and the others are to be filled in.
Unroll: TypeAlias = Callable[..., WalkBack]

#: Fewer multiplications than this are done before a second thread has woken up.
THREAD_WORK = 1 << 23
#: Rows of the batch that are worth a thread.
THREAD_ROWS = 8


class _Reading(NamedTuple):
    """What a share of the rows leaves behind for its backward."""

    inputs: NDArray[Any]  # (S, b, I)
    hidden: NDArray[Any]  # (S + 1, b, H)
    walk_back: WalkBack


class _Walked(NamedTuple):
    """What the way back through a share of the rows has found."""

    inputs: NDArray[Any]  # (S, b, I)
    hidden_before: NDArray[Any]  # h_{t-1} of each step, (S · b, H)
    dz: NDArray[Any]  # (S · b, G)
    recurrent_dz: Sequence[NDArray[Any]]  # (S · b, ...) each


def recurrence(
    name: str,
    unroll: Unroll,
    x: Array,
    states: Sequence[Array],
    weights: tuple[Array, Array, Array, Array],
    lengths: Any,
    reverse: bool,
) -> Result:
    """Project the inputs (without a bias), unroll over time, and go back.

    The rows of the batch are shared between threads, each with a recurrence of its own and a BLAS
    of one thread: the products of a single step are too small to share.

    Parameters
    ----------
    name : str
        Of the operation, for messages.
    unroll : callable
    x : (B, T, I) array
    states : sequence of (B, H) arrays
    weights : w_ih (G, I), w_hh (G, H), b_ih and b_hh (G,)
        As checked by :func:`check`.
    lengths : (B,) integers or None
    reverse : bool

    Returns
    -------
    result
        Of an operation with outputs (B, T, H) and one last state (B, H) for each of ``states``.
    """
    batch, width, _ = x.shape
    w_ih = weights[0]
    size = weights[1].shape[1]
    if lengths is not None:
        lengths = lengths.astype(np.intp)
    num_shares = _num_shares(batch, width, lengths, weights[1].size)
    shares = share_rows(batch, width, lengths, reverse, num_shares)

    output = shares[0].new_array((batch, width, size), x.dtype)
    last_states = [np.empty_like(state) for state in states]
    readings: list[Any] = [None] * num_shares  # a _Reading of each share

    def read(n: int) -> None:
        """The forward of share n."""
        steps = shares[n]
        inputs = steps.gather(x)
        length, rows, _ = inputs.shape
        projected = _flat(inputs) @ w_ih.T
        histories = [steps.new_array((length + 1, rows, size), x.dtype) for _ in states]
        for history, state in zip(histories, states, strict=True):
            history[0] = state[steps.rows]
        walk_back = unroll(projected.reshape(length, rows, len(w_ih)), steps.counts, *histories)
        hidden = histories[0]
        steps.scatter(hidden[1:], output)
        for last_state, history in zip(last_states, histories, strict=True):
            last_state[steps.rows] = steps.last(history)
        readings[n] = _Reading(inputs, hidden, walk_back)

    over_parts(read, num_shares)

    def backward(grads: Sequence[Array]) -> tuple[Array, ...]:
        if readings[0] is None:
            raise RuntimeError(f"{name}: backward can be called once; run the forward pass again")
        first_dstates = [np.empty_like(state) for state in states]
        walked: list[Any] = [None] * num_shares  # a _Walked of each share

        def go_back(n: int) -> None:
            """The backward of share n."""
            steps = shares[n]
            reading: _Reading = readings[n]
            readings[n] = None  # what it holds is freed when this share is done
            dstates = [g[steps.rows].copy() for g in grads[1:]]  # they are written to
            dz, recurrent_dz = reading.walk_back(steps.gather(grads[0]), *dstates)
            for first_dstate, dstate in zip(first_dstates, dstates, strict=True):
                first_dstate[steps.rows] = dstate
            walked[n] = _Walked(
                reading.inputs,
                _flat(reading.hidden[:-1]),
                _flat(dz),
                [_flat(part) for part in recurrent_dz],
            )

        over_parts(go_back, num_shares)

        def dx() -> Array:
            gradient = shares[0].new_array(x.shape, x.dtype)

            def of_share(n: int) -> None:
                share: _Walked = walked[n]
                dinputs = share.dz @ w_ih
                shares[n].scatter(dinputs.reshape(share.inputs.shape), gradient)

            over_parts(of_share, num_shares)
            return gradient

        def dw_ih() -> Array:
            return sum(product(share.dz.T, _flat(share.inputs)) for share in walked)

        def dw_hh() -> Array:
            return sum(
                np.concatenate([product(dz.T, share.hidden_before) for dz in share.recurrent_dz])
                for share in walked
            )

        def db_ih() -> Array:
            return sum(column_sum(share.dz) for share in walked)

        def db_hh() -> Array:
            return sum(
                np.concatenate([column_sum(dz) for dz in share.recurrent_dz]) for share in walked
            )

        return dx, *first_dstates, dw_ih, dw_hh, db_ih, db_hh

    return (output, *last_states), backward


def _num_shares(batch: int, width: int, lengths: NDArray[np.intp] | None, weight_size: int) -> int:
    """How many threads are worth waking up."""
    real_steps = batch * width if lengths is None else int(lengths.sum())
    if real_steps * weight_size <= THREAD_WORK:
        return 1
    return max(1, min(get_num_threads(), batch // THREAD_ROWS))


def _flat(a: NDArray[Any]) -> NDArray[Any]:
    """(S, b, F) as (S * b, F)."""
    return a.reshape(a.shape[0] * a.shape[1], a.shape[2])


def check(
    name: str,
    gates: int,
    x: Array,
    states: dict[str, Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Array,
    b_hh: Array,
    lengths: Any,
) -> NDArray[np.integer[Any]] | None:
    """The lengths as an array, if they and all shapes fit."""
    if w_ih.ndim != 2 or w_hh.ndim != 2 or x.ndim != 3 or x.shape[2] != w_ih.shape[1]:
        raise ValueError(
            f"{name}: expected x of shape (B, T, I={w_ih.shape[-1]}), got {x.shape}; "
            "the batch comes first"
        )
    batch, size = x.shape[0], w_hh.shape[1]
    expected = {
        "w_ih": (w_ih, (gates * size, w_ih.shape[1])),
        "w_hh": (w_hh, (gates * size, size)),
        "b_ih": (b_ih, (gates * size,)),
        "b_hh": (b_hh, (gates * size,)),
    } | {key: (state, (batch, size)) for key, state in states.items()}
    for key, (array, shape) in expected.items():
        if array.shape != shape:
            raise ValueError(f"{name}: expected {key} of shape {shape}, got {array.shape}")
    if lengths is None:
        return None
    given: NDArray[Any] = np.asarray(lengths)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer lengths, got {given.dtype}")
    if given.shape != (batch,):
        raise ValueError(f"{name}: expected lengths of shape (B={batch},), got {given.shape}")
    if batch and (given.min() < 0 or given.max() > x.shape[1]):
        raise ValueError(
            f"{name}: expected lengths from 0 to T={x.shape[1]}, got {given.min()} to {given.max()}"
        )
    return given
