"""What a loader asks of a dataset, and what the datasets of this package share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from foundation_data._arrays import IntArray
from foundation_data.reading import CorpusReport
from foundation_data.tokenizers import Tokenizer

BatchT_co = TypeVar("BatchT_co", covariant=True)


class BatchSource(Protocol[BatchT_co]):
    """What a dataset must offer to be loaded in batches by `BatchLoader`.

    It is a protocol: a class of your own needs these four, and derives from nothing. ``lengths``
    and ``fingerprint`` may be plain attributes. The fingerprint is part of the state of a loader,
    which a loader with another dataset refuses.
    """

    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    def lengths(self) -> IntArray:
        """(len, k) int64: the lengths of each example in the k arrays that a batch pads."""

    @property
    def fingerprint(self) -> str:
        """A checksum of the content."""

    def batch(self, indices: IntArray) -> BatchT_co:
        """Return the examples at `indices` (B,) as one batch."""


class Dataset(ABC, Generic[BatchT_co]):
    """Examples that were encoded once, of which any selection becomes a batch.

    Attributes
    ----------
    report : CorpusReport
        What came, what was kept, and what was dropped and why.
    """

    __slots__ = ("_fingerprint", "report")

    report: CorpusReport
    _fingerprint: str

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    @abstractmethod
    def lengths(self) -> IntArray:
        """(len, k) int64: the lengths of each example in the k arrays that a batch pads."""

    @property
    def fingerprint(self) -> str:
        """A checksum of content and layout: with equal fingerprints, batches are equal."""
        return self._fingerprint

    def batch(self, indices: ArrayLike) -> BatchT_co:
        """Return the chosen examples as one batch.

        Parameters
        ----------
        indices : (B,) int
            Which examples, in which order; at least one.

        Raises
        ------
        ValueError
            If there is no index.
        IndexError
            If an index is out of range.
        """
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or not len(chosen):
            raise ValueError(
                f"{type(self).__name__}.batch: expected indices of shape (B,) with B >= 1, "
                f"got {chosen.shape}"
            )
        return self._batch(chosen)

    @abstractmethod
    def _batch(self, chosen: IntArray) -> BatchT_co:
        """The same for indices that are an array (B,)."""


def require_tokenizer(owner: str, name: str, tokenizer: object) -> None:
    """Refuse what is no trained tokenizer; `owner` is who asks, `name` the argument.

    Raises
    ------
    TypeError
    """
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(
            f"{owner}: expected {name} to be a trained tokenizer, got {type(tokenizer).__name__}"
        )
