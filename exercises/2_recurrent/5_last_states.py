"""2.5 The last state of each sentence.

Chapter 2, recurrent networks.

What has a network read when it has read a whole sentence? Its last state. But sentences in a
batch have different lengths, and the shorter ones are padded. For those, the last column of the
states holds what the network made of padding. The state that counts is the one behind the last
real step:

    last[b] = states[b, lengths[b] - 1]

Shapes: states (B, T, H), lengths (B,) of integers from 1 to T; the result is (B, H).

Write `last_states` without a loop. An index that consists of two arrays of the same length,
`states[rows, columns]`, picks one pair of row and column after the other.
"""

import numpy as np


def last_states(states, lengths):
    """The state behind the last real step of each row."""
    raise NotImplementedError("your turn: index with the row numbers and the last steps")
