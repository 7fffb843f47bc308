"""Telling the model how far apart two tokens stand, by changing their attention scores."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from foundation_nn import Array, Module, Result, Tensor, number, operation, whole_number
from numpy.typing import DTypeLike, NDArray

from foundation_transformer._positions import Positions, require_positions, rows_for


class Rotary(Module):
    """Turns each pair of a query's or key's numbers by an angle of its own [1]_.

    At position t pair i of a head of width K is turned by θ = t · base^(-2i/K):

        (x, y) → (x cos θ - y sin θ, x sin θ + y cos θ).

    A product of a query and a key then depends on the distance of their positions alone. Nothing
    is learned.

    Parameters
    ----------
    head_width : int
        K, even.
    max_len : int
        The longest sequence.
    base : float
    pairs : {"halves", "neighbours"}
        Pair i is (i, i + K/2), as in Hugging Face's Llama, or (2i, 2i + 1), as in the paper and
        in Meta's. Weights made for one work with the other after a permutation of their rows.

    Raises
    ------
    ValueError
        If K is odd, or ``pairs`` is neither.

    References
    ----------
    .. [1] J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
       arXiv:2104.09864.
    """

    def __init__(
        self, head_width: int, max_len: int, base: float = 10000.0, pairs: str = "halves"
    ) -> None:
        head_width = whole_number("Rotary", "head_width", head_width, at_least=1)
        max_len = whole_number("Rotary", "max_len", max_len, at_least=1)
        base = number("Rotary", "base", base, more_than=0)
        if head_width % 2:
            raise ValueError(f"Rotary: expected a head of even width, got {head_width}")
        if pairs not in ("halves", "neighbours"):
            raise ValueError(f"Rotary: pairs is 'halves' or 'neighbours', got {pairs!r}")
        self.head_width = head_width
        self.max_len = max_len
        self.base = base
        self.pairs = pairs

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "head_width": self.head_width,
            "max_len": self.max_len,
            "base": self.base,
            "pairs": self.pairs,
        }

    def forward(self, x: Tensor, positions: Positions) -> Tensor:
        """Turn ``x``.

        Parameters
        ----------
        x : (B, h, T, K) tensor
        positions : (T,) or (B, T) integer array

        Returns
        -------
        (B, h, T, K) tensor

        Raises
        ------
        ContextLengthError
            Beyond ``max_len``.
        """
        require_positions(positions, self.max_len)
        cos, sin = self.angles(positions, x.dtype)
        return rotate(x, cos, sin, self.pairs == "halves")

    def angles(self, positions: Positions, dtype: DTypeLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Cosines and sines for heads at these positions, (T, K/2) or (B, 1, T, K/2) each."""
        rows = rows_for(int(positions.max(initial=-1)), self.max_len)
        all_cos, all_sin = _turns(rows, self.head_width, self.base)
        cos, sin = all_cos[positions], all_sin[positions]  # (T, K/2) or (B, T, K/2)
        if positions.ndim == 2:
            cos, sin = cos[:, None], sin[:, None]  # (B, 1, T, K/2)
        return cos.astype(dtype), sin.astype(dtype)


@lru_cache(maxsize=8)
def _turns(
    rows: int, head_width: int, base: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of the first positions, (rows, K/2) each."""
    angle = np.arange(rows)[:, None] * base ** (-np.arange(0, head_width, 2) / head_width)
    return np.cos(angle), np.sin(angle)


@operation
def rotate(x: Array, cos: NDArray[Any], sin: NDArray[Any], halves: bool) -> Result:
    """Turn pairs of ``x`` (..., K) by angles whose cosines and sines are (..., K/2).

    The opposite of a rotation is its transpose: the gradient is turned back.

    Examples
    --------
    A pair of numbers is a complex number, and turning it is multiplying by e^(iθ):

    >>> import numpy as np
    >>> x, angle = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.5, 0.1]])
    >>> turned = (x[:, :2] + 1j * x[:, 2:]) * np.exp(1j * angle)  # the halves are x and y
    >>> y = rotate(x, np.cos(angle), np.sin(angle), halves=True)
    >>> np.allclose(y.data, np.concatenate([turned.real, turned.imag], axis=1))
    True
    """
    K = x.shape[-1]
    first, second = (
        (np.s_[..., : K // 2], np.s_[..., K // 2 :])
        if halves
        else (np.s_[..., 0::2], np.s_[..., 1::2])
    )

    def turn(x: Array, sin: Array) -> Array:
        y = np.empty_like(x)
        a, b = x[first], x[second]
        y[first] = a * cos - b * sin
        y[second] = a * sin + b * cos
        return y

    def backward(g: Array) -> Array:
        return turn(g, -sin)

    return turn(x, sin), backward


class ALiBi:
    """Lowers a score by slope · distance, with another slope for each head [1]_.

    :func:`foundation_attn.attention` does, given the slopes.

    There is no table that could end: a model reads texts longer than those it was trained on.
    The slopes are 2^(-8i/H) for i = 1...H. If H is no power of two, those of the largest one below
    it come first, then every second of those for twice that number, as in the authors' code.

    Parameters
    ----------
    num_heads : int
        H.

    Attributes
    ----------
    slopes : (H,) array

    References
    ----------
    .. [1] O. Press, N. Smith and M. Lewis, "Train Short, Test Long: Attention with Linear Biases
       Enables Input Length Extrapolation", ICLR 2022, arXiv:2108.12409.
    """

    def __init__(self, num_heads: int) -> None:
        num_heads = whole_number("ALiBi", "num_heads", num_heads, at_least=1)
        power = 1 << (num_heads.bit_length() - 1)
        whole = 2.0 ** (-8 * np.arange(1, power + 1) / power)
        between = 2.0 ** (-4 * np.arange(1, 2 * power + 1, 2) / power)
        self.slopes: NDArray[np.float64] = np.concatenate([whole, between])[:num_heads]
