"""Made-up sentence pairs as batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from foundation_attn.masks import Mask
from foundation_nn import padding_mask

from foundation_transformer._build import Ids

#: The ids with a meaning of their own; words begin after them.
PAD, BOS, EOS, FIRST = 0, 1, 2, 3

Pair = tuple[list[int], list[int]]


def pad(rows: Sequence[Sequence[int]]) -> tuple[Ids, Mask]:
    """Rows side by side as (B, T) ids, and which of them are real."""
    mask = padding_mask([len(row) for row in rows])
    ids = np.full(mask.shape, PAD)
    ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, mask


@dataclass(frozen=True)
class PairBatch:
    """Sentence pairs as arrays: a ``TranslationBatch`` of the recipes."""

    source: Ids
    source_mask: Mask
    target_in: Ids
    target_out: Ids
    target_mask: Mask
    num_tokens: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> PairBatch:
        """Sources end with ``EOS``; targets begin with ``BOS`` and are to end with ``EOS``."""
        source, source_mask = pad([[*s, EOS] for s, _ in pairs])
        target_in, target_mask = pad([[BOS, *t] for _, t in pairs])
        target_out, _ = pad([[*t, EOS] for _, t in pairs])
        return cls(source, source_mask, target_in, target_out, target_mask, int(target_mask.sum()))


class PairBatches:
    """Batches of pairs of similar length, in another order each epoch if there is an ``rng``."""

    def __init__(
        self, pairs: Sequence[Pair], size: int, rng: np.random.Generator | None = None
    ) -> None:
        pairs = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
        self.batches = [PairBatch.of(pairs[i : i + size]) for i in range(0, len(pairs), size)]
        self.rng = rng

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[PairBatch]:
        count = len(self.batches)
        order = range(count) if self.rng is None else self.rng.permutation(count).tolist()
        return (self.batches[i] for i in order)
