"""Text as ids, ready to become batches for language models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from foundation_nn import padding_mask
from numpy.typing import ArrayLike

from foundation_data._batch import IntArray
from foundation_data._packing import pack
from foundation_data._rows import chosen_rows
from foundation_data._stream import TokenStream
from foundation_data._text_batch import TextBatch
from foundation_data.reading._report import CorpusReport, Dropped
from foundation_data.tokenizers._tokenizer import Tokenizer


class TextDataset:
    """Text cut into rows of at most `length` tokens, of which any selection becomes a `TextBatch`.

    There are two layouts. As windows, all documents are one stream, cut every `length` tokens: a
    row may begin in the middle of a sentence and cross into another document. Packed, each row
    holds whole documents that cannot see one another; only a document longer than a row is cut,
    and what follows starts anew at position 0. Either way every token is the target of one
    position, except the first of the stream or, packed, of each document.

    Parameters
    ----------
    texts : iterable of str
        The documents; each becomes ``bos``, its tokens and ``eos``.
    tokenizer : Tokenizer
        A trained tokenizer.
    length : int
        T: the most positions of a row.
    pack : bool
        Whether to pack documents rather than to cut a stream into windows.

    Attributes
    ----------
    report : CorpusReport
        How many documents came and were kept; packed, one of a single token has nothing to predict.

    Raises
    ------
    TypeError
        If `texts` is a single string, or `tokenizer` no tokenizer.
    ValueError
        If `length` is below 1, or there is no token to predict.

    Examples
    --------
    >>> stream = [[1, 5, 6, 2], [1, 7, 2]]
    >>> windows = TextDataset.from_ids(stream, length=4)
    >>> windows.batch([0]).ids, windows.batch([0]).targets
    (array([[1, 5, 6, 2]]), array([[5, 6, 2, 1]]))
    >>> packed = TextDataset.from_ids(stream, length=5, pack=True)
    >>> batch = packed.batch([0])
    >>> batch.ids, batch.targets, batch.positions
    (array([[1, 5, 6, 1, 7]]), array([[5, 6, 2, 7, 2]]), array([[0, 1, 2, 0, 1]]))
    >>> batch.mask[0].astype(int)
    array([[1, 0, 0, 0, 0],
           [1, 1, 0, 0, 0],
           [1, 1, 1, 0, 0],
           [0, 0, 0, 1, 0],
           [0, 0, 0, 1, 1]])
    """

    __slots__ = ("_bounds", "_fingerprint", "_pad_id", "_sizes", "_starts", "_stream", "report")

    def __init__(
        self, texts: Iterable[str], tokenizer: Tokenizer, length: int, pack: bool = False
    ) -> None:
        if isinstance(texts, str):
            raise TypeError("TextDataset: expected a list of texts, got one str; wrap it: [text]")
        if not isinstance(tokenizer, Tokenizer):
            raise TypeError(
                "TextDataset: expected tokenizer to be a trained tokenizer, "
                f"got {type(tokenizer).__name__}"
            )
        stream = TokenStream.from_ids(
            tokenizer.encode(text, add_bos=True, add_eos=True) for text in texts
        )
        self._lay_out(stream, length, pack, tokenizer.vocabulary.specials.pad_id)

    @classmethod
    def from_ids(
        cls,
        documents: Iterable[Sequence[int]] | TokenStream,
        length: int,
        pack: bool = False,
        pad_id: int = 0,
    ) -> Self:
        """Return a dataset of documents that are already ids.

        Parameters
        ----------
        documents : iterable of sequences of int, or TokenStream
            With their special tokens: nothing is added. A stream from `open_shards` stays in its
            files.
        length, pack
            As for the class.
        pad_id : int
            The id to fill with.
        """
        if not isinstance(documents, TokenStream):
            documents = TokenStream.from_ids(documents)
        dataset = cls.__new__(cls)
        dataset._lay_out(documents, length, pack, pad_id)
        return dataset

    def _lay_out(self, stream: TokenStream, length: int, packed: bool, pad_id: int) -> None:
        if length < 1:
            raise ValueError(f"TextDataset: expected length of at least 1, got {length}")
        read, dropped = stream.num_documents, {}
        # Both layouts are one table: a row is a run of pieces, and a piece is a run of the stream.
        if packed:
            short = np.flatnonzero(stream.document_lengths < 2)
            if len(short):
                dropped["nothing to predict"] = Dropped(len(short), f"document {short[0]}")
            starts, sizes = _pieces(stream.document_lengths, length)
            rows = pack(sizes, length)
            order = np.argsort(rows, kind="stable")
            starts, sizes = starts[order], sizes[order]
            bounds = np.searchsorted(rows[order], np.arange(rows.max(initial=-1) + 2))
        else:
            starts, sizes = _pieces(np.array([len(stream)]), length)
            bounds = np.arange(len(starts) + 1)
        if not len(starts):
            raise ValueError(
                "TextDataset: expected a document of at least two tokens, got none; "
                "a language model predicts each token from the ones before it"
            )
        num_dropped = sum(reason.count for reason in dropped.values())
        self.report = CorpusReport("documents", read, read - num_dropped, dropped)
        self._stream = stream
        self._starts, self._sizes, self._bounds = starts, sizes, bounds
        self._pad_id = pad_id
        layout = f"{stream.fingerprint} {length} {packed} {pad_id}"
        self._fingerprint = hashlib.sha256(layout.encode("ascii")).hexdigest()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._bounds) - 1

    @property
    def lengths(self) -> IntArray:
        """The real positions of each row, (len, 1) int64: what a loader makes its buckets by."""
        return np.add.reduceat(self._sizes, self._bounds[:-1])[:, None]

    @property
    def fingerprint(self) -> str:
        """A checksum of the content and the layout: with equal fingerprints, batches are equal."""
        return self._fingerprint

    def batch(self, indices: ArrayLike) -> TextBatch:
        """Return the chosen rows as a `TextBatch`.

        Parameters
        ----------
        indices : (B,) int
            Which rows, in which order; at least one.

        Raises
        ------
        ValueError
            If there is no index.
        IndexError
            If an index is out of range.
        """
        chosen = chosen_rows(indices)
        firsts = self._bounds[:-1][chosen]
        counts = self._bounds[1:][chosen] - firsts  # pieces in each row
        pieces = np.repeat(firsts, counts) + _count_up(counts)
        starts, sizes = self._starts[pieces], self._sizes[pieces]
        lengths = np.add.reduceat(sizes, np.cumsum(counts) - counts)
        # Pieces stand side by side from the left, so the real places, row by row, are the pieces
        # end to end.
        real = padding_mask(lengths)  # (B, T)
        runs = [
            self._stream.read(start, start + size + 1)
            for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        ]
        ids = np.full(real.shape, self._pad_id, dtype=np.int64)
        targets = ids.copy()
        segments, positions = np.zeros_like(ids), np.zeros_like(ids)
        ids[real] = np.concatenate([run[:-1] for run in runs])
        targets[real] = np.concatenate([run[1:] for run in runs])
        segments[real] = np.repeat(_count_up(counts) + 1, sizes)
        positions[real] = _count_up(sizes)
        return TextBatch(ids, targets, segments, positions, int(sizes.sum()))


def _count_up(sizes: IntArray) -> IntArray:
    """Return 0, 1, ... for each size, end to end: ``[2, 3]`` gives ``[0, 1, 0, 1, 2]``."""
    count: IntArray = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return count


def _pieces(lengths: IntArray, capacity: int) -> tuple[IntArray, IntArray]:
    """Cut documents, end to end, into pieces of at most `capacity` predictions.

    Returns the start of each in the stream and its size, (pieces,) int64 both. A document of n
    tokens has n - 1 predictions: nothing tells its first one.
    """
    predictions = np.maximum(lengths - 1, 0)
    counts = -(-predictions // capacity)  # pieces of each document
    offsets = _count_up(counts) * capacity  # of each piece in its document
    starts = np.repeat(np.cumsum(lengths) - lengths, counts) + offsets
    return starts, np.minimum(np.repeat(predictions, counts) - offsets, capacity)
