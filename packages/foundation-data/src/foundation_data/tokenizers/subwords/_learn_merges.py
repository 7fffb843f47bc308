"""Learning merges fast: the merges that `train` in ``_plain_bpe.py`` finds, which is read first.

`train` counts all pairs of all words again for each merge. A vocabulary takes thousands of merges,
and few words hold the pair that is merged. So `learn_merges` does three things otherwise:

* A word that comes seven times is kept once, with its frequency 7.
* The pairs are counted once, in a `PairIndex`. It knows which words hold a pair, so that a merge
  looks at these words alone, and changes the counts of their pairs.
* A heap hands out the commonest pair, so that nobody looks at all pairs: `PairIndex.pop_commonest`.

**A word is a string.** The id 97 is written as ``chr(97)``, which is the character "a", and ``ord``
gives the id back. Python merges in a string much faster than a loop over a list of ids could:

>>> "newest".replace("es", chr(256))  # 256 is the id of the new token
'newĀt'

Python has `MAX_SYMBOLS` characters, so there cannot be more ids than that.

An example that is used below: three words and how often each is in the text. The new tokens have
the ids of "A", "B", "C" and "D" here, because capital letters are easy to see.

>>> words = {"low": 7, "newest": 6, "widest": 3}
>>> merges = learn_merges(words, first_new_id=ord("A"), max_size=ord("E"), min_freq=1)
>>> for new, (first, second) in zip("ABCD", merges):
...     print(chr(first) + chr(second), "becomes", new)
es becomes A
At becomes B
lo becomes C
Cw becomes D
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

#: How many characters Python has, and so how many ids can be written as characters.
MAX_SYMBOLS = sys.maxunicode + 1


def learn_merges(
    words: Mapping[str, int], *, first_new_id: int, max_size: int, min_freq: int
) -> list[tuple[int, int]]:
    """Merge the commonest pair until there are `max_size` symbols.

    Of pairs that are equally common, the one with the smallest first id is merged, and of those
    the one with the smallest second id. So the result depends on the arguments alone, and not on
    the order of the words.

    Parameters
    ----------
    words : mapping of str to int
        Distinct words, each a string with the character ``chr(id)`` for each of its symbols, and
        how often each is in the text.
    first_new_id : int
        The id of the symbol that the first merge makes; later ones count up from there. `words`
        holds no such id yet.
    max_size : int
        How many symbols there may be, old and new: all ids are smaller than this. At most
        `MAX_SYMBOLS`.
    min_freq : int
        Stop when no pair is seen as often as this; at least 1.

    Returns
    -------
    list of (int, int)
        The pairs of ids in the order in which they were merged: pair number i has become
        ``first_new_id + i``. No two of them make the same string. For example, "abc" is never made
        both of "ab" and "c" and of "a" and "bc": wherever an "a" stood before "bc", it stood before
        a "b" at first, and if "ab" was merged before "bc", that "b" is no longer there.

    References
    ----------
    Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
    """
    index = PairIndex(words)
    merges: list[tuple[int, int]] = []
    for new_id in range(first_new_id, max_size):
        pair = index.pop_commonest(min_freq)
        if pair is None:
            break
        index.merge(pair, chr(new_id))
        merges.append((ord(pair[0]), ord(pair[1])))
    return merges


class PairIndex:
    """The pairs of neighbours in some words: how common each is, and which words hold it.

    A pair is a string of two characters. For the words of the example there are these tables:

        row    word    frequency          pair  count  holders      pair  count  holders
          0    low         7               lo     7     {0}          es     9     {1, 2}
          1    newest      6               ow     7     {0}          st     9     {1, 2}
          2    widest      3               ne     6     {1}          wi     3     {2}
                                           ew     6     {1}          id     3     {2}
                                           we     6     {1}          de     3     {2}

    To write ``A`` for ``es``, rows 1 and 2 are changed, and row 0 is not looked at. The only counts
    that change are those of the pairs beside an ``A``. In "newest" the pair ``we`` becomes ``wA``,
    so the count of ``we`` falls by 6, and that of ``wA`` grows by 6:

        row    word    frequency          pair  count               pair  count  holders
          0    low         7               we   6 → 0                wA   0 → 6   {1}
          1    newAt       6               de   3 → 0                dA   0 → 3   {2}
          2    widAt       3               st   9 → 0                At   0 → 9   {1, 2}

    Attributes
    ----------
    words : list of str
        The words as they are after the merges so far.
    frequencies : list of int
        How often each of them is in the text.
    counts : dict of str to int
        How often each pair is in the text.
    holders : dict of str to set of int
        The rows of the words that hold a pair. When another merge takes a symbol of the pair from
        a word, its row stays in the set, and `merge` passes over it.
    heap : list of (int, str)
        An entry ``(-count, pair)`` for each pair that is not merged yet, with the count that the
        pair had when the entry was made. See `pop_commonest`.

    Examples
    --------
    >>> index = PairIndex({"low": 7, "newest": 6, "widest": 3})
    >>> index.counts["es"], index.holders["es"]
    (9, {1, 2})
    >>> index.pop_commonest(min_freq=1)
    'es'
    >>> index.merge("es", "A")
    >>> index.words
    ['low', 'newAt', 'widAt']
    >>> index.counts["we"], index.counts["wA"], index.counts["At"], index.holders["At"]
    (0, 6, 9, {1, 2})
    """

    def __init__(self, words: Mapping[str, int]) -> None:
        self.words = list(words)
        self.frequencies = list(words.values())
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.holders: defaultdict[str, set[int]] = defaultdict(set)
        for row, word in enumerate(self.words):
            for first, second in pairwise(word):
                self.counts[first + second] += self.frequencies[row]
                self.holders[first + second].add(row)
        # A heap hands out its smallest entry: the largest count and, of equal counts, the pair with
        # the smallest ids, because Python compares strings by the numbers of their characters.
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapify(self.heap)

    def pop_commonest(self, min_freq: int) -> str | None:
        """Take the commonest pair from the heap; None if no pair is seen `min_freq` times.

        An entry of a heap cannot be changed when the count of its pair changes. But a count only
        falls: all places of a pair come into being in one merge, the one that made the newer of its
        two symbols, and later merges can only use them up. So if the smallest entry is out of date,
        it is put back with the true count. If it is not, no other pair is more common.
        """
        while self.heap:
            negative_count, pair = heappop(self.heap)
            count = self.counts[pair]
            if count < min_freq:
                continue  # It is dropped for good, because its count cannot grow again.
            if count == -negative_count:
                return pair
            heappush(self.heap, (-count, pair))
        return None

    def merge(self, pair: str, new: str) -> None:
        """Write the symbol `new`, which is in no word yet, for `pair`, and correct the counts."""
        new_pairs: set[str] = set()
        for row in self.holders.pop(pair):
            word = self.words[row].replace(pair, new)
            if len(word) == len(self.words[row]):
                continue  # Another merge has taken one of the symbols of the pair.
            self.words[row] = word
            frequency = self.frequencies[row]
            for before, now in changed_pairs(word, pair, new):
                self.counts[before] -= frequency
                self.counts[now] += frequency
                self.holders[now].add(row)
                new_pairs.add(now)
        del self.counts[pair]  # After the loop, which counts it if it was its own neighbour: "eeee"
        for now in new_pairs:
            heappush(self.heap, (-self.counts[now], now))


def changed_pairs(word: str, pair: str, new: str) -> list[tuple[str, str]]:
    """Return the pairs that have changed in a word: each as it was before the merge, and as it is.

    Parameters
    ----------
    word : str
        The word after the merge.
    pair, new : str
        The pair that was merged, and the symbol that stands in its place.

    Examples
    --------
    >>> changed_pairs("newAt", "es", "A")  # was newest
    [('we', 'wA'), ('st', 'At')]
    >>> changed_pairs("nAAt", "es", "A")  # was nesest
    [('ne', 'nA'), ('se', 'AA'), ('st', 'At')]
    """
    first = pair[0]
    second = pair[1]
    changed: list[tuple[str, str]] = []
    place = word.find(new)
    while place != -1:
        if place > 0:
            left = word[place - 1]
            left_before = second if left == new else left
            changed.append((left_before + first, left + new))
        right = word[place + 1 : place + 2]  # empty at the end of the word
        if right and right != new:  # A new symbol on the right gets this pair in its own turn.
            changed.append((second + right, new + right))
        place = word.find(new, place + 1)
    return changed
