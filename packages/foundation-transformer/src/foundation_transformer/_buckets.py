"""Telling the model how far apart two tokens stand, by a bias that it learns for each distance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_nn import Module, Parameter, Tensor, init, whole_number
from foundation_nn import functional as F
from numpy.typing import NDArray


class RelativeBuckets(Module):
    """Adds to each score a learned number for the head and the distance of query and key [1]_.

    Distances share numbers, the more of them the farther they are. Of n buckets of one side, the
    first n/2 hold one distance each: 0, 1, ..., n/2 - 1. A distance d beyond is in the bucket ::

        n/2 + ⌊n/2 · log(d / (n/2)) / log(max_distance / (n/2))⌋

    and in the last one from ``max_distance`` on, so that a text may have any length. The logarithm
    is one of float32, as T5 was trained: at some distances its rounding decides. In an encoder,
    earlier and later keys have half of the buckets each; in a decoder, nobody sees a later key, and
    earlier ones have them all. All layers of a stack share one such module.

    Parameters
    ----------
    num_heads : int
        H.
    num_buckets : int
        At least 4.
    max_distance : int
        From here on all distances are alike.
    both_sides : bool
        Whether later keys have buckets of their own.
    rng : numpy.random.Generator, optional
        Draws the initial weights.

    Attributes
    ----------
    weight : (num_buckets, H) Parameter

    Raises
    ------
    ValueError
        If there are fewer than 4 buckets, or so many that none would hold several distances.

    References
    ----------
    .. [1] C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
       Transformer", JMLR 2020, arXiv:1910.10683, section 2.1.

    Examples
    --------
    A decoder with eight buckets: keys at the place of the query, one before it, two before it, ...

    >>> buckets = RelativeBuckets(2, num_buckets=8, max_distance=20, both_sides=False)
    >>> buckets.bucket_of(-np.arange(22))
    array([0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7])
    """

    def __init__(
        self,
        num_heads: int,
        num_buckets: int = 32,
        max_distance: int = 128,
        both_sides: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        kind = "RelativeBuckets"
        num_heads = whole_number(kind, "num_heads", num_heads, at_least=1)
        self.num_buckets = whole_number(kind, "num_buckets", num_buckets, at_least=1)
        self.max_distance = whole_number(kind, "max_distance", max_distance, at_least=1)
        self.both_sides = both_sides
        check_buckets(self.num_buckets, self.max_distance)
        self.weight = Parameter(init.normal(init.generator(rng), (num_buckets, num_heads), 0.02))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a layer, for checkpoints."""
        return {
            "num_heads": self.weight.shape[1],
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
            "both_sides": self.both_sides,
        }

    def bucket_of(self, distance: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """The buckets of distances, the place of a key less that of the query."""
        if not self.both_sides:
            return self._bucket_of_one_side(np.maximum(-distance, 0), self.num_buckets)
        n = self.num_buckets // 2
        return self._bucket_of_one_side(np.abs(distance), n) + np.where(distance > 0, n, 0)

    def _bucket_of_one_side(
        self, distance: NDArray[np.integer[Any]], n: int
    ) -> NDArray[np.integer[Any]]:
        exact = n // 2
        # In float32, as T5 was trained: at some distances its rounding decides about the bucket.
        ratio = np.log(np.maximum(distance, 1).astype(np.float32) / exact)
        ratio = ratio / math.log(self.max_distance / exact) * (n - exact)
        shared = np.minimum(exact + ratio.astype(int), n - 1)
        return np.where(distance < exact, distance, shared)

    def forward(self, length: int) -> Tensor:
        """What is added to the scores of ``length`` positions, (H, 2 · length - 1).

        In the middle for a key at the place of the query, right of it for later keys.
        """
        distance = np.arange(1 - length, length)
        return F.embedding(self.bucket_of(distance), self.weight).transpose(1, 0)

    def newest(self, length: int) -> NDArray[Any]:
        """What is added to the scores of the last of ``length`` positions, (H, length)."""
        bias: NDArray[Any] = self.weight.data[self.bucket_of(np.arange(1 - length, 1))]
        return bias.T


def check_buckets(num_buckets: int, max_distance: int) -> None:
    """Refuse too few buckets, and so many that none would hold several distances."""
    if num_buckets < 4:
        raise ValueError(f"num_buckets: expected at least 4, got {num_buckets}")
    if max_distance <= num_buckets // 2:
        raise ValueError(
            f"max_distance: expected more than half of num_buckets={num_buckets}, got "
            f"{max_distance}"
        )
