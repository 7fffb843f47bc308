"""Reading pairs of sentences: two columns of a file, or two files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Unpack

from foundation_data.reading._clean import PairFilters, RawPair, clean_pairs
from foundation_data.reading._lines import (
    DEFAULT_LIMITS,
    ReadLimits,
    check_file,
    content_suffix,
    read_lines,
)
from foundation_data.reading._records import DELIMITERS, JSON_LINES, json_fields, table_cells
from foundation_data.reading._report import Pairs


def read_pairs(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    header: bool = False,
    columns: Sequence[int] | Sequence[str] | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
    **filters: Unpack[PairFilters],
) -> Pairs:
    """Read (source, target) sentences from two columns of a text file.

    Text is normalised: NFC, each run of whitespace as one space, no invisible characters.

    Parameters
    ----------
    path : path
        A ``.tsv``, ``.txt`` (both with tabs), ``.csv`` or ``.jsonl`` file in UTF-8, or one of these
        gzipped (``.gz``) or alone in a ``.zip``.
    delimiter : str, optional
        What separates the columns, if not what the name says.
    header : bool
        Whether the first line holds column names.
    columns : two ints or two strs, optional
        Where source and target are: the numbers of their columns, from 0, or the names of their
        fields in JSON lines, where a dot leads inside (``translation.fr``). By default the first
        two columns, or the fields ``source`` and ``target``.
    limits : ReadLimits
        How much is read before the file is refused.
    **filters
        Which pairs to drop: `min_words`, `max_words`, `max_ratio`, `drop_copies` and
        `drop_duplicates`; see `PairFilters`.

    Returns
    -------
    Pairs
        A list of (source, target) in the order of the file; its `report` tells what was dropped and
        why.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If an option is of the wrong type, or there is no such option.
    ValueError
        If the file is empty, a line has one column, the text is not UTF-8 (each names the place),
        the name or an option is not understood, a limit is exceeded, or nothing is left.

    Examples
    --------
    >>> pairs = read_pairs(folder / "pairs.tsv", max_words=50)  # doctest: +SKIP
    >>> pairs[0], pairs.report.kept  # doctest: +SKIP
    (('Go.', 'Va !'), 139218)
    """
    path = Path(path)
    check_file(path)
    if content_suffix(path) in JSON_LINES:
        records = json_fields(path, _names(columns), limits)
    else:
        records = table_cells(path, _delimiter_of(path, delimiter), _numbers(columns), limits)

    def raw_pairs() -> Iterator[RawPair]:
        number = 0
        for number, cells in records:
            if header and number == 1:
                continue
            source, target = cells
            yield RawPair(f"line {number}", source, target)
        if number <= int(header):
            raise ValueError(f"{path}: the file is empty; expected lines of source and target")

    return clean_pairs(raw_pairs(), str(path), **filters)


def read_parallel(
    source_path: str | os.PathLike[str],
    target_path: str | os.PathLike[str],
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    **filters: Unpack[PairFilters],
) -> Pairs:
    """Read pairs from two files whose lines belong together: ``train.en`` and ``train.de``.

    Lines end with LF or CRLF here. A CR alone within a line counts as a space: if it ended the
    line, all later lines would belong to the wrong ones of the other file.

    Parameters
    ----------
    source_path, target_path : path
        Text files in UTF-8, gzipped (``.gz``) or not, with a sentence in each line.
    limits : ReadLimits
        How much is read before a file is refused.
    **filters
        Which pairs to drop; see `PairFilters`.

    Returns
    -------
    Pairs
        A list of (source, target) in the order of the files, with its `report`.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If the files differ in their number of lines, are empty or not UTF-8, exceed a limit, or
        nothing is left.
    """
    paths = Path(source_path), Path(target_path)
    for path in paths:
        check_file(path)

    def raw_pairs() -> Iterator[RawPair]:
        number = 0
        sources, targets = (read_lines(path, limits, split_at_cr=False) for path in paths)
        for source, target in zip_longest(sources, targets):
            if source is None or target is None:
                shorter, longer = paths if source is None else paths[::-1]
                raise ValueError(
                    f"{shorter} has {number} lines and {longer} has more; expected two files "
                    "whose lines belong together"
                )
            number = source[0]
            yield RawPair(f"line {number}", source[1], target[1])
        if not number:
            raise ValueError(f"{paths[0]}: the file is empty; expected a sentence in each line")

    return clean_pairs(raw_pairs(), f"{paths[0]} and {paths[1]}", **filters)


def _delimiter_of(path: Path, delimiter: str | None) -> str:
    if delimiter is None:
        suffix = content_suffix(path)
        if suffix not in DELIMITERS:
            raise ValueError(
                f"{path}: expected a name that ends in .tsv, .csv, .txt or .jsonl, or one of these "
                "and .gz; rename it (from Python, read_pairs also takes a delimiter)"
            )
        return DELIMITERS[suffix]
    if not isinstance(delimiter, str):
        raise TypeError(f"read_pairs: expected a str as delimiter, got {delimiter!r}")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"read_pairs: expected one character as delimiter, got {delimiter!r}")
    return delimiter


def _numbers(columns: Sequence[int] | Sequence[str] | None) -> list[int]:
    if columns is None:
        return [0, 1]
    numbers = [column for column in columns if type(column) is int and column >= 0]
    if len(numbers) != 2 or len(columns) != 2:
        raise ValueError(
            f"read_pairs: expected two numbers of columns, from 0, as columns, got {columns!r}"
        )
    return numbers


def _names(columns: Sequence[int] | Sequence[str] | None) -> list[str]:
    if columns is None:
        return ["source", "target"]
    names = [column for column in columns if type(column) is str]
    if len(names) != 2 or len(columns) != 2:
        raise ValueError(f"read_pairs: expected two names of fields as columns, got {columns!r}")
    return names
