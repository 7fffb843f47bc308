"""Telling the model where a token stands, by adding something to its embedding."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init, whole_number
from foundation_nn import functional as F
from numpy.typing import NDArray

#: Of each token, (T,) or (B, T), counted from 0.
Positions: TypeAlias = NDArray[np.integer[Any]]


class ContextLengthError(ValueError):
    """A text is longer than the model has positions."""


def require_positions(positions: Positions, max_len: int) -> None:
    """Refuse positions that a table of ``max_len`` does not hold."""
    if positions.dtype.kind not in "iu":
        raise TypeError(f"positions: expected integers, got {positions.dtype}")
    if positions.min(initial=0) < 0:
        raise ValueError(f"positions: expected numbers >= 0, got {positions.min()}")
    require_room(int(positions.max(initial=-1)) + 1, max_len)


def require_room(length: int, max_len: int) -> None:
    """Refuse a text of more than ``max_len`` tokens."""
    if length > max_len:
        raise ContextLengthError(
            f"a sequence of {length} tokens is longer than the model's {max_len} positions; "
            "shorten it, or train with a larger max_len"
        )


def rows_for(last: int, max_len: int) -> int:
    """How many rows of a table to compute for positions up to ``last``.

    A table of all positions that a configuration allows may be larger than its model, and it may
    come from a file. Twice as many as the last time: then few tables are computed for a text that
    grows.
    """
    return min(max_len, max(64, 1 << last.bit_length()))


def _places(x: Tensor, positions: int | Positions, max_len: int) -> slice | Positions:
    """Which rows of a table of ``max_len`` belong to ``x``."""
    B, T = x.shape[:2]
    if isinstance(positions, int | np.integer):
        first = int(positions)
        if 0 <= first <= max_len - T:
            return slice(first, first + T)
        positions = np.arange(first, first + T)
    places = np.asarray(positions)
    require_positions(places, max_len)
    if places.shape not in ((T,), (B, T)):
        raise ValueError(
            f"positions: expected that of the first token, an int, or shape (T={T},) or "
            f"(B={B}, T), got {places.shape}"
        )
    return places


class SinusoidalPositions(Module):
    """PE[t, 2i] = sin(t / 10000^(2i/D)), PE[t, 2i+1] = cos(t / 10000^(2i/D)) [1]_, section 3.5.

    Nothing is learned: each pair of columns is a clock hand, the first pair turns by one radian a
    token and the last takes about 60,000 tokens for a round. Odd widths drop the last cosine.

    Parameters
    ----------
    d_model : int
        D.
    max_len : int
        The longest sequence.
    pairs : {"neighbours", "halves"}
        Sines and cosines in turns, as above, or all sines before all cosines, as in Marian.

    Attributes
    ----------
    table : (max_len, D) array
        Computed when it is asked for. A model computes as many rows as its texts are long.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """

    def __init__(self, d_model: int, max_len: int, pairs: str = "neighbours") -> None:
        d_model = whole_number("SinusoidalPositions", "d_model", d_model, at_least=1)
        max_len = whole_number("SinusoidalPositions", "max_len", max_len, at_least=1)
        if pairs not in ("neighbours", "halves"):
            raise ValueError(
                f"SinusoidalPositions: pairs is 'neighbours' or 'halves', got {pairs!r}"
            )
        self.d_model = d_model
        self.max_len = max_len
        self.pairs = pairs

    @property
    def table(self) -> NDArray[np.float64]:
        return _sinusoids(self.max_len, self.d_model, self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {"d_model": self.d_model, "max_len": self.max_len, "pairs": self.pairs}

    def forward(self, x: Tensor, positions: int | Positions = 0) -> Tensor:
        """Add the encodings to ``x`` (B, T, D).

        Parameters
        ----------
        x : (B, T, D) tensor
        positions : int or integer array
            The position of the first token, or of each, (T,) or (B, T).

        Raises
        ------
        ContextLengthError
            Beyond ``max_len``.
        TypeError, ValueError
            If positions are not integers, negative or of another shape.
        """
        places = _places(x, positions, self.max_len)
        last = places.stop - 1 if isinstance(places, slice) else int(places.max(initial=-1))
        return x + _sinusoids(rows_for(last, self.max_len), self.d_model, self.pairs)[places]


@lru_cache(maxsize=8)
def _sinusoids(rows: int, d_model: int, pairs: str) -> NDArray[np.float64]:
    """The first rows of the table."""
    angle = np.arange(rows)[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model)
    sines, cosines = np.sin(angle), np.cos(angle[:, : d_model // 2])
    table = np.concatenate([sines, cosines], axis=1)
    if pairs == "neighbours":
        table[:, 0::2] = sines
        table[:, 1::2] = cosines
    table.flags.writeable = False
    return table


class LearnedPositions(Module):
    """One learned vector for each position.

    Parameters
    ----------
    d_model : int
        D.
    max_len : int
        The longest sequence.
    first : int
        The row of the table that belongs to the first position; those before it are not read.
    rng : numpy.random.Generator, optional
        Draws the initial weights.

    Attributes
    ----------
    weight : (first + max_len, D) Parameter
    """

    def __init__(
        self,
        d_model: int,
        max_len: int,
        first: int = 0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        d_model = whole_number("LearnedPositions", "d_model", d_model, at_least=1)
        max_len = whole_number("LearnedPositions", "max_len", max_len, at_least=1)
        self.first = whole_number("LearnedPositions", "first", first, at_least=0)
        shape = (self.first + max_len, d_model)
        self.weight = Parameter(init.normal(init.generator(rng), shape, 0.02))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        rows, d_model = self.weight.shape
        return {"d_model": d_model, "max_len": rows - self.first, "first": self.first}

    def forward(self, x: Tensor, positions: int | Positions = 0) -> Tensor:
        """Add the vectors to ``x`` (B, T, D), as :class:`SinusoidalPositions` does."""
        places = _places(x, positions, len(self.weight) - self.first)
        if isinstance(places, slice):
            return x + self.weight[self.first + places.start : self.first + places.stop]
        return x + F.embedding(places + self.first, self.weight)
