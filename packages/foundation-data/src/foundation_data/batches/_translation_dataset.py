"""Pairs of sentences as ids, ready to become batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from foundation_data._arrays import IntArray
from foundation_data.batches._batch import Batch, Example, build_batch
from foundation_data.batches._dataset import Dataset, require_tokenizer
from foundation_data.batches._rows import Rows
from foundation_data.reading import CorpusReport
from foundation_data.reading._report import DropCounter
from foundation_data.tokenizers import SpecialTokens, Tokenizer


class TranslationDataset(Dataset[Batch]):
    """Pairs of sentences, encoded once, of which any selection becomes a `Batch`.

    ``dataset.batch([2, 0])`` gives what `collate` would give for the same examples, only faster.

    The source is its tokens and ``eos``. The decoder reads ``bos`` and the target tokens, and must
    predict the target tokens and ``eos``.

    Parameters
    ----------
    pairs : iterable of (source, target)
        Sentences.
    source_tokenizer, target_tokenizer : Tokenizer
        Trained tokenizers with the same special tokens.
    max_len : int, optional
        The most positions a model has: S and T of every example stay within it, ``eos`` and ``bos``
        included.
    too_long : {"drop", "error"}
        What to do with a longer pair: drop and count it in `report`, or raise. Nothing is ever cut.

    Attributes
    ----------
    report : CorpusReport
        How many pairs came, were kept, and were dropped for their length.
    specials : SpecialTokens
        The special tokens of both sides.

    Raises
    ------
    TypeError
        If a tokenizer is none, or a pair is not two strings.
    ValueError
        If the special tokens differ, an option is out of range, a pair is too long with
        ``too_long="error"``, or no pair is left.

    Examples
    --------
    >>> from foundation_data import WordTokenizer
    >>> pairs = [("Go !", "Va !"), ("Go home !", "Rentre !")]
    >>> english = WordTokenizer.train(source for source, _ in pairs)
    >>> french = WordTokenizer.train(target for _, target in pairs)
    >>> dataset = TranslationDataset(pairs, english, french)
    >>> dataset[0].source, dataset[0].target_in, dataset[0].target_out
    (array([5, 4, 2]), array([1, 6, 4]), array([6, 4, 2]))
    >>> dataset.batch([0, 1]).source
    array([[5, 4, 2, 0],
           [5, 6, 4, 2]])
    """

    __slots__ = ("_source", "_target", "specials")

    def __init__(
        self,
        pairs: Iterable[Sequence[str]],
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        max_len: int | None = None,
        too_long: str = "drop",
    ) -> None:
        require_tokenizer("TranslationDataset", "source_tokenizer", source_tokenizer)
        require_tokenizer("TranslationDataset", "target_tokenizer", target_tokenizer)
        specials = source_tokenizer.vocabulary.specials
        if specials != target_tokenizer.vocabulary.specials:
            raise ValueError(
                "TranslationDataset: expected the same SpecialTokens in both tokenizers"
            )
        if max_len is not None and max_len < 2:
            raise ValueError(f"TranslationDataset: expected max_len of at least 2, got {max_len}")
        if too_long not in ("drop", "error"):
            raise ValueError(
                f'TranslationDataset: expected too_long "drop" or "error", got {too_long!r}'
            )

        counter = DropCounter()
        sources: list[list[int]] = []
        targets: list[list[int]] = []
        for number, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2:
                raise TypeError(
                    f"TranslationDataset: expected pairs of two strings, got {pair!r:.80}"
                )
            source = source_tokenizer.encode(pair[0], add_eos=True)
            target = target_tokenizer.encode(pair[1], add_bos=True, add_eos=True)
            # The decoder reads all of the target but the last id, and predicts all but the first.
            num_positions = max(len(source), len(target) - 1)
            if max_len is not None and num_positions > max_len:
                place = f"pair {number} with {num_positions} positions: {pair[0]!r}"
                if too_long == "error":
                    raise ValueError(
                        f"TranslationDataset: expected at most max_len={max_len} positions, "
                        f"got {place:.160}; "
                        'raise max_len, shorten it, or use too_long="drop"'
                    )
                counter.drop(f"longer than {max_len} positions", place)
                continue
            sources.append(source)
            targets.append(target)
        report = counter.report("encoded pairs", len(sources))
        if not sources:
            raise ValueError(
                f"TranslationDataset: expected at least one usable pair: {report.summary}"
            )
        self._store(sources, targets, specials, report)

    @classmethod
    def from_ids(
        cls,
        pairs: Iterable[tuple[ArrayLike, ArrayLike]],
        specials: SpecialTokens | None = None,
    ) -> Self:
        """Return a dataset of pairs that are already ids, such as those of `tasks`.

        Parameters
        ----------
        pairs : iterable of (source ids, target ids)
            Without special tokens, which are added here.
        specials : SpecialTokens, optional
            The special tokens to add.

        Raises
        ------
        TypeError
            If ids are not integers.
        ValueError
            If a side has not one dimension, an id is negative or reserved, or there is no pair.
        """
        specials = SpecialTokens() if specials is None else specials
        sources: list[list[int]] = []
        targets: list[list[int]] = []
        for number, pair in enumerate(pairs):
            source, target = (_checked_ids(ids, number, specials) for ids in pair)
            sources.append([*source, specials.eos_id])
            targets.append([specials.bos_id, *target, specials.eos_id])
        if not sources:
            raise ValueError("from_ids: expected at least one pair, got none")
        dataset = cls.__new__(cls)
        report = CorpusReport("pairs of ids", len(sources), len(sources))
        dataset._store(sources, targets, specials, report)
        return dataset

    def _store(
        self,
        sources: list[list[int]],
        targets: list[list[int]],
        specials: SpecialTokens,
        report: CorpusReport,
    ) -> None:
        self.specials = specials
        self.report = report
        self._source = Rows(sources)
        self._target = Rows(targets)
        digest = hashlib.sha256(repr(specials).encode())
        for rows in (self._source, self._target):
            # Explicit byte order: the fingerprint must not depend on the machine.
            digest.update(rows.lengths.astype("<i8").tobytes())
            digest.update(rows.flat.astype("<i4").tobytes())
        self._fingerprint = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._source.lengths)

    def __getitem__(self, index: int) -> Example:
        """Return one example; its arrays are copies."""
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"TranslationDataset: expected an index below {len(self)}, got {index}"
            )
        return Example(
            source=self._source.row(index),
            target_in=self._target.row(index, drop=1),
            target_out=self._target.row(index, skip=1),
        )

    @property
    def lengths(self) -> IntArray:
        """S and T of each example, (len, 2) int64: what a loader makes its buckets by."""
        return np.stack([self._source.lengths, self._target.lengths - 1], axis=1)

    def _batch(self, chosen: IntArray) -> Batch:
        pad_id = self.specials.pad_id
        source, source_lengths = self._source.padded(chosen, pad_id)
        target_in, target_lengths = self._target.padded(chosen, pad_id, drop=1)
        target_out, _ = self._target.padded(chosen, pad_id, skip=1)
        return build_batch(source, source_lengths, target_in, target_out, target_lengths)


def _checked_ids(values: ArrayLike, number: int, specials: SpecialTokens) -> list[int]:
    """One side of a pair as a list, if it holds nothing but ids that are not reserved."""
    ids = np.asarray(values)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"from_ids: expected integer ids in pair {number}, got {ids.dtype}")
    if ids.ndim != 1:
        raise ValueError(
            f"from_ids: expected ids of shape (length,) in pair {number}, got {ids.shape}"
        )
    reserved = {specials.pad_id, specials.bos_id, specials.eos_id}
    row: list[int] = ids.tolist()
    for token in row:
        if token < 0 or token in reserved:
            raise ValueError(
                f"from_ids: pair {number} holds the id {token}; expected ids of at least 0 "
                f"other than {sorted(reserved)}, which are added here"
            )
    return row
