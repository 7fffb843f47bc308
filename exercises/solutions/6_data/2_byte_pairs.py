"""6.2 Byte pairs, by hand.

Chapter 6, data.

What about words that nobody has seen? Byte-pair encoding begins with single characters, and
merges the two neighbours that stand together most often into a new piece, again and again.
Frequent words become one piece, rare ones several, and nothing is unknown.

    low low lowest        l·o stands together 3 times, o·w 3 times, w·e once, ...
    merge l·o             lo·w  lo·w  lo·w·e·s·t

The words come with their counts: `{("l", "o", "w"): 2, ("l", "o", "w", "e", "s", "t"): 1}`. A
pair counts as often as all the words it stands in together. Of pairs that are equally frequent,
the one that comes first in the alphabet is taken.

Write two functions. `commonest_pair` returns the pair that is merged next. `merge` takes the
pieces of one word and a pair, and returns the pieces with every occurrence of the pair merged,
from left to right: a·a·a with the pair (a, a) becomes aa·a.
"""

from collections import Counter
from itertools import pairwise


def commonest_pair(words):
    """The pair of neighbours that is most frequent in all words together."""
    counts = Counter()
    for pieces, count in words.items():
        for pair in pairwise(pieces):
            counts[pair] += count
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge(pieces, pair):
    """The pieces of a word, with the pair merged wherever it occurs."""
    merged = []
    place = 0
    while place < len(pieces):
        if tuple(pieces[place : place + 2]) == pair:
            merged.append(pieces[place] + pieces[place + 1])
            place += 2
        else:
            merged.append(pieces[place])
            place += 1
    return tuple(merged)
