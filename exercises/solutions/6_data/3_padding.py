"""6.3 Padding and its mask.

Chapter 6, data.

How do sentences of different lengths fit into one array? The shorter ones are filled up to the
longest with a special id, and a mask says which positions are real:

    sentences        ids             mask
    7 8 9            7 8 9           True True True
    5                5 0 0           True False False

In this library True always means "is real". The mask follows from the lengths of the sentences.
It must not be guessed from the ids: nobody promises that the id of padding never occurs in a
text.

Shapes: sentences is a list of B lists of ids; ids (B, T) is an integer array and mask (B, T) a
boolean one, with T the length of the longest.

Write `pad`, which returns ids and mask.
"""

import numpy as np


def pad(sentences, pad_id):
    """The ids as a rectangle, and which of them are real."""
    longest = max(len(sentence) for sentence in sentences)
    ids = np.full((len(sentences), longest), pad_id)
    mask = np.zeros((len(sentences), longest), dtype=bool)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence
        mask[row, : len(sentence)] = True
    return ids, mask
