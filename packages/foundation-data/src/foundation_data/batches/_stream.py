"""Documents of ids, end to end, in memory or in files."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from foundation_data._arrays import IntArray

Ids = NDArray[np.integer]


class TokenStream:
    """The ids of many documents, one after the other, in one or several arrays.

    A document always lies in one array.

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

    __slots__ = ("_lengths", "_part_starts", "_parts", "fingerprint")

    def __init__(
        self, parts: Sequence[Ids], lengths: Sequence[NDArray[np.int64]], fingerprint: str
    ) -> None:
        self._parts = parts
        self._lengths = lengths
        self._part_starts = list(accumulate(map(len, parts), initial=0))  # and where the last ends
        self.fingerprint = fingerprint

    @classmethod
    def from_ids(cls, documents: Iterable[Sequence[int] | Ids]) -> TokenStream:
        """Hold documents in memory, four bytes an id.

        Raises
        ------
        TypeError
            If a document is no sequence of integers.
        ValueError
            If an id is negative, or does not fit into four bytes.
        """
        rows = [_checked(document, number) for number, document in enumerate(documents)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        flat = np.concatenate([np.zeros(0, np.int32), *rows])
        digest = hashlib.sha256(lengths.astype("<i8").tobytes())
        digest.update(flat.astype("<i4").tobytes())
        return cls([flat], [lengths], digest.hexdigest())

    def __len__(self) -> int:
        """Return the number of ids."""
        return self._part_starts[-1]

    @property
    def num_documents(self) -> int:
        """How many documents there are."""
        return sum(len(lengths) for lengths in self._lengths)

    @property
    def document_lengths(self) -> IntArray:
        """The length of each document, (documents,) int64; reads all of them into memory."""
        return np.concatenate([np.zeros(0, np.int64), *self._lengths])

    def split(self, place: int) -> tuple[TokenStream, TokenStream]:
        """Return the stream before a place and the one from there; nothing is copied.

        A document that stands on both sides is one in each of them.

        Parameters
        ----------
        place : int
            From 0 to the number of ids.

        Raises
        ------
        ValueError
            If it is outside.

        Examples
        --------
        >>> before, after = TokenStream.from_ids([[1, 5, 2], [1, 6, 7, 2]]).split(4)
        >>> before.document_lengths, after.document_lengths, after.read(0, 3)
        (array([3, 1]), array([3]), array([6, 7, 2]))
        """
        if not 0 <= place <= len(self):
            raise ValueError(f"split: expected a place from 0 to {len(self)}, got {place}")
        return self._between(0, place), self._between(place, len(self))

    def _between(self, start: int, stop: int) -> TokenStream:
        parts: list[Ids] = []
        lengths: list[NDArray[np.int64]] = []
        for part, part_start, documents in zip(
            self._parts, self._part_starts, self._lengths, strict=False
        ):
            first = min(max(start - part_start, 0), len(part))
            last = min(max(stop - part_start, 0), len(part))
            if first < last:
                parts.append(part[first:last])
                ends = np.clip(np.cumsum(documents), first, last)
                cut = np.diff(ends, prepend=first)
                lengths.append(cut[cut > 0])
        layout = f"{self.fingerprint} {start} {stop}"
        return TokenStream(parts, lengths, hashlib.sha256(layout.encode("ascii")).hexdigest())

    def read(self, start: int, stop: int) -> IntArray:
        """Return a copy of the ids from `start` to `stop`, (stop - start,) int64."""
        part = bisect_right(self._part_starts, start, hi=len(self._parts)) - 1
        offset = self._part_starts[part]
        pieces = [self._parts[part][start - offset : stop - offset]]
        while stop > self._part_starts[part + 1]:
            part += 1
            pieces.append(self._parts[part][: stop - self._part_starts[part]])
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return whole.astype(np.int64)


def _checked(document: Sequence[int] | Ids, number: int) -> NDArray[np.int32]:
    """The document, if it is one of ids: 1.5, or a word, would silently become another id."""
    ids = np.asarray(document)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise TypeError(
            f"from_ids: expected document {number} to be a sequence of integer ids, "
            f"got {document!r:.60}"
        )
    if ids.size and not 0 <= ids.min() <= ids.max() < 1 << 31:
        raise ValueError(
            f"from_ids: expected ids from 0 to 2**31 - 1, got {ids.min()} to {ids.max()} in "
            f"document {number}"
        )
    return ids.astype(np.int32)  # 32 bits hold every vocabulary there is
