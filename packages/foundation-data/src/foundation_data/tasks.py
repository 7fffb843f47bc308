"""Synthetic tasks: as many examples as one wants, with answers that are known to be right."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from foundation_data._arrays import IntArray

__all__ = ["copy_task", "reverse_task", "sort_task", "adding_task", "date_task"]

_FIRST_ID = 4  # 0 to 3 are the special tokens
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _check(name: str, rng: np.random.Generator, count: int) -> None:
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name}: expected a numpy.random.Generator, got {type(rng).__name__}; "
            "make one with numpy.random.default_rng(seed)"
        )
    if count < 1:
        raise ValueError(f"{name}: expected count of at least 1, got {count}")


def _sequences(
    name: str, rng: np.random.Generator, count: int, vocab_size: int, min_len: int, max_len: int
) -> list[IntArray]:
    _check(name, rng, count)
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
    """Return pairs whose target repeats the source, which every sequence model must learn.

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


def sort_task(
    rng: np.random.Generator,
    count: int,
    *,
    vocab_size: int = 20,
    min_len: int = 1,
    max_len: int = 10,
) -> list[tuple[IntArray, IntArray]]:
    """Return pairs whose target is the source in rising order: ids decide, not their places.

    Parameters, result and errors are those of `copy_task`.

    Examples
    --------
    >>> [(source, target)] = sort_task(np.random.default_rng(0), 1)
    >>> sorted(source.tolist()) == target.tolist()
    True
    """
    sequences = _sequences("sort_task", rng, count, vocab_size, min_len, max_len)
    return [(sequence, np.sort(sequence)) for sequence in sequences]


def adding_task(
    rng: np.random.Generator, count: int, length: int = 50
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return sequences of numbers, two of them marked, and the sums of these two [1]_.

    The first mark lies in the first half and the second in the other, so that a recurrent network
    must remember a number over about half of the sequence. Always answering 1 has the mean squared
    error 1/6, which a model must get below.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the randomness comes from.
    count : int
        How many sequences.
    length : int
        T, at least 2.

    Returns
    -------
    inputs : (count, T, 2) float32
        Numbers from 0 to 1, and beside each 1 where it is marked and 0 elsewhere.
    targets : (count,) float32
        The sums.

    Raises
    ------
    TypeError
        If `rng` is no Generator.
    ValueError
        If a number is out of range.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8),
       1997, experiment 4.

    Examples
    --------
    >>> inputs, targets = adding_task(np.random.default_rng(0), 3, length=7)
    >>> bool(np.allclose((inputs[..., 0] * inputs[..., 1]).sum(axis=1), targets))
    True
    """
    _check("adding_task", rng, count)
    if length < 2:
        raise ValueError(f"adding_task: expected length of at least 2, got {length}")
    inputs = np.zeros((count, length, 2), dtype=np.float32)
    inputs[..., 0] = rng.random((count, length), dtype=np.float32)
    rows = np.arange(count)
    half = length // 2
    first = rng.integers(0, half, count)
    second = rng.integers(half, length, count)
    inputs[rows, first, 1] = 1
    inputs[rows, second, 1] = 1
    return inputs, inputs[rows, first, 0] + inputs[rows, second, 0]


def date_task(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Return dates as people write them, and as ISO 8601 writes them.

    To translate one, a model must copy the year, look up the month, and put the parts into another
    order. The dates lie between 1900 and 2099 and are written in five ways.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where the randomness comes from.
    count : int
        How many pairs; the same one may come again.

    Returns
    -------
    list of (str, str)
        For a `CharTokenizer`.

    Raises
    ------
    TypeError
        If `rng` is no Generator.
    ValueError
        If `count` is below 1.

    Examples
    --------
    >>> for written, iso in date_task(np.random.default_rng(3), 3):
    ...     print(f"{written} → {iso}")
    20 apr 2062 → 2062-04-20
    17 february 1917 → 1917-02-17
    21.11.1935 → 1935-11-21
    """
    _check("date_task", rng, count)
    first = date(1900, 1, 1).toordinal()
    last = date(2099, 12, 31).toordinal()
    pairs: list[tuple[str, str]] = []
    for ordinal in rng.integers(first, last, size=count, endpoint=True).tolist():
        day = date.fromordinal(ordinal)
        month = _MONTHS[day.month - 1]
        ways = (
            f"{day.day} {month} {day.year}",
            f"{day.day} {month[:3]} {day.year}",
            f"{month} {day.day}, {day.year}",
            f"{_WEEKDAYS[day.weekday()]} {day.day} {month} {day.year}",
            f"{day.day}.{day.month}.{day.year}",
        )
        pairs.append((ways[rng.integers(len(ways))], day.isoformat()))
    return pairs
