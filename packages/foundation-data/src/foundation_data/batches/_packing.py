"""Filling rows of one length with pieces of many."""

from __future__ import annotations

import numpy as np

from foundation_data._arrays import IntArray


def pack(sizes: IntArray, capacity: int) -> IntArray:
    """Return the row of each piece, (pieces,) int64, so that few rows hold them all.

    Best fit, longest first: each piece goes to the fullest row that has room for it.

    Parameters
    ----------
    sizes : (pieces,) int64
        From 1 to `capacity`.
    capacity : int
        How much fits in a row.

    Examples
    --------
    >>> pack(np.array([3, 6, 5, 2, 4]), capacity=10)
    array([1, 0, 1, 1, 0])
    """
    rows = np.empty(len(sizes), dtype=np.int64)
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    nonempty = 0  # bit r: there is a row with room r
    count = 0
    for piece in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[piece])
        fitting = nonempty >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1  # the lowest bit that is set
            row = with_room[room].pop()
            if not with_room[room]:
                nonempty ^= 1 << room
        else:
            room, row = capacity, count
            count += 1
        rows[piece] = row
        left = room - size
        if left:
            with_room[left].append(row)
            nonempty |= 1 << left
    return rows
