"""The most probable way to cut a word into known pieces (Viterbi 1967).

A *unigram* model gives each piece a score, which is the logarithm of how probable the piece is. A
word is cut so that its scores add up to the most: the product of the probabilities is the largest.

**The plain algorithm.** The best cut of a whole word ends with some piece, and what stands before
that piece is cut in the best way, too. So it is enough to know the best cut of each beginning of
the word, from the shortest on. Each is found by trying every piece that it may end with:

>>> scores = {"l": -4.0, "o": -4.0, "w": -4.0, "e": -4.0, "r": -4.0, "lo": -5.0, "low": -5.5}
>>> scores |= {"er": -4.5, "we": -6.0}
>>> def best_cut(word, scores):
...     best = {0: (0.0, [])}  # for each beginning, by its length: the score and the pieces
...     for end in range(1, len(word) + 1):
...         cuts = []
...         for start in range(end):
...             piece = word[start:end]
...             if piece in scores:
...                 score, pieces = best[start]
...                 cuts.append((score + scores[piece], [*pieces, piece]))
...         best[end] = max(cuts)
...     return best[len(word)]
>>> best_cut("lower", scores)
(-10.0, ['low', 'er'])

This is how the beginnings were found. Each is a piece added to the best cut of a shorter one, so
nobody had to look at all 16 ways to cut "lower":

    l       l             -4.0
    lo      lo            -5.0     l + o would be -8.0
    low     low           -5.5     lo + w would be -9.0
    lowe    low + e       -9.5     lo + we would be -11.0
    lower   low + er     -10.0     lowe + r would be -13.5

**Unknown characters.** A character that is no piece is taken by itself, with a score that is
`UNKNOWN_PENALTY` below the worst score of any piece, so that it is left to nobody but who must.

**Faster.** `Pieces.cut` does the same, with three changes. It goes from each start to the ends that
can follow, instead of from an end to its starts, because then it needs to try only the lengths of
pieces that begin with these two letters; a table tells which these are. (A trie would tell the
same, one letter at a time, but in Python one look-up in a table is faster than several steps.) It
keeps the beginning of the last piece, not all pieces, and walks back at the end. And it notes
whether a piece is known, so that unknown ones beside each other become one:

>>> pieces = Pieces(scores)
>>> pieces.cut("lower")
['low', 'er']
>>> pieces.cut("lowquier")
['low', 'qui', 'er']
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import inf

import numpy as np

#: How much worse than the worst piece a character is that is no piece.
UNKNOWN_PENALTY = 10.0
#: Pieces may not be longer, so that a file cannot make a search take long. Those of SentencePiece
#: have sixteen characters, unless somebody wants otherwise.
LONGEST_PIECE = 1000


class Pieces:
    """Pieces with their scores, and the search for the best cut.

    Parameters
    ----------
    scores : mapping of str to float
        The score of each piece that a text may be cut into.
    lowest : float, optional
        The worst score of all, if there are worse ones than in `scores`.

    Raises
    ------
    ValueError
        If a piece is empty or longer than `LONGEST_PIECE`, or a score is not finite.
    """

    __slots__ = ("_lengths", "scores", "unknown_score")

    def __init__(self, scores: Mapping[str, float], lowest: float = inf) -> None:
        self.scores = dict(scores)
        self.unknown_score = min(lowest, min(scores.values(), default=0.0)) - UNKNOWN_PENALTY
        # For each two letters, the lengths of the pieces that begin with them, in order.
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for piece, score in scores.items():
            if not 0 < len(piece) <= LONGEST_PIECE:
                raise ValueError(
                    f"expected pieces of 1 to {LONGEST_PIECE:,} characters, got {len(piece):,} in "
                    f"{piece!r:.60}"
                )
            if not -inf < score < inf:
                raise ValueError(f"expected finite scores, got {score} for {piece!r:.60}")
            if len(piece) > 1:
                lengths[piece[:2]].add(len(piece))
        self._lengths = {letters: tuple(sorted(found)) for letters, found in lengths.items()}

    def cut(self, text: str) -> list[str]:
        """The pieces of the best cut; unknown characters beside each other are one of them."""
        scores = self.scores
        lengths_of = self._lengths
        size = len(text)
        # The score of the best cut of each beginning, by its length, and where its last piece
        # begins; -1 for an unknown character, which begins one earlier than it ends.
        best = [0.0, *[-inf] * size]
        starts = [-1] * (size + 1)
        for start in range(size):
            here = best[start]
            end = start + 1
            score = scores.get(text[start])
            if score is None:
                if here + self.unknown_score > best[end]:
                    best[end] = here + self.unknown_score
                    starts[end] = -1
            elif here + score > best[end]:
                best[end] = here + score
                starts[end] = start
            for length in lengths_of.get(text[start : start + 2], ()):
                end = start + length
                if end > size:
                    break
                score = scores.get(text[start:end])
                if score is not None and here + score > best[end]:
                    best[end] = here + score
                    starts[end] = start
        return self._walk_back(text, starts)

    def _walk_back(self, text: str, starts: list[int]) -> list[str]:
        """The pieces, from the end of the text to its beginning, in the right order."""
        pieces: list[str] = []
        end = len(text)
        while end:
            start = starts[end]
            if start < 0:
                start = end - 1
                while start and starts[start] < 0:
                    start -= 1
            pieces.append(text[start:end])
            end = start
        pieces.reverse()
        return pieces

    def draw(self, text: str, rng: np.random.Generator, alpha: float) -> list[str]:
        """Some cut, as likely as the probability of its pieces to the power of `alpha` says.

        The weights of all ways to each place are added up from the left. Then the last piece is
        drawn, as likely as its share in the weight of the whole text is, then the one before it,
        and so on (forward filtering, backward sampling).
        """
        # For each place: the starts of the pieces that end there, and the logarithms of the weights
        # of all ways that end with each of them; and the logarithm of the sum of these.
        starts: list[list[int]] = [[] for _ in range(len(text) + 1)]
        weights: list[list[float]] = [[] for _ in range(len(text) + 1)]
        totals = [0.0]
        for start in range(len(text)):
            for end, score in self._pieces_from(text, start):
                starts[end].append(start)
                weights[end].append(totals[start] + alpha * score)
            totals.append(float(np.logaddexp.reduce(weights[start + 1])))
        pieces: list[str] = []
        end = len(text)
        while end:
            shares = np.exp(np.array(weights[end]) - totals[end])
            start = starts[end][rng.choice(len(shares), p=shares / shares.sum())]
            pieces.append(text[start:end])
            end = start
        pieces.reverse()
        return pieces

    def _pieces_from(self, text: str, start: int) -> Iterator[tuple[int, float]]:
        """Where the pieces end that begin at a place, with their scores."""
        yield start + 1, self.scores.get(text[start], self.unknown_score)
        for length in self._lengths.get(text[start : start + 2], ()):
            score = self.scores.get(text[start : start + length])
            if score is not None and start + length <= len(text):
                yield start + length, score
