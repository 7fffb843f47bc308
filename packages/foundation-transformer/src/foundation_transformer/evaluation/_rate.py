"""A share that was counted, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np


class Rate(NamedTuple):
    """The mean of the credits of n questions, and its standard error.

    Another sample of as many questions would give a mean within two standard errors of the true one
    in 95 of 100 cases.

    Attributes
    ----------
    value : float
        From 0 to 1.
    standard_error : float
        s / √n, with the standard deviation s of the credits, their mean estimated (n - 1); NaN for
        a single question, of which nothing can be said.
    """

    value: float
    standard_error: float

    @classmethod
    def of(cls, credits: Sequence[float]) -> Self:
        """The rate of credits, each from 0 (wrong) to 1 (right).

        Examples
        --------
        >>> Rate.of([1, 0, 1, 1])  # s² = (3 · 0.25² + 0.75²) / 3 = 0.25
        Rate(value=0.75, standard_error=0.25)
        """
        n = len(credits)
        error = float(np.std(credits, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        return cls(float(np.mean(credits)), error)

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f}"
