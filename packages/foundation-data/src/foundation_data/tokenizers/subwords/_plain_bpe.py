r"""Byte-pair encoding in plain Python: the file to read first.

A language model works with numbers, so a text must become a list of numbers, and such a list a text
again. The numbers are called *ids*, and the pieces of text that they stand for are *tokens*. Three
functions do this:

    merges = train("low lower ...", 4)    find out which neighbours shall become one token
    ids = encode("slow", merges)          text to ids:   "s" and "low" are [115, 257]
    text = decode(ids, merges)            ids to text

*Training* begins with the bytes of a text. Each byte is a token, and its value, 0 to 255, is its
id. Which two tokens are neighbours most often? These two become one new token, with the id 256. The
same question is asked again, and its answer becomes the token 257, and so on [1]_. *Encoding* does
these merges to any other text, in the same order. *Decoding* writes down the bytes of each token.
So a common word is one token in the end, a rare word is several, and no text is impossible, since
every byte is a token [2]_.

>>> merges = train("low lower lowest slow", number_of_merges=4)
>>> for pair, new_id in merges.items():
...     print(pair, "becomes", new_id, "which is", repr(decode([new_id], merges)))
(108, 111) becomes 256 which is 'lo'
(256, 119) becomes 257 which is 'low'
(32, 257) becomes 258 which is ' low'
(258, 101) becomes 259 which is ' lowe'
>>> ids = encode("slowest lows", merges)
>>> ids
[115, 257, 101, 115, 116, 258, 115]
>>> [decode([token], merges) for token in ids]
['s', 'low', 'e', 's', 't', ' low', 's']
>>> decode(ids, merges)
'slowest lows'

Everything here is done the simple way: `train` counts all pairs again for each merge, and `encode`
tries all merges on each word. `learn_merges` and `apply_merges`, in the files beside this one, find
the same merges and the same ids much faster. The tests compare them with the functions below.

References
----------
.. [1] Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
.. [2] Radford et al., "Language models are unsupervised multitask learners", 2019.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]

#: A word, and at most one space before it.
WORD = re.compile(
    r"""
      [ ]?\w+        # letters and digits
    | [ ]?[^\w\s]+   # other signs, such as a comma
    | \s             # other white space, each by itself
    """,
    re.VERBOSE,
)


def train(text: str, number_of_merges: int) -> dict[Pair, int]:
    """Learn merges: which pairs of ids become one, in this order, and the id that each becomes."""
    words = [list(word.encode()) for word in cut(text)]  # the bytes of each word: ids 0 to 255
    merges: dict[Pair, int] = {}
    for new_id in range(256, 256 + number_of_merges):
        counts = count_pairs(words)
        highest = max(counts.values(), default=0)
        if highest < 2:
            break  # no two tokens are neighbours twice
        # The commonest pair; of equally common ones, the one with the smallest ids.
        pair = min(pair for pair in counts if counts[pair] == highest)
        words = [merge(ids, pair, new_id) for ids in words]
        merges[pair] = new_id
    return merges


def encode(text: str, merges: dict[Pair, int]) -> list[int]:
    """Return the ids of a text."""
    ids: list[int] = []
    for word in cut(text):
        ids_of_word = list(word.encode())
        # In the order of training, because late merges are made of what early ones have made.
        for pair, new_id in merges.items():
            ids_of_word = merge(ids_of_word, pair, new_id)
        ids += ids_of_word
    return ids


def decode(ids: Iterable[int], merges: dict[Pair, int]) -> str:
    """Return the text of some ids."""
    bytes_of = {byte: bytes([byte]) for byte in range(256)}
    for pair, new_id in merges.items():
        bytes_of[new_id] = bytes_of[pair[0]] + bytes_of[pair[1]]
    data = b"".join(bytes_of[token] for token in ids)
    # A letter such as "é" is two bytes. If a token is only one of them, "�" is shown for it.
    return data.decode(errors="replace")


def cut(text: str) -> list[str]:
    r"""Cut a text into words. Put together, they are the text again.

    No token goes beyond a word. Otherwise "dog.", "dog!" and "dog?" would become tokens, too.

    >>> cut("Slow, slower!\n")
    ['Slow', ',', ' slower', '!', '\n']
    """
    return WORD.findall(text)


def count_pairs(words: Iterable[list[int]]) -> Counter[Pair]:
    """Count how often each two ids are neighbours.

    >>> count_pairs([[1, 2, 3], [1, 2]])
    Counter({(1, 2): 2, (2, 3): 1})
    """
    counts: Counter[Pair] = Counter()
    for ids in words:
        counts.update(pairwise(ids))
    return counts


def merge(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Put one new id wherever the two ids of a pair are neighbours, from left to right.

    >>> merge([1, 2, 3, 1, 2], pair=(1, 2), new_id=4)
    [4, 3, 4]
    """
    merged: list[int] = []
    for token in ids:
        if merged and (merged[-1], token) == pair:
            merged[-1] = new_id
        else:
            merged.append(token)
    return merged
