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


def learn(words: Mapping[Sequence[int], int], names: list[str], merges: int) -> list[Pair]:
    """Count all pairs anew for every merge; `names` grows."""
    corpus = [(list(word), count) for word, count in words.items()]
    learnt: list[Pair] = []
    while len(learnt) < merges:
        counts: Counter[Pair] = Counter()
        for word, count in corpus:
            for pair in pairwise(word):
                counts[pair] += count
        if not counts or max(counts.values()) < 2:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        name = names[best[0]] + names[best[1]]
        if name not in names:
            names.append(name)
        learnt.append(best)
        new = names.index(name)
        corpus = [(replace_pair(word, best, new), count) for word, count in corpus]
    return learnt


def apply(symbols: Sequence[int], table: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """Join the leftmost pair of the lowest rank until there is none."""
    symbols = list(symbols)
    while True:
        found = [(table[p][0], i) for i, p in enumerate(pairwise(symbols)) if p in table]
        if not found:
            return symbols
        _, i = min(found)
        symbols[i : i + 2] = [table[symbols[i], symbols[i + 1]][1]]
