"""Synthetic tasks: endless pairs of ids whose right answer is known."""

from __future__ import annotations

import numpy as np

from foundation_data._batch import IntArray

__all__ = ["copy_task", "reverse_task"]

_FIRST_ID = 4  # 0 to 3 are the special tokens


def _sequences(
    name: str, rng: np.random.Generator, count: int, vocab_size: int, min_len: int, max_len: int
) -> list[IntArray]:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name}: expected a numpy.random.Generator, got {type(rng).__name__}; "
            "make one with numpy.random.default_rng(seed)"
        )
    if count < 1:
        raise ValueError(f"{name}: expected count of at least 1, got {count}")
    if vocab_size <= _FIRST_ID:
        raise ValueError(
            f"{name}: expected vocab_size above {_FIRST_ID} (the special tokens), got {vocab_size}"
        )
    if not 1 <= min_len <= max_len:
        raise ValueError(f"{name}: expected 1 <= min_len <= max_len, got {min_len} and {max_len}")
    lengths = rng.integers(min_len, max_len, size=count, endpoint=True)
    flat = rng.integers(_FIRST_ID, vocab_size, size=int(lengths.sum()))
    return np.split(flat, np.cumsum(lengths)[:-1])


def copy_task(
    rng: np.random.Generator,
    count: int,
    *,
    vocab_size: int = 20,
    min_len: int = 1,
    max_len: int = 10,
) -> list[tuple[IntArray, IntArray]]:
    """Return pairs whose target repeats the source: the first thing any sequence model must learn.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the randomness comes from.
    count : int
        How many pairs.
    vocab_size : int
        Ids run from 4 (0 to 3 are special tokens) to ``vocab_size - 1``.
    min_len, max_len : int
        The bounds, both included, between which lengths are drawn.

    Returns
    -------
    list of (source, target)
        Each (length,) int64, without special tokens; for `TranslationDataset.from_ids`.

    Raises
    ------
    TypeError
        If `rng` is no Generator.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> [(source, target)] = copy_task(np.random.default_rng(0), 1)
    >>> source.tolist() == target.tolist()
    True
    """
    sequences = _sequences("copy_task", rng, count, vocab_size, min_len, max_len)
    return [(sequence, sequence.copy()) for sequence in sequences]


def reverse_task(
    rng: np.random.Generator,
    count: int,
    *,
    vocab_size: int = 20,
    min_len: int = 1,
    max_len: int = 10,
) -> list[tuple[IntArray, IntArray]]:
    """Return pairs whose target is the source backwards: attention must cross the whole source.

    Parameters, result and errors are those of `copy_task`.

    Examples
    --------
    >>> [(source, target)] = reverse_task(np.random.default_rng(0), 1)
    >>> source[::-1].tolist() == target.tolist()
    True
    """
    sequences = _sequences("reverse_task", rng, count, vocab_size, min_len, max_len)
    return [(sequence, sequence[::-1].copy()) for sequence in sequences]
