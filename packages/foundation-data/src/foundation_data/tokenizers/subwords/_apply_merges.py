"""Applying merges fast: the ids that `encode` in ``_plain_bpe.py`` finds, which is read first.

`encode` tries all merges on each word, thousands of them. A word has few pairs, so it is faster to
look up the *rank* of each, which is the number of its merge, and to merge the pair with the lowest
rank, until no pair has one. With the ranks ``es`` 0, ``At`` 1, ``lo`` 2 and ``Cw`` 3, where A, B, C
and D stand for the new ids:

    lowest      lo has rank 2, es has rank 0    merge es into A
    lowAt       lo has rank 2, At has rank 1    merge At into B
    lowB        lo has rank 2                   merge lo into C
    CwB         Cw has rank 3                   merge Cw into D
    DB          no pair has a rank              the tokens "low" and "est"

Words are short, but a page without a space is one "word" of n symbols. To read all of it for each
merge takes up to n² steps. `apply_merges` takes about n log n steps, in two ways:

**A linked list.** A merge must not move all symbols behind it. The symbols stay in their places,
and each knows the places of its neighbours. This is "lowe", with letters for the ids. The places 0
and 5 are borders without a symbol, so that every symbol has two neighbours:

    place       0   1   2   3   4   5
    ids         .   l   o   w   e   .
    left_of         0   1   2   3   4
    right_of    1   2   3   4   5

Merging "lo" writes C where the l was, and takes the place of the o out of the list:

    place       0   1   2   3   4   5
    ids         .   C   .   w   e   .
    left_of         0       1   3   4
    right_of    1   3       4   5

**A heap of possible merges** (the module `heapq`), which hands out the lowest rank. For "lowest" it
holds rank 0 at place 4 (es) and rank 2 at place 1 (lo). After each merge, the pair on the left of
the new symbol and the one on its right are looked up, and put into the heap if they have a rank.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

#: What stands in a place without a symbol. Ids begin at 0, so no pair with it has a rank.
_NO_SYMBOL = -1


def apply_merges(
    symbols: Sequence[int], ranks: Mapping[tuple[int, int], int], new_ids: Sequence[int]
) -> list[int]:
    """Merge neighbours until no pair has a rank.

    The pair of the lowest rank is merged first, and of equal ones the leftmost.

    Parameters
    ----------
    symbols : sequence of int
        The ids of the single symbols of a word.
    ranks : mapping of (int, int) to int
        For each pair of ids that is merged, the number of its merge.
    new_ids : sequence of int
        For each merge, the id that its pair becomes.

    Returns
    -------
    list of int
        The ids that are left.

    Examples
    --------
    >>> apply_merges([1, 2, 1, 2, 3], ranks={(1, 2): 0, (4, 3): 1}, new_ids=[4, 5])
    [4, 5]
    """
    size = len(symbols) + 2  # with the two borders
    ids = [_NO_SYMBOL, *symbols, _NO_SYMBOL]
    # An array of whole numbers, which is faster than a list where a word is long.
    left_of = array("q", range(-1, size - 1))
    right_of = array("q", range(1, size + 1))

    # An entry of the heap is one number, rank * size + place, because Python compares numbers
    # faster than tuples (rank, place). The smallest is the lowest rank and, of equal ranks, the
    # leftmost place. A place is smaller than size, so `divmod` gives rank and place back.
    heap: list[int] = []
    for left, pair in enumerate(pairwise(symbols), start=1):
        if pair in ranks:
            heap.append(ranks[pair] * size + left)
    heapify(heap)

    while heap:
        rank, left = divmod(heappop(heap), size)
        right = right_of[left]
        # If another merge has taken one of the two symbols, then another pair stands here, or none.
        if ranks.get((ids[left], ids[right])) != rank:
            continue
        ids[left] = new_ids[rank]
        ids[right] = _NO_SYMBOL
        # Take the place on the right out of the list.
        after = right_of[right]
        right_of[left] = after
        left_of[after] = left
        # The new symbol has a new pair with each of its neighbours.
        before = left_of[left]
        rank_before = ranks.get((ids[before], ids[left]))
        if rank_before is not None:
            heappush(heap, rank_before * size + before)
        rank_after = ranks.get((ids[left], ids[after]))
        if rank_after is not None:
            heappush(heap, rank_after * size + left)
    return [symbol for symbol in ids if symbol != _NO_SYMBOL]
