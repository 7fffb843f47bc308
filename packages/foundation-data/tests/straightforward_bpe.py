"""Byte-pair encoding as it is defined, with no thought of speed: what ours is compared with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[int, int]


def replace_pair(symbols: Sequence[int], pair: Pair, new: int) -> list[int]:
    """Join `pair` from left to right."""
    joined: list[int] = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            joined.append(new)
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return joined


def learn(words: Mapping[Sequence[int], int], first_new_id: int, merges: int) -> list[Pair]:
    """Count all pairs anew for every merge, while some pair is seen twice."""
    corpus = [(list(word), count) for word, count in words.items()]
    learnt: list[Pair] = []
    for new in range(first_new_id, first_new_id + merges):
        counts: Counter[Pair] = Counter()
        for word, count in corpus:
            for pair in pairwise(word):
                counts[pair] += count
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        learnt.append(best)
        corpus = [(replace_pair(word, best, new), count) for word, count in corpus]
    return learnt


def apply(symbols: Sequence[int], ranks: Mapping[Pair, int], new_ids: Sequence[int]) -> list[int]:
    """Join the leftmost pair of the lowest rank until there is none."""
    symbols = list(symbols)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(pairwise(symbols)) if pair in ranks]
        if not found:
            return symbols
        rank, i = min(found)
        symbols[i : i + 2] = [new_ids[rank]]
