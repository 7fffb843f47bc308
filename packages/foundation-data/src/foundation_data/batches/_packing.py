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
    row_of_piece = np.empty(len(sizes), dtype=np.int64)
    rows_with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    # An integer as a set of numbers: bit r is set if there is a row with room for r. Its lowest bit
    # from `size` on is found without looking at each room.
    rooms = 0
    num_rows = 0
    for piece in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[piece])
        fitting = rooms >> size
        if fitting:
            lowest_bit = fitting & -fitting
            room = size + lowest_bit.bit_length() - 1
            row = rows_with_room[room].pop()
            if not rows_with_room[room]:
                rooms ^= 1 << room
        else:
            room = capacity
            row = num_rows
            num_rows += 1
        row_of_piece[piece] = row
        room_left = room - size
        if room_left:
            rows_with_room[room_left].append(row)
            rooms |= 1 << room_left
    return row_of_piece
