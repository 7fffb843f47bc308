"""Sharing the work of attention between threads: batches and heads are independent."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

#: One slice for each of the leading axes, the batch and the heads.
Part: TypeAlias = tuple[slice, ...]


def parts(lead: Sequence[int], size: int) -> list[Part]:
    """The leading axes in parts of about ``size`` heads, the last axes whole where they can be."""
    if 0 < math.prod(lead) <= size:
        return [(slice(None),) * len(lead)]
    cuts: list[list[slice]] = []
    for n in reversed(lead):
        pieces = -(-n // max(1, size))
        width = -(-n // max(1, pieces))
        cuts.append([slice(i, min(i + width, n)) for i in range(0, n, max(1, width))])
        size //= max(1, n)
    return list(itertools.product(*reversed(cuts)))
