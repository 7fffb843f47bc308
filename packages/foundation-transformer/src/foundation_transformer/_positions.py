"""Telling the model where a token stands."""

from __future__ import annotations

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init
from numpy.typing import NDArray


def _check(length: int, offset: int, max_len: int) -> None:
    if offset < 0:
        raise ValueError(f"expected an offset >= 0, got {offset}")
    if offset + length > max_len:
        raise ValueError(
            f"a sequence of {offset + length} tokens is longer than the model's "
            f"{max_len} positions; shorten it, or train with a larger max_len"
        )


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

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """

    def __init__(self, d_model: int, max_len: int) -> None:
        t = np.arange(max_len)[:, None]
        angle = t / 10000 ** (np.arange(0, d_model, 2) / d_model)
        table = np.empty((max_len, d_model))
        table[:, 0::2] = np.sin(angle)
        table[:, 1::2] = np.cos(angle[:, : d_model // 2])
        table.flags.writeable = False
        self.table: NDArray[np.float64] = table

    def encoding(self, length: int, offset: int = 0) -> NDArray[np.float64]:
        """The (length, D) encodings from position ``offset`` on.

        Raises
        ------
        ValueError
            Beyond ``max_len``.
        """
        _check(length, offset, len(self.table))
        return self.table[offset : offset + length]

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Add the encodings to ``x`` (B, T, D), whose first token stands at ``offset``."""
        return x + self.encoding(x.shape[1], offset)


class LearnedPositions(Module):
    """One learned vector for each position.

    Attributes
    ----------
    weight : (max_len, D) Parameter
    """

    def __init__(
        self, d_model: int, max_len: int, *, rng: np.random.Generator | None = None
    ) -> None:
        self.weight = Parameter(init.normal(init.generator(rng), (max_len, d_model), 0.02))

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Add the vectors to ``x`` (B, T, D), whose first token stands at ``offset``.

        Raises
        ------
        ValueError
            Beyond ``max_len``.
        """
        _check(x.shape[1], offset, len(self.weight))
        return x + self.weight[offset : offset + x.shape[1]]
