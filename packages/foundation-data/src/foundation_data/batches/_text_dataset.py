"""Text as ids, ready to become batches for language models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from foundation_nn import padding_mask, whole_number

from foundation_data._arrays import BoolArray, IntArray
from foundation_data.batches._dataset import Dataset, require_tokenizer
from foundation_data.batches._packing import pack
from foundation_data.batches._stream import TokenStream
from foundation_data.batches._text_batch import TextBatch
from foundation_data.reading import CorpusReport, Dropped
from foundation_data.tokenizers import Tokenizer


class TextDataset(Dataset[TextBatch]):
    """Text cut into rows of at most `length` tokens, of which any selection becomes a `TextBatch`.

    There are two layouts. As windows, all documents are one stream, cut every `length` tokens: a
    row may begin in the middle of a sentence and cross into another document. Packed, each row
    holds whole documents that cannot see one another. Only a document longer than a row is cut,
    and what follows the cut begins at position 0 again. Either way every token is the target of one
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
        If `length` is not whole or below 1, or there is no token to predict.

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

    __slots__ = ("_pad_id", "_piece_sizes", "_piece_starts", "_row_bounds", "_stream", "_trained")

    def __init__(
        self, texts: Iterable[str], tokenizer: Tokenizer, length: int, pack: bool = False
    ) -> None:
        if isinstance(texts, str):
            raise TypeError("TextDataset: expected a list of texts, got one str; wrap it: [text]")
        require_tokenizer("TextDataset", "tokenizer", tokenizer)
        stream = TokenStream.from_ids(
            tokenizer.encode(text, add_bos=True, add_eos=True) for text in texts
        )
        self._lay_out(stream, length, pack, tokenizer.vocabulary.specials.pad_id, None)

    @classmethod
    def from_ids(
        cls,
        documents: Iterable[Sequence[int]] | TokenStream,
        length: int,
        pack: bool = False,
        pad_id: int = 0,
        trained: Iterable[Sequence[bool]] | None = None,
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
        trained : iterable of sequences of bool, optional
            For each document, which of its tokens a loss counts; all by default. A row or a part of
            a document with none is left out.

        Raises
        ------
        ValueError
            If these are not as many as the ids.

        Examples
        --------
        A question and its answer, of which the answer is learnt:

        >>> ids, learnt = [1, 5, 6, 7, 2], [False, False, True, True, True]
        >>> batch = TextDataset.from_ids([ids], 8, pack=True, trained=[learnt]).batch([0])
        >>> batch.targets[batch.trained], batch.num_tokens
        (array([6, 7, 2]), 3)
        """
        if not isinstance(documents, TokenStream):
            documents = TokenStream.from_ids(documents)
        dataset = cls.__new__(cls)
        flags = None if trained is None else _flat_flags(trained, documents.document_lengths)
        dataset._lay_out(documents, length, pack, pad_id, flags)
        return dataset

    def _lay_out(
        self,
        stream: TokenStream,
        length: int,
        packed: bool,
        pad_id: int,
        trained: BoolArray | None,
    ) -> None:
        """Decide which parts of the stream make each row.

        Both layouts are one table: a piece is a part of the stream without a gap, and a row is a
        run of pieces, one after the other.
        """
        length = whole_number("TextDataset", "length", length, at_least=1)
        dropped: dict[str, Dropped] = {}
        if packed:
            too_short = np.flatnonzero(stream.document_lengths < 2)
            if len(too_short):
                example = f"document {too_short[0]}"
                dropped["nothing to predict"] = Dropped(len(too_short), example)
            starts, sizes = _pieces(stream.document_lengths, length)
            starts, sizes = _with_something_to_learn(starts, sizes, trained)
            rows = pack(sizes, length)
            by_row = np.argsort(rows, kind="stable")
            starts = starts[by_row]
            sizes = sizes[by_row]
            num_rows = rows.max(initial=-1) + 1
            row_bounds = np.searchsorted(rows[by_row], np.arange(num_rows + 1))
        else:
            starts, sizes = _pieces(np.array([len(stream)]), length)
            starts, sizes = _with_something_to_learn(starts, sizes, trained)
            row_bounds = np.arange(len(starts) + 1)  # one piece in each row
        if not len(starts):
            raise ValueError(
                "TextDataset: expected a document of at least two tokens, got none; "
                "a language model predicts each token from the ones before it"
            )
        num_documents = stream.num_documents
        num_dropped = sum(reason.count for reason in dropped.values())
        self.report = CorpusReport("documents", num_documents, num_documents - num_dropped, dropped)
        self._stream = stream
        self._piece_starts = starts
        self._piece_sizes = sizes
        self._row_bounds = row_bounds
        self._pad_id = pad_id
        self._trained = trained
        layout = f"{stream.fingerprint} {length} {packed} {pad_id}"
        if trained is not None:
            layout += f" {hashlib.sha256(np.packbits(trained).tobytes()).hexdigest()}"
        self._fingerprint = hashlib.sha256(layout.encode("ascii")).hexdigest()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._row_bounds) - 1

    @property
    def lengths(self) -> IntArray:
        """The real positions of each row, (len, 1) int64: what a loader makes its buckets by."""
        return np.add.reduceat(self._piece_sizes, self._row_bounds[:-1])[:, None]

    def _batch(self, chosen: IntArray) -> TextBatch:
        first_pieces = self._row_bounds[:-1][chosen]
        num_pieces = self._row_bounds[1:][chosen] - first_pieces
        pieces = np.repeat(first_pieces, num_pieces) + _count_up(num_pieces)
        starts = self._piece_starts[pieces]
        sizes = self._piece_sizes[pieces]
        lengths = np.add.reduceat(sizes, np.cumsum(num_pieces) - num_pieces)
        # A piece of n predictions has n + 1 tokens: the ids are all but the last, the targets all
        # but the first.
        tokens = [
            self._stream.read(start, start + size + 1)
            for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        ]
        # Pieces stand side by side from the left, so the real places, row by row, are the pieces
        # end to end.
        real = padding_mask(lengths)  # (B, T)
        ids = np.full(real.shape, self._pad_id, dtype=np.int64)
        ids[real] = np.concatenate([piece[:-1] for piece in tokens])
        targets = np.full(real.shape, self._pad_id, dtype=np.int64)
        targets[real] = np.concatenate([piece[1:] for piece in tokens])
        segments = np.zeros(real.shape, dtype=np.int64)
        segments[real] = np.repeat(_count_up(num_pieces) + 1, sizes)
        positions = np.zeros(real.shape, dtype=np.int64)
        positions[real] = _count_up(sizes)
        if self._trained is None:
            return TextBatch(ids, targets, segments, positions, int(sizes.sum()))
        trained = np.zeros(real.shape, dtype=np.bool_)
        pairs = zip(starts.tolist(), sizes.tolist(), strict=True)
        trained[real] = np.concatenate([self._trained[at + 1 : at + n + 1] for at, n in pairs])
        return TextBatch(ids, targets, segments, positions, int(trained.sum()), trained)


def _flat_flags(trained: Iterable[Sequence[bool]], lengths: IntArray) -> BoolArray:
    """The flags of all documents end to end, as many as they have tokens."""
    flags = [np.asarray(each, dtype=np.bool_) for each in trained]
    if [len(each) for each in flags] != lengths.tolist():
        raise ValueError(
            "TextDataset: expected trained to hold a flag for each token of each document, got "
            f"{sum(map(len, flags))} flags in {len(flags)} for {lengths.sum()} tokens in "
            f"{len(lengths)}"
        )
    return np.concatenate(flags) if flags else np.zeros(0, dtype=np.bool_)


def _with_something_to_learn(
    starts: IntArray, sizes: IntArray, trained: BoolArray | None
) -> tuple[IntArray, IntArray]:
    """Leave out pieces without a target that counts."""
    if trained is None:
        return starts, sizes
    counts = np.concatenate([[0], np.cumsum(trained)])  # of the tokens before each
    learnt = counts[starts + sizes + 1] > counts[starts + 1]
    return starts[learnt], sizes[learnt]


def _count_up(sizes: IntArray) -> IntArray:
    """Return 0, 1, ... for each size, end to end: ``[2, 3]`` gives ``[0, 1, 0, 1, 2]``."""
    starts = np.cumsum(sizes) - sizes
    count: IntArray = np.arange(sizes.sum()) - np.repeat(starts, sizes)
    return count


def _pieces(lengths: IntArray, capacity: int) -> tuple[IntArray, IntArray]:
    """Cut documents, end to end, into pieces of at most `capacity` predictions.

    Returns the start of each in the stream and its size, (pieces,) int64 both. A document of n
    tokens has n - 1 predictions, because nothing comes before its first token.
    """
    predictions = np.maximum(lengths - 1, 0)
    num_pieces = -(-predictions // capacity)  # of each document, rounded up
    offsets = _count_up(num_pieces) * capacity  # of each piece in its document
    document_starts = np.cumsum(lengths) - lengths
    starts = np.repeat(document_starts, num_pieces) + offsets
    sizes = np.minimum(np.repeat(predictions, num_pieces) - offsets, capacity)
    return starts, sizes
