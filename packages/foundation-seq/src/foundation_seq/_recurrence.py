"""What the recurrent operations share: everything but the loop over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Array, Result, get_num_threads, over_parts
from numpy.typing import NDArray

from foundation_seq._steps import deal

#: ``walk_back(dy, *dstates)``: from the gradients of the outputs, (S, b, H), and of the last
#: states, (b, H), which turn into those of the first, to the gradients dz of the input
#: projections and those of the recurrent ones, one below the other as the rows of w_hh.
WalkBack: TypeAlias = Callable[..., tuple[NDArray[Any], Sequence[NDArray[Any]]]]
#: ``unroll(projected, counts, *states)``: the loop. ``states`` are (S + 1, b, H); their first
#: entries are given, the others to be filled; ``projected`` (S, b, G) may be written to.
Unroll: TypeAlias = Callable[..., WalkBack]

#: Fewer multiplications than this are done before a second thread has woken up.
THREAD_WORK = 1 << 23
#: Rows of the batch that are worth a thread.
THREAD_ROWS = 8


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
    (batch, width, features), (w_ih, w_hh) = x.shape, weights[:2]
    size = w_hh.shape[1]
    lengths = None if lengths is None else lengths.astype(np.intp)
    real = batch * width if lengths is None else lengths.sum()
    threads = min(get_num_threads(), batch // THREAD_ROWS)
    threaded = threads > 1 and real * w_hh.size > THREAD_WORK
    shares = deal(batch, width, lengths, reverse, threads if threaded else 1)

    output = shares[0].blank((batch, width, size), x.dtype)
    ends = [np.empty_like(state) for state in states]
    saved: list[Any] = [None] * len(shares)

    def forward(k: int) -> None:
        steps = shares[k]
        inputs = steps.gather(x)
        length, rows, _ = inputs.shape
        projected = _flat(inputs) @ w_ih.T
        trace = [steps.blank((length + 1, rows, size), x.dtype) for _ in states]
        for past, state in zip(trace, states, strict=True):
            past[0] = state[steps.rows]
        walk_back = unroll(projected.reshape(length, rows, len(w_ih)), steps.counts, *trace)
        steps.scatter(trace[0][1:], output)
        for end, past in zip(ends, trace, strict=True):
            end[steps.rows] = steps.last(past)
        saved[k] = inputs, trace[0], walk_back

    over_parts(forward, len(shares))

    def backward(grads: Sequence[Array], needs: Sequence[bool] | None = None) -> tuple[Array, ...]:
        if saved[0] is None:
            raise RuntimeError(f"{name}: backward can be called once; run the forward pass again")
        needs = (True,) * (5 + len(states)) if needs is None else needs
        need_ih, need_hh, need_bias = needs[-4], needs[-3], needs[-2] or needs[-1]
        dx = shares[0].blank(x.shape, x.dtype) if needs[0] else None
        starts = [np.empty_like(state) for state in states]
        dw_ih, dw_hh, db_ih, db_hh = (np.zeros(len(shares), object) for _ in range(4))

        def back(k: int) -> None:
            steps, (inputs, h, walk_back) = shares[k], saved[k]
            saved[k] = None
            dstates = [g[steps.rows].copy() for g in grads[1:]]  # they are written to
            dz, parts = walk_back(steps.gather(grads[0]), *dstates)
            for start, dstate in zip(starts, dstates, strict=True):
                start[steps.rows] = dstate
            dz, parts = _flat(dz), [_flat(part) for part in parts]
            if dx is not None:
                steps.scatter((dz @ w_ih).reshape(*inputs.shape[:2], features), dx)
            if need_ih:
                dw_ih[k] = dz.T @ _flat(inputs)
            if need_hh:
                dw_hh[k] = np.concatenate([part.T @ _flat(h[:-1]) for part in parts])
            if need_bias:
                ones = np.ones(len(dz), dz.dtype)
                db_ih[k] = ones @ dz
                db_hh[k] = np.concatenate([ones @ part for part in parts])

        over_parts(back, len(shares))
        return (
            dx,
            *starts,
            dw_ih.sum() if need_ih else None,
            dw_hh.sum() if need_hh else None,
            db_ih.sum() if need_bias else None,
            db_hh.sum() if need_bias else None,
        )

    return (output, *ends), backward


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
