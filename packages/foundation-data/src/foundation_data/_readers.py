"""Reading pairs of sentences from two-column files."""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from foundation_data._clean import RawPair, clean_pairs
from foundation_data._report import Pairs

_DELIMITERS = {".tsv": "\t", ".txt": "\t", ".csv": ","}
_NAMES = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}


def _suffix(path: Path) -> str:
    """Return ``.tsv`` for ``a.tsv``, ``A.TSV`` and ``a.tsv.gz`` alike."""
    path = Path(path.stem) if path.suffix.lower() == ".gz" else path
    return path.suffix.lower()


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 text file, plain or gzipped.

    Lines end with LF, CRLF or CR; a byte-order mark is left out. Only one line is held in memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the path is a folder, the content is not UTF-8 (names line and byte) or a gzip file is
        damaged.
    """
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, got a folder")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    number, offset = 0, 0
    try:
        with _open(path) as stream:
            for raw in stream:
                if offset == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise ValueError(
                        f"{path}, line 1, byte 0: expected UTF-8, got UTF-16; save it as UTF-8"
                    )
                try:
                    text = raw.decode("utf-8-sig" if offset == 0 else "utf-8")
                except UnicodeDecodeError as error:
                    at = error.start + (3 if offset == 0 and raw.startswith(b"\xef\xbb\xbf") else 0)
                    line = number + 1 + raw.count(b"\r", 0, at)
                    raise ValueError(
                        f"{path}, line {line}, byte {offset + at}: expected UTF-8, got the byte "
                        f"0x{raw[at]:02x}; save the file as UTF-8"
                    ) from error
                offset += len(raw)
                for line_text in text.removesuffix("\n").removesuffix("\r").split("\r"):
                    number += 1
                    yield number, line_text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path}: damaged or truncated gzip file ({error}); fetch it again"
        ) from error


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, columns). Only .csv files know quoting: elsewhere a quote is a quote."""
    numbered = read_lines(path)
    if _suffix(path) != ".csv":
        for number, line in numbered:
            yield number, line.split(delimiter)
        return
    rows = csv.reader((line + "\n" for _, line in numbered), delimiter=delimiter, strict=True)
    start = 1
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {start}: malformed CSV: {error}") from error
        if row is None:
            return
        yield start, row or [""]
        start = rows.line_num + 1


def _delimiter_of(path: Path, delimiter: str | None) -> str:
    if delimiter is not None:
        if not isinstance(delimiter, str):
            raise TypeError(f"read_pairs: expected a str as delimiter, got {delimiter!r}")
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise ValueError(f"read_pairs: expected one character as delimiter, got {delimiter!r}")
        return delimiter
    suffix = _suffix(path)
    if suffix not in _DELIMITERS and path.exists():
        raise ValueError(
            f"{path}: expected a name that ends in .tsv, .csv or .txt, or one of these and .gz; "
            "rename it (from Python, read_pairs also takes a delimiter)"
        )
    return _DELIMITERS.get(suffix, "\t")  # that there is no such file is said on opening it


def read_pairs(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    header: bool = False,
    min_words: int = 1,
    max_words: int | None = None,
    max_ratio: float | None = None,
    drop_copies: bool = True,
    drop_duplicates: bool = True,
) -> Pairs:
    """Read (source, target) sentences from the first two columns of a text file.

    Further columns (the attribution in Tatoeba's files) are ignored. Text is normalised: NFC, each
    run of whitespace as one space, no invisible characters.

    Parameters
    ----------
    path : path
        A ``.tsv``, ``.txt`` (both with tabs) or ``.csv`` file in UTF-8, or one of these gzipped
        (``.gz``).
    delimiter : str, optional
        What separates the columns, if not what the name says.
    header : bool
        Whether the first line holds column names.
    min_words, max_words : int
        Drop pairs with fewer or more words (runs between spaces) on either side.
    max_ratio : float, optional
        Drop pairs where one side has more than this many words for each word of the other.
    drop_copies : bool
        Drop pairs whose two sides are equal: mostly lines nobody translated.
    drop_duplicates : bool
        Drop pairs that came before; another translation of the same source stays.

    Returns
    -------
    Pairs
        A list of (source, target) in the order of the file; its `report` tells what was dropped and
        why.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, a line has one column, the text is not UTF-8 (each names the place),
        the name or an option is not understood, or nothing is left.

    Examples
    --------
    >>> pairs = read_pairs(folder / "pairs.tsv")  # doctest: +SKIP
    >>> pairs[0], pairs.report.kept  # doctest: +SKIP
    (('Go.', 'Va !'), 139218)
    """
    path = Path(path)
    separator = _delimiter_of(path, delimiter)

    def raw_pairs() -> Iterator[RawPair]:
        number = 0
        for number, columns in _rows(path, separator):
            if header and number == 1:
                continue
            if len(columns) < 2 and columns[0].strip():
                name = _NAMES.get(separator, repr(separator))
                raise ValueError(
                    f"{path}, line {number}: expected two columns (source, target) separated by "
                    f"{name}, got one: {columns[0]!r:.60}"
                )
            yield RawPair(f"line {number}", columns[0], columns[1] if len(columns) > 1 else "")
        if number <= int(header):
            raise ValueError(f"{path}: the file is empty; expected lines of source and target")

    return clean_pairs(
        raw_pairs(),
        str(path),
        min_words=min_words,
        max_words=max_words,
        max_ratio=max_ratio,
        drop_copies=drop_copies,
        drop_duplicates=drop_duplicates,
    )
