"""Byte-pair encoding: which neighbours to merge into one token, learnt and applied (Sennrich 2016).

The definition takes a few lines. To learn, count all pairs of neighbours, merge the commonest pair
everywhere, and begin again. To encode a word, apply the merges in the order they were learnt in:

>>> from collections import Counter
>>> def merge(symbols, pair):
...     merged = []
...     for symbol in symbols:
...         if merged and (merged[-1], symbol) == pair:
...             merged[-1] += symbol
...         else:
...             merged.append(symbol)
...     return merged
>>> def plain_learn(words, num_merges):
...     symbols_of = {word: list(word) for word in words}
...     merges = []
...     for _ in range(num_merges):
...         counts = Counter()
...         for word, symbols in symbols_of.items():
...             for pair in pairwise(symbols):
...                 counts[pair] += words[word]
...         commonest = min(counts, key=lambda pair: (-counts[pair], pair))
...         merges.append(commonest)
...         symbols_of = {word: merge(symbols, commonest) for word, symbols in symbols_of.items()}
...     return merges
>>> def plain_encode(word, merges):
...     symbols = list(word)
...     for pair in merges:
...         symbols = merge(symbols, pair)
...     return symbols
>>> words = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
>>> merges = plain_learn(words, 5)
>>> merges
[('e', 's'), ('es', 't'), ('l', 'o'), ('lo', 'w'), ('e', 'w')]
>>> plain_encode("lowest", merges)
['low', 'est']

But that reads the whole text anew for every merge, and a word anew for every merge there is. The
two functions of this file give the same results faster. `learn_merges` keeps the counts, and an
index of the words that hold each pair, so that a merge touches those words alone:

>>> names = sorted(set("".join(words)))
>>> ids = {name: index for index, name in enumerate(names)}
>>> as_ids = {"".join(chr(ids[letter]) for letter in word): n for word, n in words.items()}
>>> learnt = learn_merges(as_ids, names, 0, len(names) + 5, 1, lambda first, second: first + second)
>>> [(names[first], names[second]) for first, second in learnt] == merges
True

`apply_merges` looks only at pairs that stand in the word, and takes the earliest-learnt first:

>>> table = {pair: (rank, len(ids) + rank) for rank, pair in enumerate(learnt)}
>>> [names[index] for index in apply_merges([ids[letter] for letter in "lowest"], table)]
['low', 'est']
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

#: Two ids that become one.
Merge = tuple[int, int]
#: For a pair of ids its rank, which is when it was learnt, and the id that it becomes.
MergeTable = Mapping[Merge, tuple[int, int]]


def apply_merges(symbols: Sequence[int], table: MergeTable) -> list[int]:
    """Merge neighbours until no pair of the table is left.

    The pair of the lowest rank is merged first, and of equal ones the leftmost.

    Symbols know their neighbours, as in a linked list, and the possible merges wait in a heap. So
    the work grows about as the word does, and not as its square: a page without a space is no
    trouble.

    Parameters
    ----------
    symbols : sequence of int
        The ids of the single symbols of a word.
    table : mapping
        Rank and result of each pair.

    Returns
    -------
    list of int
        The ids that are left.

    Examples
    --------
    >>> apply_merges([1, 2, 1, 2, 3], {(1, 2): (0, 4), (4, 3): (1, 5)})
    [4, 5]
    """
    size = len(symbols)
    # A list linked by places. The entry behind the last symbol is a border on both sides, because
    # it is also the one at index -1: None is part of no pair.
    ids: list[Any] = [*symbols, None]  # None, too, where a symbol was merged into the one before it
    before = array("q", range(-1, size))
    after = array("q", [*range(1, size + 1), size])
    # What can be merged, as one number each: the least is the earliest-learnt and, of equals, the
    # leftmost.
    waiting = [
        table[pair][0] * size + place
        for place, pair in enumerate(pairwise(symbols))
        if pair in table
    ]
    heapify(waiting)
    while waiting:
        rank, place = divmod(heappop(waiting), size)
        right = after[place]
        found = table.get((ids[place], ids[right]))
        if found is None or found[0] != rank:
            continue  # one of the two was merged with its other neighbour since
        ids[place] = found[1]
        ids[right] = None
        after[place] = after[right]
        before[after[place]] = place
        # The new symbol may be merged with either of its neighbours.
        for new_place in (before[place], place):
            found = table.get((ids[new_place], ids[after[new_place]]))
            if found is not None:
                heappush(waiting, found[0] * size + new_place)
    return [symbol for symbol in ids if symbol is not None]


def learn_merges(
    words: Mapping[str, int],
    names: list[str],
    reserved: int,
    max_size: int | None,
    min_freq: int,
    join: Callable[[str, str], str],
) -> list[Merge]:
    """Merge the commonest pair until there are `max_size` symbols.

    Of pairs equally common, the one with the smallest first id is merged, then the one with the
    smallest second id: the outcome depends on nothing but the arguments.

    Parameters
    ----------
    words : mapping of str to int
        Distinct words, each a string of its symbols as characters ``chr(id)``, and how often each
        appears.
    names : list of str
        The symbol of each id; new symbols are appended.
    reserved : int
        How many of `names`, the first ones, are special tokens: no merge makes one of them.
    max_size : int, optional
        How many symbols there may be.
    min_freq : int
        Stop when no pair appears so often.
    join : callable
        The name of the symbol that two symbols make. Two merges that make the same name share an
        id.

    Returns
    -------
    list of (int, int)
        The pairs of ids, in the order in which they were merged.

    References
    ----------
    Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
    """
    pairs = _PairIndex(words)
    ids = {name: index for index, name in enumerate(names)}
    merges: dict[Merge, None] = {}  # an ordered set: where names are shared, a pair may come again
    while max_size is None or len(names) < max_size:
        pair = pairs.pop_commonest(max(min_freq, 1))
        if pair is None:
            break
        first, second = map(ord, pair)
        name = join(names[first], names[second])
        if ids.get(name, reserved) < reserved:
            continue
        if name not in ids:
            ids[name] = len(names)
            names.append(name)
        merges[first, second] = None
        pairs.merge(pair, chr(ids[name]))
    return list(merges)


class _PairIndex:
    """The pairs of neighbours in some words: how common each is, and which words hold it.

    A word is a string of characters ``chr(id)``, and a pair is a string of two of them. Searching
    and merging then run at the speed of `str.split` and `str.join`.
    """

    def __init__(self, words: Mapping[str, int]) -> None:
        self.words = list(words)
        self.word_counts = list(words.values())
        self.counts: defaultdict[str, int] = defaultdict(int)  # of each pair
        self.holders: defaultdict[str, set[int]] = defaultdict(set)  # numbers of words
        for number, word in enumerate(self.words):
            for first, second in pairwise(word):
                self.counts[first + second] += self.word_counts[number]
                self.holders[first + second].add(number)
        # The commonest pair comes first, and of equals the one whose ids are smallest, because
        # strings compare by code point. Counts in the heap may be old: see `pop_commonest`.
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapify(self.heap)

    def pop_commonest(self, min_count: int) -> str | None:
        """Take out the commonest pair; None if no pair is so common."""
        while self.heap:
            negative_count, pair = heappop(self.heap)
            count = self.counts.get(pair, 0)
            if count < min_count:
                continue
            if count == -negative_count:
                return pair
            heappush(self.heap, (-count, pair))  # it has become rarer since it was put there
        return None

    def merge(self, pair: str, merged: str) -> None:
        """Write `merged` for every `pair` in all words, and correct the counts beside it."""
        new_pairs: set[str] = set()
        for number in self.holders.pop(pair):
            parts = self.words[number].split(pair)
            if len(parts) == 1:
                continue  # the pair was there, until one of its symbols was merged with another
            self.words[number] = merged.join(parts)
            for old, new in _changed_pairs(parts, pair, merged):
                self.counts[old] -= self.word_counts[number]
                self.counts[new] += self.word_counts[number]
                self.holders[new].add(number)
                new_pairs.add(new)
        del self.counts[pair]
        for new in new_pairs:
            heappush(self.heap, (-self.counts[new], new))


def _changed_pairs(parts: Sequence[str], pair: str, merged: str) -> list[tuple[str, str]]:
    """The pairs beside every place where `pair` became `merged`, as they were and as they are.

    `parts` is the word without the pair: each boundary between two of them is such a place.

    Examples
    --------
    >>> _changed_pairs("aXYXYb".split("XY"), "XY", "Z")  # aXYXYb becomes aZZb
    [('aX', 'aZ'), ('YX', 'ZZ'), ('Yb', 'Zb')]
    """
    first = pair[0]
    second = pair[1]
    changed: list[tuple[str, str]] = []
    left_before, left_now = "", ""  # the symbol on the left of a place
    for left, right in pairwise(parts):
        if left:
            left_before = left_now = left[-1]
        if left_before:
            changed.append((left_before + first, left_now + merged))
        if right:
            changed.append((second + right[0], merged + right[0]))
        left_before, left_now = second, merged
    return changed
