"""Learning the pieces of a unigram model, and how probable each is (Kudo 2018).

Byte pairs grow from single bytes. Here it is the other way round: training begins with many more
pieces than are wanted, finds out how probable each is, and gives up those that are missed least.

**The plain algorithm.** A word can be cut in several ways, each as probable as the product of its
pieces. Nobody knows which is right, so each way counts for as much as its share of all (the
E-step). A piece is then as probable as the times it was counted, divided by those of all pieces
(the M-step). That gives other shares, so it is done again, until little changes:

>>> def ways(word, pieces):  # all ways to cut a word
...     if not word:
...         return [[]]
...     beginnings = [word[:end] for end in range(1, len(word) + 1) if word[:end] in pieces]
...     return [[piece, *rest] for piece in beginnings for rest in ways(word[len(piece):], pieces)]
>>> ways("low", {"l", "o", "w", "lo", "low"})
[['l', 'o', 'w'], ['lo', 'w'], ['low']]

>>> from collections import Counter
>>> from math import prod
>>> def expected_counts(words, probabilities):
...     counts = Counter()
...     for word, frequency in words.items():
...         cuts = ways(word, probabilities)
...         weights = [prod(probabilities[piece] for piece in cut) for cut in cuts]
...         for cut, weight in zip(cuts, weights):
...             for piece in cut:
...                 counts[piece] += frequency * weight / sum(weights)
...     return counts
>>> words = {"low": 5, "lower": 2, "newer": 3}
>>> probabilities = dict.fromkeys(["l", "o", "w", "e", "r", "n", "low", "er", "ne", "we"], 0.1)
>>> for _ in range(10):
...     counts = expected_counts(words, probabilities)
...     probabilities = {piece: count / counts.total() for piece, count in counts.items()}
>>> {piece: round(count, 2) for piece, count in counts.most_common(4)}
{'low': 7.0, 'er': 5.0, 'w': 3.0, 'ne': 3.0}

Ten rounds, and "low" is always taken whole, and "newer" is cut into "ne", "w" and "er". What is
hardly counted any more, such as "we", is dropped.

**The same, without trying all ways.** A word of n letters can have 2ⁿ⁻¹ ways. But all ways that go
through one piece share what is before it and what is behind it. So the weights of all ways to a
place in the word are added up once, from the left (``alpha`` in `Lattice`), and those from there to
the end, from the right (``beta``); the weight of all ways through a piece is ``alpha`` at its
beginning, times its probability, times ``beta`` at its end. This is known as the forward-backward
algorithm. `Lattice` keeps the places and the pieces of all words in arrays, so that NumPy works on
all words at once, and logarithms instead of weights, which would become too small for a number.

>>> names = list(probabilities)
>>> start = Lattice(words, names).expected_counts(np.full(len(names), np.log(0.1)))
>>> exact = expected_counts(words, dict.fromkeys(names, 0.1))
>>> np.allclose(start, [exact[name] for name in names])
True

**Giving up pieces.** `learn_pieces` begins with all characters, and with parts of words of up to 16
letters that are seen at least twice and at least `min_freq` times, 16 for each piece that is wanted
(`seed_pieces`). A long piece begins with more weight, as it replaces many letters. It makes two
rounds of the above, in each of which pieces that are counted less than half a time are dropped, and
then asks for each piece: if it were not there, it would be cut into others, in the best way; by how
much would the text become less probable? The pieces without which it loses least go, a quarter of
all at most. Then it begins again, until as many are left as are wanted. Single letters stay, as
every word must have a cut.

The M-step does not take the logarithm of a count, but Gauss's digamma function of it, which is
about ``log(count - 0.5)``. That is what a Bayesian would do who expects most pieces to be of no
use: rare pieces lose more, and vanish.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foundation_data.tokenizers.subwords._training_words import (
    count_characters,
    parts_between,
)
from foundation_data.tokenizers.subwords._viterbi import Pieces

Array = np.ndarray[Any, Any]

#: The longest piece that is learnt, as in SentencePiece.
LONGEST = 16
#: How many seeds there are for each piece that is wanted, at most.
_SEEDS_FOR_EACH = 16
#: What is left of the pieces when some are given up, as in SentencePiece.
_SHRINKING_FACTOR = 0.75
#: Rounds of counting between two of giving up.
_ROUNDS = 2
#: A piece that is counted less than this is dropped.
_LEAST_COUNT = 0.5


def learn_pieces(words: Mapping[str, int], *, size: int, min_freq: int) -> dict[str, float]:
    """Find pieces and the logarithm of the probability of each, the most probable first.

    Parameters
    ----------
    words : mapping of str to int
        Distinct words, and how often each is in the text.
    size : int
        How many pieces there may be, single characters included.
    min_freq : int
        What is seen fewer times becomes no piece; at least 1.

    Returns
    -------
    dict of str to float
        The pieces; if there is no room for all characters, the frequent ones.

    References
    ----------
    Kudo, "Subword regularization: improving neural network translation models with multiple
    subword candidates", 2018.
    """
    characters = count_characters(words, size, min_freq)
    words = parts_between(words, characters)
    frequencies = dict(characters)
    frequencies.update(seed_pieces(words, most=_SEEDS_FOR_EACH * size, min_freq=min_freq))
    pieces = list(frequencies)
    # A piece of several letters replaces as many, so long ones begin with more weight.
    weights = np.array([frequencies[piece] * len(piece) for piece in pieces], float)
    scores = np.log(weights / weights.sum())
    lattice = Lattice(words, pieces)
    is_single = np.array([len(piece) == 1 for piece in pieces])
    while True:
        for _ in range(_ROUNDS):
            counts = lattice.expected_counts(scores)
            kept = (counts >= _LEAST_COUNT) | is_single
            pieces, counts, is_single = _choose(kept, pieces, counts, is_single)
            lattice.keep(kept)
            scores = digamma(np.maximum(counts, _LEAST_COUNT))
            scores -= digamma(counts.sum())
        if len(pieces) <= size:
            break
        losses = _losses(pieces, scores, counts)
        wanted = max(size, int(_SHRINKING_FACTOR * len(pieces)))
        losses[is_single] = np.inf
        kept = np.zeros(len(pieces), bool)
        kept[np.argsort(-losses, kind="stable")[:wanted]] = True
        pieces, scores, is_single = _choose(kept, pieces, scores, is_single)
        lattice.keep(kept)
    order = np.argsort(-scores, kind="stable")
    return {pieces[index]: float(scores[index]) for index in order}


def seed_pieces(words: Mapping[str, int], *, most: int, min_freq: int) -> dict[str, int]:
    """The parts of words that are seen at least `min_freq` times, and at least twice.

    A part can be frequent only if what is left of it without its first or its last letter is
    frequent. So the parts of two letters are counted first, then those of three that hold
    frequent parts of two, and so on.

    Examples
    --------
    >>> seed_pieces({"low": 5, "lower": 2, "newer": 3}, most=4, min_freq=2)
    {'low': 7, 'newer': 3, 'wer': 5, 'lo': 7}
    """
    found: dict[str, int] = {}
    shorter: set[str] | None = None
    for length in range(2, LONGEST + 1):
        counts: Counter[str] = Counter()
        for word, frequency in words.items():
            for start in range(len(word) - length + 1):
                part = word[start : start + length]
                if shorter is None or (part[1:] in shorter and part[:-1] in shorter):
                    counts[part] += frequency
        frequent = {part: count for part, count in counts.items() if count >= max(2, min_freq)}
        if not frequent:
            break
        found.update(frequent)
        shorter = set(frequent)
    chosen = sorted(found, key=lambda part: (-found[part] * len(part), part))[:most]
    return {part: found[part] for part in chosen}


class Lattice:
    """All ways to cut all words: the places in the words, and the pieces that lead on from each.

    The places of a word of n letters are numbered from 0 to n; those of all words stand one behind
    the other in ``alpha`` and ``beta``. A piece that leads from one place to another is an *edge*.

    Parameters
    ----------
    words : mapping of str to int
        Distinct words, and how often each is in the text.
    pieces : sequence of str
        The pieces; each letter of a word must be one.
    """

    def __init__(self, words: Mapping[str, int], pieces: Sequence[str]) -> None:
        numbers = {piece: number for number, piece in enumerate(pieces)}
        longest = max(map(len, pieces), default=0)
        starts = array("q")
        ends = array("q")
        found = array("q")
        first = 0
        for word in words:
            for start in range(len(word)):
                for end in range(start + 1, min(len(word), start + longest) + 1):
                    number = numbers.get(word[start:end])
                    if number is not None:
                        starts.append(first + start)
                        ends.append(first + end)
                        found.append(number)
            first += len(word) + 1
        self._starts = np.array(starts)
        self._ends = np.array(ends)
        self._pieces = np.array(found)
        sizes = np.array([len(word) + 1 for word in words])
        #: For each place: how deep in its word it is, and the row of that word.
        self._rows = np.repeat(np.arange(len(sizes)), sizes)
        self._last = np.cumsum(sizes) - 1
        self._first = self._last - sizes + 1
        self._depths = np.arange(len(self._rows)) - self._first[self._rows]
        self._frequencies = np.array(list(words.values()), float)
        self._arrange()

    def keep(self, kept: Array) -> None:
        """Give up pieces, by a boolean for each; the others are numbered anew in their order."""
        numbers = np.cumsum(kept) - 1
        edges = kept[self._pieces]
        self._starts = self._starts[edges]
        self._ends = self._ends[edges]
        self._pieces = numbers[self._pieces[edges]]
        self._arrange()

    def _arrange(self) -> None:
        # What comes before a place is known when all shallower places are done, and what comes
        # behind it when all deeper ones are.
        self._forwards = _by_place(self._ends, self._depths[self._ends])
        self._backwards = _by_place(self._starts, -self._depths[self._starts])

    def expected_counts(self, scores: Array) -> Array:
        """How often each piece is in the text, where each way to cut a word counts for its share.

        Parameters
        ----------
        scores : ndarray, shape (number of pieces,)
            The logarithm of the probability of each piece.
        """
        steps = scores[self._pieces]  # (edges,)
        alpha = np.zeros(len(self._rows))
        for edges, groups, places in self._forwards:
            alpha[places] = _log_sums(alpha[self._starts[edges]] + steps[edges], groups)
        beta = np.zeros(len(self._rows))
        for edges, groups, places in self._backwards:
            beta[places] = _log_sums(beta[self._ends[edges]] + steps[edges], groups)
        rows = self._rows[self._starts]
        whole = alpha[self._last[rows]]
        shares = np.exp(alpha[self._starts] + steps + beta[self._ends] - whole)
        counts: Array = np.bincount(
            self._pieces, weights=shares * self._frequencies[rows], minlength=len(scores)
        )
        return counts


def _by_place(places: Array, depths: Array) -> list[tuple[Array, Array, Array]]:
    """The edges of each depth in turn, those of one place beside each other.

    Each entry holds the numbers of edges, where among them another place begins, and the places.
    """
    order = np.lexsort((places, depths))
    arranged: list[tuple[Array, Array, Array]] = []
    _, begins = np.unique(depths[order], return_index=True)
    for edges in np.split(order, begins[1:]):
        found, groups = np.unique(places[edges], return_index=True)
        arranged.append((edges, groups, found))
    return arranged


def _log_sums(values: Array, groups: Array) -> Array:
    """``log(sum(exp(values)))`` of each group, which begins where `groups` says."""
    largest = np.maximum.reduceat(values, groups)
    sizes = np.diff(groups, append=len(values))
    sums = np.add.reduceat(np.exp(values - np.repeat(largest, sizes)), groups)
    result: Array = largest + np.log(sums)
    return result


def _choose(kept: Array, pieces: list[str], *arrays: Array) -> tuple[Any, ...]:
    """The pieces that are kept, and the entries of the arrays that belong to them."""
    chosen = [piece for piece, keep in zip(pieces, kept, strict=True) if keep]
    return chosen, *(values[kept] for values in arrays)


def _losses(pieces: Sequence[str], scores: Array, counts: Array) -> Array:
    """How much less probable the text would be without each piece of several letters.

    The piece would be cut into others, which would then be counted as often more.
    """
    numbers = {piece: number for number, piece in enumerate(pieces)}
    table = Pieces(dict(zip(pieces, scores.tolist(), strict=True)))
    total = counts.sum()
    losses = np.zeros(len(pieces))
    for number, piece in enumerate(pieces):
        if len(piece) == 1:
            continue
        score = table.scores.pop(piece)
        others = [numbers[other] for other in table.cut(piece)]
        table.scores[piece] = score
        count = counts[number]
        before = np.log(count / total)
        total_after = total + count * (len(others) - 1)
        after = np.log((counts[others] + count) / total_after).sum()
        losses[number] = count * (before - after)
    return losses


def digamma(x: Array | float) -> Array:
    """The derivative of the logarithm of the gamma function, for positive numbers.

    Examples
    --------
    At 1 it is minus Euler's constant, and at large numbers about the logarithm:

    >>> digamma(np.array([1.0, 100.0])).round(6)
    array([-0.577216,  4.600162])
    """
    x = np.asarray(x, float)
    below = np.zeros_like(x)
    for _ in range(6):  # digamma(x) = digamma(x + 1) - 1 / x
        below += 1 / x
        x = x + 1
    square = 1 / x**2
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    result: Array = np.log(x) - 0.5 / x - series - below
    return result
