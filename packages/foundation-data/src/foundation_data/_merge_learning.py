"""Learning merges: which two neighbouring symbols to join next, over and over (Sennrich 2016).

The definition is short: count every pair of neighbours in all words, join the most frequent one
everywhere, repeat. Counting anew each time makes that thousands of passes over the text. Here each
distinct word is kept once, with its count, and an index tells which words hold a pair: a merge
visits only those, and adjusts only the counts beside the places where it joined something.

A word is a Python string whose characters are symbol ids, ``chr(id)``, and a pair is a string of
two. Searching and joining then run at the speed of `str.split` and `str.join`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise

Merge = tuple[int, int]


def learn_merges(
    words: Mapping[str, int],
    names: list[str],
    reserved: int,
    max_size: int | None,
    min_freq: int,
    join: Callable[[str, str], str],
) -> list[Merge]:
    """Join the most frequent pair until there are `max_size` symbols.

    Of pairs equally frequent, the one with the smallest first id is joined, then the one with the
    smallest second id: the outcome depends on nothing but the arguments.

    Parameters
    ----------
    words : mapping of str to int
        Distinct words, in characters ``chr(id)``, and how often each appears.
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
        The pairs of ids, in the order in which they were joined.

    References
    ----------
    Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
    """
    texts, counts = list(words), list(words.values())
    ids = {name: index for index, name in enumerate(names)}
    frequency: defaultdict[str, int] = defaultdict(int)
    holders: defaultdict[str, set[int]] = defaultdict(set)
    for number, (text, count) in enumerate(zip(texts, counts, strict=True)):
        for first, second in pairwise(text):
            frequency[first + second] += count
            holders[first + second].add(number)

    # The heap may hold old frequencies: they are compared with the present one when they come up.
    # Strings compare by code point, that is by the ids: the rule for equal frequencies.
    heap = [(-count, pair) for pair, count in frequency.items()]
    heapify(heap)
    merges: dict[Merge, None] = {}
    while heap and (max_size is None or len(names) < max_size):
        negative, pair = heappop(heap)
        now = frequency.get(pair, 0)
        if now < max(min_freq, 1):
            continue
        if now != -negative:
            heappush(heap, (-now, pair))
            continue
        first, second = pair[0], pair[1]
        name = join(names[ord(first)], names[ord(second)])
        if ids.get(name, reserved) < reserved:
            continue
        if name not in ids:
            ids[name] = len(names)
            names.append(name)
        merged = chr(ids[name])
        merges[ord(first), ord(second)] = None

        grown: set[str] = set()
        for number in holders.pop(pair):
            parts = texts[number].split(pair)
            if len(parts) == 1:
                continue
            count = counts[number]
            texts[number] = merged.join(parts)
            # Each boundary of `parts` is a place where `first second` became `merged`.
            before, joined_before = "", ""  # the neighbour on the left, as it was and as it is
            for left, right in pairwise(parts):
                if left:
                    before = joined_before = left[-1]
                if before:
                    frequency[before + first] -= count
                    frequency[joined_before + merged] += count
                    holders[joined_before + merged].add(number)
                    grown.add(joined_before + merged)
                if right:
                    frequency[second + right[0]] -= count
                    frequency[merged + right[0]] += count
                    holders[merged + right[0]].add(number)
                    grown.add(merged + right[0])
                before, joined_before = second, merged
        del frequency[pair]
        for new in grown:
            heappush(heap, (-frequency[new], new))
    return list(merges)
