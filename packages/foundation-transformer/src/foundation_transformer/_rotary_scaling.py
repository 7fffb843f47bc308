"""Rotary positions for texts longer than those that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from foundation_nn import number, whole_number
from foundation_nn.files import from_object
from numpy.typing import NDArray

#: Kinds, and from how many turns on a pair is left as it is.
_FAST = {"linear": 0.0, "llama3": 4.0, "yarn": 32.0}


@dataclass(frozen=True, kw_only=True)
class RotaryScaling:
    """Slows rotary positions down, so that more of them fit into the angles a model knows.

    A pair of a head's numbers turns by its frequency f, an angle for each position. A model that
    was trained on L positions has never seen the angles beyond f L. Dividing frequencies by a
    factor brings factor · L positions among them. Fast pairs, which have turned round many times
    within L positions, know all angles and tell neighbours apart: they are better left alone.

    Parameters
    ----------
    kind : {"linear", "llama3", "yarn"}
        All pairs are slowed [1]_; or those that turn fewer than ``slow`` times in L, while those
        of more than ``fast`` turns are left, and the others lie between: by their turns, as in
        Llama 3.1 [2]_, or by their number, as in YaRN [3]_.
    factor : float
        How many times slower.
    original_max_len : int, optional
        L, for all but "linear".
    slow, fast : float, optional
        Turns in L positions. By default 1 and 4 for "llama3", 1 and 32 for "yarn".
    attention_factor : float, optional
        "yarn" multiplies queries and keys by it; 0.1 · ln(factor) + 1 by default.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong type or out of range, or one that the kind has no use for.

    References
    ----------
    .. [1] S. Chen et al., "Extending Context Window of Large Language Models via Positional
       Interpolation", 2023, arXiv:2306.15595.
    .. [2] Llama Team, "The Llama 3 Herd of Models", 2024, arXiv:2407.21783.
    .. [3] B. Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models",
       ICLR 2024, arXiv:2309.00071.

    Examples
    --------
    Four pairs of a head of width 8, trained on 100 positions. The first, which turns 16 times, is
    left; the last, which turns 0.016 times, becomes four times slower:

    >>> scaling = RotaryScaling(kind="llama3", factor=4, original_max_len=100)
    >>> base, width = 10000.0, 8
    >>> scaling.frequencies(base, width).round(5).tolist()
    [1.0, 0.03979, 0.0025, 0.00025]
    >>> [base ** (-i / width) for i in (0, 2, 4, 6)]
    [1.0, 0.1, 0.01, 0.001]
    """

    kind: str
    factor: float
    original_max_len: int | None = None
    slow: float | None = None
    fast: float | None = None
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _FAST:
            raise ValueError(f"kind: expected one of {tuple(_FAST)}, got {self.kind!r:.60}")
        self._number("factor", 1.0)
        if self.kind == "linear":
            self._refuse("original_max_len", "slow", "fast", "attention_factor")
            return
        if self.original_max_len is None:
            raise ValueError(f"original_max_len: expected a number for kind={self.kind!r}")
        L = whole_number("RotaryScaling", "original_max_len", self.original_max_len, at_least=1)
        object.__setattr__(self, "original_max_len", L)
        self._number("slow", 1.0)
        self._number("fast", _FAST[self.kind])
        if not (self.fast or 0) > (self.slow or 0):
            raise ValueError(f"fast: expected more than slow={self.slow}, got {self.fast}")
        if self.kind == "yarn":
            self._number("attention_factor", 0.1 * math.log(max(1.0, self.factor)) + 1)
        else:
            self._refuse("attention_factor")

    def _number(self, name: str, default: float) -> None:
        value = getattr(self, name)
        value = default if value is None else number("RotaryScaling", name, value, more_than=0)
        object.__setattr__(self, name, float(value))

    def _refuse(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise ValueError(f"{name}: kind={self.kind!r} has no use for it; leave it out")

    def frequencies(self, base: float, width: int) -> NDArray[np.float64]:
        """The angle by which each pair turns from a position to the next, (width / 2,)."""
        usual = rotary_frequencies(base, width)
        if self.kind == "linear":
            return usual / self.factor
        # Of these kinds __post_init__ has left none of them None.
        L, slow, fast = self.original_max_len or 1, self.slow or 0.0, self.fast or 0.0
        if self.kind == "llama3":
            turns = L * usual / (2 * math.pi)
            kept = (turns - slow) / (fast - slow)  # how much of the usual frequency is kept
        else:
            # Pair i turns L · base^(-2i / width) / 2π times; solved for i.
            first, last = (
                width * math.log(L / (2 * math.pi * turns)) / (2 * math.log(base))
                for turns in (fast, slow)
            )
            first = max(math.floor(first), 0)
            last = min(math.ceil(last), width - 1)
            kept = (last - np.arange(width // 2)) / max(last - first, 0.001)
        kept = np.clip(kept, 0, 1)
        return usual * (kept + (1 - kept) / self.factor)

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON; those that the kind has no use for are None."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            For a field that is unknown, missing, or of another type.
        """
        return from_object(cls, dict(values))


def rotary_frequencies(base: float, width: int) -> NDArray[np.float64]:
    """base^(-2i / width) for pair i: the angle from a position to the next, (width / 2,)."""
    frequencies: NDArray[np.float64] = base ** (-np.arange(0, width, 2) / width)
    return frequencies
