"""Padding sentences of different lengths into rectangular arrays, with the masks that undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from foundation_nn import causal_mask, padding_mask
from numpy.typing import NDArray

from foundation_data._arrays import BoolArray, IntArray
from foundation_data.batches._rows import longest, split_rows


class Example(NamedTuple):
    """One pair as ids.

    Attributes
    ----------
    source : (S,) int64
        The source tokens and ``eos``.
    target_in : (T,) int64
        What the decoder reads: ``bos`` and the target tokens.
    target_out : (T,) int64
        What it must predict: the target tokens and ``eos``.
    """

    source: IntArray
    target_in: IntArray
    target_out: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B pairs, padded to the longest of them. In both masks True means "is real".

    Attributes
    ----------
    source : (B, S) int64
        Source tokens, ``eos``, padding.
    source_mask : (B, S) bool
        Which source positions are real.
    target_in : (B, T) int64
        ``bos``, target tokens, padding.
    target_out : (B, T) int64
        Target tokens, ``eos``, padding.
    target_mask : (B, T) bool
        Which target positions are real. A decoder is causal by itself; `target_pattern` shows both.
    num_tokens : int
        Real tokens in `target_out`: what a loss averages over.

    Raises
    ------
    TypeError
        If a mask is not boolean or an id array not of integers.
    ValueError
        If the shapes do not belong together.
    """

    source: IntArray
    source_mask: BoolArray
    target_in: IntArray
    target_out: IntArray
    target_mask: BoolArray
    num_tokens: int

    def __post_init__(self) -> None:
        for name in ("source", "target_in", "target_out"):
            array = getattr(self, name)
            if array.dtype.kind not in "iu":
                raise TypeError(f"Batch: expected {name} of integers, got {array.dtype}")
            if array.ndim != 2:
                raise ValueError(f"Batch: expected {name} of shape (B, length), got {array.shape}")
        size, length = self.target_in.shape
        shapes = {
            "source_mask": (size, self.source.shape[1]),
            "target_out": (size, length),
            "target_mask": (size, length),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if name.endswith("mask") and array.dtype != np.bool_:
                raise TypeError(
                    f"Batch: expected {name} of bool (True: is real), got {array.dtype}; "
                    "write it as a comparison, such as ids != pad_id"
                )
            if array.shape != shape:
                raise ValueError(f"Batch: expected {name} of shape {shape}, got {array.shape}")

    def __len__(self) -> int:
        """Return B."""
        return len(self.source)

    def split(self, n: int) -> list[Batch]:
        """Share the pairs out among up to `n` batches, each padded to its own longest only.

        Pairs stay in their order. This is what several processes train on; see
        :func:`foundation_nn.distributed.share`.
        """
        parts = []
        for rows in split_rows(len(self), n):
            width = longest(self.source_mask[rows])
            length = longest(self.target_mask[rows])
            parts.append(
                Batch(
                    source=self.source[rows, :width],
                    source_mask=self.source_mask[rows, :width],
                    target_in=self.target_in[rows, :length],
                    target_out=self.target_out[rows, :length],
                    target_mask=self.target_mask[rows, :length],
                    num_tokens=int(self.target_mask[rows].sum()),
                )
            )
        return parts

    @property
    def target_pattern(self) -> BoolArray:
        """Which target position may attend to which, (B, T, T) bool: the real ones up to itself.

        For looking at: a decoder makes this of `target_mask` by itself. Padding neither attends nor
        is attended to.
        """
        real = self.target_mask
        causal = causal_mask(real.shape[1])
        return real[:, None, :] & real[:, :, None] & causal

    @property
    def padding(self) -> float:
        """The share of the positions of `source` and `target_in` that are padding."""
        real = int(self.source_mask.sum()) + self.num_tokens
        return 1.0 - real / (self.source.size + self.target_in.size)


def build_batch(
    source: IntArray,
    source_lengths: IntArray,
    target_in: IntArray,
    target_out: IntArray,
    target_lengths: IntArray,
) -> Batch:
    """Add the masks to arrays that are already padded.

    Parameters
    ----------
    source, target_in, target_out : (B, S), (B, T), (B, T) int64
        The padded ids.
    source_lengths, target_lengths : (B,) int64
        The real lengths.
    """
    return Batch(
        source=source,
        source_mask=padding_mask(source_lengths, source.shape[1]),
        target_in=target_in,
        target_out=target_out,
        target_mask=padding_mask(target_lengths, target_in.shape[1]),
        num_tokens=int(target_lengths.sum()),
    )


def _pad(rows: Sequence[NDArray[np.integer]], pad_id: int) -> tuple[IntArray, IntArray]:
    """Return the rows as (B, longest) int64 and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    padded = np.full((len(rows), int(lengths.max())), pad_id, dtype=np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded, lengths


def collate(examples: Sequence[Example], pad_id: int = 0) -> Batch:
    """Pad examples to the longest of them and build their masks.

    Parameters
    ----------
    examples : sequence of Example, length B
        At least one; plain (source, target_in, target_out) triples of integer arrays do as well.
    pad_id : int
        The id to fill with.

    Returns
    -------
    Batch
        The padded arrays; nothing is ever cut.

    Raises
    ------
    ValueError
        If there is no example, one of its arrays is empty, or `target_in` and `target_out` differ
        in length.

    Examples
    --------
    >>> one = Example(np.array([5, 2]), np.array([1, 7, 8]), np.array([7, 8, 2]))
    >>> two = Example(np.array([5, 6, 2]), np.array([1, 9]), np.array([9, 2]))
    >>> batch = collate([one, two], pad_id=0)
    >>> batch.source
    array([[5, 2, 0],
           [5, 6, 2]])
    >>> batch.target_mask.astype(int)
    array([[1, 1, 1],
           [1, 1, 0]])
    >>> batch.target_pattern[1].astype(int)  # as the decoder makes it
    array([[1, 0, 0],
           [1, 1, 0],
           [0, 0, 0]])
    >>> batch.num_tokens
    5
    """
    if not examples:
        raise ValueError("collate: expected at least one example, got none")
    for index, example in enumerate(examples):
        source, target_in, target_out = example
        if not len(source) or not len(target_in) or len(target_in) != len(target_out):
            raise ValueError(
                f"collate: expected example {index} to have a source, and target_in and target_out "
                f"of one length, none empty; got lengths {len(source)}, {len(target_in)} "
                f"and {len(target_out)}"
            )
    source, source_lengths = _pad([example[0] for example in examples], pad_id)
    target_in, target_lengths = _pad([example[1] for example in examples], pad_id)
    target_out, _ = _pad([example[2] for example in examples], pad_id)
    return build_batch(source, source_lengths, target_in, target_out, target_lengths)
