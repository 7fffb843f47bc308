"""Applying merges to a word: the earliest-learnt pair first, and of equal ones the leftmost."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise

# For a pair of ids: when it was learnt, and the id that it makes.
MergeTable = Mapping[tuple[int, int], tuple[int, int]]


def apply_merges(symbols: Sequence[int], table: MergeTable) -> list[int]:
    """Join neighbours for as long as `table` has a pair of them.

    Symbols know their neighbours, and the places of each possible merge wait in a list of its own,
    so the work grows with the word, not with its square: a page without a space is no trouble.

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
    now = array("i", symbols)
    before, after = array("i", range(-1, size - 1)), array("i", range(1, size + 1))
    waiting: dict[int, list[int]] = {}  # for each rank, the places where its pair begins
    ranks: list[int] = []  # a heap of the keys of `waiting`

    def wait(rank: int, place: int) -> None:
        if rank in waiting:
            waiting[rank].append(place)
        else:
            waiting[rank] = [place]
            heappush(ranks, rank)

    for place, pair in enumerate(pairwise(symbols)):
        if pair in table:
            wait(table[pair][0], place)
    while ranks:
        rank = heappop(ranks)
        places = sorted(waiting.pop(rank))
        for done, place in enumerate(places, 1):
            following = after[place]
            found = table.get((now[place], now[following])) if following < size else None
            if found is None or found[0] != rank:
                continue  # one of the two has been joined with another since
            now[place], now[following] = found[1], -1
            following = after[place] = after[following]
            if following < size:
                before[following] = place
                found = table.get((now[place], now[following]))
                if found is not None:
                    wait(found[0], place)
            preceding = before[place]
            if preceding >= 0:
                found = table.get((now[preceding], now[place]))
                if found is not None:
                    wait(found[0], preceding)
            # A new pair is learnt later than its parts, unless two merges make the same token.
            if ranks and ranks[0] < rank and done < len(places):
                waiting[rank] = places[done:]
                heappush(ranks, rank)
                break
    return [symbol for symbol in now if symbol >= 0]
