"""Learning byte-pair encoding: which neighbours become one symbol (Sennrich 2016).

**The plain algorithm.** Count how often each two symbols are neighbours, write a new symbol for
the commonest pair wherever it stands, and begin again. A word is a string here, one character for
each symbol, so that merging a pair is ``str.replace``. Four merges of three words, with capital
letters as the new symbols:

>>> from collections import Counter
>>> from itertools import pairwise
>>> def count_pairs(words):
...     counts = Counter()
...     for word, frequency in words.items():
...         for first, second in pairwise(word):
...             counts[first + second] += frequency
...     return counts
>>> text = {"low": 7, "newest": 6, "widest": 3}  # how often each word is in the text
>>> words = text
>>> pairs = []
>>> for new in "ABCD":
...     counts = count_pairs(words)
...     # The commonest pair; of equally common ones, the first in the order of the alphabet.
...     pair = min(counts, key=lambda pair: (-counts[pair], pair))
...     words = {word.replace(pair, new): frequency for word, frequency in words.items()}
...     pairs.append(pair)
...     print(f"{pair}, seen {counts[pair]} times, becomes {new}:", *words)
es, seen 9 times, becomes A: low newAt widAt
At, seen 9 times, becomes B: low newB widB
lo, seen 7 times, becomes C: Cw newB widB
Cw, seen 7 times, becomes D: D newB widB

The first two merges have made ``B`` of "est", and the other two ``D`` of "low".

**Ids as characters.** A model wants ids, which are whole numbers. The symbol with the id 97 is
written as ``chr(97)``, the character that has this number, and ``ord`` gives the id back:

>>> chr(97), ord("a")
('a', 97)

So a word of ids is a string, too. Strings are used because Python searches and replaces in them
much faster than a loop over a list could. Python has `MAX_SYMBOLS` characters, and therefore there
cannot be more ids than that.

**What is kept between merges.** The plain algorithm is slow because it counts every pair of every
word again for each merge. A vocabulary takes thousands of merges, and few words hold the pair that
is merged. So `PairIndex` counts once, and then keeps for each pair its count and its *holders*: the
rows of the words that hold it. For the three words above it has these lists and tables:

    row    words   frequencies        pair  counts  holders      pair  counts  holders
      0    low         7               lo     7     {0}           es     9     {1, 2}
      1    newest      6               ow     7     {0}           st     9     {1, 2}
      2    widest      3               ne     6     {1}           wi     3     {2}
                                       ew     6     {1}           id     3     {2}
                                       we     6     {1}           de     3     {2}

To merge ``es`` into ``A``, the words in the rows 1 and 2 are changed, and the word in row 0 is not
looked at. The only counts that change are those of the pairs beside an ``A``. A pair that was there
before (``we``) loses what the pair that is there now (``wA``) gains:

    row    words   frequencies        pair  counts               pair  counts  holders
      0    low         7               we    6 - 6 = 0            wA     6     {1}
      1    newAt       6               de    3 - 3 = 0            dA     3     {2}
      2    widAt       3               st    9 - 6 - 3 = 0        At   6 + 3   {1, 2}

>>> index = PairIndex(text)
>>> index.counts["es"], index.holders["es"]
(9, {1, 2})
>>> index.pop_commonest(min_freq=1)
'es'
>>> index.merge("es", "A")
>>> index.words
['low', 'newAt', 'widAt']
>>> index.counts["we"], index.counts["wA"], index.counts["At"], index.holders["At"]
(0, 6, 9, {1, 2})

**Finding the commonest pair.** ``min`` looks at every pair there is. A heap (the module `heapq`)
hands out its smallest entry in a few steps. With entries ``(-count, pair)`` this is the commonest
pair. An entry inside a heap cannot be changed, so it keeps the count that the pair had when the
entry was made. Since then the count may have fallen. After the merge above, for instance, two
entries say 9, but one of them is old:

>>> sorted(index.heap)[:2]
[(-9, 'At'), (-9, 'st')]
>>> index.counts["At"], index.counts["st"]
(9, 0)

The count cannot have risen: a pair comes into being in the merge that makes the newer of its two
symbols, and all later merges can only use it up. So, if the entry that comes out has an old count,
it is put back with the true one. If its count is true, then no other pair is more common.

With these three steps `learn_merges` finds what the plain algorithm finds:

>>> merges = learn_merges(text, first_new_id=ord("A"), max_size=ord("E"), min_freq=1)
>>> [chr(first) + chr(second) for first, second in merges] == pairs
True
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
        ``first_new_id + i``. No two of them make the same sequence of original symbols: the same
        sequence is merged in the same way wherever no merge crosses its ends.

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

    A pair is a string of two characters. The top of this file draws what is in memory.

    Attributes
    ----------
    words : list of str
        The words as they are after the merges so far.
    frequencies : list of int
        How often each of them is in the text.
    counts : dict of str to int
        How often each pair is in the text.
    holders : dict of str to set of int
        The rows of the words that hold a pair: where they are in `words`. A word stays in the set
        when another merge has taken a symbol of its pair.
    heap : list of (int, str)
        An entry ``(-count, pair)`` for each pair that was not merged. The true count is the same
        or smaller.
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
        # Python compares strings by the numbers of their characters, which are the ids. So of
        # equally common pairs the one with the smallest ids comes first.
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapify(self.heap)

    def pop_commonest(self, min_freq: int) -> str | None:
        """Take the commonest pair from the heap; None if no pair is seen `min_freq` times."""
        while self.heap:
            negative_count, pair = heappop(self.heap)
            count = self.counts[pair]
            if count < min_freq:
                continue  # and it stays so rare, because counts only fall
            if count == -negative_count:
                return pair
            heappush(self.heap, (-count, pair))  # its count has fallen since the entry was made
        return None

    def merge(self, pair: str, merged: str) -> None:
        """Write the symbol `merged` for `pair` in all words, and correct the counts.

        `merged` must be a symbol that is in no word yet.
        """
        new_pairs: set[str] = set()
        for row in self.holders.pop(pair):
            parts = self.words[row].split(pair)
            if len(parts) == 1:
                continue  # another merge has taken one of its symbols: the pair is not there
            self.words[row] = merged.join(parts)  # as str.replace does; `parts` is needed below
            frequency = self.frequencies[row]
            for old, new in changed_pairs(parts, pair, merged):
                self.counts[old] -= frequency
                self.counts[new] += frequency
                self.holders[new].add(row)
                new_pairs.add(new)
        # Not earlier: when "eeee" becomes "AA", the pair "ee" is an old neighbour, too.
        del self.counts[pair]
        for new in new_pairs:
            heappush(self.heap, (-self.counts[new], new))


def changed_pairs(parts: list[str], pair: str, merged: str) -> list[tuple[str, str]]:
    """Return the pairs that change when `pair` becomes `merged`: each as it was and as it is.

    Parameters
    ----------
    parts : list of str
        The word without the pair, ``word.split(pair)``: between each two parts is a place where
        the pair was.
    pair, merged : str
        What was in each of these places, and what is there now.

    Examples
    --------
    >>> changed_pairs("newest".split("es"), "es", "A")  # newest becomes newAt
    [('we', 'wA'), ('st', 'At')]

    Where two places touch, there is an empty string between them in `parts`:

    >>> changed_pairs("neseswest".split("es"), "es", "A")  # neseswest becomes nAAwAt
    [('ne', 'nA'), ('se', 'AA'), ('sw', 'Aw'), ('we', 'wA'), ('st', 'At')]
    """
    first = pair[0]
    second = pair[1]
    changed: list[tuple[str, str]] = []
    # The symbol on the left of a place, as it was and as it is; empty at the beginning of a word.
    left_before = ""
    left_now = ""
    for before, after in pairwise(parts):  # the parts on both sides of a place
        if before:
            left_before = left_now = before[-1]
        if left_before:
            changed.append((left_before + first, left_now + merged))
        if after:  # otherwise the next place touches this one, and counts what is between them
            changed.append((second + after[0], merged + after[0]))
        # If the next place touches this one, then this is what stands on its left.
        left_before = second
        left_now = merged
    return changed
