"""Applying merges that were learnt: from the single symbols of a word to its tokens.

**The plain algorithm.** Apply the merges in the order in which they were learnt. With a character
for each symbol, as in ``_learn_merges.py``, a merge is ``str.replace``:

>>> merges = {"es": "A", "At": "B", "lo": "C", "Cw": "D"}  # first learnt, first applied
>>> word = "lowest"
>>> for pair, new in merges.items():
...     word = word.replace(pair, new)
...     print(word)
lowAt
lowB
CwB
DB

The word is two tokens now: ``D``, which is "low", and ``B``, which is "est".

**Only the pairs of the word.** That tries all merges, thousands of them, on each word. A word has
few pairs, so it is faster to look up the *rank* of each, which is the number of its merge, and to
merge the pair of the lowest rank, until no pair has one:

>>> from itertools import pairwise
>>> ranks = {pair: rank for rank, pair in enumerate(merges)}
>>> new_symbols = list(merges.values())
>>> word = "lowest"
>>> while True:
...     found = {a + b for a, b in pairwise(word)} & ranks.keys()
...     if not found:
...         break
...     pair = min(found, key=lambda pair: ranks[pair])
...     word = word.replace(pair, new_symbols[ranks[pair]])
>>> word
'DB'

**Long words.** That reads the whole word again for each merge, so a word of n symbols takes up to
n² steps. Words are short, but a page without a space is one "word" of thousands of symbols. So
`apply_merges` changes two things, and then takes about n log n steps.

*A linked list.* Merging "lo" must not move all symbols behind it. The symbols stay in their places,
and each knows the places of its neighbours. This is how "lowe" is kept, with letters for the ids.
The places 0 and 5 are borders without a symbol, so that every symbol has two neighbours:

    place       0   1   2   3   4   5
    ids         .   l   o   w   e   .
    left_of         0   1   2   3   4
    right_of    1   2   3   4   5

Merging "lo" into C writes C where the l was, and takes the place of the o out of the list:

    place       0   1   2   3   4   5
    ids         .   C   .   w   e   .
    left_of         0       1   3   4
    right_of    1   3       4   5

*A heap of the possible merges* (the module `heapq`), which hands out the lowest rank first. For
"lowest" it holds rank 0 at place 4 ("es") and rank 2 at place 1 ("lo"). After each merge the two
new pairs beside it are looked up, and put in if they have a rank: when "es" has become A, that is
rank 1 at place 4 ("At"). Entries of pairs that the merge has broken are not searched for. When such
an entry comes out, its place holds another pair, and it is dropped.

`apply_merges` takes ids, which are whole numbers. ``ord`` gives the number of a character:

>>> ranks_of_ids = {(ord(a), ord(b)): rank for rank, (a, b) in enumerate(merges)}
>>> new_ids = [ord(new) for new in merges.values()]
>>> ids = apply_merges([ord(letter) for letter in "lowest"], ranks_of_ids, new_ids)
>>> "".join(map(chr, ids))
'DB'
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

#: What a place without a symbol holds. Ids begin at 0, so it is part of no pair.
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
    # The linked list that is drawn at the top of this file.
    size = len(symbols) + 2
    ids = [_NO_SYMBOL, *symbols, _NO_SYMBOL]
    left_of = array("q", range(-1, size - 1))
    right_of = array("q", range(1, size + 1))
    # A possible merge is kept as one number, rank * size + place. A place is smaller than size, so
    # `divmod` gives the two back, and the smallest number is the lowest rank and, of equal ranks,
    # the leftmost place. Numbers are compared faster than tuples (rank, place).
    waiting = [
        ranks[pair] * size + place
        for place, pair in enumerate(pairwise(symbols), start=1)
        if pair in ranks
    ]
    heapify(waiting)
    while waiting:
        rank, place = divmod(heappop(waiting), size)
        second = right_of[place]
        if ranks.get((ids[place], ids[second])) != rank:
            continue  # another merge has taken one of the two symbols
        ids[place] = new_ids[rank]
        # Take the place of the second symbol out of the list.
        ids[second] = _NO_SYMBOL
        third = right_of[second]
        right_of[place] = third
        left_of[third] = place
        # The new symbol may be merged with its left neighbour, or with its right one.
        for first in (left_of[place], place):
            found = ranks.get((ids[first], ids[right_of[first]]))
            if found is not None:
                heappush(waiting, found * size + first)
    return [index for index in ids if index != _NO_SYMBOL]
