"""Documents of ids, end to end, in memory or in files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from foundation_data._batch import IntArray
from foundation_data._rows import Rows

Ids = NDArray[np.integer]


class TokenStream:
    """The ids of many documents, one after the other; no document is cut between two arrays.

    Made by `write_shards`, `open_shards` and `TokenStream.from_ids`.

    Parameters
    ----------
    parts : sequence of (n,) integer arrays
        The ids; arrays mapped from files stay there.
    lengths : sequence of (documents,) integer arrays
        The lengths of the documents in each part.
    fingerprint : str
        A checksum of the content.

    Examples
    --------
    >>> stream = TokenStream.from_ids([[1, 5, 2], [1, 6, 7, 2]])
    >>> len(stream), stream.num_documents
    (7, 2)
    >>> stream.read(2, 5)
    array([2, 1, 6])
    """

    __slots__ = ("_bounds", "_lengths", "_parts", "fingerprint")

    def __init__(
        self, parts: Sequence[Ids], lengths: Sequence[NDArray[np.int64]], fingerprint: str
    ) -> None:
        self._parts = parts
        self._lengths = lengths
        self._bounds = np.cumsum([0, *(len(part) for part in parts)])
        self.fingerprint = fingerprint

    @classmethod
    def from_ids(cls, documents: Iterable[Sequence[int]]) -> TokenStream:
        """Hold documents in memory, four bytes an id."""
        rows = Rows(list(documents))
        digest = hashlib.sha256(rows.lengths.astype("<i8").tobytes())
        digest.update(rows.flat.astype("<i4").tobytes())
        return cls([rows.flat], [rows.lengths], digest.hexdigest())

    def __len__(self) -> int:
        """Return the number of ids."""
        return int(self._bounds[-1])

    @property
    def num_documents(self) -> int:
        """How many documents there are."""
        return sum(len(lengths) for lengths in self._lengths)

    @property
    def document_lengths(self) -> IntArray:
        """The length of each document, (documents,) int64; reads all of them into memory."""
        return np.concatenate([np.zeros(0, np.int64), *self._lengths])

    def read(self, start: int, stop: int) -> IntArray:
        """Return a copy of the ids from `start` to `stop`, (stop - start,) int64."""
        first = int(np.searchsorted(self._bounds, start, side="right")) - 1
        pieces: list[Ids] = []
        for part, bound in zip(self._parts[first:], self._bounds[first:].tolist(), strict=False):
            if bound >= stop:
                break
            pieces.append(part[max(0, start - bound) : stop - bound])
        whole = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros(0, np.int64), *pieces])
        return whole.astype(np.int64)
