"""Telling the model how far apart two tokens stand, by changing their attention scores."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from foundation_nn import Array, Module, Result, Tensor, number, operation, whole_number
from numpy.typing import DTypeLike, NDArray

from foundation_transformer._positions import Positions, require_positions, rows_for
from foundation_transformer._rotary_scaling import RotaryScaling, rotary_frequencies


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
    scaling : RotaryScaling, optional
        For texts longer than those of the training.
    width : int, optional
        How many numbers of a head are turned, the first ones; the others stay as they are [2]_.
        By default all.

    Raises
    ------
    ValueError
        If what is turned is odd or wider than a head, or ``pairs`` is neither.

    References
    ----------
    .. [1] J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021,
       arXiv:2104.09864.
    .. [2] S. Black et al., "GPT-NeoX-20B: An Open-Source Autoregressive Language Model", 2022,
       arXiv:2204.06745.
    """

    def __init__(
        self,
        head_width: int,
        max_len: int,
        base: float = 10000.0,
        pairs: str = "halves",
        scaling: RotaryScaling | Mapping[str, Any] | None = None,
        width: int | None = None,
    ) -> None:
        head_width = whole_number("Rotary", "head_width", head_width, at_least=1)
        max_len = whole_number("Rotary", "max_len", max_len, at_least=1)
        base = number("Rotary", "base", base, more_than=0)
        if width is None and head_width % 2:
            raise ValueError(f"Rotary: expected a head of even width, got {head_width}")
        width = whole_number("Rotary", "width", head_width if width is None else width, at_least=2)
        if width % 2 or width > head_width:
            raise ValueError(f"Rotary: expected an even width up to {head_width}, got {width}")
        if pairs not in ("halves", "neighbours"):
            raise ValueError(f"Rotary: pairs is 'halves' or 'neighbours', got {pairs!r}")
        self.head_width = head_width
        self.max_len = max_len
        self.base = base
        self.pairs = pairs
        self.scaling = RotaryScaling.from_dict(scaling) if isinstance(scaling, Mapping) else scaling
        self.width = width

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "head_width": self.head_width,
            "max_len": self.max_len,
            "base": self.base,
            "pairs": self.pairs,
            "scaling": None if self.scaling is None else self.scaling.to_dict(),
            "width": self.width,
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
        """Cosines and sines for heads at these positions, (T, width/2) or (B, 1, T, width/2)."""
        rows = rows_for(int(positions.max(initial=-1)), self.max_len)
        all_cos, all_sin = _turns(rows, self.width, self.base, self.scaling)
        cos, sin = all_cos[positions], all_sin[positions]  # (T, width/2) or (B, T, width/2)
        if positions.ndim == 2:
            cos, sin = cos[:, None], sin[:, None]  # (B, 1, T, width/2)
        return cos.astype(dtype), sin.astype(dtype)


@lru_cache(maxsize=8)
def _turns(
    rows: int, width: int, base: float, scaling: RotaryScaling | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of the first positions, (rows, width/2) each."""
    if scaling is None:
        frequencies, factor = rotary_frequencies(base, width), 1.0
    else:
        frequencies, factor = scaling.frequencies(base, width), scaling.attention_factor or 1.0
    angle = np.arange(rows)[:, None] * frequencies
    return factor * np.cos(angle), factor * np.sin(angle)


@operation
def rotate(x: Array, cos: NDArray[Any], sin: NDArray[Any], halves: bool) -> Result:
    """Turn pairs of ``x`` (..., K) by angles whose cosines and sines are (..., R/2).

    The first R numbers are turned, the others stay. The opposite of a rotation is its transpose:
    the gradient is turned back.

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
    R = 2 * cos.shape[-1]
    first, second = (
        (np.s_[..., : R // 2], np.s_[..., R // 2 : R])
        if halves
        else (np.s_[..., 0:R:2], np.s_[..., 1:R:2])
    )
    others = np.s_[..., R:]

    def turn(x: Array, sin: Array) -> Array:
        y = np.empty_like(x)
        a, b = x[first], x[second]
        y[first] = a * cos - b * sin
        y[second] = a * sin + b * cos
        y[others] = x[others]
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
