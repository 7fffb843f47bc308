"""6.4 Batches with little padding.

Chapter 6, data.

How much of the work goes into padding? If sentences of 3 and of 50 words meet in a batch, the
short ones are padded to 50. So sentences of similar length are put together: sort them by length,
and cut the sorted list into batches. The batches, however, are then drawn in random order.
Otherwise a model would read all short sentences first and all long ones last, in every epoch.

    lengths          9  2  8  1  5           five sentences
    sorted           3  1  4  2  0           their numbers, from the shortest to the longest
    batches of two   [3, 1]  [4, 2]  [0]     the last one may be smaller
    shuffled         [0]  [3, 1]  [4, 2]     for example

Randomness is a generator that is passed in: `rng.permutation(n)` gives the numbers 0 to n - 1 in
random order.

Write `make_batches`. It returns a list of lists with the numbers of the sentences; each number
occurs once.
"""

import numpy as np


def make_batches(lengths, batch_size, rng):
    """The numbers of the sentences, batch by batch, in random order of the batches."""
    order = np.argsort(lengths, kind="stable").tolist()
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
